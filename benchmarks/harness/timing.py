"""Time, rates and peak memory."""

import subprocess
import sys
import time
from pathlib import Path

from harness.log import log


def interleaved(names, rounds):
    """Yield the names in every round, in an order that shifts from round to round.

    Example:

    >>> from harness import interleaved
    >>> " ".join(interleaved("abc", rounds=3))
    'a b c b c a c a b'
    """
    names = [*names]
    for i in range(rounds):
        shift = i * len(names) // rounds
        yield from names[shift:] + names[:shift]
        log(f"  round {i + 1} of {rounds}")


def measure_times(runs, rounds, seconds=0.0):
    """Measure the time of a run in milliseconds.

    Args:
        runs: A dict of names to warmed-up functions.
        rounds: The number of rounds.
        seconds: About how long to repeat each function within a round. The mean counts.

    Returns:
        A dict of names to one value per round.
    """
    repeats = {name: repeats_in(seconds, run) for name, run in runs.items()}
    times = {name: [] for name in runs}
    for name in interleaved(runs, rounds):
        times[name].append(1000 * timed(runs[name], repeats[name])[0])
    return times


def measure_rates(runs, rounds):
    """Measure how much each function does per second.

    Args:
        runs: A dict of names to warmed-up functions that return the amount of work they did.
        rounds: The number of rounds.

    Returns:
        A dict of names to one value per round.
    """
    rates = {name: [] for name in runs}
    for name in interleaved(runs, rounds):
        elapsed, amount = timed(runs[name])
        rates[name].append(amount / elapsed)
    return rates


def repeats_in(seconds, run):
    """How often a function runs in some seconds, at least once."""
    return max(1, round(seconds / timed(run)[0])) if seconds else 1


def timed(run, repeats=1):
    """The mean seconds of repeated runs, and the value of the last one."""
    start = time.perf_counter()
    for _ in range(repeats):
        value = run()
    return (time.perf_counter() - start) / repeats, value


def peak_memory():
    """The peak memory of this process so far, in megabytes."""
    # `getrusage` would count the peak of the parent process too.
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def run_in_subprocess(script, *arguments):
    """Run a benchmark script in a process of its own and return the last line of its output.

    Raises:
        RuntimeError: If the script fails.
    """
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} ended with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]
