"""Training, validation and test splits from user files, public data sets or starter corpora."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from textrnn.data import datasets, labelled, labelled_splits, parallel, starter
from textrnn.data.documents import Document, find_documents
from textrnn.data.labelled import Example
from textrnn.data.mixtures import Mixture, Part
from textrnn.data.parallel import Pair
from textrnn.data.records import collapsed, count, fingerprint
from textrnn.data.splitting import Unit, hold_out, split_at, unit_hint
from textrnn.data.stored_texts import LongDocument, StoredTexts, is_long, store_texts
from textrnn.errors import expect, warn
from textrnn.unicode import other_form_warnings

Item = TypeVar("Item", bound=str | tuple)


@dataclass(frozen=True)
class Splits(Generic[Item]):
    """The splits of a data set.

    Attributes:
        train: The training split.
        validation: The split that chooses the best epoch and calibrates.
        test: The split that is measured once; empty for running text.
        name: The name of the data in messages.
        description: The source and licence of the data; empty for user files.
        warnings: Warnings about the data, one sentence each.
    """

    train: Sequence[Item]
    validation: Sequence[Item]
    test: Sequence[Item] = field(default_factory=list)
    name: str = ""
    description: str = ""
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content of all splits, by which a later run can tell whether its data are the same.

        It depends on texts, labels and their order, and not on the names and the format of files.

        Example:

        >>> from textrnn.data.documents import Document
        >>> from textrnn.data.sources import Splits
        >>> [here, moved] = [Splits([Document(origin, "one two")], []) for origin in ("a.txt", "b.txt")]
        >>> here.fingerprint == moved.fingerprint, len(here.fingerprint)
        (True, 64)
        """
        parts = (self.train, self.validation, self.test)
        return fingerprint(
            part.fingerprint if isinstance(part, StoredTexts | Mixture) else fingerprint(part)
            for part in parts
        )


def load_texts(
    data=None, dataset=None, held_out=0.1, *, document: Unit = "file", seed=0, encoding=None, include=None
) -> Splits[Document | LongDocument]:
    """Load running text in two splits.

    Args:
        data: A text file, or a folder with one document per file. Or several of them: a dict from paths to
            how often an epoch reads them, integers of at least 1.
        dataset: A public set instead: a name of `textrnn.data.datasets`. With neither, the starter corpus is
            the reference text inside Python.
        held_out: Fraction of the characters of each source for validation: whole documents at random, or the
            last characters of fewer than ten documents. Unused if the public set has that split.
        document: What a document of `data` is: a `"file"`, a `"line"`, a part between blank lines,
            `"blank_line"`, or a part between lines that hold a form feed, `"form_feed"`.
        seed: Seed of a random split.
        encoding: Encoding of the files. Default: that of the byte order mark, or UTF-8.
        include: Pattern of the names of files to read in a folder, such as `"*.txt"`.

    Returns:
        `Splits` of `Document`. Of data of more than 16 MB they are `StoredTexts`, which are read from files,
        and of several sources each is a `Mixture`.

    Raises:
        InputError: If the data cannot be read, or is too short to split, or if `document` is given without
            `data`.

    Example:

    >>> from textrnn.data.sources import load_texts
    >>> texts = load_texts(held_out=0.1)
    >>> texts.name, sum(len(d.text) for d in texts.train) > 8 * sum(len(d.text) for d in texts.validation)
    ('the starter corpus', True)
    """
    warnings: list[str] = []
    _check_document(document, data)
    if isinstance(data, Mapping):
        return _mixed(data, held_out, document=document, seed=seed, encoding=encoding, include=include)
    if data and is_long(data, include):
        stored = store_texts(data, held_out, document, seed, encoding, include)
        return Splits(stored.train, stored.validation, name=str(data), warnings=stored.warnings)
    if data:
        name, description, validation = str(data), "", None
        train, warnings = find_documents(data, encoding, include)
        if document == "file":
            warnings = warnings + unit_hint(train)
        lines = (line for text in train for line in text.text.split("\n"))
        warnings = warnings + other_form_warnings(lines, "line")
        train = split_at(train, document)
    elif dataset:
        found = datasets.load_text(dataset)
        name, description, train, validation = dataset, _described(found), found.train, found.validation
    else:
        name, description = _starter("the reference text inside Python", "your own text")
        train, validation = starter.starter_text(), None
    if validation is None:
        train, validation = hold_out(train, held_out, seed)
    return Splits(train, validation, name=name, description=description, warnings=warnings)


def _mixed(sources: Mapping, held_out, **options) -> Splits[Document | LongDocument]:
    """The splits of several sources, each of which is split by itself."""
    expect(sources, "--data names no source: give a path, or paths with how often an epoch reads them")
    sources = {str(path): times for path, times in sources.items()}  # YAML reads 2024 as a number
    found = {path: load_texts(path, None, held_out, **options) for path in sources}
    repeated = sorted(name for name, texts in found.items() if _same(texts, found.values()) > 1)
    expect(not repeated, f"--data: {', '.join(repeated)} have the same text: keep one of them")
    train = (
        Part(name, texts.train, times)
        for (name, texts), times in zip(found.items(), sources.values(), strict=True)
    )
    validation = (Part(name, texts.validation) for name, texts in found.items())
    return Splits(
        Mixture(tuple(train)),
        Mixture(tuple(validation)),
        name=", ".join(found),
        warnings=[warning for texts in found.values() for warning in texts.warnings],
    )


def _same(texts, others):
    return sum(texts.fingerprint == other.fingerprint for other in others)


def load_labelled_texts(
    data=None,
    dataset=None,
    held_out=None,
    *,
    test_data=None,
    text_column="text",
    label_column="label",
    encoding=None,
    include=None,
    no_header=False,
    document="file",
    seed=0,
) -> Splits[Example]:
    """Load labelled texts in three splits, with every class in each.

    Args:
        data: A table, or a folder with a folder per class: see `textrnn.data.labelled.read_labelled`.
        dataset: A public set instead: a name of `textrnn.data.datasets`. With neither, the starter corpus is
            short reviews.
        held_out: Fraction for validation, and as much for the test if there is no split for it. None for a
            tenth, and for `textrnn.data.labelled_splits.validation_fraction` of the others for validation.
        test_data: The test split, in the form of `data`.
        text_column, label_column: The columns of a table.
        encoding, include: As for `load_texts`.
        no_header, document: As for `textrnn.data.labelled.read_labelled`.
        seed: Seed of random splits.

    Returns:
        `Splits` of `Example`.

    Raises:
        InputError: If the data cannot be read, if a class has too few texts for one in each split, if a
            label of the test split is not in the training split, or if `document` or `test_data` is given
            without `data`.

    Example:

    >>> from textrnn.data.sources import load_labelled_texts
    >>> reviews = load_labelled_texts(held_out=0.1)
    >>> len(reviews.train), len(reviews.validation), len(reviews.test)
    (1166, 130, 324)
    """
    warnings: list[str] = []
    test = None
    _check_document(document, data)
    expect(
        data or not test_data,
        f"--test_data {test_data} is for texts of your own: give those to train on with --data",
    )
    if data:
        name, description = str(data), ""
        folders = [path for path in (data, test_data) if path and Path(path).is_dir()]

        def read(path):  # a table beside a folder does not get the options of folders, which it refuses
            of_folders = {"include": include, "document": document} if path in folders or not folders else {}
            return labelled.read_labelled(
                path, text_column, label_column, encoding=encoding, no_header=no_header, **of_folders
            )

        train, warnings = read(data)
        if test_data:
            test, more = read(test_data)
            warnings = warnings + more
    elif dataset:
        found = datasets.load_labelled(dataset)
        name, description, train, test = dataset, _described(found), found.train, found.test
    else:
        name, description = _starter("short reviews written for this project", "your own texts")
        train, test = starter.starter_reviews()
    warnings = warnings + other_form_warnings(example.text for example in [*train, *(test or ())])
    labelled_splits.check_classes(train, min_examples=2 if test else 3)  # one for each split
    if test:
        labelled_splits.check_known(train, test)
    else:
        train, test = labelled_splits.split_examples(train, 0.1 if held_out is None else held_out, seed)
    held_out = labelled_splits.validation_fraction(len(train)) if held_out is None else held_out
    train, validation = labelled_splits.split_examples(train, held_out, seed)
    warnings = warnings + labelled_splits.repeated_examples([*train, *validation], test)
    warnings = warnings + labelled_splits.few_test_texts(len(test))
    return Splits(train, validation, test, name, description, warnings)


def load_pairs(
    data=None,
    dataset=None,
    held_out=0.05,
    *,
    source=None,
    target=None,
    source_column=None,
    target_column=None,
    encoding=None,
    no_header=False,
    reverse=False,
    seed=0,
    max_held_out=2000,
) -> Splits[Pair]:
    """Load texts with their translations in three splits that share no source.

    Args:
        data: A table of pairs: see `textrnn.data.parallel.read_pairs`.
        dataset: A public set instead: a name of `textrnn.data.datasets`. With no data at all, the starter
            corpus is dates, times, numbers and prices.
        held_out: Fraction for validation, and as much for the test; unused where the set has such splits.
        source, target: Instead of `data`, two line-aligned files.
        source_column, target_column, no_header: As for `textrnn.data.parallel.read_pairs`.
        encoding: As for `load_texts`.
        reverse: Whether to swap source and target.
        seed: Seed of random splits.
        max_held_out: Maximum number of pairs in a random split.

    Returns:
        `Splits` of `Pair`.

    Raises:
        InputError: If the data cannot be read or split.

    Example:

    >>> from textrnn.data.sources import load_pairs
    >>> pairs = load_pairs(reverse=True, max_held_out=100)
    >>> len(pairs.validation), pairs.name
    (100, 'the starter corpus')
    """
    warnings: list[str] = []
    validation = test = None
    if data or source:
        name, description = str(data or source), ""
        if data:
            train, warnings = parallel.read_pairs(
                data, source_column, target_column, encoding=encoding, no_header=no_header
            )
        else:
            train, warnings = parallel.read_aligned(source, target, encoding)
    elif dataset:
        found = datasets.load_parallel(dataset)
        name, description = dataset, _described(found)
        train, validation, test = found.train, found.validation, found.test
    else:
        name, description = _starter("dates, times, numbers and prices", "your own pairs")
        train, test = starter.starter_phrases()
    _expect_sources(train, 1 + (validation is None) + (test is None), name)
    warnings = warnings + other_form_warnings(side for pair in train for side in (pair.source, pair.target))
    if test is None:
        train, test = parallel.split_pairs(train, held_out, seed, max_held_out)
    if validation is None:
        train, validation = parallel.split_pairs(train, held_out, seed, max_held_out)
    warnings = warnings + parallel.repeated_pairs([*train, *validation], test)
    if reverse:
        train, validation, test = map(parallel.swapped, (train, validation, test))
    return Splits(train, validation, test, name, description, warnings)


def describe(splits: Splits) -> None:
    """Print the description of data and the sizes of its splits; warnings go to stderr.

    Example:

    >>> from textrnn.data.sources import Splits, describe
    >>> describe(Splits(["a"] * 8, ["b"], ["c"], description="Letters, public domain"))
    Letters, public domain
    splits: 8 training, 1 validation, 1 test
    """
    if splits.description:
        print(splits.description, flush=True)
    if splits.test:
        sizes = {"training": splits.train, "validation": splits.validation, "test": splits.test}
        print("splits: " + ", ".join(f"{len(part):,} {name}" for name, part in sizes.items()), flush=True)
    for warning in splits.warnings:
        warn(warning)


def _expect_sources(pairs, parts, name):
    """Refuse pairs with fewer different sources than parts."""
    found = len({collapsed(pair.source) for pair in pairs})
    expect(
        found >= parts,
        f"{name} has {count(len(pairs), 'pair')} with {count(found, 'different source')}: training, "
        f"validation and test need at least one source each, so give {parts} or more",
    )


def _check_document(document, data):
    expect(
        data or document == "file",
        f"--document {document} is for files of your own: give them with --data, or leave out --document",
    )


def _described(found):
    """The name, licence and files of a public set."""
    return "\n  ".join([f"{found.name}, licence: {found.licence}", *map(str, found.files)])


def _starter(content, own):
    """The name and the description of a starter corpus."""
    return "the starter corpus", f"The starter corpus: {content}. Give --data for {own}."
