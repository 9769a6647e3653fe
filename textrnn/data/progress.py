"""The progress bar of reading and tokenizing long texts."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

LONG = 10_000_000
"""Number of items from which a line is printed if the output is no terminal."""

DELAY = 1.0
"""Seconds after which a bar appears, since most texts take less."""


@contextmanager
def progress(title: str, total: int, unit: str) -> Iterator[Callable[[int], object]]:
    """Context manager that shows how much of a long work is done, on stderr.

    A terminal shows a bar after a second. Other outputs, such as a log file, get one line for a long work.

    Args:
        title: What is done.
        total: The number of items.
        unit: The name of an item.

    Yields:
        A function that is called with the number of items that were done since its last call.

    Example:

    >>> from textrnn.data.progress import progress
    >>> with progress("tokenizing", 1000, "characters") as done:  # quick: prints nothing
    ...     done(1000)
    """
    terminal = sys.stderr.isatty()
    if not terminal and total >= LONG:
        print(f"{title}: {total:,} {unit}", file=sys.stderr, flush=True)
    with tqdm(
        desc=title, total=total, unit=f" {unit}", unit_scale=True, disable=not terminal, delay=DELAY,
        leave=False, dynamic_ncols=True,
    ) as bar:  # fmt: skip
        yield bar.update
