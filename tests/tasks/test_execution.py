"""How steps run: chosen from the cell and the devices, said in a line, and the same with XLA."""

import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.devices import pretended_gpu
from builders.seeds import set_seed
from builders.tasks import TASKS, texts
from builders.training import QUIET as QUIETLY

import textrnn
from textrnn.data.batching import pair_batches, text_batches
from textrnn.data.windows import windows
from textrnn.tasks.execution import execution_of

WITHOUT_NOISE = dict.fromkeys(
    ("dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout"), 0.0
)


def make(task, dtype=None, **options):
    return TASKS[task](dtype, **{**WITHOUT_NOISE, **options})


@pytest.mark.parametrize(
    ("task", "options", "expected"),
    [
        ("translator", {}, "strategy: fused, XLA off (it cannot compile fused kernels), float32"),
        (
            "translator",
            {"input_feeding": True, "dtype": "mixed_bfloat16"},
            "strategy: fused and loop, XLA off (it cannot compile fused kernels), mixed_bfloat16",
        ),
        (
            "language model",
            {"cell": "lstm_peephole", "dtype": "mixed_float16"},
            "strategy: recompute, XLA on (GPU, no fused layer), mixed_float16",
        ),
        ("classifier", {"zoneout": 0.1}, "strategy: recompute, XLA on (GPU, no fused layer), float32"),
        ("classifier", {"cell": "min_gru"}, "strategy: scan, XLA on (GPU, no fused layer), float32"),
    ],
)
def test_a_line_says_what_runs_beside_a_gpu_and_why(task, options, expected):
    with pretended_gpu():
        model = make(task, **options)
        assert str(execution_of(model)) == expected
        assert model.jit_compile is ("XLA on" in expected)
        for off in ("jit_compile", False), ("run_eagerly", True):
            model.compile(**dict([off]))
            assert model.jit_compile is False


def test_a_model_that_was_saved_beside_a_gpu_is_compiled_for_the_devices_where_it_is_loaded():
    with pretended_gpu():
        model = make("classifier", cell="indrnn")
        model.compile()
        config = model.get_compile_config()
        assert model.jit_compile is True
    model.compile_from_config(config)
    assert model.jit_compile is False


def test_steps_over_several_devices_are_not_compiled(monkeypatch):
    two = types.SimpleNamespace(num_replicas_in_sync=2)
    model = make("classifier", cell="indrnn")
    monkeypatch.setattr(type(model), "distribute_strategy", two)
    with pretended_gpu():
        assert str(execution_of(model)) == "strategy: recompute, XLA off (several devices), float32"


def trained(task, steps, jit_compile=False, eagerly=False, epochs=2, **options):
    """The weights of a model after some steps."""
    set_seed(0)
    model = make(task, **options)
    optimizer = keras.optimizers.SGD(0.3, global_clipnorm=1.0)
    model.compile(optimizer, jit_compile=jit_compile, run_eagerly=eagerly)
    losses = model.fit(*steps(model), epochs=epochs, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    return model.get_weights()


def of_windows(model):
    return (windows(np.arange(50, dtype="int32") % 7 + 2, 2, 6, 0.3, start_token_id=0),)


STEPS = {
    "language model": [{"cell": cell, "strategy": s} for cell, s in [
        ("lstm", "loop"), ("gru", "recompute"), ("min_gru", "scan"), ("slstm", "recompute"),
    ]],
    "classifier": [{"pooling": pooling, "strategy": s} for pooling, s in [
        ("attention", "recompute"), ("mean", "loop"), ("max", "recompute"), ("last", "recompute"),
    ]],
    "translator": [
        {"strategy": "loop"}, {"strategy": "recompute", "attention": "additive"},
        {"input_feeding": True}, {"cell": "rg_lru"},
    ],
}  # fmt: skip
FAST = ({"cell": "min_gru", "strategy": "scan"},)


@pytest.mark.parametrize(
    ("task", "options"),
    [
        pytest.param(task, options, marks=[] if options in FAST else pytest.mark.slow)
        for task, all_options in STEPS.items() for options in all_options
    ],
)  # fmt: skip
def test_a_step_that_xla_compiles_gives_the_same_weights(task, options):
    steps = of_windows if task == "language model" else texts
    plain = trained(task, steps, eagerly=True, epochs=1, **options)
    compiled = trained(task, steps, jit_compile=True, epochs=1, **options)
    for a, b in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_xla_compiles_all_noise_and_mixed_precision(task):
    noise = {"dropout": 0.1, "recurrent_dropout": 0.1, "weight_drop": 0.1, "zoneout": 0.1}
    trained(task, texts, jit_compile=True, **noise, dtype="mixed_float16")


@pytest.mark.parametrize("task", ["classifier", "translator"])
def test_padding_to_few_lengths_changes_nothing_beyond_rounding(task):
    random = np.random.default_rng(0)
    tokens = [random.integers(2, 258, n).astype("int32") for n in (1, 3, 4, 5, 4, 2)]
    batches = {
        "classifier": functools.partial(text_batches, tokens, np.arange(6, dtype="int32") % 2, 6),
        "translator": functools.partial(pair_batches, tokens, tokens[::-1], 6, 1),
    }[task]
    weights = [
        trained(task, lambda _, few=few: (batches(few_lengths=few),), eagerly=True, epochs=1)
        for few in (False, True)
    ]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_gradients_are_clipped_after_the_loss_is_unscaled():
    model = make("language model", "mixed_float16")
    model.compile(keras.optimizers.SGD(1.0, global_clipnorm=0.01), run_eagerly=True)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = model.get_weights()
    model.fit(*texts(model), batch_size=2, verbose=0)
    step = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(model.get_weights(), before, strict=True)))
    assert model.optimizer.iterations == 1
    np.testing.assert_allclose(step, 0.01, rtol=1e-3)


def test_a_step_that_loss_scaling_skips_is_no_failure():
    model = make("language model", "mixed_float16")
    schedule = textrnn.training.warmup_cosine(0.01, steps=10)
    inner = keras.optimizers.Adam(schedule, global_clipnorm=1.0)
    model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0**40))
    history = textrnn.training.fit(
        model, tf.data.Dataset.from_tensor_slices(texts(model)[0]).batch(2).repeat(40), epochs=1, **QUIETLY,
    )  # fmt: skip
    assert history.stopped is None
    assert 0 < model.optimizer.iterations < 40  # the first gradients are infinite, and the schedule waits
    assert float(model.optimizer.dynamic_scale) < 2.0**40


def test_a_training_step_is_traced_once():
    model, traced = make("classifier"), []
    step = model.train_step
    model.train_step = lambda data: traced.append(data) or step(data)
    model.fit(*texts(model), verbose=0)
    assert len(traced) == 1
