"""`AverageWeights` averages epochs and keeps the mean if that is better; `AverageSteps` averages steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.seeds import set_seed
from builders.training import QUIET, At, Scripted, line, press_ctrl_c, weight

from textrnn.errors import InputError
from textrnn.training import AverageSteps, AverageWeights, Evaluate, GradualUnfreezing, fit


class Weights(keras.callbacks.Callback):
    """Sets the only weight and the validation loss after every epoch."""

    def __init__(self, values, losses):
        super().__init__()
        self.values, self.losses = values, losses

    def on_epoch_end(self, epoch, logs=None):
        self.model.trainable_variables[0].assign([[self.values[epoch]]])
        if self.losses[epoch] is not None:
            logs["val_loss"] = self.losses[epoch]


def fitted(average, values, losses, before=()):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    callbacks = [*before, Weights(values, losses), average]
    model.fit(np.ones((2, 1)), np.ones((2, 1)), epochs=len(values), verbose=0, callbacks=callbacks)
    return model, lambda: float(abs(model.trainable_variables[0].numpy()[0, 0]))


VALUES, LOSSES = [10.0, -3.0, 5.0, -4.0], [1.0, 2.0, 3.0, 0.5]


@pytest.mark.parametrize(("of", "mean"), [("last", 0.5), ("best", 3.0)])
def test_averages_the_last_or_the_best_epochs(of, mean):
    average = AverageWeights(2, of)
    model, loss = fitted(average, VALUES, LOSSES)
    assert average.apply(loss)
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[mean]])


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_the_best_epochs_are_among_those_with_a_finite_loss(missing):
    average = AverageWeights(2, "best")
    model, loss = fitted(average, [8.0, 4.0, 10.0, -2.0, 9.0], [missing, 2.0, missing, 1.0, 3.0])
    assert average.apply(loss)
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[1.0]])


def test_an_epoch_whose_training_loss_is_not_finite_is_not_averaged():
    average = AverageWeights(2)
    broken = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(loss=float("nan") if epoch == 2 else 1.0)
    )
    model, loss = fitted(average, [1.0, -3.0, 7.0, 5.0], LOSSES, before=[broken])
    assert average.apply(loss)
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[1.0]])


def test_another_run_forgets_the_epochs_of_the_first():
    average = AverageWeights(3)
    fitted(average, VALUES, LOSSES)
    model, loss = fitted(average, [6.0, -4.0], [1.0, 1.0])
    assert average.apply(loss)
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[1.0]])


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


def trajectory(losses, average=None, batches=10, callbacks=()):
    """Train a line; return the weight after each step, those seen after each epoch, and the last one."""
    set_seed(0)
    model, data = line(batches=batches)
    steps, seen = [], Scripted(*losses)

    class Steps(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(weight(model))

    fit(model, data, epochs=len(losses), callbacks=[Steps(), seen, *callbacks], average=average, **QUIET)
    return np.array(steps), np.array(seen.weights), weight(model)


def weights_of_steps(losses):
    """The weights after each step of a line that is trained without averaging."""
    steps, _, last = trajectory(losses)
    return np.append(steps[1:], last)


def nt_asgd(losses, patience):
    """The epoch after which the mean starts, from the rule of the paper, or None."""
    return next(
        (
            epoch
            for epoch, loss in enumerate(losses)
            if epoch > patience and loss > min(losses[: epoch - patience])
        ),
        None,
    )


@pytest.mark.parametrize(
    ("losses", "patience", "starts"),
    [
        ([5, 4, 6, 3, 3], 0, 2),
        ([5, 4, 4.5, 4.6, 3], 1, 3),
        ([5, 4, 3, 4.5, 4.4, 4], 2, 4),
        ([5, 4, 3, 2, 1], 1, None),
        ([5, 5, 5, 5], 1, None),
        ([5, 6, 7, 8], 3, None),
        ([5, 6, 7, 8, 9, 9], 4, 5),
    ],
)
def test_nt_asgd_starts_when_the_loss_stops_improving_and_averages_all_steps_since(losses, patience, starts):
    assert nt_asgd(losses, patience) == starts
    steps = weights_of_steps([None] * len(losses)).reshape(len(losses), 10)
    _, seen, _ = trajectory(losses, AverageSteps(patience=patience))
    for epoch, evaluated in enumerate(seen):
        expected = steps[epoch, -1]
        if starts is not None and epoch > starts:
            expected = steps[starts + 1 : epoch + 1].mean()
        np.testing.assert_allclose(evaluated, expected, rtol=1e-5, err_msg=str(epoch))


def test_an_exponential_average_weighs_recent_steps_more():
    decay, mean = 0.9, 0.0
    steps = weights_of_steps([None] * 3)
    means = []
    for number, value in enumerate(steps, start=1):
        mean += (value - mean) * max(1 / number, 1 - decay)
        means.append(mean)
    average = AverageSteps(decay=decay)
    _, seen, last = trajectory([None] * 3, average)
    np.testing.assert_allclose(seen, means[9::10], rtol=1e-5)
    assert average.steps == 30
    assert last == pytest.approx(means[-1], rel=1e-5), "without evaluations, the model gets the mean"


def test_training_goes_on_from_the_weights_without_averaging():
    plain, _, _ = trajectory([3, 2, 1])
    averaged, _, _ = trajectory([3, 2, 1], AverageSteps())
    np.testing.assert_array_equal(averaged, plain)


def test_the_best_weights_are_those_of_the_mean():
    steps = weights_of_steps([None] * 3)
    _, seen, last = trajectory([3, 1, 2], AverageSteps())
    assert last == seen[1] == pytest.approx(steps[:20].mean(), rel=1e-5)


def test_an_evaluation_within_an_epoch_is_of_the_mean_too():
    steps, seen = weights_of_steps([None] * 2), []
    set_seed(0)
    model, data = line()
    evaluate = Evaluate(lambda: seen.append(weight(model)) or {"val_loss": -len(seen)}, every=4)
    fit(model, data, epochs=2, callbacks=[evaluate], average=AverageSteps(), **QUIET)
    expected = [steps[:n].mean() for n in (4, 8, 10, 14, 18, 20)]
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    assert weight(model) == seen[-1]


def test_validation_data_of_keras_is_evaluated_with_the_mean():
    steps = weights_of_steps([None] * 3)
    set_seed(0)
    model, data = line()
    one = (np.ones((1, 1)), np.zeros((1, 1)))  # whose loss is the square of the weight
    result = fit(model, data, epochs=3, validation_data=one, average=AverageSteps(), **QUIET)
    means = [steps[:n].mean() for n in (10, 20, 30)]
    np.testing.assert_allclose(result.history["val_loss"], np.square(means), rtol=1e-5)
    assert weight(model) == pytest.approx(min(means, key=abs), rel=1e-5)


def test_a_run_interrupted_before_any_evaluation_has_the_mean():
    steps = weights_of_steps([None])
    average = AverageSteps()
    _, _, last = trajectory([None], average, callbacks=[At(0, 5, press_ctrl_c)])
    assert average.steps == 5
    assert last == pytest.approx(steps[:5].mean(), rel=1e-5)


def test_an_interrupted_run_has_the_best_mean():
    steps = weights_of_steps([None])
    _, seen, last = trajectory([3, 2], AverageSteps(), callbacks=[At(1, 5, press_ctrl_c)])
    assert last == seen[0] == pytest.approx(steps.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patience": -1}, "patience is -1"), ({"decay": 1.0}, "decay is 1.0"), ({"decay": 0}, "decay is 0")],
)
def test_arguments_of_an_average_of_steps_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        AverageSteps(**options)


def test_another_metric_can_start_the_mean_and_choose_the_best_epochs():
    def rising(epoch, logs):
        logs["val_error"] = float(epoch)

    metrics = keras.callbacks.LambdaCallback(on_epoch_end=rising)
    steps = AverageSteps(patience=0, monitor="val_error")
    trajectory([3, 2, 1], steps, callbacks=[metrics])
    assert steps.steps == 10, "the mean starts after the second of three epochs"
    epochs = AverageWeights(2, "best", monitor="val_error")
    model, loss = fitted(epochs, [3.0, -2.0, 5.0, 1.0], LOSSES, before=[metrics])
    assert epochs.apply(loss)
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), [[0.5]])


def test_another_run_begins_another_mean():
    average = AverageSteps(patience=0)
    first = trajectory([1, 2, 3], average)
    assert average.steps == 10
    second = trajectory([1, 2, 3], average)
    assert average.steps == 10
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_may_be_frozen_for_some_epochs():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    frozen = model.layers[0].get_weights()
    data = tf.data.Dataset.from_tensors((np.ones((4, 1)), np.zeros((4, 1)))).repeat(3)
    model.layers[0].trainable = False

    class Thaw(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            model.layers[0].trainable = epoch == 1

    fit(model, data, epochs=3, callbacks=[Thaw()], average=AverageSteps(), **QUIET)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], frozen[0], "the step was traced before")


def test_epochs_with_frozen_layers_can_be_averaged():
    low, high = keras.layers.Dense(2), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((1,)), low, high])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    data, average = (np.ones((4, 1)), np.zeros((4, 1))), AverageWeights(3)
    kept = []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: kept.append(model.get_weights()))
    unfreezing = GradualUnfreezing([[low], [high]])
    model.fit(*data, epochs=3, verbose=0, validation_data=data, callbacks=[unfreezing, average, keep])
    losses = iter([2.0, 1.0])
    assert average.apply(lambda: next(losses))
    for mean, *values in zip(model.get_weights(), *kept, strict=True):
        np.testing.assert_allclose(mean, np.mean(values, axis=0), atol=1e-6)
