"""Waiting for batches is timed without changing them, and is a part of training."""

import time

import numpy as np
import pytest
import tensorflow as tf

import harness
import input_pipeline
from textrnn.data.batching import generated_dataset


def test_timed_batches_are_the_same_batches_and_the_time_of_a_slow_one_counts():
    def generate(epoch):
        for batch in range(4):
            time.sleep(0.2 * (batch == 0))
            yield [epoch, batch]

    dataset, waits = generated_dataset(generate, tf.TensorSpec([2], tf.int32), 4), []
    timed = input_pipeline.timed_batches(dataset, waits)
    assert timed.cardinality() == 4
    for epoch in range(2):
        waits.clear()
        np.testing.assert_array_equal(np.stack([*timed]), [[epoch, batch] for batch in range(4)])
        assert len(waits) == 5  # the last one finds the end
        assert waits[0] > 0.15
        assert waits[0] > 3 * sum(waits[1:])  # they were made ahead or at once


def test_a_batch_that_is_made_while_the_model_trains_is_not_waited_for():
    def generate(epoch):
        for batch in range(6):
            time.sleep(0.05)
            yield batch

    waits = []
    for _ in input_pipeline.timed_batches(generated_dataset(generate, tf.TensorSpec([], tf.int32), 6), waits):
        time.sleep(0.15)  # a step
    assert waits[0] > 0.04
    assert np.median(waits[1:]) < 0.03


@pytest.mark.parametrize("task", input_pipeline.TASKS)
def test_waiting_is_a_part_of_training(task):
    harness.load_backend()
    work = input_pipeline.Work(task, **input_pipeline.QUICK)
    result = input_pipeline.measure(work, rounds=2, seed=0)
    waiting, training, alone = result["rows"]
    for waits, whole, iterating in zip(waiting["ms"], training["ms"], alone["ms"], strict=True):
        assert 0 < waits < whole
        assert iterating > 0
    assert [row["contestant"] for row in result["rows"]] == ["waiting", "training", "batches alone"]
    assert training["ratio"] == pytest.approx(waiting["median"] / training["median"], abs=2e-3)


@pytest.mark.slow
def test_the_command_measures_every_task(run_command):
    report = run_command(input_pipeline)
    assert [entry["work"]["task"] for entry in report["results"]] == [*input_pipeline.TASKS]
