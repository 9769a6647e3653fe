"""Files of public sets: where they are looked for, and that only verified files are used."""

import dataclasses
import gzip
import hashlib
import io
import re
import tarfile
import zipfile

import pytest

from textrnn import InputError
from textrnn.data.download import fetch
from textrnn.data.imdb import imdb_table
from textrnn.data.public_sets import PublicSet, RemoteFile

TEXTS = {"train": "training text\n", "validation": "validation text\n"}


def tiny_set(splits):
    return PublicSet("text", "text", "tiny", splits, "CC0", "https://example.org")


@pytest.fixture(params=["plain", "zip"])
def published(request, remote, folders):
    """A set with two splits, published as plain files or in one zip archive."""
    splits = {}
    with zipfile.ZipFile(remote.folder / "tiny.zip", "w") as archive:
        for split, text in TEXTS.items():
            (remote.folder / f"{split}.txt").write_text(text)
            archive.writestr(f"tiny/{split}.tokens", text)
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            member, name = f"tiny/{split}.tokens", f"{split}.txt"
            file = (
                RemoteFile(name, f"{remote.url}/tiny.zip", sha256, member)
                if request.param == "zip"
                else RemoteFile(name, f"{remote.url}/{name}", sha256)
            )
            splits[split] = (file,)
    return tiny_set(splits)


def texts(paths):
    return {split: path.read_text() for split, [path] in paths.items()}


def unpublish(remote):
    for file in remote.folder.iterdir():
        file.unlink()


def test_files_are_downloaded_once_into_the_cache(published, remote, folders, capfd):
    paths = fetch(published)
    assert texts(paths) == TEXTS
    assert paths["train"] == [folders.cache / "tiny" / "train.txt"]
    assert sorted(file.name for file in paths["train"][0].parent.iterdir()) == ["train.txt", "validation.txt"]
    assert len(remote.requests) == len({file.url for file in published.files})
    unpublish(remote)
    assert texts(fetch(published)) == TEXTS
    assert capfd.readouterr() == ("", ""), "there is no progress bar outside a terminal"


def test_the_users_copy_comes_first(published, remote, folders):
    folder = folders.data / "tiny"
    folder.mkdir(parents=True)
    for split, text in TEXTS.items():
        (folder / f"{split}.txt").write_text(text)
    assert fetch(published)["train"] == [folder / "train.txt"]
    assert not folders.cache.exists()
    assert remote.requests == []


@pytest.mark.parametrize("place", ["data", "cache"])
def test_a_local_file_that_differs_is_refused(published, remote, folders, place):
    path = getattr(folders, place) / "tiny" / "train.txt"
    path.parent.mkdir(parents=True)
    path.write_text("tampered")
    found, expected = (hashlib.sha256(text).hexdigest() for text in (b"tampered", TEXTS["train"].encode()))
    with pytest.raises(InputError, match=rf"{re.escape(str(path))} is not .* {found}, expected {expected}"):
        fetch(published)
    assert path.read_text() == "tampered"


def test_a_download_that_differs_is_refused_and_not_kept(published, remote, folders):
    for file in remote.folder.iterdir():
        file.write_bytes(file.read_bytes().replace(b"training", b"tampered"))
    with pytest.raises(InputError, match="could not be downloaded") as error:
        fetch(published)
    assert re.search("is [0-9a-f]{64}, expected [0-9a-f]{64}|Bad CRC", str(error.value))
    assert list((folders.cache / "tiny").iterdir()) == []


def test_a_failed_download_says_what_to_do(published, remote, folders):
    unpublish(remote)
    with pytest.raises(InputError, match="could not be downloaded") as error:
        fetch(published)
    message = str(error.value)
    file = published.files[0]
    assert message.startswith(file.url)
    assert "404" in message
    save_as = "tiny.zip" if file.member else "train.txt"
    assert f"save it as {folders.cache / 'tiny' / save_as}" in message
    assert "set TEXTRNN_DATA to a folder that contains tiny/train.txt" in message
    assert list((folders.cache / "tiny").iterdir()) == []


def test_an_incomplete_download_is_not_kept(remote, folders, monkeypatch):
    (remote.folder / "train.txt").write_text("text")
    monkeypatch.setattr("http.server.SimpleHTTPRequestHandler.copyfile", lambda *_: None)
    with pytest.raises(InputError, match="could not be downloaded"):
        fetch(tiny_set({"train": (RemoteFile("train.txt", f"{remote.url}/train.txt", sha256=None),)}))
    assert list((folders.cache / "tiny").iterdir()) == []


def test_the_mirror_is_used_if_the_first_address_fails(published, remote):
    splits = {
        split: (dataclasses.replace(file, url=f"{remote.url}/gone/{file.name}", mirror=file.url),)
        for split, [file] in published.splits.items()
    }
    assert texts(fetch(dataclasses.replace(published, splits=splits))) == TEXTS


def reviews_archive(path):
    """An archive like that of IMDB."""
    names = ["test/neg/0.txt", "train/pos/1.txt", "train/neg/2.txt", "train/neg/1.txt", "train/unsup/0.txt"]
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            content = f"text of\n {name} é".encode()
            info = tarfile.TarInfo(f"aclImdb/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


REVIEWS = "0\ttext of train/neg/1.txt é\n0\ttext of train/neg/2.txt é\n1\ttext of train/pos/1.txt é\n"


@pytest.mark.parametrize("by_hand", [False, True], ids=["downloaded", "put into the cache by hand"])
def test_a_file_is_made_from_an_archive(remote, folders, by_hand):
    folder = folders.cache / "tiny" if by_hand else remote.folder
    folder.mkdir(parents=True, exist_ok=True)
    reviews_archive(folder / "reviews.tar.gz")
    file = RemoteFile("train.tsv.gz", f"{remote.url}/reviews.tar.gz", None, made_by=imdb_table)
    [path] = fetch(tiny_set({"train": (file,)}))["train"]
    assert path == folders.cache / "tiny" / "train.tsv.gz"
    assert gzip.decompress(path.read_bytes()).decode() == REVIEWS
    assert remote.requests == ([] if by_hand else ["/reviews.tar.gz"])


def test_a_broken_archive_is_refused(remote, folders):
    reviews_archive(remote.folder / "reviews.tar.gz")
    content = (remote.folder / "reviews.tar.gz").read_bytes()
    (remote.folder / "reviews.tar.gz").write_bytes(content[: len(content) // 2])
    file = RemoteFile("train.tsv.gz", f"{remote.url}/reviews.tar.gz", None, made_by=imdb_table)
    with pytest.raises(InputError, match="could not be downloaded"):
        fetch(tiny_set({"train": (file,)}))
    assert list((folders.cache / "tiny").iterdir()) == []
