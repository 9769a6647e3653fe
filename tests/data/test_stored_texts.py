"""Texts in files: the same documents, splits and warnings as in memory."""

import gzip
import os
import re
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textrnn import InputError
from textrnn.data import sources, stored_texts, text_files
from textrnn.data.documents import Document
from textrnn.data.stored_texts import LongDocument, StoredTexts, count_characters, store_texts
from textrnn.text_generation.prompts import sample_prompt

contents = st.one_of(
    st.text("aé \n\r\f\ufeff", max_size=40).map(str.encode),
    st.lists(st.text("ab ", max_size=8), min_size=8, max_size=30).map(
        lambda lines: "\n".join(lines).encode()
    ),
    st.sampled_from([b"", "l’été\n\nfin".encode("utf-16")]),
)


def stored(load, *arguments, block=7, **options):
    """Call a function as if every text were too large for memory."""
    with (
        mock.patch.object(stored_texts, "IN_MEMORY_BYTES", -1),
        mock.patch.object(text_files, "BLOCK_BYTES", block),
        mock.patch.object(stored_texts, "BLOCK_BYTES", block),
    ):
        splits = load(*arguments, **options)
        parts = [[document.text for document in part] for part in (splits.train, splits.validation)]
        assert [len(part) for part in (splits.train, splits.validation)] == list(map(len, parts))
        assert [count_characters(part) for part in (splits.train, splits.validation)] == [
            sum(map(len, part)) for part in parts
        ]
        return splits, parts


def outcome(function):
    try:
        return function()
    except InputError as error:
        return re.sub(r"^.*: (?=\d+ characters)", "", str(error))  # the first document or all of them


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEXTRNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@given(
    st.one_of(contents, st.dictionaries(st.sampled_from(["a.txt", "b", "c/d.txt"]), contents, min_size=1)),
    st.sampled_from(["file", "line", "blank_line", "form_feed"]),
    st.sampled_from([0.01, 0.3, 0.5, 0.9]),
    st.integers(4, 9),
)
@settings(max_examples=60, deadline=None)
def test_documents_splits_and_warnings_are_those_of_a_text_in_memory(cache, files, unit, held_out, block):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "texts")
        for name, content in files.items() if isinstance(files, dict) else [("", files)]:
            (path / name).parent.mkdir(exist_ok=True, parents=True)
            (path / name).write_bytes(content)
        options = {"document": unit, "seed": block}

        def in_memory():
            splits = sources.load_texts(path, None, held_out, **options)
            return splits.warnings, [
                [document.text for document in part] for part in (splits.train, splits.validation)
            ]

        def in_files():
            splits, parts = stored(sources.load_texts, path, None, held_out, block=block, **options)
            return splits.warnings, parts

        assert outcome(in_files) == outcome(in_memory)


def test_later_runs_find_the_text_by_its_content(folders, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one two\n" * 50)
    (tmp_path / "moved.txt").write_text("one two\n" * 50)
    first, _ = stored(sources.load_texts, path)
    with mock.patch.object(stored_texts, "_write_documents", side_effect=AssertionError):
        again, _ = stored(sources.load_texts, path)
        moved, _ = stored(sources.load_texts, tmp_path / "moved.txt")
    assert (
        (again.train, again.validation) == (first.train, first.validation) == (moved.train, moved.validation)
    )
    assert again.fingerprint == first.fingerprint
    stat = path.stat()
    path.write_text("one too\n" * 50)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    changed, parts = stored(sources.load_texts, path)
    assert parts[1] == ["one too\n" * 5]
    assert changed.fingerprint != first.fingerprint


def test_a_long_document_is_read_in_parts_and_others_at_once(folders, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("été " * 30 + "\n\nkort\n\n" + "a long end")
    train, *_ = store_texts(path, 0.01, "blank_line")  # the end of the last document is held out
    with mock.patch.object(text_files, "BLOCK_BYTES", 16), mock.patch.object(stored_texts, "BLOCK_BYTES", 16):
        documents = list(train)
        assert [type(document) for document in documents] == [LongDocument, Document, LongDocument]
        assert len(list(documents[0].blocks())) > 5 and documents[0].text == "été " * 30
        assert documents[2].text == "a long e"
        assert train[1].text == "kort" and train[-1] == documents[2] and train[:2] == documents[:2]
        assert sample_prompt(train).startswith("été")


def test_many_documents_are_held_out_one_by_one(folders, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n".join(f"line {row}" for row in range(5000)))
    with mock.patch.object(stored_texts, "MANY_DOCUMENTS", 100):
        train, validation, _ = store_texts(path, 0.1, "line", seed=3)
    assert 400 < len(validation) < 600
    lines = sorted(document.text for part in (train, validation) for document in part)
    assert lines == sorted(path.read_text().splitlines())


def test_only_long_texts_are_stored(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_texts, "IN_MEMORY_BYTES", 1000)
    (tmp_path / "a.txt").write_text("12345\n" * 100)
    (tmp_path / "b.txt").write_text("12345\n" * 100)
    assert isinstance(sources.load_texts(tmp_path / "a.txt").train, list)
    assert isinstance(sources.load_texts(tmp_path, include="b*").train, list)
    assert not folders.cache.exists()
    assert isinstance(sources.load_texts(tmp_path).train, StoredTexts)


def test_a_compressed_text_counts_as_long_by_its_content(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_texts, "IN_MEMORY_BYTES", 1000)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"12345\n" * 200))
    assert (tmp_path / "a.txt.gz").stat().st_size < 1000
    train = sources.load_texts(tmp_path / "a.txt.gz").train
    assert isinstance(train, StoredTexts) and train[0].text == "12345\n" * 180


def test_options_of_folders_are_refused_with_a_long_file(folders, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InputError, match="--include"):
        stored(sources.load_texts, tmp_path / "a.txt", include="*.txt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good line\n" * 9 + b"caf\xe9s and\n", r"byte 0xe9 at offset 93 in line 10\. It looks like cp1252"),
        (b"good line\n" * 9 + b"nul\0", r"byte 0x00 at offset 93 in line 10\. It looks like a binary"),
        (b"good line\n" * 9 + b"half\xe2\x82", r"byte 0xe2 at offset 94 in line 10\b"),
    ],
)
def test_an_invalid_byte_is_named_as_in_memory(folders, tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        stored(sources.load_texts, tmp_path / "a.txt", block=12)
    assert outcome(lambda: stored(sources.load_texts, tmp_path, block=999)) == outcome(
        lambda: sources.load_texts(tmp_path)
    )


def test_files_that_are_not_text_are_left_out_of_a_folder(folders, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "good.txt").write_text("good\n" * 20)
    (folder / "cache.pyc").write_bytes(b"\xcb\r\r\n\0\0\0\0\x95\xe4\x91\xe9f\xff\0\0\0\xe3" + bytes(20))
    (folder / "bad.gz").write_bytes(gzip.compress(b"cut short " * 99)[:30])
    (folder / "blank.txt").write_text(" \n")
    (folder / "link.txt").symlink_to(folder / "nowhere")
    splits, parts = stored(sources.load_texts, folder)
    assert splits.warnings[0] == sources.load_texts(folder).warnings[0]
    assert splits.warnings[0].startswith("left out 4 files without text: ")
    assert parts == [["good\n" * 18], ["good\n" * 2]]
    os.rename(folder, tmp_path / "moved")
    again, _ = stored(sources.load_texts, tmp_path / "moved")
    assert again.warnings[0].count(str(tmp_path / "moved")) == 4
    (tmp_path / "moved" / "good.txt").unlink()
    with pytest.raises(InputError, match=r"has no text: .*bad\.gz.*; .*blank\.txt .blank.*Put text files in"):
        stored(sources.load_texts, tmp_path / "moved")
