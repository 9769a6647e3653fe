"""Recurrent states carried from window to window in training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="textrnn")
class CarriedStates(keras.layers.Layer):
    """Variables that carry recurrent states from one batch to the next.

    They belong to a pass over a stream, not to the model: they are no weights of it, and are neither saved
    nor loaded. They are variables of the model, as the training loop of JAX has to know them.

    Args:
        initial_states: A nested structure of tensors `(batch, n)`, the states at a restart.
        rows: The number of rows of all workers, of which `batch` are this one's. Default: `batch`.
    """

    def __init__(self, initial_states, rows=None, **kwargs):
        super().__init__(**kwargs)
        self.structure = keras.tree.map_structure(lambda _: 0, initial_states)
        self.batch_size = int(keras.tree.flatten(initial_states)[0].shape[0])
        self.rows = self.batch_size if rows is None else rows
        self.initial = keras.tree.flatten(initial_states)
        self.carried = [
            self.add_weight(
                shape=tuple(state.shape),
                initializer="zeros",
                trainable=False,
                dtype=state.dtype,
                name="state",
            )
            for state in self.initial
        ]
        self.built = True

    def read(self, restart):
        """Return the carried states, or the initial ones in rows where `restart`, `(batch,)`, is True."""
        restart = ops.reshape(restart, (-1, 1))
        states = [
            ops.where(restart, initial, ops.convert_to_tensor(carried))
            for initial, carried in zip(self.initial, self.carried, strict=True)
        ]
        return keras.tree.pack_sequence_as(self.structure, states)

    def write(self, states):
        """Store the states for the next batch."""
        for carried, state in zip(self.carried, keras.tree.flatten(states), strict=True):
            carried.assign(state)

    @property
    def weights(self):
        """An empty list: the model has none more by carrying states."""
        return []

    def save_own_variables(self, store):
        """Save nothing."""

    def load_own_variables(self, store):
        """Load nothing."""
