"""The `textrnn` command and its subcommands.

TensorFlow and Keras are imported when a command runs, so `--help` takes less than a second.
"""

import inspect
import sys
from types import FunctionType
from typing import Any

from docstring_parser import parse

import textrnn
from textrnn.cli.cells import cells
from textrnn.cli.models import export, models
from textrnn.cli.parser import Parser, add_option
from textrnn.cli.process import run
from textrnn.cli.recipe import recipe, run_packaged
from textrnn.cli.serve import make_serve_parser, serve
from textrnn.tasks.registry import task_kinds

OPTIONAL_POSITIONALS = {"name", "folder"}
"""Names of parameters that are optional and have no flag."""


PARSERS = {"serve": make_serve_parser}
"""Parsers of commands that are not made from the parameters of their functions."""


def main():
    """Run the `textrnn` command."""
    match sys.argv[1:]:
        case ["recipe", recipe_name, *arguments] if not {recipe_name[:1], *arguments} & {"-", "--copy"}:
            run(lambda: run_packaged(recipe_name, arguments))  # which parses its own options
            return
    parser = make_command_parser()
    if len(sys.argv) == 1:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    given = parser.parse()
    name = given["subcommand"]
    run(lambda: commands()[name](**given[name]))


def commands() -> dict[str, FunctionType]:
    """Return the subcommands of `textrnn` by name: those of each task, and those of this package."""
    found: list[Any] = [command for kind in task_kinds() for command in kind.load_commands()]
    return {command.__name__: command for command in [*found, serve, models, export, cells, recipe]}


def make_command_parser():
    """Make the parser of the `textrnn` command."""
    parser = Parser(
        prog="textrnn",
        description="Run recipes, use trained models, and describe cells.",
    )
    version = f"textrnn {textrnn.__version__}"
    parser.add_argument("--version", action="version", version=version, help="Print the version and exit")
    subcommands = parser.add_subcommands(metavar="COMMAND", title="commands", description="")
    for name, function in commands().items():
        summary = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".")
        subparser = PARSERS[name]() if name in PARSERS else make_function_parser(function)
        subcommands.add_subcommand(name, subparser, help=summary)
        subparser.prog = f"textrnn {name}"  # jsonargparse puts "[options]" in between
    return parser


def make_function_parser(function):
    """Make a parser of a function's parameters, with help from its docstring.

    Parameters without a default are positional; those whose default is False are switches.

    Args:
        function: A function with annotations and a docstring.

    Returns:
        A `Parser`.
    """
    docstring = parse(inspect.getdoc(function) or "")
    texts = {parameter.arg_name: parameter.description or "" for parameter in docstring.params}
    parameters = inspect.signature(function).parameters.values()
    positionals = [p.name for p in parameters if p.default is p.empty or p.name in OPTIONAL_POSITIONALS]
    usage = " ".join(f"[{name}]" if name in OPTIONAL_POSITIONALS else name for name in positionals)
    parser = Parser(
        usage=f"%(prog)s {usage} [OPTION ...]",
        description=" ".join(filter(None, (docstring.short_description, docstring.long_description))),
    )
    for parameter in parameters:
        name, default = parameter.name, parameter.default
        text = " ".join(texts[name].split()).rstrip(".")
        if default is False:
            parser.add_argument(f"--{name}", action="store_true", help=text)
        elif name in OPTIONAL_POSITIONALS:
            add_option(parser, name, parameter.annotation, None, text, positional=True, nargs="?")
        else:
            required = default is parameter.empty
            add_option(parser, name, parameter.annotation, None if required else default, text, required)
    return parser
