"""Recurrences in segments, which keep only the states between segments for the gradient.

The steps of a segment run again in the backward pass. So a training step keeps the inputs, the outputs and
what one segment needs, and computes the forward pass twice (Chen et al. 2016, Training deep nets with
sublinear memory cost; for recurrent networks Gruslys et al. 2016, Memory-efficient backpropagation through
time).
"""

import numbers
from collections.abc import Callable

import keras
from keras import ops

from textrnn.errors import InputError
from textrnn.layers.backend import current_values, split_steps
from textrnn.tensors import is_float


def check_segments(segments: int) -> int:
    """Return a number of segments if it is one.

    Raises:
        InputError: If it is not a positive integer.
    """
    if not isinstance(segments, numbers.Integral) or segments < 1:
        raise InputError(f"segments is {segments!r}: give the number of parts of a sequence, 1 or more")
    return int(segments)


def run_in_segments(run: Callable, segments: int) -> Callable:
    """Make a function like `run`, whose gradient computes each segment again.

    Args:
        run: `(inputs, states, previous output, kernels, weights, noise, mask) -> (last output, outputs or
            None, states)`. Inputs, outputs, each noise and the mask are time-major, and the mask may be None.
        segments: The number of segments, of nearly the same length.
    """

    def segmented(inputs, states, output, kernels, weights, noise, mask):
        # Recomputation has gradients for its arguments alone, and those of TensorFlow have to be floats.
        fixed = {name: weight for name, weight in weights.items() if not is_float(weight)}
        weights = _values({name: weight for name, weight in weights.items() if name not in fixed})
        kernels = _values(kernels)
        # A loop cannot be traced for a part that is known to be empty.
        count = segments if inputs.shape[0] is None else min(segments, inputs.shape[0])
        noises = {name: split_steps(x, count) for name, x in noise.items()}
        masks = [None] * count if mask is None else split_steps(mask, count)
        found = []
        for index, part in enumerate(split_steps(inputs, count)):
            noise = {name: split[index] for name, split in noises.items()}

            # TensorFlow computes a segment again once it has the gradient of the first result. That of the
            # states comes from the next segment, so it does not start earlier and hold memory.
            def segment(inputs, states, output, kernels, weights, noise=noise, mask=masks[index]):
                output, outputs, states = run(
                    inputs, states, output, kernels, {**weights, **fixed}, noise, mask
                )
                return states, output, [] if outputs is None else [outputs]

            states, output, outputs = keras.remat(segment)(part, states, output, kernels, weights)
            found += outputs
        return output, ops.concatenate(found, axis=0) if found else None, states

    return segmented


def _values(weights):
    return dict(zip(weights, current_values(weights.values()), strict=True))
