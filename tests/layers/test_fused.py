"""The strategy `fused`, checked without a GPU.

Graphs are traced with a pretended GPU. Values come from an emulation of cuDNN's kernel, which Keras's own
layers check first.
"""

import itertools

import keras
import numpy as np
import pytest
from builders.devices import graph_nodes, pretended_gpu
from builders.layers import FEATURES, UNITS, make_batch, make_layer, run, tensorflow_only, weighted_sum
from keras import ops
from references.gradients import TENSORFLOW, assert_close, value_and_gradients

from textrnn.cells import Gate, GatedCell, GateSpec, gate_spec
from textrnn.errors import InputError
from textrnn.layers import BidirectionalStack, Recurrent
from textrnn.layers.fused import fused_architecture

KERAS_LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
BATCH, TIME = 4, 5
MASKS = {
    "none": None,
    "right": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0]],
    "right, and a row of padding": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    "left": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]],
    "holes": [[1, 0, 0, 1, 1], [0, 1, 0, 1, 0], [1, 0, 1, 0, 1], [0, 1, 1, 0, 0]],
    "padding alone": [[0] * TIME] * BATCH,
}


def mask_named(name):
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


def compare(layers, inputs, **options):
    """Compare the outputs and the gradients of two layers with the same weights, the first in its kernel."""
    with pretended_gpu(emulated=True):
        found = value_and_gradients(layers[0], inputs, weighted_sum, **options)
    expected = value_and_gradients(layers[1], inputs, weighted_sum, **options)
    assert_close(found[0], expected[0])
    assert_close(found[1:], expected[1:], 1e-4)


@tensorflow_only
@pytest.mark.parametrize("name", KERAS_LAYERS)
def test_the_emulated_kernel_is_what_keras_expects(name):
    layers = [KERAS_LAYERS[name](UNITS, return_sequences=True, return_state=True, use_cudnn=use)
              for use in (True, False)]  # fmt: skip
    for layer in layers:
        layer.zero_output_for_mask = True  # which Keras's kernel always does
        layer.build((None, None, FEATURES))
    layers[0].set_weights([np.random.normal(size=w.shape) for w in layers[0].get_weights()])
    layers[1].set_weights(layers[0].get_weights())
    x, states, _ = make_batch(name)
    for mask in ("none", "right"):
        compare(layers, {"sequences": x, "initial_state": states}, mask=mask_named(mask))


@tensorflow_only
@pytest.mark.parametrize("name", KERAS_LAYERS)
def test_values_and_gradients_are_those_of_keras_s_layers(name):
    ours = make_layer(name, "fused")
    theirs = KERAS_LAYERS[name](UNITS, return_sequences=True, return_state=True, use_cudnn=False)
    theirs.build((None, None, FEATURES))
    theirs.set_weights(ours.get_weights())
    x, states, _ = make_batch(name)
    for mask in MASKS:
        compare([ours, theirs], {"sequences": x, "initial_state": states}, mask=mask_named(mask))


@tensorflow_only
@pytest.mark.parametrize(
    ("name", "mask"),
    [("lstm", "holes"), ("lstm", "right, and a row of padding"), ("gru", "left"), ("gru", "none")],
)
def test_values_and_gradients_are_those_of_the_loop(name, mask):
    x, states, _ = make_batch(name)
    for go_backwards, zero_output_for_mask in itertools.product([False, True], repeat=2):
        return_sequences = go_backwards == zero_output_for_mask  # any two options occur in every combination
        layers = [
            make_layer(name, strategy, go_backwards=go_backwards, dropout=0.3, weight_drop=0.3, seed=1)
            for strategy in ("fused", "loop")
        ]
        layers[1].set_weights(layers[0].get_weights())
        for layer in layers:
            layer.zero_output_for_mask = zero_output_for_mask
            layer.return_sequences = return_sequences
        inputs = {"sequences": x, "initial_state": states}
        compare(layers, inputs, mask=mask_named(mask), training=go_backwards)


@tensorflow_only
def test_both_directions_and_float64_are_those_of_the_loop():
    x, mask = np.random.normal(size=(BATCH, TIME, FEATURES)), mask_named("holes")
    stacks = [
        BidirectionalStack(
            [GatedCell(UNITS, "lstm", dtype="float64") for _ in range(2)], strategy=s, dtype="float64"
        )
        for s in ("auto", "loop")
    ]
    for stack in stacks:
        stack.build(x.shape)
    stacks[1].set_weights(stacks[0].get_weights())
    with pretended_gpu(emulated=True):
        found, states = stacks[0](x, mask=mask)
    expected, expected_states = stacks[1](x, mask=mask)
    assert_close([found, states], [expected, expected_states], 1e-12)


@tensorflow_only
@pytest.mark.parametrize("name", KERAS_LAYERS)
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
def test_segments_are_those_of_the_loop_where_rows_end_or_begin_in_another_segment(
    name, zero_output_for_mask
):
    x, states, _ = make_batch(name)
    for mask, return_sequences in itertools.product(MASKS, (False, True)):
        layers = [make_layer(name, "fused", segments=3), make_layer(name, "loop")]
        layers[1].set_weights(layers[0].get_weights())
        for layer in layers:
            layer.zero_output_for_mask, layer.return_sequences = zero_output_for_mask, return_sequences
        compare(layers, {"sequences": x, "initial_state": states}, mask=mask_named(mask), training=True)


def traced_nodes(layer, mask=False, xla=False, dtype="float32"):
    """The nodes of a training step traced beside a pretended GPU, for batches of unknown size."""
    import tensorflow as tf

    def step(x, mask=None):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(layer(x, mask=mask, training=True))
        return tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

    specs = [tf.TensorSpec([None, None, FEATURES], dtype)]
    specs += [tf.TensorSpec([None, None], tf.bool)] if mask else []
    with pretended_gpu():
        traced = tf.function(step, input_signature=specs, jit_compile=xla).get_concrete_function()
    return graph_nodes(traced.graph.as_graph_def())


@tensorflow_only
@pytest.mark.parametrize(
    ("name", "options", "fused"),
    [
        ("lstm", {}, True),
        ("gru", {"go_backwards": True}, True),
        ("lstm", {"dropout": 0.1, "weight_drop": 0.1}, True),
        ("lstm", {"recurrent_dropout": 0.1}, False),
        ("gru", {"zoneout": 0.1}, False),
        ("lstm", {"strategy": "recompute"}, False),
        ("lstm_peephole", {}, False),
        ("gru_reset_before", {}, False),
    ],
)
def test_beside_a_gpu_auto_runs_the_kernel_where_there_is_one(name, options, fused):
    layer = Recurrent(GatedCell(UNITS, name), **options)
    with pretended_gpu():
        layer.build((None, None, FEATURES))
        assert (layer.resolved_strategy == "fused") is fused
    assert layer.supports_jit is not fused
    found = {node.op for node in traced_nodes(layer, mask=True)}
    assert ({"CudnnRNNV3", "CudnnRNNBackpropV3"} <= found) is fused
    assert bool(found & {"While", "StatelessWhile"}) is not fused


@tensorflow_only
@pytest.mark.parametrize("policy", ["float64", "bfloat16", "mixed_float16"])
def test_the_kernel_runs_in_the_compute_dtype(policy):
    layer = Recurrent(GatedCell(UNITS, "gru", dtype=policy))
    layer.build((None, None, FEATURES))
    types = {node.attr["T"].type for node in traced_nodes(layer) if node.op.startswith("CudnnRNN")}
    import tensorflow as tf

    assert types == {tf.as_dtype(keras.DTypePolicy(policy).compute_dtype).as_datatype_enum}


@tensorflow_only
def test_a_function_that_xla_compiles_has_no_kernel():
    layer = Recurrent(GatedCell(UNITS, "lstm"))
    layer.build((None, None, FEATURES))
    assert not [node for node in traced_nodes(layer, xla=True) if node.op.startswith("Cudnn")]


def test_without_a_gpu_fused_runs_what_auto_runs():
    layer, reference = make_layer("lstm", "fused"), make_layer("lstm", "loop")
    reference.set_weights(layer.get_weights())
    assert layer.resolved_strategy == "recompute"
    x, states, mask = make_batch("lstm")
    assert_close(run(layer, x, states, mask, training=True), run(reference, x, states, mask))
    assert Recurrent.from_config(layer.get_config()).strategy == "fused"


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("lstm_peephole", {}, r"the cell lstm_peephole has no fused kernel: use auto, or .*lstm or gru"),
        ("min_lstm", {}, r"the cell MinLSTMCell has no fused kernel"),
        (
            "lstm",
            {"zoneout": 0.2},
            "fused, but zoneout is 0.2, which no fused kernel has: use auto, or remove",
        ),
        ("gru", {"recurrent_dropout": 0.2}, r"recurrent_dropout is 0.2, which"),
        ("gru", {"unroll": True}, r"unroll is True, which"),
    ],
)
def test_what_no_kernel_can_run_is_refused(cell, options, message):
    layer = Recurrent(GatedCell(UNITS, cell), strategy="fused", **options)
    with pytest.raises(InputError, match=message):
        layer.build((None, TIME, FEATURES))


def test_the_equations_decide_and_not_the_name():
    import dataclasses

    def found(spec, **options):
        return fused_architecture(GatedCell(UNITS, spec, **options))

    lstm, gru = gate_spec("lstm"), gate_spec("gru")
    assert found(dataclasses.replace(lstm, name="mine")) == "lstm"
    assert found(GateSpec(forget=Gate(reads=("state", "input")), input="1 - forget", reset=Gate(),
                          reset_after=True, name="lstm")) == "gru"  # fmt: skip
    different = [
        dataclasses.replace(lstm, name="lstm", output_activation="linear"),
        dataclasses.replace(lstm, candidate=Gate("relu")),
        dataclasses.replace(lstm, forget=Gate("hard_sigmoid")),
        dataclasses.replace(lstm, layer_norm=True),
        dataclasses.replace(gru, reset_after=False),
        dataclasses.replace(gru, forget="1 - input", input=Gate()),
    ]
    assert [found(spec) for spec in different] == [None] * len(different)
    assert found("lstm", use_bias=False) is None
    assert found("gru", chrono=10) == "gru"  # the initial biases are no equation

    class Mine(GatedCell):
        pass

    assert fused_architecture(Mine(UNITS, "lstm")) is None


@tensorflow_only
def test_second_derivatives_are_refused():
    import tensorflow as tf

    layer = Recurrent(GatedCell(UNITS, "lstm"))
    layer.build((None, None, FEATURES))

    def penalty(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = ops.sum(layer(x, training=True))
            squares = ops.sum(inner.gradient(y, x) ** 2)
        return outer.gradient(squares, x)

    with pretended_gpu(), pytest.raises(InputError, match=r"fused have no second derivatives.*'loop'"):
        tf.function(penalty, autograph=False).get_concrete_function(tf.TensorSpec([2, 3, FEATURES]))


@pytest.mark.skipif(TENSORFLOW, reason="about the kernel of JAX, which only its CUDA version can trace")
def test_on_jax_there_is_a_kernel_for_an_lstm_without_a_mask():
    with pretended_gpu():
        assert Recurrent(GatedCell(UNITS, "lstm")).resolved_strategy == "fused"
        assert Recurrent(GatedCell(UNITS, "gru")).resolved_strategy == "recompute"
        assert Recurrent(GatedCell(UNITS, "lstm", dtype="mixed_bfloat16")).resolved_strategy == "recompute"
        layer = make_layer("lstm", "auto")
        x, states, mask = make_batch("lstm")
        run(layer, x, states, mask, training=True)  # runs without a kernel
