"""Training runs, and the processes that do them."""

import contextlib
import dataclasses
import gc
import math
import multiprocessing
import os
import time
from multiprocessing.connection import wait

import harness
from cell_comparison.jobs import PARTS
from cell_comparison.settings import sized
from cell_comparison.tasks import TASKS

RESULTS = "benchmarks/cell_comparison/results"
"""The folder of the results, which are committed while runs go on."""


def perform(run, settings):
    """Do a run. An error becomes its result.

    Returns:
        A record: the run, a mark of its settings, `status` (`"ok"`, `"diverged"` or `"failed"`), and either
        the scores, `"validation"` and `"test"`, or a `"reason"`. Times are seconds of the processor:
        `"trained"` without the first steps, which compile, and `"total"`.
    """
    import keras

    begin = time.process_time()
    size = {}
    try:
        size = sized(run.cell, settings)  # before the seed is set, since it draws weights too
        outcome = train_and_score(run, settings)
    except FloatingPointError as error:
        outcome = {"status": "diverged", "reason": str(error)}
    except Exception as error:  # a registered cell may raise anything
        outcome = {"status": "failed", "reason": harness.reason(error)}
    keras.backend.clear_session()
    gc.collect()  # models refer to themselves
    return record(run, settings, **outcome, **size, total=round(time.process_time() - begin, 1))


def train_and_score(run, settings):
    """The outcome of a run.

    Raises:
        FloatingPointError: If predictions are not finite.
    """
    import keras

    from harness.clock import Clock, train_for

    keras.utils.set_random_seed(run.seed)
    job = TASKS[run.task].prepare(run, settings)
    clock = Clock(run.learning_rate, steps=run.steps, now=time.process_time)
    train_for(job.model, job.batches, job.loss, clock)
    return scores(job, clock) | {"trained": round(clock.spent, 2)}


def scores(job, clock):
    """The scores of a trained model, as the outcome of its run."""
    if clock.diverged:
        return {"status": "diverged", "reason": f"the loss of update {clock.steps} is not finite"}
    found = {part: float(f"{job.score(part):.6g}") for part in PARTS}
    if not all(map(math.isfinite, found.values())):
        return {"status": "diverged", "reason": "a score is not finite"}
    return {"status": "ok", **found}


def record(run, settings, **outcome):
    """The record of a run."""
    facts = {"settings": settings.mark(run.task), "commit": harness.commit(without=RESULTS)}
    return dataclasses.asdict(run) | outcome | facts


def upcoming(cell, tasks, records, plan):
    """The next run of a cell, or None: one task after the other."""
    return next((run for task in tasks for run in plan.missing(cell, task, records)), None)


# === Processes ===


def work(cell, tasks, records, plan, core, deadline, connection):
    """Do the runs of a cell and send their records. This is what a process runs.

    Args:
        cell: The name of a cell.
        tasks: The names of tasks.
        records: Those of the runs that are done.
        plan: The `Plan`.
        core: The number of the core to run on, or None.
        deadline: No run starts after this time, in seconds of `time.time`.
        connection: Gets the records.
    """
    begin_process(core)
    with contextlib.suppress(BrokenPipeError):  # the command was killed
        while time.time() < deadline and (run := upcoming(cell, tasks, records, plan)):
            records.append(perform(run, plan.settings))
            connection.send(records[-1])


def begin_process(core=None):
    """Load TensorFlow with one thread, on a core if one is given."""
    # TensorFlow reads these when it starts.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    if core is not None:
        os.sched_setaffinity(0, {core})
    from textrnn import startup

    startup.load_tensorflow()


def cores_for(jobs):
    """A core for each of some processes, or None for each where the system cannot pin that many."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    return cores[:jobs] if len(cores) >= jobs else [None] * jobs


def distribute(cells, tasks, records, plan, jobs, deadline, keep, target=work):
    """Do the missing runs in processes, one for each cell.

    If a process dies, only the run that it was doing is lost.

    Args:
        cells, tasks: The names of those to compare.
        records: Those of the runs that are done. New ones are added.
        plan: The `Plan`.
        jobs: The number of processes at a time.
        deadline: No run starts after this time, in seconds of `time.time`.
        keep: A function that is called with each new record.
        target: The function of a process, see `work`.
    """
    context = multiprocessing.get_context("spawn")
    waiting = [cell for cell in cells if upcoming(cell, tasks, records, plan)]
    active, free = {}, cores_for(jobs)

    def done(entry):
        records.append(entry)
        keep(entry)

    while active or (waiting and time.time() < deadline):
        while waiting and free and time.time() < deadline:
            cell, core = waiting.pop(0), free.pop(0)
            receiver, sender = context.Pipe(duplex=False)
            ours = [entry for entry in records if entry["cell"] == cell]
            process = context.Process(
                target=target, args=(cell, tasks, ours, plan, core, deadline, sender), daemon=True
            )
            process.start()
            sender.close()  # so that the connection ends when the process does
            active[receiver] = process, cell, core
        for receiver in wait(active):
            process, cell, core = active[receiver]
            with contextlib.suppress(EOFError):
                done(receiver.recv())
                continue
            process.join()
            del active[receiver]
            free.append(core)
            lost = upcoming(cell, tasks, records, plan)
            if lost and process.exitcode:
                why = f"its process ended with exit code {process.exitcode}"
                done(record(lost, plan.settings, status="failed", reason=why))
                waiting.insert(0, cell)
