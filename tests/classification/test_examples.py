"""The texts of `tf.Example`s: those of the usual form by their bytes, any others without an error."""

import pytest
import tensorflow as tf

from textrnn.classification.examples import parsed_texts, plain_texts, texts_of_examples


def example(**features):
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values, list)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=[values]))
        for name, values in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


# The sizes at which one of the five lengths in an example takes another byte.
SIZES = [*range(100, 135), *range(16355, 16390), 0, 1, 2**17]


def test_an_example_with_one_text_alone_is_known_by_its_bytes():
    expected = [b"x" * size for size in SIZES]
    texts, plain = plain_texts(tf.constant([example(text=[text]) for text in expected]))
    assert plain.numpy().all()
    assert texts.numpy().tolist() == expected


@pytest.mark.parametrize("cut", range(16))
def test_no_cut_example_is_taken_for_a_plain_one(cut):
    whole = example(text=[b"so bad, so bad"])
    _, plain = plain_texts(
        tf.constant([whole[:cut], whole[cut + 1 :], whole[:cut] + b"y" + whole[cut + 1 :]])
    )
    assert not plain.numpy().any()


def test_no_example_is_an_error_for_the_others():
    whole = example(text=[b"so bad"])
    examples = [
        whole, example(text=[b"so", b"bad"]), example(text=[b"so bad"], other=[b"x"]),
        example(text=3), example(other=[b"x"]), example(text=[]), b"", b"so bad", whole[:-1], b"\xff" * 30,
    ]  # fmt: skip
    run = tf.function(texts_of_examples, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    assert run(tf.constant(examples)).numpy().tolist() == [b"so bad"] * 3 + [b""] * 7
    assert parsed_texts(tf.constant(examples)).numpy().tolist() == [b"so bad"] * 3 + [b""] * 7
    assert run(tf.constant([], tf.string)).shape == (0,)
