"""What all tokenizers share."""

from types import MappingProxyType

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.src.utils.preset_utils import load_json

from textrnn.errors import InputError


class Tokenizer(keras_hub.tokenizers.Tokenizer):
    """What the tokenizers of this module have in common.

    A tokenizer without a vocabulary can be made from its config; `load_assets` then completes it, as
    KerasHub's presets and `.keras` files do. Subclasses write `_encode` and `_decode`, on batches, and hand
    their tokens to `_set_tokens`.

    Attributes:
        pad_token_id: 0.
        start_token_id: 1, the end-of-text token: a stream is texts with that token around each.
        end_token_id: 1.
        suppressed_token_ids: the ids that generation must never choose.
        special_token_ids: the ids that stand for no text.
        tokens_are_words: whether every token is a whole word, so that spaces between them are not in any.
    """

    pad_token_id = 0
    start_token_id = 1
    end_token_id = 1
    suppressed_token_ids: tuple[int, ...] = (0,)
    tokens_are_words = False

    def __init__(self, dtype="int32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.built = True  # there are no weights to make; `ExportArchive.track` asks
        self.file_assets = []
        self._set_tokens([])

    @property
    def special_token_ids(self) -> list[int]:
        return sorted({self.pad_token_id, self.end_token_id, *self.suppressed_token_ids})

    @property
    def special_tokens(self) -> list[str]:
        return [self.id_to_token(id) for id in self.special_token_ids]

    def tokenize(self, inputs):
        """Turns strings into token ids.

        Args:
            inputs: a string, or strings of shape `(batch,)`.

        Returns:
            An int32 `tf.Tensor` of shape `(tokens,)` for one string, else a `tf.RaggedTensor` of shape
            `(batch, (tokens))`. No start or end token is added.
        """
        self._check_vocabulary()
        strings = tf.convert_to_tensor(inputs, tf.string)
        if strings.shape.rank == 0:
            return self._encode(strings[tf.newaxis]).values
        if strings.shape.rank == 1:
            return self._encode(strings)
        raise InputError(
            f"tokenize got strings of shape {strings.shape}: give one string, or a batch (batch,)"
        )

    def detokenize(self, inputs):
        """Turns token ids into strings; padding and end tokens are left out.

        Args:
            inputs: ids of shape `(tokens,)` or `(batch, tokens)`, dense or ragged.

        Returns:
            A `tf.Tensor` of strings, of shape `()` or `(batch,)`.
        """
        self._check_vocabulary()
        if isinstance(inputs, (list, tuple)):
            inputs = tf.ragged.constant(inputs, tf.int32)
        elif not isinstance(inputs, tf.RaggedTensor):
            inputs = tf.convert_to_tensor(inputs)
        ids = tf.cast(inputs, tf.int32)
        if ids.shape.rank not in (1, 2):
            raise InputError(f"detokenize got ids of shape {ids.shape}: give (tokens,) or (batch, tokens)")
        rows = ids if ids.shape.rank == 2 else ids[tf.newaxis]
        strings = self._decode(tf.ragged.boolean_mask(rows, rows > self.end_token_id))
        return strings if ids.shape.rank == 2 else strings[0]

    def call(self, inputs):
        return self.tokenize(inputs)

    def _encode(self, strings: tf.Tensor) -> tf.RaggedTensor:
        raise NotImplementedError

    def _decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        raise NotImplementedError

    def vocabulary_size(self) -> int:
        self._check_vocabulary()
        return len(self._tokens)

    def get_vocabulary(self) -> list[str]:
        self._check_vocabulary()
        return self._tokens.tolist()

    def id_to_token(self, id: int) -> str:
        if not 0 <= id < self.vocabulary_size():
            raise InputError(f"there is no token {id}: ids go from 0 to {self.vocabulary_size() - 1}")
        return self._tokens[id]

    def token_to_id(self, token: str) -> int:
        """The id of `token`; that of `<unk>`, or an InputError where there is none, if it is not known."""
        self._check_vocabulary()
        id = self._ids.get(token, getattr(self, "unk_token_id", None))
        if id is None:
            raise InputError(f"{token!r} is not in the vocabulary: get_vocabulary() lists it")
        return id

    def _set_tokens(self, tokens: list[str]) -> None:
        # Neither is a list or a dict: Keras would track those, entry by entry, into every SavedModel.
        self._tokens: np.ndarray = np.array(tokens, dtype=object)
        self._ids = MappingProxyType({token: id for id, token in enumerate(tokens)})

    def _check_vocabulary(self) -> None:
        if not self._tokens.size:
            raise InputError(
                f"{type(self).__name__} has no vocabulary yet: make it with "
                f"{type(self).__name__}.train(documents), or call load_assets(folder)"
            )

    def save_assets(self, dir_path) -> None:
        """Writes nothing: there is nothing to write without a vocabulary."""

    def load_assets(self, dir_path) -> None:
        """Reads what `save_assets` wrote."""

    def load_preset_assets(self, preset) -> None:
        if self.file_assets:
            super().load_preset_assets(preset)

    @classmethod
    def from_preset(cls, preset, config_file="tokenizer.json", **kwargs):
        """Loads a tokenizer from a preset: a folder, or a handle that KerasHub understands.

        `Tokenizer.from_preset` loads whichever kind was saved.
        """
        # KerasHub infers the class from the one backbone that it belongs to. These belong to any backbone,
        # and tokenizer.json names the class.
        config = load_json(preset, config_file)
        tokenizer = keras.saving.deserialize_keras_object(
            {**config, "config": {**config["config"], **kwargs}}
        )
        if not isinstance(tokenizer, cls):
            raise InputError(f"{preset} holds a {type(tokenizer).__name__}, not a {cls.__name__}")
        tokenizer.load_preset_assets(preset)
        return tokenizer
