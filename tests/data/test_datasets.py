"""Named sets: where they are looked for, and that nothing unverified is used."""

import gzip
import hashlib
import os
import re
import zipfile
from pathlib import Path

import pytest

from textrnn import InputError
from textrnn.data import datasets
from textrnn.data.datasets import (
    DATASETS,
    PARALLEL,
    ParallelSet,
    PublicSet,
    RemoteFile,
    load_parallel,
    load_text,
)
from textrnn.data.parallel import repeated_pairs, split_pairs
from textrnn.data.starter import starter_text

DATA = Path(os.environ.get("TEXTRNN_DATA", Path(__file__).parents[3] / "shared" / "data"))
TEXTS = {"train": "to learn from\n", "validation": "to check with\n"}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTRNN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TEXTRNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=["plain", "zip"])
def published(request, tmp_path, monkeypatch):
    """A set with two splits, published under file:// as plain files or in a zip archive."""
    remote = tmp_path / "remote"
    remote.mkdir()
    files = {}
    with zipfile.ZipFile(remote / "tiny.zip", "w") as archive:
        for split, text in TEXTS.items():
            (remote / f"{split}.txt").write_text(text)
            archive.writestr(f"tiny/{split}.tokens", text)
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            in_zip = request.param == "zip"
            url = (remote / ("tiny.zip" if in_zip else f"{split}.txt")).as_uri()
            files[split] = RemoteFile(f"{split}.txt", url, sha256, f"tiny/{split}.tokens" if in_zip else None)
    public_set = PublicSet("tiny", files, "CC0", "https://example.org")
    monkeypatch.setattr(datasets, "DATASETS", {"tiny-set": public_set})
    return remote


def texts(dataset):
    return {"train": dataset.train[0].text, "validation": dataset.validation[0].text}


def test_downloads_once_into_the_cache(published, tmp_path):
    dataset = load_text("tiny-set")
    assert texts(dataset) == TEXTS
    assert (dataset.name, dataset.licence, dataset.homepage) == ("tiny-set", "CC0", "https://example.org")
    assert Path(dataset.train[0].origin) == tmp_path / "cache" / "tiny" / "train.txt"
    for file in published.iterdir():
        file.unlink()
    assert texts(load_text("tiny-set")) == TEXTS


def test_the_users_own_copy_comes_first(published, tmp_path):
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for split, text in TEXTS.items():
        (folder / f"{split}.txt").write_text(text)
    assert load_text("tiny-set").train[0].origin == str(folder / "train.txt")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("place", ["data", "cache"])
def test_a_file_that_differs_is_refused(published, tmp_path, place):
    path = tmp_path / place / "tiny" / "train.txt"
    path.parent.mkdir(parents=True)
    path.write_text("tampered")
    found, expected = (hashlib.sha256(text).hexdigest() for text in (b"tampered", TEXTS["train"].encode()))
    with pytest.raises(InputError, match=rf"{re.escape(str(path))} is not .* {found}, expected {expected}"):
        load_text("tiny-set")


def test_a_failed_download_says_what_to_do(published, tmp_path):
    for file in published.iterdir():
        file.unlink()
    with pytest.raises(InputError, match="could not be downloaded") as error:
        load_text("tiny-set")
    message = str(error.value)
    assert published.as_uri() in message
    assert str(tmp_path / "cache" / "tiny" / "train.txt") in message
    assert "TEXTRNN_DATA" in message
    assert not (tmp_path / "cache" / "tiny" / "train.txt").exists()


def test_an_unknown_name_lists_the_known():
    with pytest.raises(InputError, match="'enwik8': choose one of ptb, shakespeare, wikitext-2"):
        load_text("enwik8")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_an_entry_is_complete(name):
    public_set = DATASETS[name]
    assert "train" in public_set.splits
    assert public_set.licence
    for file in public_set.splits.values():
        assert file.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert (file.member is not None) == file.url.endswith(".zip")


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_published_files(name, monkeypatch):
    if not (DATA / DATASETS[name].folder).is_dir():
        pytest.skip(f"{DATASETS[name].folder} is not in TEXTRNN_DATA ({DATA})")
    monkeypatch.setenv("TEXTRNN_DATA", str(DATA))
    dataset = load_text(name)
    assert len(dataset.train) == 1
    assert (dataset.validation is None) == (name == "shakespeare")


ALIGNED = {"train": ["one", "two", "three"], "validation": ["four"], "test": ["five", "six"]}


@pytest.fixture
def aligned(tmp_path, monkeypatch):
    """A set of aligned, packed files, published under file://; a line's translation is in capitals."""
    remote = tmp_path / "remote"
    remote.mkdir()

    def publish(name, lines):
        path = remote / name
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
        return RemoteFile(name, path.as_uri(), hashlib.sha256(path.read_bytes()).hexdigest())

    parts = {
        part: (publish(f"{part}.a.gz", lines), publish(f"{part}.b.gz", map(str.upper, lines)))
        for part, lines in ALIGNED.items()
    }
    public_set = ParallelSet("tiny", parts, "CC0", "https://example.org")
    monkeypatch.setattr(datasets, "PARALLEL", {"tiny-a-b": public_set})
    return remote


def test_pairs_are_downloaded_by_part(aligned, tmp_path):
    dataset = load_parallel("tiny-a-b")
    for part, lines in ALIGNED.items():
        assert [pair[1:] for pair in getattr(dataset, part)] == [(line, line.upper()) for line in lines]
    assert (dataset.name, dataset.licence, dataset.homepage) == ("tiny-a-b", "CC0", "https://example.org")
    assert [file.name for file in dataset.files] == [f"{part}.{side}.gz" for part in ALIGNED for side in "ab"]
    assert dataset.test[1].origin == f"{tmp_path / 'cache' / 'tiny' / 'test.a.gz'}, line 2"


def test_a_side_that_differs_is_refused(aligned, tmp_path):
    path = tmp_path / "data" / "tiny" / "train.b.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b"tampered"))
    with pytest.raises(InputError, match=rf"{re.escape(str(path))} is not the file that was published"):
        load_parallel("tiny-a-b")


ROWS = 100_000 * ["Go.\tVa !\tCC BY 2.0\n"]
ARCHIVES = {
    "flat": {"fra.txt": ROWS, "_about.txt": ["About this file.\n"]},
    "foldered": {"fra-eng/": [], "fra-eng/fra.txt": ROWS, "fra-eng/_about.txt": ["About this file.\n"]},
}


def archived(folder, members):
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "fra-eng.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in members.items():
            archive.writestr(name, "".join(lines))


@pytest.mark.parametrize("members", ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_grows_is_known_by_what_is_in_it(members, tmp_path):
    archived(tmp_path / "data" / "tatoeba", members)
    dataset = load_parallel("tatoeba-en-fr")
    assert len(dataset.train) == 100_000
    assert dataset.train[-1][1:] == ("Go.", "Va !")
    assert dataset.train[-1].origin.endswith("fra.txt), line 100000")
    assert dataset.validation is dataset.test is None


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"fra.txt": ROWS[1:]}, "there are 99,999 pairs, expected at least 100,000"),
        ({"fra.txt": [*ROWS, "Run!\n"]}, r"fra\.txt\), line 100001: there is no tab"),
        ({"_about.txt": ROWS}, "there are 0 such files"),
    ],
    ids=["few", "no tab", "no table"],
)
def test_an_archive_with_something_else_is_refused(members, message, tmp_path):
    archived(tmp_path / "data" / "tatoeba", members)
    with pytest.raises(InputError, match=rf"fra-eng\.zip is not the archive .*{message}.* Delete it"):
        load_parallel("tatoeba-en-fr")


def test_a_page_in_place_of_an_archive_is_refused(tmp_path):
    folder = tmp_path / "data" / "tatoeba"
    folder.mkdir(parents=True)
    (folder / "spa-eng.zip").write_text("<html>Not Acceptable!</html>")
    with pytest.raises(InputError, match=r"spa-eng\.zip is not the archive .*not a zip file\. Delete it"):
        load_parallel("tatoeba-en-es")


def test_an_unknown_set_of_pairs_lists_the_known():
    with pytest.raises(
        InputError, match="'wmt14': choose one of multi30k-en-de, multi30k-en-fr, tatoeba-en-es"
    ):
        load_parallel("wmt14")


@pytest.mark.parametrize("name", sorted(PARALLEL))
def test_an_entry_of_pairs_is_complete(name):
    public_set = PARALLEL[name]
    assert "train" in public_set.parts
    assert public_set.licence
    for files in public_set.parts.values():
        for file in files:
            assert file.url.startswith("https://") and file.url.endswith(f"/{file.name}")
            assert (file.sha256 is None) == file.name.endswith(".zip") == (len(files) == 1)
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)


@pytest.mark.parametrize("name", sorted(PARALLEL))
def test_the_published_pairs(name, monkeypatch):
    if not (DATA / PARALLEL[name].folder).is_dir():
        pytest.skip(f"{PARALLEL[name].folder} is not in TEXTRNN_DATA ({DATA})")
    monkeypatch.setenv("TEXTRNN_DATA", str(DATA))
    dataset = load_parallel(name)
    if name.startswith("multi30k"):
        assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [
            29_000,
            1_014,
            1_000,
        ]
        assert dataset.train[0].source == "Two young, White males are outside near many bushes."
    else:
        assert len(dataset.train) > 100_000
        assert dataset.validation is dataset.test is None
        train, held_out = split_pairs(dataset.train, 0.1, max_held_out=1_000)
        assert len(held_out) == 1_000
        assert repeated_pairs(train, held_out) == []


def test_the_starter_text_is_there_in_every_python():
    documents = starter_text()
    assert [document.origin for document in documents] == sorted(document.origin for document in documents)
    assert sum(len(document.text) for document in documents) > 200_000
    assert all(document.text.strip() for document in documents)
