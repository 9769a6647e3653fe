"""Every task trains on two replicas, and as on one device."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf

# This must come before TensorFlow sets up its devices, so it needs a process of its own.
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, "tests")
from builders.tasks import TASKS, texts
from textrnn.errors import InputError
from textrnn.export.module import traced_module
from textrnn.tasks.registry import signatures_of

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
QUIET = dict.fromkeys(["dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout"], 0.0)
ALL = {"sampled_softmax": 10_000}  # more than the vocabulary, so the loss is exact
WORKS = [(name, make, {}) for name, make in TASKS.items()]
WORKS += [("sampled " + name, make, ALL) for name, make in TASKS.items() if name == "language model"]
for name, make, options in WORKS:
    weights = []
    for strategy in mirrored, tf.distribute.get_strategy():
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = make(**QUIET)
            model.compile(keras.optimizers.SGD(0.1), run_eagerly=False, **options)
        # Each replica has the same two texts, so means over tokens are those of one device.
        model.fit(*texts(model, rows=4), batch_size=4, epochs=1, shuffle=False, verbose=0)
        weights.append(model.get_weights())
        if name == "language model" and strategy.num_replicas_in_sync > 1:
            try:
                model.carry_states(4)
            except InputError as error:
                print(error)
            start = signatures_of(model)["start"]
            exported, _ = traced_module({"start": start}, [], model.weights, "float16")
            assert {weight.dtype for weight in exported.weights} == {tf.float16}
    for several, one in zip(*weights, strict=True):
        np.testing.assert_allclose(several, one, atol=1e-5)
    print(name)
"""


@pytest.mark.slow
def test_two_replicas_of_a_distribution_strategy_train_every_task_like_one():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS], check=False, capture_output=True, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    refusal, *tasks = done.stdout.splitlines()
    assert "2 replicas of a strategy do not share" in refusal
    assert tasks == ["language model", "classifier", "translator", "sampled language model"]
