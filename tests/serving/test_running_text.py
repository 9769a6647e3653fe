"""Laws of texts whose tokens come a few at a time. Here a token is a byte."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn.serving.running_text import RunningText, _held_back

CHUNKS = st.lists(st.integers(1, 5), min_size=80, max_size=80)
TEXTS = st.text(st.sampled_from("abé漢😀 "), max_size=20)


def pieces(data, sizes, stop=()):
    """The pieces of a text behind a prompt that ends in "é", and why it ended."""
    text, start, reason, made = RunningText("é".encode()[-1], stop), 0, None, []
    while reason is None:
        end = start + sizes.pop()
        text.tokens += data[start:end]
        start, last = end, "length" if end >= len(data) else None
        decoded = (bytes(tokens).decode("utf-8", "replace") for tokens in text.undecoded())
        piece, reason = text.take(*decoded, last)
        made.append(piece)
    return made, reason


@given(TEXTS, CHUNKS)
def test_the_pieces_make_up_the_text_and_no_character_is_cut(text, sizes):
    made, reason = pieces(text.encode(), sizes)
    assert ("".join(made), reason) == (text, "length")
    assert not any("\ufffd" in piece for piece in made)


@given(st.binary(max_size=40), CHUNKS)
def test_invalid_bytes_are_replaced_as_in_the_whole_text(data, sizes):
    made, _ = pieces(data, sizes)
    assert "".join(made) == re.sub("\ufffd{1,3}$", "", data.decode("utf-8", "replace"))  # which may be cut


@given(TEXTS, CHUNKS, st.integers(0, 20))
def test_a_character_that_a_limit_cuts_is_left_out(text, sizes, limit):
    made, _ = pieces(text.encode()[:limit], sizes)
    assert "".join(made) == text.encode()[:limit].decode("utf-8", "ignore")


@given(TEXTS, CHUNKS, st.lists(st.text("abé ", min_size=1, max_size=3), min_size=1, max_size=2))
def test_a_text_ends_before_the_first_stop_text(text, sizes, stop):
    made, reason = pieces(text.encode(), sizes, stop)
    places = [text.find(one) for one in stop if one in text]
    assert "".join(made) == text[: min(places, default=None)]
    assert reason == ("stop" if places else "length")


@pytest.mark.parametrize("size", range(1, 7))
@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (["abcd", "b"], ("", "stop")),  # one contains another
        (["bcz", "c"], ("ab", "stop")),  # the longer one does not come
        (["abcd", "ab"], ("", "stop")),  # one begins with another
        (["cde", "bcd"], ("a", "stop")),  # they overlap
        (["abcdefz", "cdefz", "e"], ("abcd", "stop")),  # the text ends before they are complete
    ],
)
def test_which_stop_text_ends_a_text_does_not_depend_on_its_parts(stop, expected, size):
    made, reason = pieces(b"abcdef", [size] * 6, stop)
    assert ("".join(made), reason) == expected


def test_long_stop_texts_are_held_back_no_further_than_the_text_reaches():
    stop = "ab" * 500
    assert _held_back("xab", (stop, "b!")) == 2
    assert _held_back("", (stop,)) == 0
    assert _held_back("ab" * 499 + "a", (stop,)) == 999
    assert _held_back("x", (stop,)) == 0
