"""The speed of training and generation with each cell, and the time of an update in each task."""

import functools
import multiprocessing
import statistics
import time

import harness
from cell_comparison import runs
from cell_comparison.plan import Run
from cell_comparison.settings import CONTROL, SPEED, sized
from cell_comparison.tasks import TASKS
from cell_comparison.texts import text_model, text_streams

# These take tenths of a second. Shorter runs would depend on the scheduler of a busy machine.
SPEED_WINDOWS = 32
SPEED_NEW_TOKENS = 2000
TIMED_UPDATES = 40
TIMES = "times"
"""The `task` of a record with the time of an update of each cell."""


def measure_speed(cells, settings, rounds, seed):
    """Measure training and generation with all cells in interleaved rounds.

    Returns:
        A dict of cells to their size and `{"training": [tokens per second of each round], "generation":
        [...]}`, or to `{"reason": ...}` for a cell that failed.
    """
    import keras

    keras.utils.set_random_seed(seed)
    runs, speeds = {}, {}
    for name in cells:
        try:
            kinds = {"training": training_run(name, settings), "generation": generation_run(name, settings)}
            for run in kinds.values():
                run()  # traces
        except Exception as error:  # a registered cell may raise anything
            speeds[name] = {"reason": harness.reason(error)}
            continue
        runs |= {(name, kind): run for kind, run in kinds.items()}
        speeds[name] = sized(name, settings)
    for (name, kind), rates in harness.measure_rates(runs, rounds).items():
        speeds[name] = speeds[name] | {kind: [round(rate, 1) for rate in rates]}
    keras.backend.clear_session()
    return speeds


def training_run(name, settings):
    """A function that trains on a few windows and returns the number of tokens."""
    from textrnn.data.windows import windows

    lm = text_model(name, settings)
    lm.compile()
    stream = text_streams(settings.text_data)[0]
    tokens = min(SPEED_WINDOWS * settings.batch_size * settings.text_length, len(stream) - 1)
    batches = windows(stream[: tokens + 1], settings.batch_size, settings.text_length)

    def run():
        lm.fit(batches, verbose=0)
        return len(batches) * settings.batch_size * settings.text_length

    return run


def generation_run(name, settings):
    """A function that generates a text from one character and returns the number of tokens."""
    import tensorflow as tf

    from textrnn import RowSampler

    lm = text_model(name, settings)

    @functools.partial(tf.function, autograph=False)
    def generate(token_ids):
        inputs = {"token_ids": token_ids, "padding_mask": tf.ones_like(token_ids, tf.bool)}
        new, _ = RowSampler().decode(
            lm.decoder(inputs),
            **inputs,
            max_new_tokens=tf.constant([SPEED_NEW_TOKENS]),
            limit=SPEED_NEW_TOKENS,
        )
        return new

    start = tf.constant(text_streams(settings.text_data)[0][None, :1])
    return lambda: generate(start).numpy().size


def speed_record(records, settings, cells):
    """The last measurement with these settings that includes all these cells, or None."""
    return next(
        (
            entry
            for entry in reversed(records)
            if entry["task"] == SPEED
            and entry["settings"] == settings.mark(SPEED)
            and {*cells} <= {*entry["speeds"]}
        ),
        None,
    )


# === The time of an update ===


def measure_times(cells, task, settings, rounds):
    """Measure an update of each cell in a task, in interleaved rounds in a process with one thread.

    Returns:
        A dict of cells to seconds of the processor, one for each round, and a dict of the cells that failed
        to the reasons.
    """
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=send_times, args=(cells, task, settings, rounds, sender), daemon=True
    )
    process.start()
    sender.close()  # so that the connection ends when the process does
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        reason = f"its process ended with exit code {process.exitcode}"
        return {}, dict.fromkeys(cells, reason)


def send_times(cells, task, settings, rounds, connection):
    """Measure the times and send them. This is what the process runs."""
    import keras

    runs.begin_process()
    keras.utils.set_random_seed(settings.seeds[0])
    timed, failed = {}, {}
    for cell in cells:
        try:
            timed[cell] = timed_run(cell, task, settings)
            timed[cell]()  # traces
        except Exception as error:  # a registered cell may raise anything
            timed.pop(cell, None)
            failed[cell] = harness.reason(error)
    seconds = {cell: [] for cell in timed}
    for cell in harness.interleaved(timed, rounds):
        seconds[cell].append(float(f"{timed[cell]():.4g}"))
    connection.send((seconds, failed))


def timed_run(cell, task, settings):
    """A function that trains for a few updates and returns the seconds of one, as in the runs of the task."""
    from harness.clock import UNTIMED_STEPS, Clock, compile_for, fit_until

    rate = min(settings.learning_rates)
    job = TASKS[task].prepare(Run(task, cell, rate, settings.seeds[0], settings.steps(task)), settings)
    compile_for(job.model, job.loss, rate)

    def run():
        clock = Clock(rate, steps=UNTIMED_STEPS + TIMED_UPDATES, now=time.process_time)
        fit_until(job.model, job.batches, clock)
        if clock.diverged:
            raise FloatingPointError("the loss is not finite")
        return clock.spent / clock.timed_steps

    return run


def times_record(records, settings, cells, task):
    """The last record of the times of these cells in a task with these settings, or None."""
    return next(
        (
            entry
            for entry in reversed(records)
            if entry["task"] == TIMES
            and entry["of"] == task
            and entry["settings"] == settings.mark(task)
            and {*cells, CONTROL} <= {*entry["seconds"], *entry["failed"]}
        ),
        None,
    )


def times_of(entry):
    """The median time of an update of each cell in a record; empty without the control."""
    found = {cell: statistics.median(seconds) for cell, seconds in entry["seconds"].items()}
    return found if CONTROL in found else {}
