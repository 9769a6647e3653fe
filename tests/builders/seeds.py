"""Random numbers that are the same in every run."""

import contextlib
import random

import numpy as np
import pytest


def set_seed(number):
    """Seed the generators that initial weights and the numbers of tests come from.

    `keras.utils.set_random_seed` would also make TensorFlow forget the kernels of all operations and compiled
    functions, which it makes anew for up to a second each.
    """
    random.seed(number)
    np.random.seed(number)


@contextlib.contextmanager
def kernels_kept():
    """Inside, `keras.utils.set_random_seed` is `set_seed`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras.utils.set_random_seed", set_seed)
        yield
