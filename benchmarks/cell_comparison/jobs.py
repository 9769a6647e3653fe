"""What is trained in a run."""

import dataclasses
from collections.abc import Callable

PARTS = ("validation", "test")
"""The parts of the data that are scored: one chooses the learning rate, the other is reported."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A model, and how it learns.

    Attributes:
        model: A Keras model.
        batches: A `tf.data.Dataset`, read again and again.
        loss: A Keras loss.
        score: A function of a part, `"validation"` or `"test"`, that returns the score of the trained model.
    """

    model: object
    batches: object
    loss: object
    score: Callable


def finite(predictions):
    """Predictions as they are.

    Raises:
        FloatingPointError: If one is not finite. The `argmax` of NaN would become an accuracy.
    """
    import numpy as np

    if not np.isfinite(predictions).all():
        raise FloatingPointError("the predictions are not finite")
    return predictions
