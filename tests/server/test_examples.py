"""Examples in JSON become `tf.Example`s, or a clear error."""

import pytest
import tensorflow as tf

from textrnn.server.errors import RequestError
from textrnn.server.examples import parse_examples


def test_half_a_surrogate_pair_is_left_to_the_graph():
    [data] = parse_examples({"examples": [{"text": "a joy \ud83d"}]})
    feature = tf.train.Example.FromString(data).features.feature["text"]
    assert feature.bytes_list.value[:] == [b"a joy \xed\xa0\xbd"]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ({"\ud83d": "a joy"}, r"The name of feature '\\ud83d' has half a surrogate pair"),
        ({"x": [1.5, 10**400]}, "of feature x is out of the range of int64"),
        ({"x": 2**63}, "of feature x is out of the range of int64"),
        ({"x": [1, "two"]}, "of feature x is not of one type"),
        (["x"], "Is not object"),
    ],
)
def test_other_examples_are_refused(example, message):
    with pytest.raises(RequestError, match=message):
        parse_examples({"examples": [example]})
