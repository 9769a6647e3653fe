"""Files of public data sets: found on disk or downloaded, and verified."""

import logging
import os
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import pooch

from textrnn.data.cache import cache_folder
from textrnn.data.public_sets import PublicSet, RemoteFile
from textrnn.errors import InputError

HEADERS = {
    "User-Agent": "textrnn",  # some of the servers refuse the default agents of Python's libraries
    "Accept-Encoding": "identity",  # or a .gz file might arrive decompressed, with another checksum
}
TIMEOUT = 60  # seconds without an answer

PROBLEMS = (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""Exceptions of failed requests, full disks, broken archives and wrong checksums."""


def fetch(public_set: PublicSet) -> dict[str, list[Path]]:
    """Return verified local copies of the files of a public set.

    Each file is read from `$TEXTRNN_DATA/<folder>/` if it is there, otherwise from the cache, which is
    `$TEXTRNN_CACHE` or `~/.cache/textrnn`. Missing files are downloaded into the cache.

    Args:
        public_set: The set.

    Returns:
        The paths of the files of each split.

    Raises:
        InputError: If a file cannot be downloaded, or if its sha256 differs.
    """
    local = {file: _find(public_set, file) for file in public_set.files}
    for file, path in local.items():
        if path:
            _verify(public_set, file, path)
    missing = [file for file, path in local.items() if path is None]
    for url in dict.fromkeys(file.url for file in missing):
        _download(public_set, [file for file in missing if file.url == url])
    return {
        split: [local[file] or _cache(public_set) / file.name for file in files]
        for split, files in public_set.splits.items()
    }


def _cache(public_set: PublicSet) -> Path:
    return cache_folder() / public_set.folder


def _find(public_set: PublicSet, file: RemoteFile) -> Path | None:
    """Return the path of a local copy, the user's first, or None."""
    folders = [_cache(public_set)]
    if data := os.environ.get("TEXTRNN_DATA"):
        folders.insert(0, Path(data, public_set.folder))
    return next((path for folder in folders if (path := folder / file.name).is_file()), None)


def _verify(public_set: PublicSet, file: RemoteFile, path: Path) -> None:
    if file.sha256 and (found := pooch.file_hash(str(path))) != file.sha256:
        in_cache = path.parent == _cache(public_set)
        advice = "Delete it to download it again" if in_cache else "Replace it by the published file"
        raise InputError(
            f"{path} is not the published file: its sha256 is {found}, expected {file.sha256}. {advice}"
        )


def _download(public_set: PublicSet, files: Sequence[RemoteFile]) -> None:
    """Download a URL, and store the files that come from it in the cache once all of them are verified.

    An archive that the user put into the cache is used instead of a download.
    """
    folder = _cache(public_set)
    url, mirror = files[0].url, files[0].mirror
    is_archive = any(file.member or file.made_by for file in files)
    save_as = folder / (url.rpartition("/")[2] if is_archive else files[0].name)
    sources = [save_as] if save_as.is_file() else filter(None, [url, mirror])
    problems = []
    for source in sources:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # In the cache's folder, so that files are renamed into place.
            with tempfile.TemporaryDirectory(prefix=".", dir=folder) as temporary:
                downloaded = (
                    source if isinstance(source, Path) else _retrieve(source, temporary, save_as.name)
                )
                made = [_make(file, downloaded, Path(temporary, "made")) for file in files]
                for file, path in zip(files, made, strict=True):
                    path.replace(folder / file.name)
            return
        except PROBLEMS as error:
            problems.append(f"{source}: {error}")
    raise InputError(
        f"{url} could not be downloaded ({'; '.join(problems)}). Download it yourself and save it as "
        f"{save_as}, or set TEXTRNN_DATA to a folder that contains {public_set.folder}/{files[0].name}"
    )


def _retrieve(url: str, folder: str, name: str) -> Path:
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), headers=HEADERS, timeout=TIMEOUT)
    with _without_messages():
        return Path(pooch.retrieve(url, known_hash=None, fname=name, path=folder, downloader=downloader))


def _make(file: RemoteFile, downloaded: Path, folder: Path) -> Path:
    """Return the path of a file made from what was downloaded. Raise a ValueError if its sha256 differs."""
    path = downloaded
    if file.member:
        with zipfile.ZipFile(downloaded) as archive:
            path = Path(archive.extract(file.member, folder))
    elif file.made_by:
        folder.mkdir(exist_ok=True)
        path = folder / file.name
        path.write_bytes(file.made_by(downloaded))
    if file.sha256 and (found := pooch.file_hash(str(path))) != file.sha256:
        raise ValueError(f"the sha256 of {file.member or file.name} is {found}, expected {file.sha256}")
    return path


@contextmanager
def _without_messages():
    """Hide the messages that pooch logs about a successful download."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
