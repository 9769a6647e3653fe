r"""N-grams of words and of characters, computed from strings inside the graph.

They are those of scikit-learn's `TfidfVectorizer` with `token_pattern=r"\w+|[^\w\s]"` and with
`analyzer="char_wb"`, of lowercased texts, as hashes instead of columns. There are two differences. Combining
marks belong to their word, and in scripts without spaces every character is a word. The code is core
TensorFlow alone, so exports include it.
"""

import functools
from typing import NamedTuple

import tensorflow as tf

from textrnn.tokenizers import lowercased, valid_utf8
from textrnn.unspaced import UNSPACED

HASHES = 2**30
"""Number of hash values of each kind (Weinberger et al. 2009, arXiv 0902.2206): of 500,000 n-grams of a kind,
about 120 pairs collide. N-grams of words have the values from 0 on, those of characters from `HASHES` on."""

_SPACE = r"[\pZ\x09-\x0d\x1c-\x1f\x{85}]+"  # what Python's `str.split` splits at


class NGrams(NamedTuple):
    """The n-grams of a batch of texts, one entry for each occurrence.

    Positions count the characters of a text that are not spaces.

    Attributes:
        rows: The text of each, int64 `(n-grams,)`.
        hashes: int32 `(n-grams,)`; see `HASHES`.
        starts, ends: The range of characters that each covers, int64 `(n-grams,)`.
        lengths: The number of characters of each text, int64 `(texts,)`.
    """

    rows: tf.Tensor
    hashes: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    lengths: tf.Tensor


def text_ngrams(texts, words=(1, 2), characters=(2, 5)):
    """Return the n-grams of texts.

    Args:
        texts: Strings `(texts,)`.
        words: The least and the greatest number of words of an n-gram of words; greatest 0 for none.
        characters: The same of characters within a word, of which one may be the space before it, and one
            that after it.

    Returns:
        `NGrams`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.text_ngrams import text_ngrams
    >>> found = text_ngrams(tf.constant(["So dull!", "so"]), words=(1, 2), characters=(1, 0))
    >>> found.rows.numpy().tolist()  # so, dull, !, so dull, dull !, and so
    [0, 0, 0, 1, 0, 0]
    >>> bool(found.hashes[0] == found.hashes[3])
    True
    >>> found.starts.numpy().tolist(), found.ends.numpy().tolist(), found.lengths.numpy().tolist()
    ([0, 2, 6, 0, 0, 2], [2, 6, 7, 2, 6, 7], [7, 2])
    """
    return _compiled(tuple(words), tuple(characters))(texts)


@functools.cache
def _compiled(words, characters):
    """One graph for all that ask for n-grams of these sizes, since its 500 ops take long to trace."""
    return tf.function(
        lambda texts: _text_ngrams(texts, words, characters),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )


def _text_ngrams(texts, words, characters):
    texts = lowercased(valid_utf8(texts))
    found = tf.strings.split(tf.strings.regex_replace(texts, _SPACE, " "))
    # Words repeat: what depends on the word alone is computed once for each.
    distinct, which = tf.unique(found.values, out_idx=tf.int64)
    starts, lengths = _places(found, tf.gather(tf.strings.length(distinct, "UTF8_CHAR"), which))
    parts = [
        *_of_words(found, distinct, which, words),
        *_of_characters(found, distinct, which, starts, characters),
    ]
    rows, hashes, starts, ends = (tf.concat(each, axis=0) for each in zip(*parts, strict=True))
    return NGrams(rows, hashes, starts, ends, lengths)


def characters_of(texts):
    """Return the number of characters of strings that are not spaces, as `NGrams` count them, int32.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.text_ngrams import characters_of
    >>> characters_of(tf.constant([" so  dull"])).numpy().tolist()
    [6]
    """
    texts = tf.strings.regex_replace(lowercased(valid_utf8(texts)), _SPACE, "")
    return tf.strings.length(texts, "UTF8_CHAR")


def _places(ragged, lengths):
    """Return the place of the first character of each string in its text, and the length of each text.

    Args:
        ragged: Strings `(texts, (strings))`.
        lengths: Their numbers of characters, int32 `(strings,)`.
    """
    lengths = tf.cast(lengths, tf.int64)
    before = tf.concat([[0], tf.cumsum(lengths)], axis=0)
    splits = tf.gather(before, ragged.row_splits)
    return before[:-1] - tf.gather(splits, ragged.value_rowids()), splits[1:] - splits[:-1]


def _of_words(found, distinct, which, sizes):
    """Yield rows, hashes, starts and ends of n-grams of words of each size."""
    apart = tf.strings.regex_replace(distinct, rf"([^\p{{L}}\p{{N}}\p{{M}}_]|[{UNSPACED}])", r" \1 ")
    words = tf.gather(tf.strings.split(apart), which)  # (words between spaces, (words))
    words = found.with_values(words).merge_dims(1, 2)
    starts, _ = _places(words, tf.strings.length(words.values, "UTF8_CHAR"))
    ends = starts + tf.cast(tf.strings.length(words.values, "UTF8_CHAR"), tf.int64)
    for n in range(sizes[0], sizes[1] + 1):
        ngrams = tf.strings.ngrams(words, n, separator=" ")
        first = _first(words.row_starts(), ngrams)
        yield (
            ngrams.value_rowids(),
            _hashed(ngrams.values),
            tf.gather(starts, first),
            tf.gather(ends, first + n - 1),
        )


def _of_characters(found, distinct, which, starts, sizes):
    """Yield rows, hashes, starts and ends of n-grams of characters of each size."""
    spaced = tf.strings.unicode_split(tf.strings.join([" ", distinct, " "]), "UTF-8")
    for n in range(sizes[0], sizes[1] + 1):
        ngrams = tf.strings.ngrams(spaced, n, separator="")
        hashes = ngrams.with_values(_hashed(ngrams.values) + HASHES)
        hashes = tf.gather(hashes, which)  # (words between spaces, (n-grams))
        word = hashes.value_rowids()
        place = _first(tf.zeros_like(starts), hashes) - 1  # the space before the word is not counted
        length = tf.gather(hashes.row_lengths(), word) + n - 3
        start = tf.gather(starts, word)
        yield (
            tf.gather(found.value_rowids(), word),
            hashes.values,
            start + tf.maximum(place, 0),
            start + tf.minimum(place + n, length),
        )


def _first(row_starts, ragged):
    """Return `row_starts` of the row of each value of a ragged tensor, plus its place in the row."""
    rows = ragged.value_rowids()
    return tf.gather(row_starts - ragged.row_starts(), rows) + tf.range(tf.size(rows, tf.int64))


def _hashed(strings):
    return tf.cast(tf.strings.to_hash_bucket_fast(strings, HASHES), tf.int32)
