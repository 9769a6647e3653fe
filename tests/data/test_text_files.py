"""Files as text: compressions, encodings, lines, and which files of a folder are read."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textrnn.data.text_files import (
    BLOCK_BYTES,
    files_in,
    lines_of,
    plain_name,
    read_bytes,
    read_lines,
    read_text,
)
from textrnn.errors import InputError

TEXT = "première\r\nseconde\n\nla\ufeffst"
PLAIN = "première\nseconde\n\nla\ufeffst"
LINES = ["première", "seconde", "", "la\ufeffst"]


def zipped(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


COMPRESSED = {
    "note.txt": lambda content: content,
    "note.txt.gz": gzip.compress,
    "note.txt.bz2": bz2.compress,
    "note.txt.xz": lzma.compress,
    "note.txt.zip": lambda content: zipped({"a/note.txt": content, "__MACOSX/._note.txt": b"", "a/.b": b""}),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", COMPRESSED)
def test_files_are_decompressed_and_decoded(name, encoding, tmp_path):
    text = TEXT.replace("\ufeff", "") if encoding == "cp1252" else TEXT
    path = tmp_path / name
    path.write_bytes(COMPRESSED[name](text.encode(encoding)))
    given = encoding if encoding == "cp1252" else None
    assert read_text(path, given) == text.replace("\r\n", "\n")
    assert list(read_lines(path, given)) == text.replace("\r\n", "\n").split("\n")
    assert plain_name(path) == "note.txt"


def test_zst_is_read_where_its_package_is_installed(tmp_path):
    zstd = pytest.importorskip("backports.zstd")
    path = tmp_path / "note.txt.zst"
    frame = zstd.compress(TEXT.encode())
    path.write_bytes(frame)
    assert read_text(path) == PLAIN and list(read_lines(path)) == LINES
    path.write_bytes(frame + frame)
    assert read_bytes(path) == 2 * TEXT.encode()
    content = os.urandom(3 * BLOCK_BYTES)
    path.write_bytes(zstd.compress(content))
    assert read_bytes(path) == content
    for damaged in (frame[:12], frame + frame[:-1], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"note\.txt\.zst cannot be read: .+"):
            read_text(path)


def test_a_zip_archive_names_the_file_inside(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(zipped({"data/reviews.csv": "text,label"}))
    assert plain_name(path) == "reviews.csv"
    path.write_bytes(zipped({"a.txt": "", "b.txt": ""}))
    for read in (read_bytes, plain_name):
        with pytest.raises(InputError, match=r"archive\.zip holds 2 files, expected one"):
            read(path)


@pytest.mark.parametrize("name", [name for name in COMPRESSED if name != "note.txt"])
@pytest.mark.parametrize("part", [slice(0, 12), slice(0, 0)])
def test_damaged_files_are_refused(name, part, tmp_path):
    path = tmp_path / name
    content = COMPRESSED[name](os.urandom(999))[part] or b"no archive"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"note\.txt\.\w+ cannot be read: .+"):
        read_bytes(path)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0\ufeff"))),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"]),
    st.integers(1, 9),
)
def test_lines_are_read_in_pieces_as_in_one(lines, encoding, size):
    class Slow(io.BytesIO):
        def read1(self, _):
            return self.read(max(size, 4) if self.tell() == 0 else size)  # the mark in one piece

    content = "\n".join([*lines, ""]).encode(encoding)
    assert list(lines_of(Slow(content), encoding if encoding == "utf-16-be" else None)) == lines


def test_invalid_bytes_of_a_stream_are_replaced():
    assert list(lines_of(io.BytesIO(b"\xef\xbb\xbfcaf\xe9\xff\r\nb"))) == ["caf\ufffd\ufffd", "b"]


@pytest.mark.parametrize("content", [b"one\ntwo\ncaf\xe9\n", b"one\ntwo\nthr\0ee\n"])
def test_an_invalid_line_of_a_file_is_an_error_that_names_it(content, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.txt is not UTF-8 text: byte .* in line 3"):
        list(read_lines(path))


def test_an_unknown_encoding_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for encoding in ("klingon", "rot13"):
        with pytest.raises(InputError, match=f"unknown encoding '{encoding}'"):
            read_text(tmp_path / "a.txt", encoding)
        with pytest.raises(InputError, match=f"unknown encoding '{encoding}'"):
            list(read_lines(tmp_path / "a.txt", encoding))


def test_only_files_that_match_are_read(tmp_path):
    for name in ("b.txt", "a.txt", "a.md", ".c.txt", "sub/d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert [str(path.relative_to(tmp_path)) for path in files_in(tmp_path, "*.txt")] == [
        "a.txt", "b.txt", os.path.join("sub", "d.txt")
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"none of the 4 files .* --include '\*\.csv'"):
        files_in(tmp_path, "*.csv")


def test_the_mark_of_utf_32_is_not_taken_for_that_of_utf_16(tmp_path):
    assert codecs.BOM_UTF32_LE.startswith(codecs.BOM_UTF16_LE)
    (tmp_path / "a.txt").write_bytes(codecs.BOM_UTF32_LE + "ab".encode("utf-32-le"))
    assert read_text(tmp_path / "a.txt") == "ab"


def test_marks_of_joined_files_and_line_ends_of_old_macs_are_read_line_by_line():
    assert list(lines_of(io.BytesIO(2 * b"\xef\xbb\xbfone\r\n"))) == ["one", "one"]
    assert list(lines_of(io.BytesIO(b"one\rtwo\r"))) == ["one", "two"]
    assert list(lines_of(io.BytesIO(b"a\rb\nlast\rline"))) == ["a\rb", "last\rline"]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    for name in ("data/one/a.txt", "elsewhere/b.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "data" / "two").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "above").symlink_to(tmp_path)
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    found = [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path / "data")]
    assert found == ["data/one/a.txt", "data/two/b.txt"]


@pytest.mark.parametrize("encoding", ["utf-16", "UTF16", "utf-32"])
def test_a_wide_encoding_without_a_mark_is_little_endian_however_it_is_read(encoding, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("first\nsecond\n".encode(codecs.lookup(encoding).name + "-le"))
    assert read_text(path, encoding) == "first\nsecond\n"
    assert [*read_lines(path, encoding)] == ["first", "second"]
    path.write_bytes("first\nsecond\n".encode(encoding))
    assert read_text(path, encoding) == "first\nsecond\n"
    assert [*read_lines(path, encoding)] == ["first", "second"]
