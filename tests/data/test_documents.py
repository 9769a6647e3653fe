"""Documents: which files are read, and the errors for files that cannot be."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data.documents import Document, read_documents, split_documents


def test_a_file_is_one_document(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("première\nseconde\n", encoding="utf-8")
    assert read_documents(path) == [Document(str(path), "première\nseconde\n")]
    assert read_documents(str(path)) == read_documents(path)


def test_byte_order_mark_and_carriage_returns_are_removed(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo\rthree \ufeff".encode())
    assert read_documents(path)[0].text == "one\n\ntwo\rthree \ufeff"


def test_a_folder_is_read_in_order_without_hidden_files(tmp_path):
    for name in ("b.txt", "a.txt", ".hidden", "sub/c.txt", "sub/.d.txt", ".git/e.txt", "a/z.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    (tmp_path / "f.gz").write_bytes(gzip.compress(b"f.gz"))
    documents = read_documents(tmp_path)
    assert [document.text for document in documents] == ["a.txt", "b.txt", "f.gz", "a/z.txt", "sub/c.txt"]
    assert documents[-1].origin == str(tmp_path / "sub" / "c.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n\t\r\n", "only whitespace"),
        (b"abc\0def\xff", r"byte 0x00 at offset 3\b.*iconv -f latin1 -t utf-8"),
        (b"caf\xe9\0", r"byte 0xe9 at offset 3\b.*iconv -f latin1 -t utf-8"),
        (b"\xef\xbb\xbfcaf\xe9", r"byte 0xe9 at offset 6\b"),
        (b"ends in half a character \xe2\x82", r"byte 0xe2 at offset 25\b"),
        ("text".encode("utf-16"), r"byte 0xff at offset 0\b.*iconv -f utf-16 -t utf-8"),
    ],
)
@pytest.mark.parametrize("inside_a_folder", [False, True])
def test_errors_name_the_file(tmp_path, content, message, inside_a_folder):
    (tmp_path / "good.txt").write_text("good")
    path = tmp_path / "poor.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"poor\.txt .*{message}"):
        read_documents(tmp_path if inside_a_folder else path)


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt does not exist"):
        read_documents(tmp_path / "nowhere.txt")


def test_a_folder_without_files(tmp_path):
    (tmp_path / ".hidden").write_text("hidden")
    with pytest.raises(InputError, match="has no files"):
        read_documents(tmp_path)


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(b"cut short" * 99, mtime=0)[:20]])
def test_broken_gzip(tmp_path, content):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.txt\.gz cannot be read"):
        read_documents(path)


def test_a_broken_link_in_a_folder(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"link\.txt cannot be read"):
        read_documents(tmp_path)


def test_one_file_is_split_as_in_nanogpt():
    text = "0123456789" * 7 + "abc"
    train, held_out = split_documents([Document("a", text)], 0.1)
    cut = int(0.9 * len(text))
    assert train == [Document("a", text[:cut])]
    assert held_out == [Document("a", text[cut:])]


@given(st.lists(st.text(max_size=9), max_size=6), st.floats(0.01, 0.99))
def test_a_split_loses_nothing(texts, fraction):
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    characters = sum(map(len, texts))
    try:
        train, held_out = split_documents(documents, fraction)
    except InputError:
        assert int((1 - fraction) * characters) in (0, characters)
        return
    assert "".join(document.text for document in train + held_out) == "".join(texts)
    assert sum(len(document.text) for document in train) == int((1 - fraction) * characters)
    assert all(document.text for document in train + held_out)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_held_out_must_be_between_0_and_1(fraction):
    with pytest.raises(InputError, match="between 0 and 1"):
        split_documents([Document("a", "text")], fraction)


@pytest.mark.parametrize("text", ["", "a"])
def test_too_short_a_text_cannot_be_split(text):
    with pytest.raises(InputError, match="one side would be empty"):
        split_documents([Document("a", text)], 0.1)
