"""Tokenizers that run inside the graph: strings in, ids out, and back.

| kind | unit | learnt from the text | detokenize(tokenize(x)) = x |
|---|---|---|---|
| `sentencepiece` | subwords | yes | yes |
| `character` | characters | yes | yes |
| `byte` | bytes | no | yes |
| `word` | words between spaces | yes | no: `<unk>`, and a run of spaces becomes one |

All are KerasHub tokenizers, use only operations that a stock model server knows, and share their first ids:
0 is padding, and 1 the end of a text, which also starts one.
"""

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import keras
import keras_hub
import numpy as np
import sentencepiece
import tensorflow as tf
from keras_hub.src.utils.preset_utils import load_json
from tensorflow_text.python.ops.sentencepiece_tokenizer import gen_sentencepiece_tokenizer as tf_text_ops

from textrnn.data.files import Document
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
    chunks = [chunk for document in documents for chunk in _chunks(_text(document), 4096)]
    every = -(-sum(map(len, chunks)) // _MAX_TRAINING_CHARACTERS) or 1
    model = io.BytesIO()
    size = vocabulary_size or _default_vocabulary_size(chunks)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(_trainable, chunks[::every]),
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


@keras.saving.register_keras_serializable(package="textrnn")
class ByteTokenizer(Tokenizer):
    """One token for each byte: id = byte + 2. Nothing to learn, lossless on any string of bytes.

    A generated string may be broken UTF-8; see `valid_utf8`.

    Example:
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> ByteTokenizer()(["hi", ""]).to_list()
    [[106, 107], []]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._set_tokens(["<pad>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])

    @classmethod
    def train(cls, documents: Iterable[Document | str] = (), vocabulary_size: int | None = None):
        """Returns the tokenizer: there is nothing to learn."""
        if vocabulary_size not in (None, 258):
            raise InputError(f"vocabulary_size={vocabulary_size} for bytes: it is always 258; leave it out")
        return cls()

    def _encode(self, strings):
        bytes_ = tf.io.decode_raw(tf.strings.reduce_join(strings), tf.uint8)
        return tf.RaggedTensor.from_row_lengths(tf.cast(bytes_, tf.int32) + 2, tf.strings.length(strings))

    def _decode(self, ids):
        strings = tf.constant([b"", b"", *(bytes([byte]) for byte in range(256))])
        return tf.strings.reduce_join(tf.gather(strings, ids), axis=-1)


@keras.saving.register_keras_serializable(package="textrnn")
class WordTokenizer(Tokenizer):
    r"""The closed vocabulary of the language-modelling literature: words between spaces, the rest `<unk>`.

    A newline is a word of its own (`<eos>` in the literature), and a literal `<unk>` in the text is id 2.
    Words are joined by single spaces, lines by newlines; so a completion by itself has no leading space.

    Args:
        vocabulary: the tokens in the order of their ids, `<pad>`, `</s>` and `<unk>` first; None leaves it to
            `load_assets`.

    Example:
    >>> from textrnn.tokenizers import WordTokenizer
    >>> tokenizer = WordTokenizer.train(["the cat sat \n the <unk> sat \n"])
    >>> tokenizer.get_vocabulary()
    ['<pad>', '</s>', '<unk>', '\n', 'sat', 'the', 'cat']
    >>> tokenizer.detokenize(tokenizer(" the  dog \n sat")).numpy()
    b'the <unk>\nsat'
    """

    unk_token_id = 2
    suppressed_token_ids = (0, 2)
    tokens_are_words = True
    _specials = ("<pad>", "</s>", "<unk>")
    # Splitting at whitespace would lose newlines: this control character (record separator) is their word.
    _newline = "\x1e"

    def __init__(self, vocabulary: Iterable[str] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.file_assets = ["vocabulary.json"]
        self.set_vocabulary(vocabulary)

    @classmethod
    def train(cls, documents: Iterable[Document | str], vocabulary_size: int | None = None):
        """Collects the words, by descending frequency and then alphabetically.

        Args:
            documents: the texts to learn from.
            vocabulary_size: the largest number of ids, special tokens included. None keeps every word.
        """
        if vocabulary_size is not None and vocabulary_size <= len(cls._specials):
            raise InputError(
                f"vocabulary_size={vocabulary_size} leaves no room for words: "
                f"give more than the {len(cls._specials)} special tokens"
            )
        counts: Counter[bytes] = Counter()
        for document in documents:
            # Split as bytes: as in the graph, only ASCII whitespace parts words.
            counts.update(_text(document).replace("\n", f" {cls._newline} ").encode().split())
        for special in cls._specials:
            del counts[special.encode()]
        words = [word.decode() for word in sorted(counts, key=lambda word: (-counts[word], word))]
        words = ["\n" if word == cls._newline else word for word in words]
        return cls([*cls._specials, *words][:vocabulary_size])

    def set_vocabulary(self, vocabulary: Iterable[str] | None) -> None:
        if vocabulary is None:
            return
        tokens = list(vocabulary)
        if tuple(tokens[:3]) != self._specials or len(set(tokens)) != len(tokens):
            raise InputError(
                f"the vocabulary must begin with {', '.join(self._specials)} and have no duplicates"
            )
        self._set_tokens(tokens)
        # From <unk> on: "</s>" in a text is not the end of it.
        words = [self._newline if token == "\n" else token for token in tokens[2:]]
        entries = tf.lookup.KeyValueTensorInitializer(words, np.arange(2, len(tokens)), tf.string, tf.int64)
        self._table = tf.lookup.StaticHashTable(entries, default_value=self.unk_token_id)
        self._strings = tf.constant(tokens)

    def _encode(self, strings):
        words = tf.strings.split(tf.strings.regex_replace(strings, "\n", f" {self._newline} "))
        return tf.cast(self._table.lookup(words), tf.int32)

    def _decode(self, ids):
        joined = tf.strings.reduce_join(tf.gather(self._strings, ids), axis=-1, separator=" ")
        return tf.strings.regex_replace(joined, " ?\n ?", "\n")

    def save_assets(self, dir_path):
        text = json.dumps(self.get_vocabulary(), ensure_ascii=False, indent=0)
        Path(dir_path, self.file_assets[0]).write_text(text, encoding="utf-8")

    def load_assets(self, dir_path):
        self.set_vocabulary(json.loads(Path(dir_path, self.file_assets[0]).read_text(encoding="utf-8")))


TOKENIZERS: dict[str, type[Tokenizer]] = {
    "sentencepiece": SentencePieceTokenizer,
    "character": CharacterTokenizer,
    "byte": ByteTokenizer,
    "word": WordTokenizer,
}


def train_tokenizer(
    kind: str, documents: Iterable[Document | str], vocabulary_size: int | None = None
) -> Tokenizer:
    """Makes a tokenizer of a kind from texts.

    Args:
        kind: `"sentencepiece"`, `"character"`, `"byte"` or `"word"`.
        documents: the texts to learn from.
        vocabulary_size: the number of ids; None leaves it to the kind.

    Raises:
        InputError: an unknown kind, or a `vocabulary_size` that does not suit the kind or the text.

    Example:
    >>> from textrnn.tokenizers import train_tokenizer
    >>> train_tokenizer("word", ["to be or not to be"], vocabulary_size=5).get_vocabulary()
    ['<pad>', '</s>', '<unk>', 'be', 'to']
    """
    if kind not in TOKENIZERS:
        raise InputError(f"no tokenizer is called {kind!r}: choose one of {', '.join(TOKENIZERS)}")
    return TOKENIZERS[kind].train(documents, vocabulary_size)


def encode_documents(tokenizer: Tokenizer, documents: Iterable[Document | str]) -> list[np.ndarray]:
    """Tokenizes documents of any length, quickly.

    Long documents are tokenized in pieces that end at newlines; with this module's tokenizers the ids are the
    same as those of the whole. Where a text has very long lines, it is cut at spaces.

    Args:
        tokenizer: a tokenizer.
        documents: the texts.

    Returns:
        For each document, an int32 array of shape `(tokens,)`.

    Example:
    >>> from textrnn.tokenizers import ByteTokenizer, encode_documents
    >>> encode_documents(ByteTokenizer(), ["hi", "!"])
    [array([106, 107], dtype=int32), array([35], dtype=int32)]
    """
    pieces = [list(_chunks(_text(document), 16384)) for document in documents]
    queue = [piece for of_document in pieces for piece in of_document]
    rows = []
    for start in range(0, len(queue), 256):  # bounds the memory that strings of one word each take
        ids = tokenizer.tokenize(queue[start : start + 256])
        rows += np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
    remaining = iter(rows)
    nothing = np.zeros(0, np.int32)
    return [np.concatenate([nothing, *islice(remaining, len(of_document))]) for of_document in pieces]


def valid_utf8(strings) -> tf.Tensor:
    r"""Replaces broken UTF-8 by U+FFFD, as JSON needs; other strings stay as they are.

    Args:
        strings: strings of any shape.

    Example:
    >>> from textrnn.tokenizers import valid_utf8
    >>> valid_utf8([b"caf\xc3", b"ok"]).numpy()[0].decode()
    'caf\ufffd'
    """
    return tf.strings.unicode_transcode(strings, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD)


def _text(document: Document | str) -> str:
    return document if isinstance(document, str) else document.text


def _chunks(text: str, size: int) -> Iterator[str]:
    """Cuts a text into pieces of at most `size` characters, at newlines, else spaces, else anywhere."""
    start = 0
    while len(text) - start > size:
        end = text.rfind("\n", start, start + size) + 1 or text.rfind(" ", start + 1, start + size)
        end = end if end > start else start + size
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]
