"""Bytes to text: encodings that are found, named and suggested; and strings that are no valid Unicode."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn.errors import InputError
from textrnn.unicode import decode, decode_blocks, encoding_of, guess_encoding, well_formed

ENGLISH = "It’s a “quoted” line – really… € 5.\n" * 30
GERMAN = "Das Frühstück war köstlich, die Betten groß und die Leute sehr nett. Schöne Grüße!\n" * 9
RUSSIAN = "Номер был чистый, завтрак вкусный, а персонал очень приветливый.\n" * 9
JAPANESE = "部屋はとても清潔で、朝食もおいしかったです。また泊まりたいと思います。\n" * 9


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (ENGLISH, "cp1252"),
        (GERMAN, "cp1252"),
        ("It’s\n", "cp1252"),
        ("café\n", "cp1252"),
        (RUSSIAN, "cp1251"),
        (JAPANESE, "shift_jis"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (ENGLISH, "utf-32-le"),
        ("It is a line of text, and more.\n", "utf-16-le"),
    ],
)
def test_the_encoding_that_is_suggested_reads_the_file(text, encoding):
    content = ("plain\n" * 20).encode(encoding) + text.encode(encoding)
    guess = guess_encoding(content)
    assert content.decode(guess) == content.decode(encoding)
    with pytest.raises(InputError, match=f"a.txt is not UTF-8 text: .*give --encoding {guess}"):
        decode(content, "a.txt")
    assert decode(content, "a.txt", guess) == content.decode(encoding)


def test_the_usual_encoding_of_windows_is_suggested_rather_than_its_relatives():
    assert guess_encoding("It’s\n".encode("cp1252")) == "cp1252"
    assert guess_encoding("the café\n".encode("latin1")) == "cp1252"


@pytest.mark.parametrize(
    "content", [bytes(range(256)), b"MZ\x90\0\x03\0\0\0\x04\0\0\xff\xff" * 9, b"text\0text"]
)
def test_binary_content_has_no_encoding(content):
    assert guess_encoding(content) is None
    with pytest.raises(InputError, match="It looks like a binary file"):
        decode(content, "a.bin")


def test_a_damaged_utf_8_file_is_not_taken_for_another_encoding():
    content = (GERMAN + "Schöne Grüße\n").encode() + b"caf\xe9\n"
    assert guess_encoding(content) == "utf-8"
    with pytest.raises(InputError, match=r"byte 0xe9 at .* in line 11\. Nearly all of it is UTF-8"):
        decode(content, "a.txt")


def test_the_message_quotes_the_line_as_it_would_be_read():
    content = "one\nIt’s a “quoted” line – really…\nthree\n".encode("cp1252")
    with pytest.raises(
        InputError,
        match=r"a\.txt is not UTF-8 text: byte 0x92 at offset 6 in line 2\. It looks like cp1252, "
        "in which this line is 'It’s a “quoted” line – really…': give --encoding cp1252",
    ):
        decode(content, "a.txt")


def test_a_wrong_encoding_is_refused_by_its_name():
    with pytest.raises(InputError, match=r"is not ASCII text: byte 0xc3|is not ascii text: byte 0xc3"):
        decode("é".encode(), "a.txt", "ascii")
    with pytest.raises(InputError, match="unknown encoding 'utf-9'"):
        decode(b"a", "a.txt", "utf-9")


def test_marks_are_removed_and_inner_ones_are_not():
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert decode("one \ufeff".encode(encoding), "a.txt") == "one \ufeff"
    assert decode(codecs.BOM_UTF16_LE + "a".encode("utf-16-le"), "a.txt", "utf-16-le") == "a"
    assert encoding_of(codecs.BOM_UTF16_BE) == "utf-16"


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_well_formed_strings_can_be_encoded(text):
    cleaned = well_formed(text)
    cleaned.encode("utf-8")
    assert well_formed(cleaned) == cleaned
    whole = text.encode("utf-16-le", "surrogatepass")
    assert cleaned == whole.decode("utf-16-le", "replace")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned == text


def test_half_surrogates_are_replaced_one_by_one():
    assert well_formed("cut \ud83d") == "cut \ufffd"
    assert well_formed("\udcff\udcfe a \ud83d\ude00") == "\ufffd\ufffd a 😀"


def test_marks_of_joined_files_and_line_ends_of_old_macs_are_read():
    assert decode(2 * "one\r\n".encode("utf-8-sig"), "a.txt") == "one\none\n"
    assert decode(2 * "one\n".encode("utf-16"), "a.txt") == "one\none\n"
    assert decode(b"one\rtwo\r", "a.txt") == "one\ntwo\n"
    assert decode(b"one\rtwo\n", "a.txt") == "one\rtwo\n"


@pytest.mark.parametrize("encoding", ["idna", "undefined", "rot13", "a\0"])
def test_codecs_that_are_no_encoding_of_files_are_refused(encoding):
    with pytest.raises(InputError, match="unknown encoding"):
        decode(b"a", "a.txt", encoding)


@pytest.mark.parametrize("encoding", ["punycode", "utf-7", "unicode_escape"])
def test_bytes_that_are_invalid_in_a_rare_encoding_are_refused(encoding):
    with pytest.raises(InputError, match=r"a\.txt is not"):
        decode(b"\\x\xff\n+AA", "a.txt", encoding)


@pytest.mark.parametrize(
    "content",
    [
        b"\xcb\r\r\n\x01\x02\xe4\x91\xe9f\xff\x03\xe3",
        b"\x89PNG\r\n\x1a\n\x01\xff\x08\x02",
        b"\x80\x04\x95\x10\x8c\x01a\x94.",
    ],
)
def test_small_binary_content_without_nul_is_no_text(content):
    assert guess_encoding(content) is None


@given(
    st.text("aé\r\n\ufeff\U0001f600", max_size=20),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "shift_jis"]),
    st.integers(4, 9),
)
def test_blocks_are_decoded_as_the_whole(text, codec, size):
    content = text.encode(codec, "ignore")
    encoding = None if codec in ("utf-8", "utf-8-sig", "utf-16", "utf-32") else codec
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    assert "".join(decode_blocks(lambda: iter(blocks), "name", encoding)) == decode(content, "name", encoding)
