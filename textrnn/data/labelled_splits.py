"""Splits of labelled texts: checks of their classes, and stratified splits that share no text."""

import collections
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from textrnn.data.labelled import Example
from textrnn.data.records import collapsed, count, listed, partition
from textrnn.data.table_values import in_order
from textrnn.errors import InputError

FEW_TEST_TEXTS = 100
"""Number of test texts below which scores say little: the standard error of an accuracy is up to 5 points."""

VALIDATION_TEXTS = 30
"""Number of texts that say whether a network helps; see `validation_fraction`."""


def check_classes(examples: Sequence[Example], min_examples: int = 2) -> list[str]:
    """Check that there are two classes with enough examples each.

    Args:
        examples: The labelled texts.
        min_examples: Minimum number of examples per class, one for each split. Default: one to train on and
            one to test on.

    Returns:
        The classes, sorted; numerically if all are numbers.

    Raises:
        InputError: If there is only one class, or if a class has fewer examples.

    Example:

    >>> from textrnn.data.labelled import Example
    >>> from textrnn.data.labelled_splits import check_classes
    >>> check_classes([Example("a.csv, line 2", "Dull", "bad")])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: there is only one class, 'bad' (1 text): give texts of a second class
    """
    origins_by_label = collections.defaultdict(list)
    whole_files = set()
    for example in examples:
        origins_by_label[example.label].append(example.origin)
        if "\n" in example.text.strip() and not re.search(r", (line|row) \d+$", example.origin):
            whole_files.add(example.label)
    if len(origins_by_label) == 1:
        [(label, origins)] = origins_by_label.items()
        raise InputError(
            f"there is only one class, {label!r} ({count(len(origins), 'text')}): give texts of a second "
            "class"
        )
    for label, origins in sorted(origins_by_label.items()):
        if len(origins) < min_examples:
            hint = "If each line is a text, give --document line" if label in whole_files else ""
            raise InputError(
                f"the class {label!r} has {count(len(origins), 'text')} ({listed(origins)}), but the splits "
                f"need at least {min_examples} texts of each class. "
                + (hint or "Give more, or remove the class")
            )
    return in_order(origins_by_label)


def check_known(train: Sequence[Example], test: Sequence[Example]) -> None:
    """Check that every label of the test set is in the training set.

    Args:
        train: Training examples.
        test: Test examples.

    Raises:
        InputError: Naming the first label that is not, and its origin.

    Example:

    >>> from textrnn.data.labelled import Example
    >>> from textrnn.data.labelled_splits import check_known
    >>> check_known([Example("a.csv, line 2", "Dull", "bad")], [Example("b.csv, line 2", "Fine", "good")])
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: b.csv, line 2: the label 'good' is not in the training data, which has 'bad'
    """
    known = in_order({example.label for example in train})
    for example in test:
        if example.label not in known:
            raise InputError(
                f"{example.origin}: the label {example.label!r} is not in the training data, which has "
                + ", ".join(map(repr, known))
            )


def validation_fraction(texts: int) -> float:
    """The fraction of labelled texts that validates: a tenth, or more of few texts.

    Linear classifiers are fitted to the validation texts, too, so only the network misses them.

    Args:
        texts: Number of texts.

    Returns:
        The fraction with `VALIDATION_TEXTS` texts, from 0.1 to 0.3.

    Example:

    >>> from textrnn.data.labelled_splits import validation_fraction
    >>> [validation_fraction(texts) for texts in (40, 200, 5000)]
    [0.3, 0.15, 0.1]
    """
    return min(max(0.1, VALIDATION_TEXTS / max(texts, 1)), 0.3)


def split_examples(
    examples: Sequence[Example], held_out: float, seed: int = 0, together: bool = True
) -> tuple[list[Example], list[Example]]:
    """Split examples at random, stratified by class, with every class on both sides.

    (scikit-learn's stratified splits may leave a rare class out of one side.)

    Args:
        examples: At least two examples per class.
        held_out: Fraction to hold out.
        seed: Seed of the split.
        together: Whether equal texts stay on the same side; see `held_out_rows`.

    Returns:
        The training examples and the held-out examples, both in their original order.

    Example:

    >>> from textrnn.data.labelled import Example
    >>> from textrnn.data.labelled_splits import split_examples
    >>> examples = [Example(f"a.csv, line {i}", f"text {i}", "good" if i % 4 else "bad") for i in range(40)]
    >>> [sum(e.label == "bad" for e in part) for part in split_examples(examples, 0.2)]
    [8, 2]
    """
    texts: Sequence[Any] = [example.text for example in examples] if together else range(len(examples))
    return partition(examples, held_out_rows([e.label for e in examples], texts, held_out, seed))


def held_out_rows(labels: Sequence[Any], texts: Sequence[Any], held_out: float, seed: int = 0) -> set[int]:
    """Draw a fraction of each class: at least one row of a class with two, and never all.

    Rows of the same text are on the same side, also if their labels differ, so that no text is learned and
    held out. Only a class that has no other texts may have copies on both. Whitespace in texts is
    ignored.

    Args:
        labels: The class of each row; classes sort.
        texts: The text of each row, or another value that equal rows share.
        held_out: Fraction to hold out. Approximate where texts repeat.
        seed: Seed of the draw.

    Returns:
        The rows to hold out.

    Example:

    >>> from textrnn.data.labelled_splits import held_out_rows
    >>> texts = ["one", "two", "one ", "six", "ten", "ten", "two"]
    >>> sorted(held_out_rows(["a"] * 4 + ["b"] * 3, texts, 0.5))
    [0, 2, 4, 5]
    """
    random = np.random.default_rng(seed)
    rows_by_label, rows_by_text = collections.defaultdict(list), collections.defaultdict(list)
    keys = [collapsed(text) if isinstance(text, str) else text for text in texts]
    for row, (label, key) in enumerate(zip(labels, keys, strict=True)):
        rows_by_label[label].append(row)
        rows_by_text[key].append(row)
    limits = {
        label: min(max(1, round(held_out * len(rows))), len(rows) - 1)
        for label, rows in rows_by_label.items()
    }
    chosen: set[int] = set()
    held: collections.Counter = collections.Counter()

    def take(rows):
        counts = collections.Counter(labels[row] for row in rows)
        if chosen.isdisjoint(rows) and all(held[label] + counts[label] <= limits[label] for label in counts):
            chosen.update(rows)
            held.update(counts)

    for label, rows in sorted(rows_by_label.items()):
        drawn = random.permutation(rows).tolist()
        groups = [rows_by_text[key] for key in dict.fromkeys(keys[row] for row in drawn)]
        for group in groups:
            if held[label] == limits[label]:
                break
            take(group)
        if not held[label]:  # each text has more copies: take the one with the fewest, or else a copy
            limits[label] = len(rows) - 1
            for group in [*sorted(groups, key=len), *([row] for row in drawn)]:
                if not held[label]:
                    take(group)
    return chosen


def repeated_examples(train: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """Return a warning if test texts are also in the training data. Whitespace is ignored.

    Args:
        train: Training examples.
        test: Test examples.

    Returns:
        A list of one warning, or an empty list.

    Example:

    >>> from textrnn.data.labelled import Example
    >>> from textrnn.data.labelled_splits import repeated_examples
    >>> train, test = [Example("a.csv, line 2", "Dull", "bad")], [Example("b.csv, line 9", "Dull ", "bad")]
    >>> repeated_examples(train, test)
    ['1 of 1 test texts is also in the training data: b.csv, line 9 (= a.csv, line 2)']
    """
    known = {collapsed(example.text): example.origin for example in train}
    both = [(e.origin, known[text]) for e in test if (text := collapsed(e.text)) in known]
    if not both:
        return []
    origins = listed([f"{origin} (= {other})" for origin, other in both])
    verb = "is" if len(both) == 1 else "are"
    return [f"{len(both):,} of {len(test):,} test texts {verb} also in the training data: {origins}"]


def few_test_texts(number: int) -> list[str]:
    """Return a warning if there are fewer than `FEW_TEST_TEXTS`, otherwise nothing.

    Args:
        number: Number of test texts. The standard error of their accuracy is at most 0.5 / sqrt(number).

    Example:

    >>> from textrnn.data.labelled_splits import few_test_texts
    >>> few_test_texts(6)[0]
    '6 test texts say little: the standard error of their accuracy is up to 20 percentage points. ...'
    >>> few_test_texts(100)
    []
    """
    if number >= FEW_TEST_TEXTS:
        return []
    error = 50 / math.sqrt(max(number, 1))
    say, their = ("says", "its") if number == 1 else ("say", "their")
    warning = (
        f"{count(number, 'test text')} {say} little: the standard error of {their} accuracy is up to "
        f"{error:.0f} percentage points. Give more texts, with --data or --test_data"
    )
    return [warning]
