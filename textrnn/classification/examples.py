"""The texts of serialized `tf.Example`s, where no example is an error for the others of its batch."""

import tensorflow as tf

BYTES = [bytes([value]) for value in range(256)]
NAME = b"text"


def texts_of_examples(examples):
    """Return the texts of serialized `tf.Example`s, in their feature `text`.

    Several values of it are joined by spaces. An example without the feature, with numbers in it, or bytes
    that are no example have an empty text: an error of `tf.io.parse_example` would be one for all of them.

    Args:
        examples: Strings `(batch,)`.

    Returns:
        Strings `(batch,)`.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.examples import texts_of_examples
    >>> feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"so", b"dull"]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"text": feature}))
    >>> texts_of_examples(tf.constant([example.SerializeToString(), b"no example"])).numpy().tolist()
    [b'so dull', b'']
    """
    texts, plain = plain_texts(examples)
    return tf.cond(tf.reduce_all(plain), lambda: texts, lambda: parsed_texts(examples))


def parsed_texts(examples):
    """The same for any examples. They are parsed one by one by a data set, which takes milliseconds."""

    def parsed(row, example):
        values = tf.io.parse_single_example(example, {NAME: tf.io.RaggedFeature(tf.string)})[NAME]
        return row, tf.strings.reduce_join(values, separator=" ")

    count = tf.size(examples)
    found = tf.data.Dataset.from_tensor_slices((tf.range(count), examples)).map(parsed).ignore_errors()
    return found.reduce(
        tf.fill([count], ""), lambda texts, new: tf.tensor_scatter_nd_update(texts, [[new[0]]], [new[1]])
    )


def plain_texts(examples):
    """The texts of examples that have one text alone, which are known by their bytes.

    Returns:
        Strings `(batch,)`, and booleans, whether an example is one of these.
    """
    total = size = tf.strings.length(examples)
    before = tf.fill(tf.shape(examples), "")
    entry = b"\n" + BYTES[len(NAME)] + NAME + b"\x12"
    for field in (b"\n", b"\n", entry, b"\n", b"\n"):  # of an example, features, a map, a feature and a list
        size = size - len(field)
        size = size - 1 - tf.cast(size > 2**7, size.dtype) - tf.cast(size > 2**14 + 1, size.dtype)
        before = before + field + _varint(size)
    size = tf.clip_by_value(size, 0, total)
    texts = tf.strings.substr(examples, total - size, size)
    return texts, before + texts == examples


def _varint(number):
    """Numbers of up to 21 bits in the format of protobuf: seven bits a byte, the lowest ones first."""
    table = tf.constant([*BYTES, b""])
    digits = [number % 2**7, number // 2**7 % 2**7, number // 2**14 % 2**7]
    more = [number >= 2**7, number >= 2**14, tf.zeros_like(number, tf.bool)]
    shown = [tf.ones_like(number, tf.bool), *more]
    return tf.strings.join([
        tf.gather(table, tf.where(show, digit + 128 * tf.cast(follows, digit.dtype), len(BYTES)))
        for digit, follows, show in zip(digits, more, shown[:3], strict=True)
    ])  # fmt: skip
