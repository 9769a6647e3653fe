"""Runs in processes of their own, and the file of their records."""

import contextlib
import dataclasses
import json
import math
import multiprocessing
import os
import time
from multiprocessing.connection import wait

import harness
from cell_comparison.settings import Run, sized
from cell_comparison.tasks import SCORES

# === Running ===


def perform(run, settings):
    """Do a run. An error becomes its result.

    Returns:
        A record for `runs.jsonl`: the run, its settings, `status` (`"ok"`, `"diverged"` or `"failed"`), and
        either `value` or `reason`.
    """
    import keras

    start = time.perf_counter()
    size = {}
    try:
        size = sized(run.cell, settings)
        keras.utils.set_random_seed(run.seed)  # after `sized`, which draws weights too
        value = SCORES[run.task].train(run, settings)
        outcome = {"status": "ok", "value": value}
        if not math.isfinite(value):
            outcome = {"status": "diverged", "reason": f"the score is {value}"}
    except FloatingPointError as error:
        outcome = {"status": "diverged", "reason": str(error)}
    except Exception as error:  # a registered cell may raise anything
        outcome = {"status": "failed", "reason": reason(error)}
    keras.backend.clear_session()
    return record(run, settings, **outcome, **size, seconds=round(time.perf_counter() - start, 1))


def reason(error):
    """An error as the reason in a record."""
    return f"{type(error).__name__}: {error}"[:500]


def record(run, settings, **outcome):
    """The record of a run."""
    return {
        **dataclasses.asdict(run),
        **outcome,
        "settings": dataclasses.asdict(settings),
        "commit": harness.commit(),
    }


def perform_all(runs, settings, threads, connection):
    """Do runs one after another and send each record. This is what a process runs."""
    # TensorFlow reads these when it starts.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    from textrnn import startup

    startup.load_tensorflow()
    for run in runs:
        connection.send(perform(run, settings))


def distribute(runs, settings, jobs, threads, keep, target=perform_all):
    """Distribute runs over processes, one process per cell.

    If a process dies, only the run that it was doing is lost.

    Args:
        runs: A list of `Run`.
        settings: The `Settings`.
        jobs: The number of processes at a time.
        threads: The number of threads per process.
        keep: A function that is called with each record.
        target: The function of a process, see `perform_all`.
    """
    context = multiprocessing.get_context("spawn")
    waiting = [[run for run in runs if run.cell == cell] for cell in dict.fromkeys(run.cell for run in runs)]
    active = {}
    while waiting or active:
        while waiting and len(active) < jobs:
            receiver, sender = context.Pipe(duplex=False)
            left = waiting.pop(0)
            process = context.Process(
                target=target, args=(tuple(left), settings, threads, sender), daemon=True
            )
            process.start()
            sender.close()  # so that the connection ends when the process does
            active[receiver] = process, left
        for receiver in wait(active):
            process, left = active[receiver]
            with contextlib.suppress(EOFError):
                keep(receiver.recv())
                left.pop(0)
                continue
            process.join()
            del active[receiver]
            if left:
                why = f"its process ended with exit code {process.exitcode}"
                keep(record(left.pop(0), settings, status="failed", reason=why))
            if left:
                waiting.insert(0, left)


# === Records ===


def read_records(path):
    """The records of a file, without incomplete lines. A missing file has none."""
    records = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records


def append(path, entry):
    """Append a record to a file on a new line, also after an incomplete line."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def run_of(entry):
    """The run of a record."""
    return Run(*(entry[field.name] for field in dataclasses.fields(Run)))


def run_records(records, settings):
    """The last record of each run with these settings, by run."""
    ours = dataclasses.asdict(settings)
    return {
        run_of(entry): entry for entry in records if entry["task"] in SCORES and entry["settings"] == ours
    }
