"""What all runs share, and the size of each cell within the budget."""

import dataclasses
import functools

UNITS_STEP = 4


def option(default, meaning):
    """A field of `Settings` with its help on the command line."""
    return dataclasses.field(default=default, metadata={"help": meaning})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of all runs, which are options too. Results with different settings are not compared."""

    data: str | None = option(None, "text file or folder (default: tiny Shakespeare)")
    budget: int = option(80_000, "maximum weights of the recurrent layer and the map of its output")
    width: int = option(64, "input features of the recurrent layer, width of the embedding")
    batch_size: int = option(32, "rows of a batch")
    sequence_length: int = option(64, "characters of a training window")
    text_passes: int = option(2, "epochs on the text")
    copy_blanks: int = option(30, "steps to remember the symbols of the copy problem")
    copy_batches: int = option(1000, "training batches of the copy problem")
    adding_steps: int = option(100, "length of the lists of the adding problem")
    adding_batches: int = option(1000, "training batches of the adding problem")


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run, which depends on nothing but itself and the settings."""

    task: str
    cell: str
    learning_rate: float
    seed: int

    def __str__(self):
        return f"{self.task}, {self.cell}, learning rate {self.learning_rate:g}, seed {self.seed}"


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
