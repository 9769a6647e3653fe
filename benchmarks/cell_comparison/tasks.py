"""The tasks by name: what is trained, how it is scored, and the score without memory."""

import dataclasses
from collections.abc import Callable

import synthetic
from cell_comparison import sequences, texts


@dataclasses.dataclass(frozen=True)
class Task:
    """A task, a column of the tables.

    Attributes:
        title: The title of the column.
        form: The format of a score.
        lower_is_better: Whether the score is an error.
        prepare: A function of a run and the settings that returns a `Job`.
        baseline: A function of the settings that returns the score without memory.
        log: Whether scores are compared on a logarithmic scale.
    """

    title: str
    form: str
    lower_is_better: bool
    prepare: Callable
    baseline: Callable
    log: bool = False


TASKS = {
    "text": Task("bits per character", "{:.3f}", True, texts.prepare_text, texts.bigram_bits),
    "copy": Task("copy: accuracy", "{:.1%}", False, sequences.prepare_copy, lambda settings: 1 / 8),
    "adding": Task(
        "adding: squared error", "{:.2g}", True, sequences.prepare_adding,
        lambda settings: synthetic.ADDING_BASELINE, log=True,
    ),
    "dyck": Task(
        "brackets: accuracy", "{:.1%}", False, sequences.prepare_dyck,
        lambda settings: 1 / settings.dyck_kinds,
    ),
    "sentiment": Task(
        "sentiment: accuracy", "{:.1%}", False, texts.prepare_sentiment, texts.commonest_class
    ),
}  # fmt: skip
