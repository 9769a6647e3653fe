"""Every model trains, generates, is saved, loaded and served with every dtype policy."""

import contextlib
import functools

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from builders.exporting import export_unchecked
from builders.seeds import set_seed
from builders.tasks import MODELS, texts, tokens

import textrnn
from textrnn.serving.saved_model import load_signatures

POLICIES = (
    "float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "floatx float64",
)  # fmt: skip
"""Dtype policies; the last is `keras.config.set_floatx("float64")` with models of the default policy."""

HALF = ("float16", "bfloat16")


@contextlib.contextmanager
def floatx_of(policy):
    """Inside, Keras's default is float64 if the policy is to set it."""
    if policy != "floatx float64":
        yield policy
        return
    default = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield None
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy(default)


@functools.cache
def made(name, policy):
    set_seed(0)
    return MODELS[name](None if policy == "floatx float64" else policy)


def values(x):
    return np.asarray(keras.ops.convert_to_numpy(x), "float64")


def calls(model, policy, folder):
    backbone, outputs = model.backbone, model(tokens(model))
    assert np.isfinite(values(outputs)).all()
    expected = keras.dtype_policies.get("float64" if policy == "floatx float64" else policy)
    assert (backbone.compute_dtype, backbone.variable_dtype) == (
        expected.compute_dtype,
        expected.variable_dtype,
    )
    assert {w.dtype for w in model.trainable_variables} == {expected.variable_dtype}
    if isinstance(model, textrnn.TextClassifier):
        assert keras.backend.standardize_dtype(outputs.dtype) not in HALF


def trains(model, policy, folder, eagerly=True):
    model.compile(run_eagerly=eagerly)
    before = [values(w) for w in model.trainable_variables]
    history = model.fit(*texts(model), batch_size=2, epochs=2, verbose=0).history
    after = [values(w) for w in model.trainable_variables]
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(w).all() for w in after)
    # A small step may round to none in half precision.
    changed = [(a != b).any() for a, b in zip(after, before, strict=True)]
    assert any(changed) if policy in HALF else all(changed)


def generates(model, policy, folder, samplers=None, eagerly=True):
    if isinstance(model, textrnn.TextClassifier):
        scores = model.probabilities(model.predict(texts(model)[0], verbose=0))
        np.testing.assert_allclose(values(scores).sum(axis=1), 1, atol=1e-6)
        return
    prompt = "to" if isinstance(model, textrnn.CausalLM) else "one"
    for sampler in samplers or (textrnn.RowSampler(top_p=0.9), textrnn.BeamSearchSampler(num_beams=2)):
        model.compile(run_eagerly=eagerly, sampler=sampler)
        text = model.generate(prompt, max_length=5)
        assert isinstance(text, str)
        assert prompt == "one" or text.startswith(prompt)


def generates_in_a_graph(model, policy, folder):
    own = textrnn.RowSampler(temperature=0), textrnn.BeamSearchSampler(2, coverage_penalty=0.1)
    of_keras_hub = (
        keras_hub.samplers.BeamSampler(num_beams=2),
        keras_hub.samplers.TopPSampler(p=0.9),
        "greedy",
    )
    generates(model, policy, folder, (*own, *of_keras_hub), eagerly=False)


def trains_in_a_graph(model, policy, folder):
    trains(model, policy, folder, eagerly=False)


def is_saved(model, policy, folder):
    model.save_to_preset(str(folder))
    loaded = type(model).from_preset(str(folder), dtype=None if policy == "floatx float64" else policy)
    np.testing.assert_array_equal(values(loaded(tokens(model))), values(model(tokens(model))))
    default = type(model).from_preset(str(folder))
    assert default.backbone.variable_dtype == keras.config.floatx()
    np.testing.assert_allclose(
        values(default(tokens(model))), values(model(tokens(model))), atol=0.1 if "16" in policy else 1e-5
    )


def is_served(model, policy, folder):
    export_unchecked(model, folder)
    given = ["to be", "or not"]
    functions = load_signatures(folder)
    answer = functions["serving_default"](text=tf.constant(given))
    if isinstance(model, textrnn.TextClassifier):
        expected = values(model.probabilities(model.predict(given, verbose=0)))
        np.testing.assert_allclose(answer["scores"], expected, atol=0.05 if "16" in policy else 1e-5)
        assert np.isfinite(functions["explain"](text=tf.constant(given))["weights"]).all()
    else:
        assert answer["text"].shape == (2,)
        assert answer["text"].dtype == tf.string
    if isinstance(model, textrnn.CausalLM):
        begun = functions["start"](text=tf.constant(given))
        states = {name: state for name, state in begun.items() if name != "logits"}
        logits = functions["step"](token_ids=tf.constant([70, 71]), **states)["logits"]
        assert np.isfinite(logits).all()


FAST = [calls, trains, generates]
SLOW = [trains_in_a_graph, generates_in_a_graph, is_saved, is_served]
FAST_MODELS = ["language model", "classifier with attention and n-grams", "translator with input feeding"]
FAST_CASES = {(name, policy) for name in FAST_MODELS for policy in ("float16", "floatx float64")}
SAVED_CASES = {(name, f"mixed_{half}") for name in FAST_MODELS for half in HALF}
CASES = [
    pytest.param(
        name, policy, use, id=f"{name}, {policy}: {use.__name__}",
        marks=[] if (use in FAST and (name, policy) in FAST_CASES)
        or (use is is_saved and (name, policy) in SAVED_CASES)
        else pytest.mark.slow,
    )
    for name in MODELS for policy in POLICIES for use in FAST + SLOW
]  # fmt: skip


@pytest.mark.parametrize(("name", "policy", "use"), CASES)
def test_every_dtype_policy_works(name, policy, use, tmp_path):
    with floatx_of(policy):
        make = (
            made.__wrapped__ if use in (generates, generates_in_a_graph) else made
        )  # these change the sampler
        use(make(name, policy), policy, tmp_path)


class Decay(textrnn.Cell):
    """h = s ⊙ tanh(Wx + Uh), a cell without anything of `GatedCell`."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    state_size = property(lambda self: [self.units])
    output_size = property(lambda self: self.units)

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    @property
    def recurrent_kernels(self):
        return {"state": keras.ops.convert_to_tensor(self.recurrent_kernel)}

    @property
    def elementwise_weights(self):
        return {"scale": self.scale}

    def project_inputs(self, x):
        return (keras.ops.matmul(x, self.kernel),)

    def step(self, projected, states, dot, weights):
        h = weights["scale"] * keras.ops.tanh(dot("state", states[0], projected[0]))
        return h, [h]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_a_cell_of_ones_own_steps_as_it_runs_in_every_precision(policy):
    layer = textrnn.Recurrent(Decay(4, dtype=policy), return_sequences=True)
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    expected, step, states = layer(x), layer.stepper(), layer.get_initial_state(2)
    for t in range(5):
        output, states = step(keras.ops.cast(x[:, t], layer.compute_dtype), states)
        np.testing.assert_allclose(values(output), values(expected[:, t]), rtol=2e-2, atol=1e-2)
        assert keras.backend.standardize_dtype(states[0].dtype) == layer.compute_dtype
    rows = np.array([[0, 1, 1], [1, 1, 0]])
    looked_up = layer.look_up(rows, keras.ops.convert_to_tensor(x[0, :2]), layer.get_initial_state(2))
    np.testing.assert_allclose(values(looked_up), values(layer(x[0, :2][rows])), rtol=2e-2, atol=1e-2)


def test_a_cell_of_ones_own_generates_in_mixed_precision():
    tokenizer = textrnn.tokenizers.ByteTokenizer()
    backbone = textrnn.RecurrentBackbone(258, cell=Decay, units=4, dtype="mixed_bfloat16")
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    assert lm.generate("ab", max_length=8).startswith("ab")


def test_a_linear_cell_steps_as_exactly_as_it_scans():
    cell = textrnn.GatedCell(8, "rg_lru", dtype="mixed_bfloat16")
    x = np.random.default_rng(0).normal(size=(2, 200, 4)).astype("float32")
    found = {}
    for strategy in ("scan", "loop"):
        layer = textrnn.Recurrent(cell, return_sequences=True, strategy=strategy)
        found[strategy] = values(layer(x))
    exact = textrnn.Recurrent(textrnn.GatedCell(8, "rg_lru"), return_sequences=True)
    exact.build(x.shape)
    exact.set_weights(layer.get_weights())
    expected = values(exact(x))
    errors = {name: np.sqrt(np.mean((y - expected) ** 2) / np.mean(expected**2)) for name, y in found.items()}
    assert errors["scan"] < 0.01 and errors["loop"] < 0.02, errors
