"""What all benchmarks share: contestants, interleaved timing, the environment, tables and options.

A benchmark is a list of works. Every contestant does the same work in the same process. After two warm-up
runs, the contestants run in interleaved rounds: in each round every contestant runs once, in an order that
shifts from round to round, so that other load on the machine affects all of them. A table shows the median
over the rounds with the range, and the ratio of the medians with the range of the ratios within a round.
"""

from harness.command import add_sizes, add_tasks, changed, make_parser, positive, run_benchmark
from harness.contestants import (
    OURS,
    Contestant,
    Contestants,
    as_exported,
    available,
    load_backend,
    torch_device,
)
from harness.environment import CHECKOUT, backend, commit, environment
from harness.log import log
from harness.pictures import style
from harness.records import append, read_records, reason
from harness.results import listed, markdown, result
from harness.study import run_study
from harness.timing import (
    interleaved,
    measure_rates,
    measure_times,
    peak_memory,
    repeats_in,
    run_in_subprocess,
    timed,
)

__all__ = [
    "CHECKOUT",
    "OURS",
    "Contestant",
    "Contestants",
    "add_sizes",
    "add_tasks",
    "append",
    "as_exported",
    "available",
    "backend",
    "changed",
    "commit",
    "environment",
    "interleaved",
    "listed",
    "load_backend",
    "log",
    "make_parser",
    "markdown",
    "measure_rates",
    "measure_times",
    "peak_memory",
    "positive",
    "read_records",
    "reason",
    "repeats_in",
    "result",
    "run_benchmark",
    "run_in_subprocess",
    "run_study",
    "style",
    "timed",
    "torch_device",
]
