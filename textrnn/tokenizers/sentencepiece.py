"""SentencePiece models in the graph: pieces of words, and characters."""

import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path

import keras
import sentencepiece
import tensorflow as tf
from tensorflow_text.python.ops.sentencepiece_tokenizer import gen_sentencepiece_tokenizer as tf_text_ops

from textrnn.errors import InputError
from textrnn.tokenizers.base import Tokenizer
from textrnn.tokenizers.text import Document, chunks, text_of

# SentencePiece writes a space as "▁", and so cannot tell a real "▁" from one. The text it sees has every "▁"
# escaped by a control character that has no other use in text (data link escape), and that character as well.
_ESCAPES = (("\x10", "\x100"), ("▁", "\x101"))


# Characters that its trainer reserves: a text with the first is not learnt from.
_RESERVED = "▅"


_MAX_TRAINING_CHARACTERS = 10_000_000


@keras.saving.register_keras_serializable(package="textrnn")
class SentencePieceTokenizer(Tokenizer):
    r"""Subwords learnt from the text: a unigram model with byte fallback (Kudo, 2018, arXiv:1804.10959).

    Lossless: text is not normalised, spaces and newlines are kept, and what the vocabulary lacks is spelt in
    bytes. A newline is always a token of its own, so a text may be tokenized line by line. Invalid UTF-8
    becomes U+FFFD, on the way in as on the way out.

    Ids: 0 padding, 1 end of text, 2 unknown (never produced), 3 newline, the 256 bytes, then the pieces.

    Args:
        proto: a trained SentencePiece model, as bytes; None leaves it to `load_assets`.

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
        """Learns a vocabulary.

        Deterministic. Texts of more than ten million characters are sampled evenly.

        Args:
            documents: the texts to learn from.
            vocabulary_size: the number of ids. None means one for every 250 characters of the text, from
                1000 to 8000 (more if its alphabet is that large), or as many as the text has use for: rarer
                pieces are seen too seldom to learn.

        Raises:
            InputError: no text, or a `vocabulary_size` that does not suit it; the message says which does.
        """
        return cls(_train_sentencepiece(documents, cls._model_type, cls._character_coverage, vocabulary_size))

    def set_proto(self, proto: bytes | None) -> None:
        self.proto = proto or b""
        if not proto:
            return
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
        self._set_tokens([processor.id_to_piece(id) for id in range(processor.vocab_size())])
        self._model = _SentencePieceModel(proto)

    def _encode(self, strings):
        for plain, escaped in _ESCAPES:
            strings = tf.strings.regex_replace(strings, plain, escaped)
        return self._model.tokenize(strings)

    def _decode(self, ids):
        strings = self._model.detokenize(ids)
        for plain, escaped in reversed(_ESCAPES):
            strings = tf.strings.regex_replace(strings, escaped, plain)
        return strings

    def save_assets(self, dir_path):
        self._check_vocabulary()
        Path(dir_path, self.file_assets[0]).write_bytes(self.proto)

    def load_assets(self, dir_path):
        self.set_proto(Path(dir_path, self.file_assets[0]).read_bytes())


@keras.saving.register_keras_serializable(package="textrnn")
class CharacterTokenizer(SentencePieceTokenizer):
    """One token for each character of the training text; other characters are spelt in bytes.

    As `SentencePieceTokenizer` in everything else. A `vocabulary_size` keeps the commonest characters.

    Example:
    >>> from textrnn.tokenizers import CharacterTokenizer
    >>> tokenizer = CharacterTokenizer.train(["to be or not to be"])
    >>> [tokenizer.id_to_token(id) for id in tokenizer("not é").numpy()]
    ['n', 'o', 't', '▁', '<0xC3>', '<0xA9>']
    """

    _model_type = "char"
    _character_coverage = 1.0


_PLAIN = {"add_bos": False, "add_eos": False, "reverse": False}


class _SentencePieceModel(tf.saved_model.experimental.TrackableResource):
    """A SentencePiece model as a resource of the graph, under a name of its own.

    The resource that `tf_text.SentencepieceTokenizer` makes has no name and belongs to the kernel that made
    it: it is gone as soon as `keras.utils.set_random_seed` empties TensorFlow's cache of kernels. A named one
    stays. The name is the hash of the model, so two that meet in one process are the same model.
    """

    def __init__(self, proto: bytes):
        super().__init__()
        self._proto = proto
        self.resource_handle  # noqa: B018 (made eagerly, not inside the first graph that needs it)

    def _create_resource(self):
        name = f"textrnn_sentencepiece_{hashlib.sha256(self._proto).hexdigest()}"
        return tf_text_ops.sentencepiece_op(model=self._proto, shared_name=name)

    def tokenize(self, strings: tf.Tensor) -> tf.RaggedTensor:
        ids, row_splits = tf_text_ops.sentencepiece_tokenize_op(
            self.resource_handle, strings, nbest_size=0, alpha=1.0, **_PLAIN, out_type=tf.int32
        )
        return tf.RaggedTensor.from_row_splits(ids, row_splits, validate=False)

    def detokenize(self, ids: tf.RaggedTensor) -> tf.Tensor:
        return tf_text_ops.sentencepiece_detokenize_op(
            self.resource_handle, ids.values, ids.row_splits, **_PLAIN
        )


def _train_sentencepiece(documents, model_type, character_coverage, vocabulary_size) -> bytes:
    parts = [part for document in documents for part in chunks(text_of(document), 4096)]
    every = -(-sum(map(len, parts)) // _MAX_TRAINING_CHARACTERS) or 1
    model = io.BytesIO()
    size = vocabulary_size or _default_vocabulary_size(parts)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(_trainable, parts[::every]),
            model_writer=model,
            model_type=model_type,
            vocab_size=size,
            hard_vocab_limit=vocabulary_size is not None,
            character_coverage=character_coverage,
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
    fits = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).vocab_size()
    if vocabulary_size is not None and fits < vocabulary_size:
        raise InputError(_does_not_fit(vocabulary_size, f"at most {fits}"))
    return model.getvalue()


def _trainable(text: str) -> str:
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text.replace(_RESERVED, "")


def _default_vocabulary_size(texts: list[str]) -> int:
    alphabet = len(set().union(*texts))  # every character is a piece, beside the 256 bytes
    return max(min(sum(map(len, texts)) // 250, 8000), 1000, alphabet + 512)


def _training_error(message: str, vocabulary_size: int) -> InputError:
    """SentencePiece's complaint in the user's terms."""
    if "sentences_.empty()" in message:
        return InputError("there is no text to learn a vocabulary from: give documents with text in them")
    if match := re.search(r"value <= (\d+)", message):
        return InputError(_does_not_fit(vocabulary_size, f"at most {match[1]}"))
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return InputError(_does_not_fit(vocabulary_size, f"at least {match[1]}"))
    if vocabulary_size <= 260:
        return InputError(_does_not_fit(vocabulary_size, "at least 261"))
    return InputError(f"SentencePiece could not learn a vocabulary from the text: {message}")


def _does_not_fit(vocabulary_size: int, fits: str) -> str:
    return (
        f"vocabulary_size={vocabulary_size} does not suit this text: {fits} would "
        "(the special tokens, the newline and the 256 bytes are counted). Ask for that, or give more text"
    )
