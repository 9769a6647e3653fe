"""The command of a benchmark: its options, and its report."""

import dataclasses
import json
import time
from pathlib import Path

from harness.contestants import load_backend
from harness.environment import commit, environment, load_average
from harness.log import log
from harness.results import markdown


def make_parser(doc, script, rounds=5):
    """A parser with the options that benchmarks share.

    Args:
        doc: the docstring of the script. Its first line is the description.
        script: the path of the script.
        rounds: the default number of rounds.
    """
    from jsonargparse.typing import PositiveInt

    from textrnn.cli import parser as command_line

    parser = command_line.make_parser(
        description=doc.splitlines()[0], epilog=f"Method: see the docstring of {Path(script).name}."
    )
    parser.add_argument("--rounds", type=PositiveInt, help=f"rounds (default: {rounds}; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the command")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and inputs")
    parser.add_argument("--output", type=Path, help=f"folder for {Path(script).stem}.json and .md")
    parser.set_defaults(rounds=None)
    return parser


def add_sizes(parser, sizes):
    """Add an option for each size of a work.

    Args:
        parser: from `make_parser`.
        sizes: a dict of names to help texts. A size that is not given keeps the value of each work.
    """
    from jsonargparse.typing import PositiveInt

    for name, meaning in sizes.items():
        parser.add_argument(f"--{name}", type=PositiveInt, help=meaning)


def changed(works, quick, given, *options):
    """The works with the sizes that the command line asks for, without duplicates.

    Args:
        works: dataclasses.
        quick: the sizes of `--quick`.
        given: the parsed command line.
        *options: names of options that replace a size if given.
    """
    sizes = dict(quick) if given.quick else {}
    sizes |= {name: given[name] for name in options if given[name] is not None}
    return [*dict.fromkeys(dataclasses.replace(work, **sizes) for work in works)]


def run_benchmark(name, works, measure, given, rounds=5, peers=(), describe=None):
    """Measure all works, print the table, and write it to the output folder.

    Args:
        name: the name of the report's files.
        works: the works.
        measure: a function of a work and the number of rounds that returns its `result`.
        given: the parsed command line, see `make_parser`.
        rounds: the default number of rounds.
        peers: packages to list in the environment.
        describe: a function of the results that returns further facts about the environment.
    """
    load_backend()
    start = time.perf_counter()
    rounds = given.rounds or (2 if given.quick else rounds)
    facts = {"commit": commit(), **environment(given.seed, rounds, peers)}
    results = []
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
