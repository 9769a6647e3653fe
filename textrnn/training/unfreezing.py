"""Gradual unfreezing: training begins with the highest layers (Howard & Ruder 2018)."""

from collections.abc import Sequence

import keras


class GradualUnfreezing(keras.callbacks.Callback):
    """Trains the highest layers alone at first, and one more group of layers from each epoch on.

    New layers are random at first, and their gradients would spoil what trained layers below them know
    (Howard & Ruder 2018, arXiv 1801.06146, section 3.3). When training ends, all layers are trainable.

    The optimizer must know all variables before the first are frozen, so compile the model, and build its
    optimizer or let `textrnn.training.fit` with a checkpoint do it.

    Args:
        groups: Layers from the input to the output; those of a group are unfrozen together.
        epochs: Number of epochs between two groups; 0 to train all layers from the beginning.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.training import GradualUnfreezing
    >>> low, high = keras.layers.Dense(2), keras.layers.Dense(1)
    >>> model = keras.Sequential([keras.Input((1,)), low, high])
    >>> model.compile("adam", "mse")
    >>> before, unfreezing = low.kernel.numpy(), GradualUnfreezing([[low], [high]])
    >>> fit = lambda epochs: model.fit(
    ...     np.ones((4, 1)), np.ones((4, 1)), epochs=epochs, callbacks=[unfreezing], verbose=0)
    >>> _ = fit(1)
    >>> np.array_equal(low.kernel.numpy(), before)
    True
    >>> _ = fit(2)
    >>> np.array_equal(low.kernel.numpy(), before)
    False
    """

    async_safe = True

    def __init__(self, groups: Sequence[Sequence[keras.layers.Layer]], epochs: int = 1):
        super().__init__()
        self.groups = [list(layers) for layers in groups]
        self.epochs = epochs

    def get_state(self):
        """Return nothing: what is frozen follows from the epoch."""
        return {}

    def set_state(self, state):
        """Do nothing."""

    def on_train_begin(self, logs=None):
        """Let the optimizer know all variables."""
        if not self.epochs:
            return
        self._unfreeze(len(self.groups))
        self.model.optimizer.build(self.model.trainable_variables)

    def on_epoch_begin(self, epoch, logs=None):
        """Unfreeze the groups whose epoch has come."""
        if self.epochs:
            self._unfreeze(1 + epoch // self.epochs)

    def on_train_end(self, logs=None):
        """Unfreeze all."""
        if self.epochs:
            self._unfreeze(len(self.groups))

    def on_interrupt(self):
        """Unfreeze all after Ctrl-C, which `textrnn.training.fit` tells."""
        self.on_train_end()

    def _unfreeze(self, count):
        before = len(self.model.trainable_variables)
        frozen = max(len(self.groups) - count, 0)
        for number, layers in enumerate(self.groups):
            for layer in layers:
                layer.trainable = number >= frozen
        if len(self.model.trainable_variables) != before:
            # Keras compiles a step for the variables that are trainable then.
            self.model.make_train_function(force=True)
