"""Layers and batches for tests of recurrences, and the cells and strategies that they run."""

import contextlib

import keras
import numpy as np
import pytest
from keras import ops
from references.gated_cells import REFERENCES
from references.gradients import TENSORFLOW

from textrnn.cells import GatedCell, describe, find_cell
from textrnn.layers import Recurrent
from textrnn.layers.strategies import strategies_of

FEATURES, UNITS = 3, 4

REPRESENTATIVE = {
    "lstm_ln": "kind S, a memory apart from the output, layer normalization",
    "multiplicative_lstm": "kind S, chained products: one product is multiplied by a matrix again",
    "slstm": "kind S, a class of its own, states that do not start at zero and share zoneout masks",
    "sru": "kind D, a class of its own, the input in the output",
    "qrnn": "kind P, states that are inputs of the step before",
    "rg_lru": "kind P, a class of its own",
}
"""The cells that stand for all others, with the reason.

Values and gradients are tested for every cell with every strategy. What the layer does around a step (masks,
windows, mixed precision, saving, compilation) does not depend on the equations of the cell, so these suffice.
"""

tensorflow_only = pytest.mark.skipif(not TENSORFLOW, reason="the same on every backend, or about TensorFlow")


def pairs(names):
    """`(name, strategy)` for each of these cells and each strategy that can run it."""
    kinds = {name: describe.kind(find_cell(REFERENCES[name].cell)) for name in names}
    return [(name, strategy) for name in names for strategy in strategies_of(kinds[name])]


every_cell_and_strategy = pytest.mark.parametrize(("name", "strategy"), pairs(REFERENCES))
representative_cells_and_strategies = pytest.mark.parametrize(("name", "strategy"), pairs(REPRESENTATIVE))


def make_layer(name, strategy, features=FEATURES, units=UNITS, dtype="float32", **options):
    """A built layer that returns all outputs and the states, with random weights and biases."""
    layer = Recurrent(
        GatedCell(units, REFERENCES[name].cell, dtype=dtype),
        return_sequences=True,
        return_state=True,
        strategy=strategy,
        **options,
    )
    layer.build((None, None, features))
    layer.set_weights([np.random.normal(size=w.shape, scale=0.5) for w in layer.get_weights()])
    return layer


def make_batch(name, batch=4, time=5, features=FEATURES, units=UNITS, dtype="float32"):
    """Inputs, initial states, and a mask with holes whose last row has no valid step."""
    x = np.random.normal(size=(batch, time, features)).astype(dtype)
    states = REFERENCES[name].random_states(np.random.default_rng(0), batch, units)
    mask = np.random.uniform(size=(batch, time)) < 0.6
    mask[-1] = False
    return x, [state.astype(dtype) for state in states], mask


def run(layer, x, states=None, mask=None, **options):
    """The outputs of a layer, and the list of its last states."""
    outputs, *states = layer(x, initial_state=states, mask=mask, **options)
    return outputs, states


def weighted_sum(outputs):
    """A loss with a different, fixed weight for every entry of every output."""
    random = np.random.default_rng(0)
    outputs = keras.tree.flatten(outputs)
    return sum(ops.sum(o * ops.convert_to_tensor(random.normal(size=o.shape), o.dtype)) for o in outputs)


@contextlib.contextmanager
def seeded(seed):
    """Inside, NumPy's global generator starts from this seed."""
    state = np.random.get_state()
    np.random.seed(seed)
    yield
    np.random.set_state(state)
