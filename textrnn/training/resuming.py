"""Keras's `fit`, from any batch of any epoch on."""

import keras

from textrnn.data.batching import generated_dataset


def resumable(data):
    """A dataset that can start at any batch of any epoch: this one, if `textrnn.data` has generated it.

    Args:
        data: A `tf.data.Dataset`. To start later, it is read from its beginning, because a random order may
            depend on the epochs before.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.training.resuming import resumable
    >>> data = tf.data.Dataset.range(4).shuffle(4, seed=1)
    >>> first, second = [list(data) for _ in range(2)]
    >>> data = resumable(tf.data.Dataset.range(4).shuffle(4, seed=1))
    >>> data.epochs.start(1, batch=3)
    >>> bool(next(iter(data)) == second[3])
    True
    """
    if hasattr(data, "epochs"):
        return data
    passed = 0

    def generate(epoch):
        nonlocal passed
        for _ in range(passed, epoch):
            for _ in data:
                pass
        passed = epoch + 1
        return iter(data)

    batches = int(data.cardinality())
    return generated_dataset(generate, data.element_spec, batches if batches >= 0 else None)


def fit_from(model, data, epoch, batch, *, epochs, callbacks, **options):
    """Call `model.fit` so that callbacks see one run that resumes at a batch of an epoch.

    Keras can begin with an epoch, but not within it. Here a first call trains on the rest of the epoch, and a
    second one on the other epochs.

    Args:
        model: A compiled Keras model.
        data: As for `fit`; to begin later, a dataset of `resumable`.
        epoch, batch: Where to begin, both counted from 0.
        epochs: Number of all epochs.
        callbacks: A list of callbacks. They get the numbers of batches of a whole epoch.
        **options: Other arguments of `fit`.
    """
    if hasattr(data, "epochs"):
        callbacks = [_SetEpoch(data.epochs, epoch, batch), *callbacks]
    if not (epoch or batch):
        model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0, **options)
        return
    steps = int(data.cardinality()) if data.cardinality() > 0 else None
    training = _OneTraining(callbacks, batch, model=model, epochs=epochs, steps=steps)
    if batch:
        model.fit(
            data,
            steps_per_epoch=steps and steps - batch,
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=training,
            verbose=0,
            **options,
        )
        training.first_batch = 0
        epoch = epochs if model.stop_training else epoch + 1
    model.fit(data, initial_epoch=epoch, epochs=epochs, callbacks=training, verbose=0, **options)
    training.end()


class _OneTraining(keras.callbacks.CallbackList):
    """Callbacks that see one training where Keras's `fit` is called twice."""

    def __init__(self, callbacks, first_batch, **params):
        super().__init__(callbacks, add_history=True, **params)
        self.first_batch = first_batch
        self._begun = False

    def on_train_begin(self, logs=None):
        if not self._begun:
            super().on_train_begin(logs)
        self._begun = True

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch + self.first_batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch + self.first_batch, logs)

    def on_train_end(self, logs=None):
        """Do nothing: another call may follow."""

    def end(self):
        super().on_train_end()


class _SetEpoch(keras.callbacks.Callback):
    """Sets a dataset to each epoch. Keras may have read a batch of another one to see its shapes."""

    def __init__(self, position, epoch, batch):
        super().__init__()
        self.position = position
        self.first = (epoch, batch)

    def on_train_begin(self, logs=None):
        self.position.start(*self.first)

    def on_epoch_begin(self, epoch, logs=None):
        self.position.start(epoch, self.first[1] if epoch == self.first[0] else 0)
