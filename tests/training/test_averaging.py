"""`AverageWeights` averages the right epochs, and keeps the mean only if it lowers the loss."""

import keras
import numpy as np
import pytest

from textrnn.errors import InputError
from textrnn.training import AverageWeights


class Weights(keras.callbacks.Callback):
    """Sets the only weight and the validation loss after every epoch."""

    def __init__(self, values, losses):
        super().__init__()
        self.values, self.losses = values, losses

    def on_epoch_end(self, epoch, logs=None):
        self.model.trainable_variables[0].assign([[self.values[epoch]]])
        logs["val_loss"] = self.losses[epoch]


def fitted(average, values, losses):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    callbacks = [Weights(values, losses), average]
    model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=len(values), verbose=0, callbacks=callbacks)
    return model, lambda: float(abs(model.trainable_variables[0].numpy()[0, 0]))


VALUES, LOSSES = [10.0, -3.0, 5.0, -4.0], [1.0, 2.0, 3.0, 0.5]


@pytest.mark.parametrize(("of", "mean"), [("last", 0.5), ("best", 3.0)])
def test_averages_the_last_or_the_best_epochs(of, mean):
    average = AverageWeights(2, of)
    model, loss = fitted(average, VALUES, LOSSES)
    assert average.apply(loss)
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[mean]])


def test_keeps_the_last_weights_if_the_mean_is_worse():
    average = AverageWeights(4)
    model, _ = fitted(average, VALUES, LOSSES)
    assert not average.apply(lambda: abs(float(model.trainable_variables[0].numpy()[0, 0]) + 4))
    np.testing.assert_array_equal(model.trainable_variables[0].numpy(), [[-4.0]])


def test_a_count_of_one_disables_averaging():
    average = AverageWeights(1)
    _, loss = fitted(average, VALUES, LOSSES)
    assert not average.apply(loss)


def test_an_unknown_value_of_the_argument_of_is_refused():
    with pytest.raises(InputError, match="of is 'first': use last or best"):
        AverageWeights(2, "first")
