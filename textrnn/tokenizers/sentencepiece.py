"""SentencePiece models inside the graph."""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
import sentencepiece
import tensorflow as tf
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from textrnn.errors import InputError
from textrnn.private import sentencepiece_ops
from textrnn.startup import native_messages_hidden
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.familiarity import ALLOWANCE, ANY_LANGUAGE, OTHER_LANGUAGE
from textrnn.tokenizers.text import Document, blocks_of, evenly_sampled

SPACE = "▁"
"""How SentencePiece writes a space."""

ESCAPES = (("\x10", "\x100"), (SPACE, "\x101"))
"""Replacements before encoding, undone after decoding.

SentencePiece cannot tell a literal "▁" from a space. It is therefore escaped with a control character that
text does not use (data link escape), and so is that character itself.
"""

RESERVED_BY_TRAINER = "▅"
"""A character that SentencePiece's trainer reserves: it skips every text that contains it."""

MAX_TRAINING_CHARACTERS = 10_000_000
"""Longer training texts are sampled."""

TRAINING_CHUNK_CHARACTERS = 4096
"""Maximum length of a text that SentencePiece's trainer sees at once."""

LEAST_COST = 0.1
"""Smallest information of a character of a training text, in nats, with which others are compared."""

PLAIN = {"add_bos": False, "add_eos": False, "reverse": False}
"""Options of SentencePiece's ops: encode and decode the text alone."""


@keras.saving.register_keras_serializable(package="textrnn")
class SentencePieceTokenizer(Tokenizer):
    r"""Subwords of a unigram language model with byte fallback (Kudo, 2018, arXiv:1804.10959).

    Lossless: text is not normalized, whitespace is kept, and characters that are not in the vocabulary are
    encoded as UTF-8 bytes. A newline is always a token of its own, so tokenizing line by line gives the same
    ids. Invalid UTF-8 becomes U+FFFD when encoding and when decoding.

    The ids are 0 for padding, 1 for end of text, 2 for unknown (never produced), 3 for newline, then the 256
    bytes, then the subwords.

    Args:
        proto: A trained SentencePiece model, as bytes. None if `load_assets` is called later.

    Example:

    >>> from textrnn.tokenizers import SentencePieceTokenizer
    >>> tokenizer = SentencePieceTokenizer.train(["the cat sat\n on the mat\n"] * 9)
    >>> ids = tokenizer(["the cat", "  a naïve mat\n"])
    >>> [text.decode() for text in tokenizer.detokenize(ids).numpy()]
    ['the cat', '  a naïve mat\n']
    """

    unk_token_id = 2
    suppressed_token_ids = (0, 2)
    _model_type = "unigram"
    _character_coverage = 0.9995

    def __init__(self, proto: bytes | None = None, **kwargs):
        super().__init__(**kwargs)
        self.file_assets = ["vocabulary.spm"]
        self.set_proto(proto)

    @classmethod
    def train(cls, documents: Iterable[Document | str], vocabulary_size: int | None = None):
        """Train a tokenizer. Deterministic; texts of more than ten million characters are sampled evenly.

        Args:
            documents: Training texts.
            vocabulary_size: Number of ids. Default: one per 250 characters of text, between 1000 and 8000,
                more for a large alphabet, and fewer if the text does not have that many frequent subwords.

        Returns:
            The tokenizer.

        Raises:
            InputError: If there is no text, or if `vocabulary_size` does not fit it. The message says which
                size fits.
        """
        return cls(_train_sentencepiece(documents, cls._model_type, cls._character_coverage, vocabulary_size))

    def set_proto(self, proto: bytes | None) -> None:
        """Set the SentencePiece model. None leaves the tokenizer without a vocabulary."""
        self.proto = proto or b""
        if not proto:
            return
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
        self._set_tokens([processor.id_to_piece(id) for id in range(processor.vocab_size())])
        self.byte_token_ids = tuple(id for id in range(processor.vocab_size()) if processor.is_byte(id))
        self._model = _SentencePieceModel(proto)

    def _encode(self, strings):
        for plain, escaped in ESCAPES:
            strings = tf.strings.regex_replace(strings, plain, escaped)
        return self._model.tokenize(strings)

    def _decode(self, ids):
        # Where the vocabulary lacks the space, its sign is encoded as bytes, and SentencePiece leaves it.
        strings = tf.strings.regex_replace(self._model.detokenize(ids), SPACE, " ")
        for plain, escaped in reversed(ESCAPES):
            strings = tf.strings.regex_replace(strings, escaped, plain)
        return strings

    def _byte_counts(self, ids, text):
        # A space is the three bytes of its sign, and so it is where the vocabulary lacks it.
        escapes = dict(ESCAPES) | {" ": SPACE}
        characters = [len(escapes.get(c, c).encode()) for c in text]
        is_byte = np.isin(ids, self.byte_token_ids)
        pieces = [
            1 if byte else len(self.id_to_token(id).encode()) for id, byte in zip(ids, is_byte, strict=True)
        ]
        return np.array(pieces, int), np.array(characters, int)

    def relative_surprisal(self, strings):
        """Return how improbable the tokens of texts are: unknown words fall apart, and characters are bytes.

        A unigram model has the probability of each token. So it knows how many bits a character of its
        training text took.

        Args:
            strings: Strings of shape `(batch,)`.

        Returns:
            float32 `(batch,)`: bits per character, relative to those of the training text; 0 for "".
        """
        costs = tf.gather(tf.constant(self._token_costs(), tf.float32), self.tokenize(strings))
        characters = tf.cast(tf.strings.length(strings, unit="UTF8_CHAR"), tf.float32)
        return tf.math.divide_no_nan(tf.reduce_sum(costs, axis=1), characters)

    def is_unfamiliar(self, strings):
        """Tell which texts are unlike the training text, as most texts in another language are.

        Args:
            strings: Strings of shape `(batch,)`.

        Returns:
            Booleans, `(batch,)`: whether the relative surprisal of a text of n characters exceeds
            `OTHER_LANGUAGE + ALLOWANCE / n` (see `textrnn.tokenizers.familiarity`), without what a text in
            any language may have, such as addresses and emoji.
        """
        strings = tf.strings.regex_replace(strings, ANY_LANGUAGE, "")
        characters = tf.maximum(tf.strings.length(strings, unit="UTF8_CHAR"), 1)
        allowed = OTHER_LANGUAGE + ALLOWANCE / tf.cast(characters, tf.float32)
        return self.relative_surprisal(strings) > allowed

    def extended(self, documents: Iterable[Document | str], pieces: int):
        r"""Return a tokenizer with more subwords: those of other texts that now take several tokens.

        Candidates are the subwords of a unigram model of the texts. Those are taken that save most of the
        texts' information, with their logarithmic probabilities in that model.

        Args:
            documents: The other texts.
            pieces: Number of subwords to add, at most. Their ids follow the old ones, which stay as they are.

        Returns:
            A `SentencePieceTokenizer`; itself if no subword of the texts is missing.

        Raises:
            InputError: If there is no text.

        Example:

        >>> from textrnn.tokenizers import SentencePieceTokenizer
        >>> tokenizer = SentencePieceTokenizer.train(["the cat sat on the mat\n"] * 9)
        >>> extended = tokenizer.extended(["the zebra saw the zebra\n"] * 9, pieces=3)
        >>> [len(each(" zebra")) for each in (tokenizer, extended)]
        [6, 1]
        """
        trained = _train_sentencepiece(documents, self._model_type, self._character_coverage, None)
        theirs = sentencepiece.SentencePieceProcessor(model_proto=trained)
        ours = sentencepiece.SentencePieceProcessor(model_proto=self.proto)
        unknown = 10 - min(ours.get_score(id) for id in range(ours.vocab_size()))  # as SentencePiece has it
        gains = {}
        for id in range(len(self.byte_token_ids) + 4, theirs.vocab_size()):
            piece, score = theirs.id_to_piece(id), theirs.get_score(id)
            if ours.piece_to_id(piece) != self.unk_token_id:
                continue
            parts = ours.encode(piece.replace(SPACE, " "))
            cost = sum(unknown if ours.is_byte(part) else -ours.get_score(part) for part in parts)
            gains[piece, score] = np.exp(score) * (cost + score)
        chosen = sorted((key for key in gains if gains[key] > 0), key=gains.__getitem__, reverse=True)[
            :pieces
        ]
        if not chosen:
            return self
        model = ModelProto.FromString(self.proto)
        for piece, score in chosen:
            model.pieces.add(piece=piece, score=score)
        model.trainer_spec.vocab_size = len(model.pieces)
        return type(self)(model.SerializeToString())

    def _token_costs(self):
        """The negative log-probability of each token, relative to a character of the training text."""
        processor = sentencepiece.SentencePieceProcessor(model_proto=self.proto)
        ids = range(processor.vocab_size())
        scores = np.array([processor.get_score(id) for id in ids])
        special = (processor.is_control, processor.is_unknown, processor.is_byte)
        learned = np.array(
            [not any(is_of(id) for is_of in special) and processor.id_to_piece(id) != "\n" for id in ids]
        )
        # SentencePiece's own penalty of an unknown character, which is mostly two bytes. A space that the
        # training text does not have is in the vocabulary, but has no probability.
        unknown = 10 - np.min(scores[np.isfinite(scores)])
        scores = np.maximum(scores, -unknown)
        probabilities = np.where(learned, np.exp(scores), 0)
        lengths = np.array([len(processor.id_to_piece(id)) for id in ids])
        per_character = -np.sum(probabilities * scores) / np.sum(probabilities * lengths)
        per_character = max(per_character, LEAST_COST)  # one repeated character has no information
        costs = np.where(
            learned, -scores, [unknown / 2 if processor.is_byte(id) else per_character for id in ids]
        )
        return costs / per_character

    def save_assets(self, dir_path):
        """Write the SentencePiece model as `vocabulary.spm`."""
        self._check_vocabulary()
        Path(dir_path, self.file_assets[0]).write_bytes(self.proto)

    def load_assets(self, dir_path):
        """Read the model that `save_assets` wrote."""
        self.set_proto(Path(dir_path, self.file_assets[0]).read_bytes())


class _SentencePieceModel(tf.saved_model.experimental.TrackableResource):
    """A SentencePiece model as a named resource of the graph.

    The resource that `tensorflow_text.SentencepieceTokenizer` creates has no name and belongs to its kernel,
    so it is lost when `keras.utils.set_random_seed` clears TensorFlow's kernel cache. A named resource is
    kept. The name is the model's hash, so tokenizers with the same model share one resource.
    """

    def __init__(self, proto: bytes):
        super().__init__()
        self._proto = proto
        self._ops = sentencepiece_ops()
        self.resource_handle  # noqa: B018 (created here, not inside the first graph that uses it)

    def _create_resource(self):
        name = f"textrnn_sentencepiece_{hashlib.sha256(self._proto).hexdigest()}"
        with native_messages_hidden():  # the op logs that identity normalization is used
            return self._ops.sentencepiece_op(model=self._proto, shared_name=name)

    def tokenize(self, strings: tf.Tensor) -> tf.RaggedTensor:
        ids, row_splits = self._ops.sentencepiece_tokenize_op(
            self.resource_handle, strings, nbest_size=0, alpha=1.0, **PLAIN, out_type=tf.int32
        )
        return tf.RaggedTensor.from_row_splits(ids, row_splits, validate=False)

    def detokenize(self, ids: tf.RaggedTensor) -> tf.Tensor:
        return self._ops.sentencepiece_detokenize_op(
            self.resource_handle, ids.values, ids.row_splits, **PLAIN
        )


def _train_sentencepiece(documents, model_type, character_coverage, vocabulary_size) -> bytes:
    """Return a trained SentencePiece model as bytes."""
    if isinstance(documents, Iterator):
        documents = list(documents)
    sample, characters = evenly_sampled(documents, TRAINING_CHUNK_CHARACTERS, MAX_TRAINING_CHARACTERS)
    model = io.BytesIO()
    size = vocabulary_size or _default_vocabulary_size(documents, characters)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(_trainable, sample),
            model_writer=model,
            model_type=model_type,
            vocab_size=size,
            hard_vocab_limit=vocabulary_size is not None,
            character_coverage=character_coverage,
            required_chars=SPACE,  # even if the text has few or none, since prompts have
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            byte_fallback=True,
            user_defined_symbols=["\n"],
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            max_sentence_length=1 << 20,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _training_error(str(error), size) from error
    fitting = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()
    if vocabulary_size is not None and fitting < vocabulary_size:
        raise _size_error(vocabulary_size, f"at most {fitting}")
    return model.getvalue()


def _trainable(text: str) -> str:
    for plain, escaped in ESCAPES:
        text = text.replace(plain, escaped)
    return text.replace(RESERVED_BY_TRAINER, "")


def _default_vocabulary_size(documents, characters: int) -> int:
    alphabet: set[str] = set()  # every character is a subword, in addition to the 256 bytes
    for document in documents:
        for block in blocks_of(document):
            alphabet.update(block)
    return max(min(characters // 250, 8000), 1000, len(alphabet) + 512)


def _training_error(message: str, vocabulary_size: int) -> InputError:
    """Translate an error of SentencePiece's trainer."""
    if "sentences_.empty()" in message:
        return InputError("there is no text to train a tokenizer on: give documents that contain text")
    if match := re.search(r"value <= (\d+)", message):
        return _size_error(vocabulary_size, f"at most {match[1]}")
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return _size_error(vocabulary_size, f"at least {match[1]}")
    if vocabulary_size <= 260:
        return _size_error(vocabulary_size, "at least 261")
    return InputError(f"SentencePiece could not train a tokenizer on the text: {message}")


def _size_error(vocabulary_size: int, fitting: str) -> InputError:
    return InputError(
        f"vocabulary_size={vocabulary_size} does not fit this text: give {fitting}, which includes the "
        "special tokens, the newline and the 256 bytes, or give more text"
    )
