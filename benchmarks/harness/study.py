"""The command of a study: measure, keep the numbers, print the tables, and draw the picture."""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

from harness.contestants import load_backend
from harness.environment import commit, environment
from harness.results import listed


def run_study(script, doc, options, measure, table, draw, quick, arguments=None):
    """Run a study as a command.

    `--output` gets the numbers, `<name>.json`, and the picture, `<name>.png`. `--draw` prints the tables and
    draws the picture from the numbers there.

    Args:
        script: The path of the script. Its stem is the name of the study.
        doc: The docstring of the script. Its first line is the description.
        options: `{name: (default, help)}`. A default is a number, or a list of numbers.
        measure: A function of the options that returns the numbers, as dicts, lists, numbers and strings.
        table: A function of the numbers that returns tables in Markdown.
        draw: A function of the numbers and the path of a PNG file, which it writes.
        quick: The options of `--quick`.
        arguments: Command-line arguments, or None for those of the process.
    """
    name = Path(script).stem
    parser = _parser(script, doc, options)
    given = parser.parse_args(arguments)
    folder = given.output
    if given.draw:
        if not folder:
            parser.error("--draw needs --output")
        report = json.loads((folder / f"{name}.json").read_text("utf-8"))
    else:
        load_backend()
        if given.quick:
            given = argparse.Namespace(**{**vars(given), **quick})
        report = _measured(measure, given)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{table(report['results'])}\n\n{listed(report['environment'])}")
    if folder:
        draw(report["results"], folder / f"{name}.png")


def _parser(script, doc, options):
    parser = argparse.ArgumentParser(
        description=doc.splitlines()[0], epilog=f"Method: see the docstring of {Path(script).name}."
    )
    for name, (default, text) in options.items():
        many = isinstance(default, list)
        shown = " ".join(map(str, default)) if many else default
        parser.add_argument(
            f"--{name}", type=type(default[0] if many else default), default=default,
            nargs="+" if many else None, metavar="N", help=f"{text} (default: {shown})",
        )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to try the command")
    parser.add_argument("--output", type=Path, metavar="PATH", help="folder of the numbers and the picture")
    parser.add_argument("--draw", action="store_true", help="draw the numbers in --output, measure nothing")
    return parser


def _measured(measure, given):
    version, begin, processor = commit(), time.perf_counter(), time.process_time()
    results = measure(given)
    facts = environment(0, 1)
    kept = ("date", "textrnn", "keras", "tensorflow", "cpu", "cpus", "load_average_before")
    return {
        "environment": {
            "command": shlex.join(["python", *sys.argv]),
            "commit": version,
            **{name: facts[name] for name in kept if name in facts},
            "minutes": round((time.perf_counter() - begin) / 60, 1),
            "processor_minutes": round((time.process_time() - processor) / 60, 1),
        },
        "results": results,
    }
