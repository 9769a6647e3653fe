"""Layers of PyTorch and Flax, where these are installed."""

from harness import torch_device
from recurrent_layers.keras_layers import jax_run
from recurrent_layers.works import CONTESTANTS, GATES, LAYERS, random_inputs

# === PyTorch ===


@CONTESTANTS.add("PyTorch", needs="torch", tasks=LAYERS)
def run_torch(work):
    """`torch.nn.LSTM` or `GRU`."""
    import torch

    make = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(work.cell)
    return make and torch_run(work, make(work.units, work.units, batch_first=True).to(torch_device()))


@CONTESTANTS.add("PyTorch loop", needs="torch", tasks=("forward", "training", "memory"))
def run_torch_loop(work):
    """The equations of the cell in a Python loop."""
    layer = torch_loop(work)
    return layer and torch_run(work, layer)


@CONTESTANTS.add("PyTorch loop", "compiled", needs="torch", tasks=("training",))
def run_torch_compiled(work):
    """The same loop compiled by `torch.compile`."""
    import torch

    layer = torch_loop(work)
    return layer and torch_run(work, torch.compile(layer))


def torch_loop(work):
    """An LSTM or GRU written as a custom cell in PyTorch, or None for other cells."""
    import torch
    from torch import nn

    units, gates = work.units, GATES.get(work.cell)
    if gates is None:
        return None

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.of_input, self.of_state = nn.Linear(units, gates * units), nn.Linear(units, gates * units)

        def lstm(self, x, h, c):
            i, f, g, o = (x + self.of_state(h)).chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

        def gru(self, x, h, c):
            (xz, xr, xg), (hz, hr, hg) = x.chunk(3, dim=-1), self.of_state(h).chunk(3, dim=-1)
            z = torch.sigmoid(xz + hz)
            return z * h + (1 - z) * torch.tanh(xg + torch.sigmoid(xr + hr) * hg), c

        def forward(self, x):
            h = c = x.new_zeros(x.shape[0], units)
            outputs = []
            for projected in self.of_input(x).unbind(1):
                h, c = getattr(self, work.cell)(projected, h, c)
                outputs.append(h)
            return torch.stack(outputs, 1), None

    return Loop().to(torch_device())


def torch_run(work, layer):
    """The measured function for a module that returns its outputs and its states."""
    import torch

    x, gradient = (torch.from_numpy(random_inputs(work)).to(torch_device()) for _ in range(2))
    x.requires_grad_(work.task != "forward")

    def run():
        if work.task == "forward":
            with torch.no_grad():
                layer(x)
        else:
            layer.zero_grad(set_to_none=True)
            x.grad = None
            layer(x)[0].backward(gradient)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return run


@CONTESTANTS.add("PyTorch", needs="torch", tasks=("classifier",))
def classify_torch(work):
    """A training step of a bidirectional LSTM, the mean over time and two classes."""
    import torch

    device = torch_device()
    layer = torch.nn.LSTM(work.units, work.units, batch_first=True, bidirectional=True).to(device)
    head = torch.nn.Linear(2 * work.units, 2).to(device)
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer = torch.optim.SGD(parameters, 0.01)
    x = torch.from_numpy(random_inputs(work)).to(device)
    y = torch.zeros(work.batch_size, dtype=torch.long, device=device)

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(head(layer(x)[0].mean(1)), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


# === Flax ===


@CONTESTANTS.add("Flax", needs="flax", tasks=("forward", "training", "memory"))
def run_flax(work):
    """`flax.linen.RNN` with a cell of Flax, compiled by `jax.jit`."""
    import jax
    from flax import linen

    make = {"lstm": linen.OptimizedLSTMCell, "gru": linen.GRUCell}.get(work.cell)
    if make is None:
        return None
    layer, x = linen.RNN(make(work.units)), random_inputs(work)
    return jax_run(work, layer.apply, layer.init(jax.random.key(0), x), x, random_inputs(work))
