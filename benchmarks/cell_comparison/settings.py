"""What all runs share, and the size of each cell within the budget."""

import dataclasses
import functools
import hashlib
import json

UNITS_STEP = 4
TEXT, SPEED = "text", "speed"
CONTROL = "lstm"
"""The cell that others are compared with, and whose time is the budget of all."""


def option(default, meaning):
    """A field of `Settings` with its help on the command line."""
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of all runs, which are options too."""

    learning_rates: tuple[float, ...] = option((1e-3, 3e-3, 1e-2, 3e-2), "learning rates to try")
    seeds: tuple[int, ...] = option((0, 1, 2), "seeds; the first one chooses the learning rate")
    budget: int = option(80_000, "maximum weights of the recurrent layer and the map of its output")
    width: int = option(64, "input features of the recurrent layer, width of the embedding")
    batch_size: int = option(32, "rows of a batch")
    scored: int = option(1000, "maximum validation examples and test examples, except of text")
    text_data: str | None = option(None, "text file or folder (default: tiny Shakespeare)")
    text_length: int = option(64, "characters of a training window")
    text_steps: int = option(2600, "updates of the text task")
    copy_blanks: int = option(30, "steps to remember the symbols of the copy problem")
    copy_steps: int = option(2200, "updates of the copy problem")
    adding_length: int = option(100, "length of the lists of the adding problem")
    adding_steps: int = option(1300, "updates of the adding problem")
    dyck_kinds: int = option(8, "kinds of brackets")
    dyck_depth: int = option(8, "maximum number of open brackets")
    dyck_length: int = option(80, "length of the words of brackets")
    dyck_distance: int = option(20, "scored brackets close after at least so many steps")
    dyck_steps: int = option(1500, "updates of the task with brackets")
    sentiment_data: str = option("sst2", "a public set of labelled texts, or `starter`")
    sentiment_vocabulary: int = option(4000, "subwords of the vocabulary")
    sentiment_dropout: float = option(0.3, "dropout of the inputs and outputs of the recurrent layer")
    sentiment_steps: int = option(1600, "updates of the classifier")

    def steps(self, task):
        """The number of updates of a task; those of `CONTROL` if all train for the same time."""
        return getattr(self, f"{task}_steps")

    def of_task(self, task):
        """The values that scores of a task depend on, besides those that a `Run` has."""
        mine = (f"{task}_", *((f"{TEXT}_",) if task == SPEED else ()))
        names = ["budget", "width", "batch_size", *(["scored"] if task not in {TEXT, SPEED} else [])]
        names += [field.name for field in dataclasses.fields(self) if field.name.startswith(mine)]
        return {name: getattr(self, name) for name in names if not name.endswith("_steps")}

    @functools.cache  # noqa: B019 (settings live as long as the process)
    def mark(self, task):
        """A short hash of `of_task`. Records with another one are not compared."""
        text = json.dumps(self.of_task(task), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def largest_units(weights_of, budget, step=UNITS_STEP):
    """The largest number of units within the budget.

    Args:
        weights_of: A function of the units that returns the number of weights, which grows with the units.
        budget: The maximum number of weights.
        step: The units are a multiple of this.

    Raises:
        InputError: If `step` units exceed the budget.
    """
    from textrnn.errors import InputError

    if weights_of(step) > budget:
        raise InputError(
            f"--budget {budget:,} is too small: {step} units already have {weights_of(step):,} weights. "
            "Increase --budget."
        )
    fits, too_many = 1, 2
    while weights_of(too_many * step) <= budget:
        fits, too_many = too_many, 2 * too_many
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if weights_of(middle * step) <= budget else (fits, middle)
    return fits * step


@functools.cache
def sized(name, settings):
    """The units of a cell within the budget, their weights, and the kind of the cell, as a dict."""
    import textrnn

    def built(units):
        cell = textrnn.GatedCell(units, name)
        cell.build((None, settings.width))
        return cell

    def weights_of(units):
        return built(units).count_params() + units * settings.width

    units = largest_units(weights_of, settings.budget)
    return {"units": units, "weights": weights_of(units), "kind": built(units).kind}


def make_cell(name, settings):
    """The cell with the number of units that the budget allows."""
    import textrnn

    return textrnn.GatedCell(sized(name, settings)["units"], name)
