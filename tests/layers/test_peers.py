"""Values and gradients equal those of PyTorch's layers, if it is installed (extra `peers`)."""

import numpy as np
import pytest
from keras import ops
from references.gradients import assert_close, value_and_gradients

from textrnn.cells import GatedCell
from textrnn.layers import Recurrent
from textrnn.layers.strategies import STRATEGIES

torch = pytest.importorskip("torch")

BATCH, TIME, FEATURES, UNITS = 3, 6, 4, 5
PEERS = {
    # PyTorch's layer, and the position of each of its gates among ours
    "simple": (torch.nn.RNN, [0]),
    "lstm": (torch.nn.LSTM, [0, 1, 2, 3]),  # i, f, g, o
    "gru": (torch.nn.GRU, [1, 0, 2]),  # r, z, n of our z, r, n
}


def blocks(array, order):
    """The blocks of the last axis in that order, transposed as PyTorch has them."""
    split = np.split(array, len(order), axis=-1)
    return np.concatenate([split[i] for i in order], axis=-1).T


def torch_parameters(name, weights):
    """The parameters of PyTorch's layer, from ours."""
    kernel, recurrent_kernel, bias = weights
    _, order = PEERS[name]
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    arrays = [blocks(a, order) for a in (kernel, recurrent_kernel, *biases)]
    return dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), arrays, strict=True))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", PEERS)
def test_values_and_gradients_equal_pytorch_s(name, strategy):
    ours = Recurrent(GatedCell(UNITS, name), return_sequences=True, strategy=strategy)
    ours.build((None, None, FEATURES))
    ours.set_weights([np.random.normal(size=w.shape, scale=0.5) for w in ours.get_weights()])
    theirs = PEERS[name][0](FEATURES, UNITS, batch_first=True)
    for key, array in torch_parameters(name, ours.get_weights()).items():
        getattr(theirs, key).data = torch.tensor(np.ascontiguousarray(array))
    x = np.random.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    toward = np.random.normal(size=(BATCH, TIME, UNITS)).astype("float32")

    their_x = torch.tensor(x, requires_grad=True)
    their_outputs, _ = theirs(their_x)
    (their_outputs * torch.tensor(toward)).sum().backward()
    outputs, by_input, by_weight = value_and_gradients(
        ours, {"sequences": x}, lambda outputs: ops.sum(outputs * toward)
    )
    assert_close(outputs, their_outputs.detach().numpy())
    assert_close(by_input["sequences"], their_x.grad.numpy(), 1e-4)
    expected = {key: getattr(theirs, key).grad.numpy() for key in torch_parameters(name, by_weight)}
    if name != "gru":
        expected["bias_hh_l0"] = np.zeros_like(expected["bias_hh_l0"])  # ours is one bias, theirs two
    assert_close(list(torch_parameters(name, by_weight).values()), list(expected.values()), 1e-4)
