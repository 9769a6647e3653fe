"""The base class of all tokenizers."""

from types import MappingProxyType

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from textrnn.errors import InputError
from textrnn.private import load_preset_json
from textrnn.tokenizers.text import string_tensor


class Tokenizer(keras_hub.tokenizers.Tokenizer):
    """Base class of the tokenizers.

    A tokenizer can be created from its config before it has a vocabulary. `load_assets` then loads the
    vocabulary, as KerasHub presets and `.keras` files do.

    Subclasses pass their tokens to `_set_tokens` and implement two methods, and `_byte_counts` or `spans`:

    - `_encode(strings)`: strings of shape `(batch,)` to int32 ids, a `tf.RaggedTensor` `(batch, (tokens))`;
    - `_decode(ids)`: such ids, without padding and end tokens, to strings of shape `(batch,)`.

    Attributes:
        pad_token_id: 0.
        start_token_id: 1, the same as `end_token_id`.
        end_token_id: 1.
        suppressed_token_ids: Ids that must never be generated.
        special_token_ids: Ids that do not represent text.
        tokens_are_words: Whether each token is a whole word, so that no token contains a space.
    """

    pad_token_id = 0
    start_token_id = 1
    end_token_id = 1
    suppressed_token_ids: tuple[int, ...] = (0,)
    tokens_are_words = False

    def __init__(self, dtype="int32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.built = True  # `ExportArchive.track` requires it, and there are no weights to build
        self.file_assets = []
        self._set_tokens([])

    @property
    def special_token_ids(self) -> list[int]:
        return sorted({self.pad_token_id, self.end_token_id, *self.suppressed_token_ids})

    @property
    def special_tokens(self) -> list[str]:
        return [self.id_to_token(id) for id in self.special_token_ids]

    @property
    def boundary_token_ids(self) -> list[int]:
        """Ids after which a text or a line begins: the end token, and the newline if it is a token."""
        newline = self.tokenize("\n").numpy().tolist()
        return sorted({self.end_token_id, *(id for id in newline if id not in self.special_token_ids)})

    def tokenize(self, inputs):
        """Convert strings to token ids. No start or end token is added.

        Args:
            inputs: One string, or strings of shape `(batch,)`.

        Returns:
            int32 ids: a `tf.Tensor` of shape `(tokens,)` for one string, otherwise a `tf.RaggedTensor` of
            shape `(batch, (tokens))`.

        Raises:
            InputError: If the tokenizer has no vocabulary, or if the strings have another shape.
        """
        self._check_vocabulary()
        strings = string_tensor(inputs)
        if strings.shape.rank == 0:
            return self._encode(strings[tf.newaxis]).values
        if strings.shape.rank == 1:
            return self._encode(strings)
        raise InputError(
            f"tokenize got strings of shape {strings.shape}: give one string, or strings of shape (batch,)"
        )

    def detokenize(self, inputs):
        """Convert token ids to strings. Padding, end tokens and ids outside the vocabulary are removed.

        Args:
            inputs: Ids of shape `(tokens,)` or `(batch, tokens)`, dense or ragged.

        Returns:
            A string `tf.Tensor` of shape `()` or `(batch,)`.

        Raises:
            InputError: If the tokenizer has no vocabulary, or if the ids have another shape.
        """
        self._check_vocabulary()
        if isinstance(inputs, (list, tuple)):
            inputs = tf.ragged.constant(inputs, tf.int32)
        elif not isinstance(inputs, tf.RaggedTensor):
            inputs = tf.convert_to_tensor(inputs)
        ids = tf.cast(inputs, tf.int32)
        if ids.shape.rank not in (1, 2):
            raise InputError(
                f"detokenize got ids of shape {ids.shape}: give ids of shape (tokens,) or (batch, tokens)"
            )
        rows = ids if ids.shape.rank == 2 else ids[tf.newaxis]
        known = (rows > self.end_token_id) & (rows < self.vocabulary_size())
        strings = self._decode(tf.ragged.boolean_mask(rows, known))
        return strings if ids.shape.rank == 2 else strings[0]

    def spans(self, text, token_ids=None):
        """Return which characters of a text each token stands for.

        Args:
            text: A str.
            token_ids: The tokens of the text, integers `(tokens,)`; by default those of `tokenize`.

        Returns:
            An int array `(tokens, 2)`: `text[start:end]` are the characters of a token. Tokens that are parts
            of a character, such as bytes, all have the span of that character.

        Example:

        >>> from textrnn.tokenizers import ByteTokenizer
        >>> ByteTokenizer().spans("né").tolist()
        [[0, 1], [1, 2], [1, 2]]
        """
        ids = (self.tokenize(text) if token_ids is None else token_ids).__array__()
        bytes_of_tokens, bytes_of_characters = self._byte_counts(ids, text)
        ends = np.cumsum(bytes_of_tokens)
        character_ends = np.cumsum(bytes_of_characters)
        first = np.searchsorted(character_ends, ends - bytes_of_tokens, side="right")
        last = np.searchsorted(character_ends, ends, side="left")
        return np.stack([first, last + 1], axis=1)

    def _byte_counts(self, ids, text):
        """The bytes of each token and of each character, as the tokenizer spells them; for `spans`."""
        raise NotImplementedError

    byte_token_ids: tuple[int, ...] = ()
    """The tokens that spell what is not in the vocabulary."""

    def relative_surprisal(self, strings):
        """Return the bits per character of texts, relative to those that the vocabulary was learned from.

        Args:
            strings: Strings of shape `(batch,)`.

        Returns:
            float32 `(batch,)`: about 1 for texts of the same kind. A vocabulary that was not learned, such as
            that of bytes, gives 1.
        """
        return tf.ones(tf.shape(strings))

    def is_unfamiliar(self, strings):
        """Tell which texts are unlike those that the vocabulary was learned from.

        An answer may be meaningless.

        Args:
            strings: Strings of shape `(batch,)`.

        Returns:
            Booleans, `(batch,)`. A vocabulary that was not learned, such as that of bytes, knows all texts.
        """
        return tf.zeros(tf.shape(strings), tf.bool)

    def call(self, inputs):
        return self.tokenize(inputs)

    def _encode(self, strings: tf.Tensor) -> tf.RaggedTensor:
        raise NotImplementedError

    def _decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        raise NotImplementedError

    def vocabulary_size(self) -> int:
        """Return the number of ids."""
        self._check_vocabulary()
        return len(self._tokens)

    def get_vocabulary(self) -> list[str]:
        """Return the tokens in the order of their ids."""
        self._check_vocabulary()
        return self._tokens.tolist()

    def id_to_token(self, id: int) -> str:
        """Return the token with the given id. Raise an InputError if there is none."""
        if not 0 <= id < self.vocabulary_size():
            raise InputError(f"there is no token {id}: ids range from 0 to {self.vocabulary_size() - 1}")
        return self._tokens[id]

    def token_to_id(self, token: str) -> int:
        """Return the id of a token.

        For a token that is not in the vocabulary, returns the id of `<unk>`, or raises an InputError if the
        tokenizer has no `<unk>`.
        """
        self._check_vocabulary()
        id = self._ids.get(token, getattr(self, "unk_token_id", None))
        if id is None:
            raise InputError(f"{token!r} is not in the vocabulary: get_vocabulary() lists the tokens")
        return id

    def _set_tokens(self, tokens: list[str]) -> None:
        # Not a list and a dict: Keras would track them, entry by entry, in every SavedModel.
        self._tokens: np.ndarray = np.array(tokens, dtype=object)
        self._ids = MappingProxyType({token: id for id, token in enumerate(tokens)})

    def _check_vocabulary(self) -> None:
        if not self._tokens.size:
            name = type(self).__name__
            raise InputError(
                f"{name} has no vocabulary: create it with {name}.train(documents), or call "
                "load_assets(folder)"
            )

    def save_assets(self, dir_path) -> None:
        """Write the vocabulary to a folder. This class has none to write."""

    def load_assets(self, dir_path) -> None:
        """Read the vocabulary that `save_assets` wrote."""

    def load_preset_assets(self, preset) -> None:
        if self.file_assets:
            super().load_preset_assets(preset)

    @classmethod
    def from_preset(cls, preset, config_file="tokenizer.json", **kwargs):
        """Load a tokenizer from a preset.

        Args:
            preset: A folder, or a handle that KerasHub understands.
            config_file: Name of the tokenizer's config in the preset.
            **kwargs: Config values to override.

        Returns:
            A tokenizer of the class that was saved.

        Raises:
            InputError: If it is not an instance of the class that this method is called on.
        """
        preset = str(preset)  # KerasHub takes no paths
        # It infers the class from the tokenizer's only backbone, but these tokenizers work with any.
        config = load_preset_json(preset, config_file)
        tokenizer = keras.saving.deserialize_keras_object(
            {**config, "config": {**config["config"], **kwargs}}
        )
        if not isinstance(tokenizer, cls):
            raise InputError(
                f"{preset} contains a {type(tokenizer).__name__}, not a {cls.__name__}: load it with "
                "Tokenizer.from_preset"
            )
        tokenizer.load_preset_assets(preset)
        return tokenizer
