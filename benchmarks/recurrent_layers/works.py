"""What a contestant is given: a cell, sizes and random inputs."""

import dataclasses

from harness import Contestants


@dataclasses.dataclass(frozen=True)
class Work:
    """A task for a recurrent layer.

    Attributes:
        task: One of the tasks of recurrence.py.
        cell: The name of a cell.
        batch_size: Rows of a batch.
        steps: Time steps.
        units: Units of the layer, and features of its inputs.
    """

    task: str
    cell: str
    batch_size: int
    steps: int
    units: int

    def __str__(self):
        return f"{self.task}: {self.cell}, {self.batch_size} × {self.steps} × {self.units}"


LAYERS = ("forward", "training", "lengths", "memory")
"""The tasks that run a whole layer."""

GATES = {"lstm": 4, "gru": 3}

CONTESTANTS = Contestants()
"""Functions of a `Work` that return the function to measure, or None for a cell that they do not have."""


def random_inputs(work):
    """Random inputs or output gradients of a layer, float32 `(batch, time, units)`."""
    import numpy as np

    shape = (work.batch_size, work.steps, work.units)
    return np.random.default_rng(0).normal(size=shape).astype("float32")
