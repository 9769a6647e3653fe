"""The command of a benchmark: its options, and its report."""

import argparse
import dataclasses
import json
import time
from pathlib import Path

from harness.contestants import load_backend
from harness.environment import commit, environment, load_average
from harness.log import log
from harness.results import markdown


def positive(text):
    """An option value that is an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected an integer of at least 1")
    return value


positive.__name__ = "integer"  # argparse's name of the type in errors about other texts


def make_parser(doc, script, rounds=5):
    """A parser with the options that benchmarks share.

    Args:
        doc: The docstring of the script. Its first line is the description.
        script: The path of the script.
        rounds: The default number of rounds.
    """
    parser = argparse.ArgumentParser(
        description=doc.splitlines()[0], epilog=f"Method: see the docstring of {Path(script).name}."
    )
    add = parser.add_argument
    add("--rounds", type=positive, metavar="N", help=f"rounds (default: {rounds}, with --quick 2)")
    add("--quick", action="store_true", help="tiny sizes, to try the command")
    add("--seed", type=int, default=0, metavar="N", help="seed of weights and inputs (default: 0)")
    add("--output", type=Path, metavar="PATH", help=f"folder for {Path(script).stem}.json and .md")
    return parser


def add_tasks(parser, tasks):
    """Add the option `--task`, one or several of these (default: all)."""
    names = ", ".join(tasks)
    add = parser.add_argument
    add("--task", nargs="+", choices=tasks, default=[*tasks], metavar="TASK", help=f"{names} (default: all)")


def add_sizes(parser, sizes):
    """Add an option for each size of a work.

    Args:
        parser: From `make_parser`.
        sizes: A dict of names to help texts. A size that is not given keeps the value of each work.
    """
    for name, meaning in sizes.items():
        parser.add_argument(f"--{name}", type=positive, metavar="N", help=meaning)


def changed(works, quick, given, *options):
    """The works with the sizes that the command line asks for, without duplicates.

    Args:
        works: Dataclasses.
        quick: The sizes of `--quick`.
        given: The parsed command line.
        *options: Names of options that replace a size if given.
    """
    sizes = dict(quick) if given.quick else {}
    sizes |= {name: value for name in options if (value := getattr(given, name)) is not None}
    return [*dict.fromkeys(dataclasses.replace(work, **sizes) for work in works)]


def run_benchmark(name, works, measure, given, rounds=5, peers=(), describe=None):
    """Measure all works, print the table, and write it to the output folder.

    Args:
        name: The name of the report's files.
        works: The works.
        measure: A function of a work and the number of rounds that returns its `result`.
        given: The parsed command line, see `make_parser`.
        rounds: The default number of rounds.
        peers: Packages to list in the environment.
        describe: A function of the results that returns further facts about the environment.
    """
    load_backend()
    start = time.perf_counter()
    rounds = given.rounds or (2 if given.quick else rounds)
    facts = {"commit": commit(), **environment(given.seed, rounds, peers)}
    results = []
    from textrnn import startup

    # Otherwise PyTorch's LSTM gets its workspace anew from the system in each call, beside TensorFlow but not
    # without it: a token of one row then takes 3 ms instead of 0.5.
    with startup.freed_memory_kept():
        for work in works:
            log(work)
            results.append(measure(work, rounds))
    facts |= describe(results) if describe else {}
    facts |= {"load_average_after": load_average(), "seconds": round(time.perf_counter() - start)}
    report = {"environment": facts, "results": results}
    table = markdown(report)
    print(table, end="")
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / f"{name}.md").write_text(table, encoding="utf-8")
        (given.output / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
