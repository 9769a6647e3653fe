"""Loaders of public data sets by name."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from textrnn.data.documents import Document, read_documents
from textrnn.data.download import fetch
from textrnn.data.labelled import Example
from textrnn.data.labelled_splits import split_examples
from textrnn.data.parallel import Pair, parse_pairs, read_aligned
from textrnn.data.public_sets import PUBLIC_SETS, Content, Format, PublicSet, RemoteFile
from textrnn.data.text_files import DAMAGED
from textrnn.errors import InputError

LABELS = {"0": "negative", "1": "positive"}
"""Labels of the sets of reviews, by the digit in their files."""

Record = TypeVar("Record", Document, Example, Pair)


@dataclass(frozen=True)
class Dataset(Generic[Record]):
    """A loaded public data set.

    Attributes:
        name: Its name in `PUBLIC_SETS`.
        train: The training split, a list of `Document`, `Example` or `Pair`.
        validation: The validation split, or None.
        test: The test split, or None.
        licence: Its licence, as stated by its publisher.
        homepage: Where it is described.
        files: The files that it was read from.
    """

    name: str
    train: list[Record]
    validation: list[Record] | None
    test: list[Record] | None
    licence: str
    homepage: str
    files: tuple[RemoteFile, ...]


def load_text(name: str) -> Dataset[Document]:
    """Load a public set of plain text. Download it on first use.

    Args:
        name: `"shakespeare"`, `"wikitext-2"` or `"ptb"`.

    Returns:
        A `Dataset` of documents. `"shakespeare"` has only a training split: split it with
        `textrnn.data.documents.split_documents`.

    Raises:
        InputError: If the name is unknown, if a file cannot be downloaded, or if its sha256 differs.

    Example:

    >>> from textrnn.data.datasets import load_text
    >>> load_text("shakespear")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: unknown data set of plain text 'shakespear': choose one of ptb, shakespeare,
    wikitext-2
    """
    return _load(name, "text")


def load_labelled(name: str) -> Dataset[Example]:
    """Load a public set of labelled texts. Download it on first use.

    Args:
        name: `"sst2"`, 6,920 sentences of film reviews, with the 872 sentences of its development split as
            test split; or `"imdb"`, 25,000 film reviews, of which 5,000 fixed ones are the test split.

    Returns:
        A `Dataset` of examples with the labels `negative` and `positive`.

    Raises:
        InputError: If the name is unknown, if a file cannot be downloaded, or if it is not as published.

    Example:

    >>> from textrnn.data.datasets import load_labelled
    >>> load_labelled("sst")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: unknown data set of labelled texts 'sst': choose one of imdb, sst2
    """
    return _load(name, "labelled")


def load_parallel(name: str) -> Dataset[Pair]:
    """Load a public set of pairs with English as the source. Download it on first use.

    Args:
        name: `"multi30k-en-de"` or `"multi30k-en-fr"`, image descriptions in 29,000 training pairs, 1,014
            validation pairs and the 1,000 test pairs of 2016 (Elliott et al., 2016, Multi30K: Multilingual
            English-German Image Descriptions); or `"tatoeba-en-es"` or `"tatoeba-en-fr"`, more than 100,000
            mostly short everyday sentences.

    Returns:
        A `Dataset` of pairs. The Tatoeba sets have only a training split, in which English sentences repeat:
        split it with `textrnn.data.parallel.split_pairs`. They grow over time, so results measured on
        different downloads differ.

    Raises:
        InputError: If the name is unknown, if a file cannot be downloaded, or if it is not as published.

    Example:

    >>> from textrnn.data.datasets import load_parallel
    >>> load_parallel("multi30k")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: unknown data set of pairs 'multi30k': choose one of multi30k-en-de,
    multi30k-en-fr, tatoeba-en-es, tatoeba-en-fr
    """
    return _load(name, "parallel")


def dataset_names(content: Content) -> list[str]:
    """Return the names of the public sets with the given content, sorted.

    Args:
        content: `"text"`, `"labelled"` or `"parallel"`.

    Example:

    >>> from textrnn.data.datasets import dataset_names
    >>> dataset_names("labelled")
    ['imdb', 'sst2']
    """
    return sorted(name for name, public_set in PUBLIC_SETS.items() if public_set.content == content)


def _load(name: str, content: Content) -> Dataset:
    names = dataset_names(content)
    if name not in names:
        noun = {"text": "plain text", "labelled": "labelled texts", "parallel": "pairs"}[content]
        raise InputError(f"unknown data set of {noun} {name!r}: choose one of {', '.join(names)}")
    public_set = PUBLIC_SETS[name]
    paths = fetch(public_set)
    splits = {split: _parse(public_set, files) for split, files in paths.items()}
    _check_size(public_set, splits, paths)
    _check_labels(public_set, splits, paths)
    if public_set.test_fraction:
        splits["train"], splits["test"] = split_examples(
            splits["train"],
            public_set.test_fraction,
            together=False,  # the test set of published results
        )
    return Dataset(
        name=name,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        licence=public_set.licence,
        homepage=public_set.homepage,
        files=public_set.files,
    )


def _parse(public_set: PublicSet, paths: list[Path]) -> list:
    try:
        return PARSERS[public_set.format](*paths)
    except (*DAMAGED, ValueError, LookupError) as error:
        raise _not_published(paths, str(error)) from error


def _check_size(public_set: PublicSet, splits: Mapping[str, Sequence], paths: Mapping[str, list[Path]]):
    if public_set.size is None:
        return
    found = sum(map(len, splits.values()))
    if found < public_set.size or (found > public_set.size and not public_set.grows):
        expected = f"at least {public_set.size:,}" if public_set.grows else f"{public_set.size:,}"
        noun = "pairs" if public_set.content == "parallel" else "texts"
        files = [path for of_split in paths.values() for path in of_split]
        raise _not_published(files, f"found {found:,} {noun}, expected {expected}")


def _check_labels(public_set: PublicSet, splits: Mapping[str, Sequence], paths: Mapping[str, list[Path]]):
    for split, examples in splits.items() if public_set.content == "labelled" else ():
        for label in sorted(set(LABELS.values()) - {example.label for example in examples}):
            raise _not_published(paths[split], f"found no text with the label {label!r}")


def _not_published(paths: Sequence[Path], reason: str) -> InputError:
    names = " and ".join(map(str, paths))
    return InputError(f"{names} is not the published file: {reason}. Delete it and run again")


def _labelled_lines(path: Path) -> list[Example]:
    """Parse a file with a digit, a separator and a text in each line."""
    [document] = read_documents(path)
    examples = []
    for number, line in enumerate(document.text.rstrip("\n").split("\n"), start=1):
        if line[:1] not in LABELS:
            raise InputError(f"line {number} does not start with one of the labels {', '.join(LABELS)}")
        examples.append(Example(f"{path}, line {number}", line[2:], LABELS[line[0]]))
    return examples


def _aligned_files(source: Path, target: Path) -> list[Pair]:
    return read_aligned(source, target).pairs


def _zipped_table(path: Path) -> list[Pair]:
    """Parse the only table in a zip archive, which may also contain an `_about.txt`."""
    with zipfile.ZipFile(path) as archive:
        tables = [n for n in archive.namelist() if n.endswith(".txt") and not n.endswith("_about.txt")]
        if len(tables) != 1:
            raise InputError(f"found {len(tables)} tables of pairs, expected one .txt file")
        text = archive.read(tables[0]).decode("utf-8").replace("\r\n", "\n")
    return parse_pairs(text, f"{path} ({tables[0]})").pairs


PARSERS: Mapping[Format, Callable[..., list]] = MappingProxyType(
    {
        "text": read_documents,
        "label and text": _labelled_lines,
        "aligned files": _aligned_files,
        "zipped table": _zipped_table,
    }
)
"""Functions from the files of a split to its records."""
