"""Warnings about texts, from the outputs of a signature."""

import pytest

from textrnn.serving.text_warnings import UNFAMILIAR, text_warnings

UNKNOWN = "consists mostly of characters that the model was not trained on"
BYTES = [b"<0x61>", b"<0x20>", b"<0x64>"]


@pytest.mark.parametrize(
    ("source", "target", "unfamiliar", "expected"),
    [
        ([b"\xe2\x96\x81", *BYTES, b"</s>", b""], [b"un", b"chien"], True, [UNKNOWN]),
        ([b"\xe2\x96\x81a", b"dog", b"</s>"], [b"un", b"chien"], False, []),
        ([b"\xe2\x96\x81a", b"dog", b"</s>"], [b"un", b"chien"], True, [UNFAMILIAR]),
        ([*BYTES, b"</s>"], BYTES, False, []),  # vocabularies of bytes
        ([*BYTES, b"</s>"], [b"un", b"chien"], False, []),
    ],
)
def test_characters_that_a_vocabulary_of_subwords_lacks_are_noticed(source, target, unfamiliar, expected):
    found = {"source_tokens": source, "tokens": [target], "unfamiliar": unfamiliar}
    assert list(text_warnings(found)) == expected
