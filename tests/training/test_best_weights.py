"""`BestWeights` restores the best weights and stops training at a loss that is not finite."""

import math

import keras
import numpy as np
import pytest
from builders.training import QUIET, At, Scripted, line, weight

from textrnn import training
from textrnn.training import BestWeights


def test_training_ends_with_the_weights_of_the_lowest_validation_loss():
    model, data = line()
    script = Scripted(3.0, 1.0, math.nan, 2.0, -math.inf)
    result = training.fit(model, data, epochs=5, callbacks=[script], **QUIET)
    assert result.best_epoch == 2
    assert result.stopped is None
    assert weight(model) == script.weights[1] != script.weights[-1]


def test_without_evaluation_training_ends_with_its_last_weights():
    model, data = line()
    script = Scripted(None, None)
    result = training.fit(model, data, epochs=2, callbacks=[script], **QUIET)
    assert (result.best_epoch, result.stopped) == (None, None)
    assert weight(model) == script.weights[-1]


def test_best_weights_can_be_used_alone_and_again():
    model, data = line()
    best = BestWeights(monitor="loss")
    for _ in range(2):
        model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=[best])
        assert best.best_epoch == 2
    kept = weight(model)
    model.set_weights([np.full((1, 1), 9.0)])
    assert best.restore().startswith("of epoch 2 (loss ")
    assert weight(model) == kept


def test_a_loss_that_is_not_finite_stops_training_at_its_step_and_keeps_the_best(capsys):
    model, data = line()
    _, spoilt = line(bad_steps=[4, 7])
    script = Scripted(2.0, 1.0)
    data = data.concatenate(spoilt)
    result = training.fit(model, data, epochs=9, callbacks=[script], best=BestWeights(every=3), **QUIET)
    assert result.stopped == "not finite"
    assert result.best_epoch is None
    assert len(result.history["epoch"]) == 1
    printed = capsys.readouterr().err
    assert "epoch 1: the loss was not finite at step 14" in printed
    assert "the weights of epoch 1, step 12" in printed
    assert math.isfinite(weight(model))


@pytest.mark.parametrize("bad_step, kept", [(1, "before training"), (10, "of epoch 1, step 8")])
def test_the_last_finite_weights_are_restored_if_there_was_no_evaluation(bad_step, kept, capsys):
    model, data = line(bad_steps=[bad_step])
    result = training.fit(model, data, epochs=3, best=BestWeights(every=4), **QUIET)
    assert result.stopped == "not finite"
    assert f"at step {bad_step}. The model has the weights {kept}" in capsys.readouterr().err
    assert math.isfinite(weight(model))


def test_the_best_weights_are_restored_if_a_later_epoch_fails(capsys):
    model, data = line()

    def break_weights():
        model.set_weights([np.full((1, 1), np.inf)])

    script = Scripted(2.0, 3.0, 1.0)
    callbacks = [script, At(2, 5, break_weights)]
    result = training.fit(model, data, epochs=9, callbacks=callbacks, **QUIET)
    assert (result.stopped, result.best_epoch) == ("not finite", 1)
    assert weight(model) == script.weights[0]
    assert (
        "epoch 3: the loss was not finite at step 6. The model has the weights of epoch 1 (val_loss 2.0"
        in (capsys.readouterr().err)
    )


def test_weights_that_the_last_update_makes_not_finite_are_replaced(capsys):
    model, data = line()
    callbacks = [At(0, None, lambda: model.set_weights([np.full((1, 1), np.nan)]))]
    result = training.fit(model, data, epochs=1, callbacks=callbacks, **QUIET)
    assert result.stopped == "not finite"
    assert "the weights were not finite at the end" in capsys.readouterr().err
    assert math.isfinite(weight(model))


@pytest.mark.parametrize(
    "optimizer, advice",
    [
        (keras.optimizers.SGD(0.3), "(now 0.3; try 0.1) or clip the gradients (they are not"),
        (
            keras.optimizers.Adam(training.warmup_cosine(0.06, 100, warmup=0.5), global_clipnorm=1.0),
            "(now 0.06; try 0.02) or clip the gradients harder (now global_clipnorm=1; try 0.5)",
        ),
        (
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.3, clipvalue=4.0), initial_scale=1.0),
            "(now 0.3; try 0.1) or clip the gradients harder (now clipvalue=4; try 2)",
        ),
    ],
    ids=["constant", "schedule", "loss scale"],
)
def test_the_advice_names_the_learning_rate_and_clipping_in_use(optimizer, advice, capsys):
    model, data = line(bad_steps=[2])
    model.compile(optimizer, "mse")
    training.fit(model, data, epochs=1, **QUIET)
    assert advice in capsys.readouterr().err
