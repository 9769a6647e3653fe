"""What all runs share, and the size of each cell within the budget."""

import dataclasses
import functools

UNITS_STEP = 4


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of all runs. Results with different settings are not compared.

    Args:
        data: Text file or folder (default: tiny Shakespeare)
        budget: Maximum weights of the recurrent layer and the map of its output
        width: Features of the layer's input, and the width of the embedding
        batch_size: Rows of a batch
        sequence_length: Characters of a training window
        text_passes: Epochs on the text
        copy_blanks: Steps to remember the symbols of the copy problem
        copy_batches: Training batches of the copy problem
        adding_steps: Length of the lists of the adding problem
        adding_batches: Training batches of the adding problem
    """

    data: str | None = None
    budget: int = 80_000
    width: int = 64
    batch_size: int = 32
    sequence_length: int = 64
    text_passes: int = 2
    copy_blanks: int = 30
    copy_batches: int = 1000
    adding_steps: int = 100
    adding_batches: int = 1000


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
        weights_of: a function of the units that returns the number of weights, which grows with the units.
        budget: the maximum number of weights.
        step: the units are a multiple of this.

    Raises:
        InputError: if `step` units exceed the budget.
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
