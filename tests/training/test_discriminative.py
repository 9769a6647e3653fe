"""Learning rates by layer, gradual unfreezing, and the slanted triangular schedule."""

import keras
import numpy as np
import pytest
from builders.seeds import set_seed

from textrnn import InputError, training
from textrnn.training import DiscriminativeAdam, GradualUnfreezing, SlantedTriangular, discriminative_rates


@pytest.fixture
def layers():
    return [keras.layers.Dense(3, name=name) for name in ("low", "middle", "high")]


def model_of(layers):
    set_seed(0)
    return keras.Sequential([keras.Input((2,)), *layers])


def train(model, epochs=1, callbacks=()):
    data = np.random.default_rng(0).normal(size=(8, 2)), np.ones((8, 3))
    model.fit(*data, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))


@pytest.mark.parametrize("decay", [None, 0.1])
def test_an_update_is_that_of_adam_with_the_rate_of_its_variable(layers, decay):
    model = model_of(layers)
    rates = discriminative_rates([[layer] for layer in layers], factor=4)
    optimizer = DiscriminativeAdam(0.01, rates=rates, weight_decay=decay)
    variables = model.trainable_variables
    optimizer.build(variables)
    values = [variable.numpy() for variable in variables]
    gradients = [
        np.random.default_rng(i).normal(size=v.shape).astype("float32") for i, v in enumerate(values)
    ]
    for _ in range(3):
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
    for variable, value, gradient in zip(variables, values, gradients, strict=True):
        rate = 0.01 * {"low": 1 / 16, "middle": 1 / 4, "high": 1.0}[variable.path.split("/")[-2]]
        expected, m, v = value.astype("float64"), 0.0, 0.0
        for t in range(1, 4):
            expected = expected * (1 - rate * (decay or 0.0))
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            expected = expected - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_without_rates_it_is_adam(layers):
    model = model_of(layers)
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    for each, kind in ((model, DiscriminativeAdam), (other, keras.optimizers.Adam)):
        optimizer = kind(0.01, weight_decay=0.01, global_clipnorm=1.0)
        optimizer.build(each.trainable_variables)
        for _ in range(2):
            optimizer.apply([keras.ops.ones(variable.shape) for variable in each.trainable_variables])
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rates_are_saved_with_the_optimizer(layers):
    model_of(layers)
    optimizer = DiscriminativeAdam(SlantedTriangular(0.1, 50), rates=discriminative_rates([layers]))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert again.rates == optimizer.rates and set(again.rates.values()) == {1.0}
    assert again.get_config() == optimizer.get_config()


def test_one_more_group_is_trained_from_epoch_to_epoch(layers):
    model = model_of(layers)
    model.compile("adam", "mse")
    changed = []

    class Note(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = [layer.kernel.numpy() for layer in layers]

        def on_epoch_end(self, epoch, logs=None):
            changed.append(
                [not np.array_equal(a, b.kernel) for a, b in zip(self.before, layers, strict=True)]
            )

    train(model, 5, [GradualUnfreezing([layers[:1], layers[1:2], layers[2:]], epochs=2), Note()])
    assert changed == [[False, False, True]] * 2 + [[False, True, True]] * 2 + [[True, True, True]]
    assert all(layer.trainable for layer in layers)


def test_without_epochs_nothing_is_frozen_or_unfrozen(layers):
    model = model_of(layers)
    layers[0].trainable = False  # by the caller
    model.compile("sgd", "mse")
    before = [layer.kernel.numpy() for layer in layers]
    train(model, callbacks=[GradualUnfreezing([[layer] for layer in layers], epochs=0)])
    kept = [np.array_equal(layer.kernel, kernel) for layer, kernel in zip(layers, before, strict=True)]
    assert kept == [True, False, False] and not layers[0].trainable


def test_a_killed_run_unfreezes_as_an_uninterrupted_one(layers, tmp_path):
    import tensorflow as tf

    x, y = np.random.default_rng(0).normal(size=(12, 2)).astype("float32"), np.ones((12, 3), "float32")

    def run(folder, stop=None):
        set_seed(1)
        parts = [keras.layers.Dense(3, name=name) for name in ("low", "high")]
        model = keras.Sequential([keras.Input((2,)), *parts])
        model.compile(DiscriminativeAdam(0.01, rates=discriminative_rates([parts[:1], parts[1:]])), "mse")
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
        callbacks = [GradualUnfreezing([parts[:1], parts[1:]]), _Kill(stop)]
        checkpoint = training.Checkpoint(folder, 1e-9, {})
        training.fit(model, data, epochs=3, callbacks=callbacks, checkpoint=checkpoint)
        return model.get_weights()

    expected = run(tmp_path / "whole")
    for stop in ((0, 1), (1, 2)):
        folder = tmp_path / f"{stop}"
        with pytest.raises(_Killed):
            run(folder, stop)
        for a, b in zip(run(folder), expected, strict=True):
            np.testing.assert_array_equal(a, b)


class _Killed(Exception):
    pass


class _Kill(keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise _Killed


@pytest.mark.parametrize(("steps", "cut"), [(100, 0.1), (40, 0.25), (7, 0.0)])
def test_the_schedule_is_that_of_the_paper(steps, cut):
    schedule = SlantedTriangular(0.01, steps, cut, ratio=32)
    peak = int(steps * cut)
    for step in range(steps):
        part = step / peak if step < peak else 1 - (step - peak) / (peak * (1 / cut - 1) if peak else steps)
        assert float(schedule(step)) == pytest.approx(0.01 * (1 + part * 31) / 32, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SlantedTriangular(0.0, 5), "learning_rate is 0.0: give a positive number"),
        (lambda: SlantedTriangular(0.1, 0), "steps is 0"),
        (lambda: SlantedTriangular(0.1, 5, cut=1), "cut is 1: give a fraction of the steps"),
        (lambda: SlantedTriangular(0.1, 5, ratio=1), "ratio is 1: give a number above 1"),
        (lambda: discriminative_rates([], factor=0.5), "factor is 0.5: give at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_rates_are_saved_in_the_order_of_variables_which_may_have_other_paths_when_loaded(layers):
    model = model_of(layers)
    optimizer = DiscriminativeAdam(rates=discriminative_rates([[layer] for layer in layers], factor=4))
    optimizer.build(model.trainable_variables)
    others = [keras.layers.Dense(3, name=name) for name in "abc"]
    again = DiscriminativeAdam.from_config(optimizer.get_config())
    again.build(model_of(others).trainable_variables)
    assert again.get_config()["rates"] == [1 / 16, 1 / 16, 1 / 4, 1 / 4, 1.0, 1.0]


def test_rates_of_other_variables_are_refused(layers):
    model = model_of(layers)
    with pytest.raises(InputError, match="rates of another/kernel, which the optimizer is not to train"):
        DiscriminativeAdam(rates={"another/kernel": 0.1}).build(model.trainable_variables)
    with pytest.raises(InputError, match="3 rates for 6 trainable variables"):
        DiscriminativeAdam(rates=[1.0, 0.5, 0.1]).build(model.trainable_variables)
