"""Dropout of inputs, recurrent inputs, recurrent kernels and embeddings."""

import keras
import numpy as np
import pytest
from keras import ops
from references.gradients import assert_close, value_and_gradients

from textrnn.cells import Cell, GatedCell
from textrnn.errors import InputError
from textrnn.layers import EmbeddingDropout, Recurrent, RecurrentStack

BATCH, TIME, FEATURES = 200, 4, 50


class Echo(Cell):
    """Outputs its input, and the products of ones with two identity kernels."""

    state_size, output_size = [1], 3 * FEATURES

    def project_inputs(self, x):
        return (x,)

    def step(self, projected, states, dot, weights):
        ones = ops.ones_like(projected[0])
        return ops.concatenate([projected[0], dot("a", ones), dot("b", ones)], axis=-1), states

    @property
    def recurrent_kernels(self):
        return {"a": ops.eye(FEATURES), "b": ops.eye(FEATURES)}


def echo(**options):
    """Ones after dropout: those of the input, and those that each of the two kernels multiplies."""
    layer = Recurrent(Echo(), return_sequences=True, **options)
    outputs = ops.convert_to_numpy(layer(np.ones((BATCH, TIME, FEATURES), "float32"), training=True))
    return np.split(outputs, 3, axis=-1)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropped_features_are_zero_and_the_others_scaled(rate):
    for kept in echo(dropout=rate, recurrent_dropout=rate):
        np.testing.assert_allclose(np.unique(kept), [0, 1 / (1 - rate)], rtol=1e-6)
        # BATCH·FEATURES = 10,000 draws: five standard deviations are at most 0.025
        assert abs((kept[:, 0] == 0).mean() - rate) < 0.025


def test_masks_are_shared_by_the_steps_of_a_sequence_but_not_by_sequences():
    for kept in echo(dropout=0.5, recurrent_dropout=0.5):
        np.testing.assert_array_equal(kept, np.repeat(kept[:, :1], TIME, axis=1))
        assert len(np.unique(kept[:, 0], axis=0)) == BATCH


def test_every_kernel_has_its_own_mask():
    _, a, b = echo(recurrent_dropout=0.5)
    assert abs((a == b).mean() - 0.5) < 0.025


def test_dropout_and_recurrent_dropout_are_independent():
    inputs, a, b = echo(dropout=0.5)
    assert not inputs.all() and (a == 1).all() and (b == 1).all()
    inputs, a, b = echo(recurrent_dropout=0.5)
    assert (inputs == 1).all() and not a.all() and not b.all()


def test_every_call_draws_new_masks_and_a_seed_reproduces_them():
    x = np.ones((2, TIME, FEATURES), "float32")
    runs = []
    for _ in range(2):
        layer = Recurrent(Echo(), dropout=0.5, recurrent_dropout=0.5, seed=4)
        runs.append([ops.convert_to_numpy(layer(x, training=True)) for _ in range(2)])
    np.testing.assert_array_equal(*runs)
    assert (runs[0][0] != runs[0][1]).any()


def test_the_two_directions_draw_different_masks_from_one_seed():
    x, runs = np.ones((BATCH, TIME, FEATURES), "float32"), []
    for _ in range(2):
        layer = Recurrent(Echo(), dropout=0.5, recurrent_dropout=0.5, return_sequences=True, seed=4)
        with keras.saving.custom_object_scope({"Echo": Echo}):
            both = keras.layers.Bidirectional(layer)
        assert both.forward_layer.seed == both.backward_layer.seed == 4
        runs.append(ops.convert_to_numpy(both(x, training=True)))
    np.testing.assert_array_equal(*runs)
    forwards, backwards = np.split(runs[0][:, 0], 2, axis=-1)
    # 30,000 draws: five standard deviations are at most 0.015
    assert abs((forwards == backwards).mean() - 0.5) < 0.015


@pytest.mark.parametrize("cell", [lambda: GatedCell(4, "lstm"), lambda: keras.layers.LSTMCell(4)])
def test_inference_drops_nothing(cell):
    cell, x = cell(), np.ones((2, TIME, 3), "float32")
    recurrent_dropout = 0.5 if isinstance(cell, Cell) else 0.0
    layer = Recurrent(cell, dropout=0.5, recurrent_dropout=recurrent_dropout)
    assert_close(layer(x, training=False), Recurrent(cell)(x), 0)
    assert_close(layer(x), Recurrent(cell)(x), 0)
    assert np.abs(ops.convert_to_numpy(layer(x, training=True) - layer(x))).max() > 1e-3


def test_dropped_inputs_get_no_gradient():
    layer = Recurrent(Echo(), dropout=0.5, return_sequences=True)
    x = np.ones((2, TIME, FEATURES), "float32")
    layer.build(x.shape)
    outputs, gradients, _ = value_and_gradients(layer, {"sequences": x}, ops.sum, training=True)
    np.testing.assert_allclose(gradients["sequences"], outputs[..., :FEATURES], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float32"])
def test_a_model_with_dropout_trains(policy):
    model = keras.Sequential(
        [
            Recurrent(GatedCell(4, "gru", dtype=policy), dropout=0.2, recurrent_dropout=0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    history = model.fit(np.ones((8, 3, 2)), np.ones((8, 1)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_a_stack_drops_between_its_layers_only():
    stack = RecurrentStack([Echo(), Echo()], dropout=0.5)
    assert [layer.dropout for layer in stack.recurrent_layers] == [0.0, 0.5]
    stack = RecurrentStack(
        [GatedCell(4, "lstm") for _ in range(3)], dropout=0.5, recurrent_dropout=0.3, seed=1
    )
    assert [layer.dropout for layer in stack.recurrent_layers] == [0.0, 0.5, 0.5]
    assert [layer.recurrent_dropout for layer in stack.recurrent_layers] == [0.3] * 3
    assert len({layer.seed for layer in stack.recurrent_layers}) == 3
    x = np.ones((2, TIME, 3), "float32")
    inference, training = stack(x)[0], stack(x, training=True)[0]
    assert np.abs(ops.convert_to_numpy(inference - training)).max() > 1e-3


# === Weight drop ===

ENTRIES = 5000


class Show(Cell):
    """Outputs its two recurrent kernels, each a row of ones."""

    state_size, output_size = [1], 2 * ENTRIES

    def project_inputs(self, x):
        return (x,)

    def step(self, projected, states, dot, weights):
        return ops.concatenate([dot(name, ops.ones_like(projected[0])) for name in "ab"], axis=-1), states

    @property
    def recurrent_kernels(self):
        return {name: ops.ones((1, ENTRIES)) for name in "ab"}


def show(layer, training=True):
    """The kernels that the steps use, `(2, batch, time, entries)`."""
    outputs = layer(np.ones((3, TIME, 1), "float32"), training=training)
    return np.stack(np.split(ops.convert_to_numpy(outputs), 2, axis=-1))


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropped_weights_are_zero_and_the_others_scaled(rate):
    kernels = show(Recurrent(Show(), return_sequences=True, weight_drop=rate))
    np.testing.assert_allclose(np.unique(kernels), [0, 1 / (1 - rate)], rtol=1e-6)
    # 10,000 draws: five standard deviations are at most 0.025
    assert abs((kernels[:, 0, 0] == 0).mean() - rate) < 0.025


def test_weight_drop_has_one_mask_for_each_batch_and_kernel():
    kernels = show(Recurrent(Show(), return_sequences=True, weight_drop=0.5))
    np.testing.assert_array_equal(kernels, np.broadcast_to(kernels[:, :1, :1], kernels.shape))
    a, b = kernels[:, 0, 0]
    assert abs((a == b).mean() - 0.5) < 5 * 0.5 / np.sqrt(ENTRIES)


def test_weight_drop_differs_by_batch_is_reproducible_and_is_off_in_inference():
    runs = []
    for _ in range(2):
        layer = Recurrent(Show(), return_sequences=True, weight_drop=0.5, seed=4)
        runs.append([show(layer) for _ in range(2)])
    np.testing.assert_array_equal(*runs)
    assert (runs[0][0] != runs[0][1]).any()
    assert (show(layer, training=False) == 1).all()


@pytest.mark.parametrize("strategy", ["loop", "recompute"])
def test_dropped_weights_get_no_gradient(strategy):
    layer = Recurrent(GatedCell(20, "simple"), strategy=strategy, weight_drop=0.5, return_sequences=True)
    x = np.random.normal(size=(4, TIME, 3)).astype("float32")
    layer.build(x.shape)
    _, _, (_, by_recurrent_kernel, _) = value_and_gradients(layer, {"sequences": x}, ops.sum, training=True)
    # 400 draws: five standard deviations are 0.125
    assert abs((by_recurrent_kernel == 0).mean() - 0.5) < 0.125


# === Embedding dropout ===

WORDS = 4000


def embedded_ones(token_ids, layer=None, training=True, rate=0.5, **options):
    layer = layer or EmbeddingDropout(rate, WORDS, **options)
    return ops.convert_to_numpy(
        layer(np.ones((*token_ids.shape, 3), "float32"), token_ids, training=training)
    )


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropped_words_are_zero_and_the_others_scaled(rate):
    kept = embedded_ones(np.arange(WORDS).reshape(40, 100), rate=rate)
    np.testing.assert_allclose(np.unique(kept), [0, 1 / (1 - rate)], rtol=1e-6)
    # 4,000 draws: five standard deviations are at most 0.04
    assert abs((kept[..., 0] == 0).mean() - rate) < 0.04


def test_a_dropped_word_is_zero_wherever_it_occurs():
    token_ids = np.random.default_rng(0).integers(0, 50, (20, 30))
    kept = embedded_ones(token_ids)
    by_word = [kept[token_ids == word] for word in range(50)]
    assert all((vectors == vectors[0, 0]).all() for vectors in by_word)
    assert {bool(vectors[0, 0]) for vectors in by_word} == {True, False}


def test_embedding_dropout_differs_by_batch_is_reproducible_and_is_off_in_inference():
    token_ids = np.arange(WORDS)[None]
    runs = []
    for _ in range(2):
        layer = EmbeddingDropout(0.5, WORDS, seed=3)
        runs.append([embedded_ones(token_ids, layer) for _ in range(2)])
    np.testing.assert_array_equal(*runs)
    assert (runs[0][0] != runs[0][1]).any()
    assert (embedded_ones(token_ids, layer, training=False) == 1).all()
    assert not layer.weights


def test_embedding_dropout_in_a_model_trains_in_half_precision_saves_and_loads(tmp_path):
    token_ids = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(5, 2, mask_zero=True, dtype="mixed_bfloat16")(token_ids)
    dropped = EmbeddingDropout(0.5, 5, seed=1, dtype="mixed_bfloat16")(embedded, token_ids)
    assert dropped.dtype == "bfloat16" and dropped.shape == (None, None, 2)
    model = keras.Model(token_ids, Recurrent(GatedCell(2, "gru"))(dropped))
    model.compile("adam", "mse")
    x = np.array([[1, 2, 0], [4, 3, 1]])
    assert np.isfinite(model.fit(x, np.ones((2, 2)), verbose=0).history["loss"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    # The mask is passed on, so padding changes nothing.
    np.testing.assert_allclose(model(x)[0], model(x[:1, :2])[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 5), "rate is 1.0: give a rate"),
        ((None, 5), "rate is None: give a rate"),
        ((0.5, 0), "vocabulary_size is 0: give the number of words"),
        ((0.5, "a"), "vocabulary_size is 'a': give the number of words"),
    ],
)
def test_embedding_dropout_refuses_invalid_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        EmbeddingDropout(*arguments)


@pytest.mark.parametrize("cell", [GatedCell(3, "gru"), keras.layers.GRUCell(3)], ids=["ours", "Keras's"])
def test_inputs_may_be_integers(cell):
    layer = Recurrent(cell, dropout=0.5)
    x = np.arange(24, dtype="int32").reshape(2, 4, 3) % 5
    assert layer(x, training=True).shape == (2, 3)
    np.testing.assert_allclose(layer(x), layer(x.astype("float32")), atol=1e-6)
