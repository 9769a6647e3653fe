"""The `textrnn` command and its subcommands.

Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import inspect
from collections.abc import Callable

from textrnn.cli.cells import cells
from textrnn.cli.parser import make_parser
from textrnn.cli.process import run
from textrnn.tasks.registry import task_kinds


def commands() -> dict[str, Callable[..., None]]:
    """The subcommands of `textrnn` by name: those of each task, and `cells`."""
    found = [command for kind in task_kinds() for command in kind.load_commands()]
    return {command.__name__: command for command in [*found, cells]}


OPTIONAL_POSITIONALS = {"name"}
"""Parameters that are given without a flag, or not at all."""


def make_command_parser():
    """The parser of the `textrnn` command."""
    parser = make_parser(
        prog="textrnn", description="Use models that textrnn's recipes trained, and look at cells."
    )
    subcommands = parser.add_subcommands()
    for name, function in commands().items():
        parameters = inspect.signature(function).parameters
        switches = [p for p, parameter in parameters.items() if parameter.default is False]
        optional = OPTIONAL_POSITIONALS & set(parameters)
        help_lines = (inspect.getdoc(function) or "").splitlines()
        subparser = make_parser(description=help_lines[0])
        subparser.add_function_arguments(function, as_positional=True, skip={*switches, *optional})
        help_of = {
            p: next(line for line in help_lines if line.strip().startswith(f"{p}: ")).split(": ", 1)[1]
            for p in (*switches, *optional)
        }
        for switch in switches:
            subparser.add_argument(f"--{switch}", action="store_true", help=help_of[switch])
        for argument in optional:
            default = parameters[argument].default
            subparser.add_argument(argument, nargs="?", default=default or None, help=help_of[argument])
        subcommands.add_subcommand(name, subparser, help=help_lines[0])
    return parser


def main():
    """The `textrnn` command."""
    given = make_command_parser().parse_args()
    run(lambda: commands()[given.subcommand](**given[given.subcommand].as_dict()))
