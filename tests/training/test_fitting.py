"""`fit` leaves the best weights in the model and can be stopped with Ctrl-C."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.training import QUIET, At, Scripted, Terminal, line, press_ctrl_c, weight

from textrnn import training
from textrnn.training import BestWeights, Evaluate, ProgressBar, SampleText


def test_validation_data_of_keras_chooses_the_best_epoch_too():
    model, data = line()
    result = training.fit(model, data, epochs=2, validation_data=data, **QUIET)
    assert result.best_epoch == 2
    assert set(result.history) == {"epoch", "loss", "val_loss"}


def test_an_epoch_whose_loss_is_not_finite_is_neither_evaluated_nor_sampled():
    model, data = line(bad_steps=[3])
    epochs = []
    evaluate = Evaluate(lambda: pytest.fail("evaluated"))
    training.fit(model, data, epochs=2, callbacks=[evaluate, SampleText(epochs.append)], **QUIET)
    assert (evaluate.scores, epochs) == ([], [])


def test_ctrl_c_ends_training_with_the_best_weights(capsys):
    model, data = line()
    script = Scripted(1.0, 2.0, 0.0)
    result = training.fit(model, data, epochs=9, callbacks=[script, At(2, 5, press_ctrl_c)], **QUIET)
    assert (result.stopped, result.best_epoch) == ("interrupted", 1)
    assert result.history["val_loss"] == [1.0, 2.0]
    assert weight(model) == script.weights[0]
    error = capsys.readouterr().err
    assert "Interrupted. The model has the weights of epoch 1" in error
    assert "a second Ctrl-C stops at once" in error


def test_ctrl_c_before_any_evaluation_keeps_what_was_learned():
    model, data = line()
    before = weight(model)
    result = training.fit(model, data, epochs=9, callbacks=[At(0, 5, press_ctrl_c)], **QUIET)
    assert (result.stopped, result.best_epoch, result.history) == ("interrupted", None, {})
    assert abs(weight(model)) < abs(before)


def test_ctrl_c_after_a_loss_that_is_not_finite_still_leaves_finite_weights():
    model, data = line()

    def break_weights():
        model.set_weights([np.full((1, 1), np.nan)])
        press_ctrl_c()

    training.fit(model, data, epochs=9, callbacks=[At(0, 5, break_weights)], **QUIET)
    assert math.isfinite(weight(model))


def test_a_second_ctrl_c_raises_keyboard_interrupt():
    model, data = line()

    class Slow(BestWeights):
        def restore(self):
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        training.fit(model, data, epochs=9, callbacks=[At(0, 5, press_ctrl_c)], best=Slow(), **QUIET)


def test_a_model_can_be_trained_again_after_ctrl_c():
    model, data = line()
    training.fit(model, data, epochs=9, callbacks=[At(0, 5, press_ctrl_c)], **QUIET)
    result = training.fit(model, data, epochs=2, **QUIET)
    assert (result.stopped, result.history["epoch"]) == (None, [1, 2])


def test_other_errors_are_raised_and_close_the_bar():
    model, data = line()
    bar = ProgressBar(file=Terminal())

    def fail():
        assert bar._bar is not None
        raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        training.fit(model, data, epochs=1, callbacks=[At(0, 5, fail)], progress=bar)
    assert bar._bar is None


@pytest.mark.parametrize("with_validation_data", [False, True])
def test_a_first_evaluation_is_epoch_0_and_the_initial_weights_can_be_best(with_validation_data, capsys):
    model, data = line()
    before = weight(model)
    if with_validation_data:
        # The line through these points is the initial model, so that training only makes it worse.
        x = np.ones((2, 1), "float32")
        options = {"validation_data": (x, model.predict(x, verbose=0))}
    else:
        scores = iter([1.0, 3.0, 2.0])
        options = {"callbacks": [Evaluate(lambda: {"val_loss": next(scores)})]}
    result = training.fit(model, data, epochs=2, evaluate_first=True, **options)
    assert result.history["epoch"] == [0, 1, 2]
    assert result.history["loss"][0] is None
    assert result.history["val_loss"][0] == min(result.history["val_loss"])
    assert (result.best_epoch, weight(model)) == (0, before)
    assert f"before training  validation loss {result.history['val_loss'][0]:.4f}" in capsys.readouterr().err


def test_ctrl_c_while_layers_are_frozen_leaves_none_frozen():
    low, high = keras.layers.Dense(2), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((1,)), low, high])
    model.compile("adam", "mse")

    class Interrupt(keras.callbacks.Callback):
        async_safe = True

        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    unfreezing = training.GradualUnfreezing([[low], [high]], epochs=5)
    data = tf.data.Dataset.from_tensor_slices((np.ones((4, 1)), np.ones((4, 1)))).batch(2)
    result = training.fit(model, data, epochs=9, callbacks=[unfreezing, Interrupt()])
    assert result.stopped == "interrupted" and low.trainable and high.trainable


def test_a_metric_may_have_a_value_for_each_class(capsys):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, "softmax")])
    model.compile("adam", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    data = tf.data.Dataset.from_tensor_slices((np.ones((6, 1)), np.eye(3)[[0, 1, 2] * 2])).batch(2)
    training.fit(model, data, epochs=1, validation_data=data)
    assert "(mean of 3)" in capsys.readouterr().err
