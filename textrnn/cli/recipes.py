"""Running a recipe with options from flags or a YAML file."""

import os
import tempfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from textrnn import private
from textrnn.cli.parser import Parser, add_option
from textrnn.cli.process import run
from textrnn.cluster import is_chief
from textrnn.files import remove_leftovers, reserved
from textrnn.startup import (
    expect_tensorflow,
    freed_memory_kept,
    load_tensorflow,
    native_messages_hidden,
)

GROUPS = ("Data", "Model", "Training", "Output")
"""Groups of `--help`, in their order."""


def run_recipe(main, options_class, description, prog=None, arguments=None):
    """Parse a recipe's options from flags or from `--config FILE`, and run it.

    The model's folder is reserved until the recipe ends: another run with the same name is refused. Of
    several workers, the chief alone prints and writes there. The others run the same code, and what they
    write is thrown away.

    Args:
        main: The recipe, a function of its options.
        options_class: A subclass of `textrnn.options.OutputOptions`, whose fields are made by
            `textrnn.options.option`.
        description: The recipe's docstring; `--help` prints its first line.
        prog: The command, for `--help`. Default: the file that Python runs.
        arguments: The command line, a list of str. Default: that of the process.
    """
    parser = make_recipe_parser(options_class, description, prog)
    given = parser.parse(arguments)
    del given["config"]

    def start():
        options = options_class(**given)
        # The reservation comes first, since it fails where nothing can be written.
        with _one_writer(options) as options:
            expect_tensorflow("recipes and exports run")
            with native_messages_hidden():
                from textrnn.training.distribution import distributed
            with distributed(options.distribute) as workers:
                load_tensorflow()
                workers.check_same("other options", _settings(options))
                with freed_memory_kept():
                    main(options)

    folder = given["output"] / given["name"]
    run(start, folder, lambda: _how_to_resume(folder, given["fresh"]))


def _how_to_resume(folder, fresh):
    """What to do after Ctrl-C or an error of the disk: a sentence if a checkpoint is left, else nothing."""
    if not any(folder.glob("checkpoint*/checkpoint-*.index")):
        return ""
    without = ", without --fresh," if fresh else ""
    return f". The same command{without} resumes from the last checkpoint"


@contextmanager
def _one_writer(options):
    """Reserve the model's folder for the chief. Other workers are silent and write to a temporary folder."""
    if is_chief(options.distribute):
        with reserved(options.folder):
            remove_leftovers(options.folder)
            yield options
        return
    with (
        tempfile.TemporaryDirectory() as scratch,
        open(os.devnull, "w") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        yield replace(options, output=Path(scratch))


def _settings(options):
    """The options that must be the same on all workers; files may lie elsewhere."""
    return [(name, value) for name, value in vars(options).items() if not isinstance(value, Path)]


def make_recipe_parser(options_class, description, prog=None):
    """Make the parser of a recipe.

    Args:
        options_class, description, prog: As for `run_recipe`.

    Returns:
        A `Parser` with one flag per option, in groups.
    """
    summary = description.strip().partition("\n")[0]
    parser = Parser(prog=prog, usage="%(prog)s [OPTION ...]", description=summary)
    parser.add_argument(
        "--config", action="config", metavar="PATH", help="YAML file of options; flags override it"
    )
    [print_config] = [action for action in private.options_of(parser) if action.dest == "print_config"]
    print_config.help, print_config.metavar = "Print the options as YAML and exit", ""
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    for field in fields(options_class):
        text, title = _help_and_group(options_class, field.name)
        add_option(groups[title], field.name, field.type, field.default, text)
    return parser


def _help_and_group(options_class, name):
    """The help and the group of an option, inherited by a class that only changes the default."""
    owners = [
        (owner, field.metadata)
        for owner in options_class.__mro__
        if is_dataclass(owner)
        for field in fields(owner)
        if field.name == name
    ]
    help, group = next((known["help"], known["group"]) for _, known in owners if "help" in known)
    return help, group or (owners[-1][0].__doc__ or "").partition(":")[0]
