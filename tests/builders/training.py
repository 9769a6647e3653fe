"""Small models, data and callbacks for tests of training."""

import io
import signal

import keras
import numpy as np
import tensorflow as tf

from textrnn.training import ProgressBar

VOCABULARY, ROWS, STEPS = 5, 2, 4
QUIET = {"progress": ProgressBar(file=io.StringIO())}
"""Arguments of `fit` that keep it from printing."""


def language_model_of_bigrams(learning_rate=0.5, **optimizer):
    """A bigram model with the inputs and outputs of `CausalLM`."""
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    restart = keras.Input((), dtype="bool", name="restart")
    logits = keras.layers.Embedding(VOCABULARY, VOCABULARY)(token_ids)
    model = keras.Model({"token_ids": token_ids, "restart": restart}, logits)
    model.compile(
        keras.optimizers.SGD(learning_rate, **optimizer),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def windows(batches, weighted=False, seed=0):
    """A data set of windows in which most tokens are the previous token plus one."""
    random = np.random.default_rng(seed)
    steps = random.choice([1, 1, 1, 2], (batches * ROWS, STEPS + 1))
    stream = (np.cumsum(steps, axis=1) % VOCABULARY).astype("int32")
    x = {"token_ids": stream[:, :-1], "restart": np.zeros(len(stream), bool)}
    weights = (np.ones((len(stream), STEPS)),) if weighted else ()
    return tf.data.Dataset.from_tensor_slices((x, stream[:, 1:], *weights)).batch(ROWS, drop_remainder=True)


def line(bad_steps=(), batches=10):
    """A linear regression with one weight, and its data, which is NaN at `bad_steps` (counted from 1)."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = np.ones((batches, 1), "float32")
    x[[step - 1 for step in bad_steps]] = np.nan
    return model, tf.data.Dataset.from_tensor_slices((x, np.zeros((batches, 1), "float32"))).batch(1)


def weight(model):
    """The only weight of a model of `line`."""
    return model.get_weights()[0].item()


class At(keras.callbacks.Callback):
    """Calls `do` before a batch of an epoch, both counted from 0, or at the end of the epoch."""

    async_safe = True

    def __init__(self, epoch, batch, do):
        super().__init__()
        self.at, self.do = (epoch, batch), do

    def get_state(self):
        return {}

    def set_state(self, state):
        """A resumed run has a time of its own."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.do()

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            self.do()


class Scripted(keras.callbacks.Callback):
    """Adds the given validation losses to the logs, and stores the weight after each epoch."""

    async_safe = True

    def __init__(self, *losses):
        super().__init__()
        self.losses, self.weights = losses, []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(weight(self.model))
        if self.losses[epoch] is not None:
            logs["val_loss"] = self.losses[epoch]


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


class Terminal(io.StringIO):
    """A file that claims to be a terminal."""

    def isatty(self):
        return True
