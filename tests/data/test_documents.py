"""Documents: which files are read, and the errors for files that cannot be."""

import gzip
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data.documents import Document, find_documents, read_documents, split_documents


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


WITHOUT_TEXT = {
    "__init__.py": (b"", "empty"),
    "mark.txt": (b"\xef\xbb\xbf", "empty"),
    "blank.txt": (b" \n\t\r\n", "blank"),
    "cache.pyc": (b"\xcb\r\r\n\0\0\0\0\xe4\x91\xe9f\xff\0\0\0\xe3" + bytes(20), "binary"),
    "nul.txt": (b"abc\0def\xff", "binary"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + b"\xff" * 40, "binary"),
}


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_a_file_without_text_is_refused(name, tmp_path):
    content, why = WITHOUT_TEXT[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} .*{why}"):
        read_documents(tmp_path / name)


def test_files_without_text_are_left_out_of_a_folder_with_a_warning(tmp_path, capsys):
    for name, (content, _) in WITHOUT_TEXT.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"the folder .* has no text: .*Thumbs\.db \(binary\)"):
        read_documents(tmp_path)
    (tmp_path / "good.txt").write_text("good")
    documents, [warning] = find_documents(tmp_path)
    assert [document.text for document in documents] == ["good"]
    assert warning.startswith(f"left out 6 files without text: {tmp_path / 'Thumbs.db'} (binary); ")
    assert warning.endswith(" and 1 more")
    assert read_documents(tmp_path) == documents
    assert capsys.readouterr().err == f"warning: {warning}\n"
    assert find_documents(tmp_path, include="*.txt").warnings != [] != find_documents(tmp_path).warnings
    assert find_documents(tmp_path, include="good*") == (documents, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("It’s".encode("cp1252"), r"byte 0x92 at offset 2\b.*--encoding cp1252"),
        (b"\xef\xbb\xbfcaf\xe9", r"byte 0xe9 at offset 6\b"),
        (b"ends in half a character \xe2\x82", r"byte 0xe2 at offset 25\b"),
        ("a line of text\n".encode("utf-16-le") * 9, r"byte 0x00 at offset 1\b.*--encoding utf_16_le"),
    ],
)
@pytest.mark.parametrize("inside_a_folder", [False, True])
def test_another_encoding_is_an_error_that_names_the_file(tmp_path, content, message, inside_a_folder):
    (tmp_path / "good.txt").write_text("good")
    path = tmp_path / "poor.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"poor\.txt .*{message}"):
        read_documents(tmp_path if inside_a_folder else path)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_files_in_other_encodings_are_read(encoding, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes("It’s\r\nfine".encode(encoding))
    documents = read_documents(tmp_path, None if encoding == "utf-16" else encoding)
    assert [document.text for document in documents] == ["It’s\nfine"] * 2


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
    with pytest.raises(InputError, match=r"has no text: .*link\.txt \(cannot be read"):
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


def test_unreadable_files_are_left_out_of_a_folder(tmp_path):
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad.gz").write_bytes(b"not gzip")
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", "a")
        archive.writestr("b.txt", "b")
    documents, [warning] = find_documents(tmp_path)
    assert [document.text for document in documents] == ["good"]
    assert warning.startswith(f"left out 3 files without text: {tmp_path / 'bad.gz'} (cannot be read: ")
    assert warning.endswith("two.zip (holds 2 files, expected one: unpack it)")


def test_include_is_refused_with_a_file(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(
        InputError, match=r"--include '\*\.txt' chooses files of a folder, but .*a\.txt is a file"
    ):
        find_documents(tmp_path / "a.txt", include="*.txt")
