"""How the training steps of a model run on this machine: strategies, XLA and precision."""

from dataclasses import dataclass

import keras

from textrnn.layers.backend import has_accelerator
from textrnn.layers.recurrent import Recurrent


@dataclass(frozen=True)
class Execution:
    """How the training steps of a model run on this machine.

    Attributes:
        strategies: The strategies of its recurrent layers, each once; see `textrnn.layers.strategies`.
        xla: Whether XLA should compile steps as a whole. It should on a GPU, where it makes a few large
            kernels of the many small ones of a loop. It cannot compile fused kernels, or a step over several
            devices. It compiles once for each shape of a batch, so batches should have few lengths
            (`few_lengths` of `textrnn.data.batching`).
        precision: The name of the dtype policy.
        reason: Why XLA is on or off.
    """

    strategies: tuple[str, ...]
    xla: bool
    precision: str
    reason: str

    def __str__(self):
        xla = f"XLA {'on' if self.xla else 'off'} ({self.reason})"
        return f"strategy: {' and '.join(self.strategies)}, {xla}, {self.precision}"


def execution_of(model: keras.Model) -> Execution:
    """Return how the training steps of a model run on this machine.

    Example:

    >>> import textrnn
    >>> from textrnn.tasks.execution import execution_of
    >>> print(execution_of(textrnn.RecurrentBackbone(vocabulary_size=10, cell="gru", units=4)))
    strategy: recompute, XLA off (no GPU), float32
    """
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, Recurrent)]
    strategies = tuple(sorted({layer.resolved_strategy for layer in layers}))
    distribution = getattr(model, "distribute_strategy", None)  # on TensorFlow
    xla, reason = False, "no GPU"
    if "fused" in strategies:
        reason = "it cannot compile fused kernels"
    elif distribution is not None and distribution.num_replicas_in_sync > 1:
        reason = "several devices"
    elif has_accelerator():
        xla, reason = True, "GPU, no fused layer"
    return Execution(strategies, xla, model.dtype_policy.name, reason)
