"""Training runs and measurements, and their records."""

import dataclasses
import functools
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor

import harness
from architecture_comparison import scaling, scaling_on_jax
from architecture_comparison.networks import body_weights
from architecture_comparison.settings import Run
from architecture_comparison.tasks import TASKS

SCALING = "scaling"
RESULTS = "benchmarks/architecture_comparison/results"
"""The folder of the records, which are committed while runs go on."""


def perform(run, settings, scores):
    """Do a training run. An error becomes its result.

    Args:
        run: The `Run`.
        settings: The `Settings` of its task.
        scores: Number of scores on the way.

    Returns:
        A record: that of the run, and `"status"`: `"ok"` or `"diverged"`, with `"points"`, a list of
        `[minutes, score]`, in a test the `"validation"` score at the end, and facts about the model and its
        speed, or `"failed"` with a `"reason"`.
    """
    import keras

    from harness.clock import Clock, train_for

    keras.backend.clear_session()
    try:
        job = TASKS[run.task].prepare(run, settings)
        clock = Clock(
            run.learning_rate,
            seconds=60 * run.minutes,
            score=functools.partial(job.score, "test" if run.purpose == "test" else "validation"),
            scores=scores,
            now=time.process_time,
        )
        train_for(job.model, job.batches, job.loss, clock, run.xla)
        validation = {"validation": job.score("validation")} if run.purpose == "test" else {}
    except Exception as error:  # the other runs go on
        return record(run, settings, status="failed", reason=harness.reason(error))
    return record(
        run,
        settings,
        status="diverged" if clock.diverged else "ok",
        points=clock.points,
        **validation,
        steps=clock.timed_steps,
        rows_per_second=round(clock.timed_steps * settings.batch_size / clock.spent, 1)
        if clock.spent
        else 0.0,
        size=job.size,
        weights=body_weights(job.model, settings),
    )


def measure(contestant, length, settings, tokens, xla, rounds, script):
    """Measure a contestant at a length. An error, such as too little memory, becomes the result."""
    key = scaling_key(contestant, length, settings, tokens, xla)
    try:
        figures = scaling.measure_in_process(script, contestant, length, settings, tokens, rounds, xla)
    except Exception as error:  # the other measurements go on
        return key | {"status": "failed", "reason": harness.reason(error)} | facts()
    return key | {"status": "ok", "rounds": rounds} | figures | facts()


def measure_on_jax(works, rounds):
    """Measure contestants at lengths on JAX, in this process. All compile at the same time.

    Args:
        works: The arguments of `scaling_key` of each.
        rounds: Number of measurements.

    Yields:
        Their records.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = [scaling_on_jax.Measurement(*work[:4], pool) for work in works]
        for work, measurement in zip(works, started, strict=True):
            try:
                outcome = {"status": "ok", "rounds": rounds} | measurement.figures(rounds)
            except Exception as error:  # such as too little memory
                outcome = {"status": "failed", "reason": harness.reason(error)}
            yield scaling_key(*work) | outcome | facts()


def scaling_key(contestant, length, settings, tokens, xla):
    """What tells a measurement from others. On JAX, which has no other way, `xla` is None."""
    return {
        "task": SCALING,
        "contestant": contestant,
        "length": length,
        "tokens": tokens,
        "xla": xla,
        "settings": dataclasses.asdict(settings),
    }


def record(run, settings, **outcome):
    """The record of a run."""
    return run_key(run, settings) | outcome | facts()


def run_key(run, settings):
    """What tells a run from others."""
    return dataclasses.asdict(run) | {"settings": dataclasses.asdict(settings)}


def facts():
    """What figures depend on."""
    environment = harness.environment(0, 1)
    names = ("date", "cpu", "tensorflow", "jax", "device", "keras", "keras-hub", "load_average_before")
    return {
        "commit": harness.commit(without=RESULTS),
        **{name: environment[name] for name in names if name in environment},
    }


def is_done(key, records):
    """Whether the records have one with a key that did not fail."""
    return any(key.items() <= entry.items() and entry["status"] != "failed" for entry in records)


def selected(records, settings, **values):
    """The finished records with these settings and values."""
    wanted = values | {"settings": dataclasses.asdict(settings)}
    return [entry for entry in records if wanted.items() <= entry.items() and entry["status"] == "ok"]


def candidate_rates(records, settings, task, contestant, xla, given):
    """The learning rate with the best score at the end of a search, and the next lower one.

    The search is shorter than the runs that are reported, which is in favour of high rates.

    Returns:
        A list, empty if no run of the search came to its end.
    """
    found = records_of(search_runs(task, contestant, xla, given), settings, records)
    best = best_record(found, task, lambda entry: entry["points"][-1][1])
    if best is None:
        return []
    lower = [rate for rate in given.learning_rates if rate < best["learning_rate"]]
    return [best["learning_rate"], *sorted(lower)[-1:]]


def best_rate(records, settings, task, contestant, rates, xla, given):
    """The one of these learning rates with the best validation score of the first seed, or None."""
    wanted = test_runs(task, contestant, rates, xla, given, given.seeds[:1])
    best = best_record(records_of(wanted, settings, records), task, lambda entry: entry["validation"])
    return best and best["learning_rate"]


def records_of(wanted, settings, records):
    """The finished records of these runs."""
    keys = [run_key(run, settings) for run in wanted]
    return [
        entry
        for entry in records
        if entry["status"] == "ok" and any(key.items() <= entry.items() for key in keys)
    ]


def best_record(records, task, score):
    """The record of a task with the best score, or None."""
    sign = 1 if TASKS[task].lower_is_better else -1
    return min(records, key=lambda entry: sign * score(entry), default=None)


def faster_with_xla(records, settings, task, contestant):
    """Whether XLA makes the training step of a task faster, by the measurements of its length and batch."""
    if not TASKS[task].one_shape:
        return False
    tokens = settings.length * settings.batch_size
    found = {
        entry["xla"]: entry["step_ms"]
        for entry in selected(
            records, settings, task=SCALING, contestant=contestant, length=settings.length, tokens=tokens
        )
    }
    return True in found and found[True] < found.get(False, math.inf)


def search_runs(task, contestant, xla, given):
    """The runs that choose a learning rate."""
    return [
        Run(task, contestant, rate, given.search_minutes, 0, "search", xla) for rate in given.learning_rates
    ]


def test_runs(task, contestant, rates, xla, given, seeds):
    """The runs that are reported, if their rate is the best one."""
    return [Run(task, contestant, rate, given.minutes, seed, "test", xla) for rate in rates for seed in seeds]
