"""What the tasks have in common."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Task:
    """A task.

    Attributes:
        title: What a score is.
        form: The format of a score.
        lower_is_better: Whether a score is an error.
        prepare: A function of a run and its settings that returns a `Job`.
        one_shape: Whether all batches have the same shape. XLA compiles a step for each.
        unit: What the speed of training counts.
    """

    title: str
    form: str
    lower_is_better: bool
    prepare: Callable
    one_shape: bool = False
    unit: str = "texts"


@dataclasses.dataclass(frozen=True)
class Job:
    """A model, and how it learns.

    Attributes:
        model: The model.
        size: Its size, see `networks.language_model`.
        batches: A `tf.data.Dataset` of the training texts.
        loss: The Keras loss.
        score: A function of `"validation"` or `"test"` that returns the present score of that part.
    """

    model: object
    size: int
    batches: object
    loss: object
    score: Callable


def seeded(make, size, seed):
    """The model of a size with the weights of a seed. Models that a search for the size made draw others."""
    import keras

    keras.utils.set_random_seed(seed)
    return make(size)
