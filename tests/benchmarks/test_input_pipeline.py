"""What `fit` waits for is the time of batches that are not made while it trains."""

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
        waited = input_pipeline.time_batches(model)
        history = model.fit(dataset, shuffle=False, verbose=0)
        assert history.history["loss"][0] >= 0
        return float(waited)

    return run


def test_batches_that_take_longer_than_steps_are_waited_for(waits):
    assert waits(of_batch=0.1, of_step=0.0) > 0.7 * BATCHES * 0.1


def test_batches_that_are_made_during_steps_are_not(waits):
    assert 0.7 * 0.05 < waits(of_batch=0.05, of_step=0.2) < 3 * 0.05  # for the first one


@pytest.mark.parametrize("task", input_pipeline.TASKS)
def test_waiting_is_a_part_of_training(task):
    harness.load_backend()
    work = input_pipeline.Work(task, **input_pipeline.QUICK)
    result = input_pipeline.measure(work, rounds=2, seed=0)
    waiting, training, in_memory, alone = result["rows"]
    names = ["waiting", "training", "waiting, batches in memory", "batches alone"]
    assert [row["contestant"] for row in result["rows"]] == names
    for waits, whole, taking, iterating in zip(
        *(row["ms"] for row in (waiting, training, in_memory, alone)), strict=True
    ):
        assert 0 < waits < whole
        assert taking > 0 and iterating > 0
    assert training["ratio"] == pytest.approx(waiting["median"] / training["median"], abs=2e-3)


@pytest.mark.slow
def test_the_command_measures_every_task(run_command):
    report = run_command(input_pipeline)
    assert [entry["work"]["task"] for entry in report["results"]] == [*input_pipeline.TASKS]
