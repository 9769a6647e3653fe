"""AR and TAR add a penalty to the training loss and change nothing else."""

import keras
import numpy as np
import pytest
from keras import ops
from references.masks import mask_of

from textrnn.errors import InputError
from textrnn.layers import ActivationRegularization, TemporalActivationRegularization

LAYERS = [ActivationRegularization, TemporalActivationRegularization]
MASKS = {
    "none": None,
    "right": np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool),
    "middle": np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 1, 0]], bool),
}


def outputs(dtype="float32"):
    return np.random.normal(size=(4, 4, 3)).astype(dtype)


def penalty(layer, h, **options):
    layer(h, training=True, **options)
    (loss,) = layer.losses
    return ops.convert_to_numpy(loss)


@pytest.mark.parametrize("mask", MASKS)
def test_activation_regularization_is_the_mean_square_of_valid_outputs(mask):
    h, mask = outputs(), MASKS[mask]
    valid = h if mask is None else h[mask]
    np.testing.assert_allclose(
        penalty(ActivationRegularization(2.0), h, mask=mask), 2 * np.mean(valid**2), rtol=1e-5
    )


@pytest.mark.parametrize("mask", MASKS)
def test_temporal_activation_regularization_is_the_mean_square_change_between_valid_steps(mask):
    h, mask = outputs(), MASKS[mask]
    changes = [
        h[row, t] - h[row, t - 1]
        for row in range(4)
        for t in range(1, 4)
        if mask is None or (mask[row, t] and mask[row, t - 1])
    ]
    np.testing.assert_allclose(
        penalty(TemporalActivationRegularization(3.0), h, mask=mask),
        3 * np.mean(np.square(changes)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_inputs_are_returned_and_inference_has_no_penalty(layer):
    layer, h = layer(1.0), outputs()
    for training in (True, False, None):
        np.testing.assert_array_equal(layer(h, training=training), h)
        assert len(layer.losses) == (training is True)
    assert not layer.weights


@pytest.mark.parametrize("layer", LAYERS)
def test_without_valid_steps_the_penalty_is_zero(layer):
    assert penalty(layer(1.0), outputs(), mask=np.zeros((4, 4), bool)) == 0


def test_a_single_step_has_no_temporal_penalty():
    assert penalty(TemporalActivationRegularization(1.0), outputs()[:, :1]) == 0


@pytest.mark.parametrize("layer", LAYERS)
def test_half_precision_is_summed_in_float32(layer):
    h = outputs("float16")
    loss = penalty(layer(1.0, dtype="mixed_float16"), h)
    assert loss.dtype == "float32"
    np.testing.assert_allclose(loss, penalty(layer(1.0), h.astype("float32")), rtol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_mask_attached_by_keras_is_used_and_passed_on(layer):
    h = outputs() * MASKS["right"][..., None]
    by_keras, by_hand = layer(1.0), layer(1.0)
    passed = by_keras(keras.layers.Masking()(h), training=True)
    np.testing.assert_allclose(by_keras.losses[0], penalty(by_hand, h, mask=MASKS["right"]), rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(mask_of(passed)), MASKS["right"])


def test_training_adds_the_penalties_to_its_loss_and_evaluation_does_not():
    # Keras warns about a model without weights, so there is a dense layer.
    identity = keras.layers.Dense(3, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((None, 3)), *(layer(0.5) for layer in LAYERS), identity])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    h = outputs()
    trained = model.fit(h, h + 1, batch_size=4, shuffle=False, verbose=0).history["loss"][0]
    expected = 0.5 * np.mean(h**2) + 0.5 * np.mean(np.diff(h, axis=1) ** 2)
    assert model.evaluate(h, h + 1, verbose=0) == pytest.approx(1.0, rel=1e-5)
    assert trained == pytest.approx(1.0 + expected, rel=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_config_restores_the_rate(layer):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer(0.3)))
    assert type(copy) is layer and copy.rate == 0.3


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rate", [-1.0, float("nan"), None, "1"])
def test_wrong_rates_are_refused(layer, rate):
    with pytest.raises(InputError, match="give the weight of the penalty, at least 0"):
        layer(rate)
