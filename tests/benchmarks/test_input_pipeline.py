"""What `fit` waits for is the time of batches that are not made while it trains."""

import os
import re
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import harness
import input_pipeline
from textrnn.data.batching import generated_dataset

BATCHES = 5


@pytest.fixture(scope="module")
def waits():
    """A function of the seconds that a batch and a step take, which returns those that `fit` waits."""

    def run(of_batch, of_step):
        def generate(epoch):
            for _ in range(BATCHES):
                time.sleep(of_batch)
                yield np.ones((1, 1), "float32"), np.ones((1, 1), "float32")

        def slowly(x):
            def sleep(x):
                time.sleep(of_step)
                return x

            return tf.ensure_shape(tf.numpy_function(sleep, [x], tf.float32), x.shape)

        spec = tf.TensorSpec([1, 1], tf.float32)
        dataset = generated_dataset(generate, (spec, spec), BATCHES)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(slowly), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(dataset, shuffle=False, verbose=0)
        before = model.get_weights()[0]
        waited = input_pipeline.time_batches(model)
        model.fit(dataset, shuffle=False, verbose=0)
        assert not np.array_equal(before, model.get_weights()[0])  # it still learns
        return float(waited)

    return run


def test_batches_that_take_longer_than_steps_are_waited_for(waits):
    assert waits(of_batch=0.5, of_step=0.0) > 0.5 * BATCHES * 0.5


def test_neither_batches_that_are_made_during_steps_nor_the_steps_are(waits):
    assert 0.1 < waits(of_batch=0.15, of_step=0.6) < BATCHES * 0.6 / 2  # 0.15 for the first one


@pytest.mark.parametrize("task", input_pipeline.TASKS)
def test_every_task_is_measured(task):
    harness.load_backend()
    work = input_pipeline.Work(task, **input_pipeline.QUICK)
    waiting, training, in_memory, alone = input_pipeline.measure(work, rounds=2, seed=0)["rows"]
    names = ["waiting", "training", "waiting, batches in memory", "batches alone"]
    assert [row["contestant"] for row in (waiting, training, in_memory, alone)] == names
    for waits, whole, taking, iterating in zip(
        *(row["ms"] for row in (waiting, training, in_memory, alone)), strict=True
    ):
        assert 0 < waits < whole
        assert taking > 0 and iterating > 0


def test_the_share_of_waiting_is_small_with_one_thread():
    """With one thread, nothing but their order keeps the step out of the time of waiting."""
    command = [sys.executable, input_pipeline.__file__, "--task", "memory", "--rounds", "2", "--units", "64"]
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    done = subprocess.run(
        [*command, "--batches", "6"], capture_output=True, text=True, check=True, env=os.environ | threads
    )
    [share] = re.findall(r"training \| [^|]* \| ([0-9.]+)", done.stdout)
    assert float(share) < 0.5


@pytest.mark.slow
def test_the_command_measures_every_task(run_command):
    report = run_command(input_pipeline)
    assert [entry["work"]["task"] for entry in report["results"]] == [*input_pipeline.TASKS]
