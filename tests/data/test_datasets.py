"""Named sets: where they are looked for, and that nothing unverified is used."""

import hashlib
import os
import re
import zipfile
from pathlib import Path

import pytest

from textrnn import InputError
from textrnn.data import datasets
from textrnn.data.datasets import DATASETS, PublicSet, RemoteFile, load_text
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
    assert Path(dataset.train[0].source) == tmp_path / "cache" / "tiny" / "train.txt"
    for file in published.iterdir():
        file.unlink()
    assert texts(load_text("tiny-set")) == TEXTS


def test_the_users_own_copy_comes_first(published, tmp_path):
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    for split, text in TEXTS.items():
        (folder / f"{split}.txt").write_text(text)
    assert load_text("tiny-set").train[0].source == str(folder / "train.txt")
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


def test_the_starter_text_is_there_in_every_python():
    documents = starter_text()
    assert [document.source for document in documents] == sorted(document.source for document in documents)
    assert sum(len(document.text) for document in documents) > 200_000
    assert all(document.text.strip() for document in documents)
