"""The argument parser of all command lines, with short help and plain errors."""

import difflib
import re
import shlex
import sys
from typing import Any, Literal, get_args, get_origin

from jsonargparse import ArgumentParser

from textrnn import private
from textrnn.types import expected, plain, single_type


class Parser(ArgumentParser):
    """A parser of flags and YAML files whose errors name the option, its value and what is expected.

    Args:
        **kwargs: See `jsonargparse.ArgumentParser`.
    """

    def __init__(self, **kwargs):
        super().__init__(
            formatter_class=private.help_formatter(),
            parser_mode=private.yaml_mode(),
            allow_abbrev=False,
            **kwargs,
        )

    def parse(self, arguments=None) -> dict[str, Any]:
        """Parse a command line.

        Args:
            arguments: A list of str. Default: the command line of the process.

        Returns:
            A dict from names to values; those of a subcommand are a dict.
        """

        def plain_values(values):
            return {k: plain_values(v) if isinstance(v, dict) else plain(v) for k, v in values.items()}

        return plain_values(self.parse_args(arguments).as_dict())

    def error(self, message, ex=None):
        """Print the error and exit with status 2."""
        parser = getattr(ex, "subcommand_parser", None) or self
        text = in_words(message, parser)
        missing = re.match(r"the following arguments are required: (\w+)\.", message)  # of a command
        command = f"{parser.prog} {missing[1]}" if missing else parser.prog
        tip = "" if ": expected " in text else f"\nFor the options: {command} --help"
        print(f"error: {text}{tip}", file=sys.stderr)
        raise SystemExit(2)


def in_words(message: str, parser: ArgumentParser) -> str:
    """Describe an error of jsonargparse without the names of types.

    Args:
        message: The error message of jsonargparse.
        parser: The parser with the option.

    Example:

    >>> from textrnn.cli.parser import Parser, add_option
    >>> from textrnn.types import Fraction
    >>> parser = Parser()
    >>> add_option(parser, "dropout", Fraction, 0.2, "Fraction of the inputs to drop")
    >>> in_words('Parser key "dropout": Not of type Fraction: 1.5 does not conform to ...', parser)
    '--dropout 1.5: expected a number of at least 0 and below 1'
    """
    if unknown := re.match(r"unrecognized arguments: (--\w+)|Option '(\w+)' is not accepted", message):
        flag = unknown[1] or f"--{unknown[2]}"
        flags = [flag for action in private.options_of(parser) for flag in action.option_strings]
        nearest = difflib.get_close_matches(flag, flags, n=1)
        return f"{flag}: there is no such option" + "".join(f"; did you mean {name}?" for name in nearest)
    if choices := re.match(r"argument COMMAND: invalid choice: '(.*)' \(choose from (.*)\)", message):
        names = choices[2].replace("'", "")
        return f"there is no command {choices[1]!r}: choose one of {names}"
    if (stray := re.match(r"unrecognized arguments: ([^-].*?)(?: -|\Z)", message)) and (
        flag := _of_text(parser)
    ):
        return f"{stray[1]}: give it with a flag, such as {flag} {shlex.quote(stray[1])}"
    found = re.match(r"argument --(\w+): (invalid \w+ value: '.*)", message) or re.match(
        r'Parser key "(?:\w+\.)*(\w+)"(?: element \d+)?:\s+(.*)', message, re.DOTALL
    )
    if found is None:
        return re.sub(r"(required: )\w+\.", r"\1", message)  # without the name of the command
    key, problem = found.groups()
    action = next(action for action in private.options_of(parser) if action.dest == key)
    name = action.option_strings[0] if action.option_strings else key
    annotation = private.type_of(action)
    if annotation is None:
        return f"{name}: {problem}"
    patterns = (r"(?:Got|Given) value: (.*)", r": (\S*) does not (?:conform|match)", r": '(.*)'\Z")
    value = next((match[1] for pattern in patterns if (match := re.search(pattern, problem))), "")
    return f"{name} {value}".strip() + f": expected {expected(annotation)}"


def _of_text(parser):
    """The first flag of a parser that takes a text or a path, or None."""
    for action in private.options_of(parser):
        annotation = private.type_of(action)
        if action.option_strings and annotation is not None and metavar(annotation) in ("TEXT", "PATH"):
            return action.option_strings[0]
    return None


def add_option(container, name, annotation, default, text, positional=False, nargs=None):
    """Add an option with a type. Its help is one clause and the default.

    Args:
        container: A parser or one of its groups.
        name: The option's name, without dashes.
        annotation: Its type. A flag of type `list[...]` can be repeated.
        default: Its default. None is not printed: the text says what it means.
        text: One clause for `--help`.
        positional: Whether it has no flag.
        nargs: As for `argparse.ArgumentParser.add_argument`.
    """
    kind = single_type(annotation)
    options: dict[str, Any] = {}
    if get_origin(kind) is list:
        [annotation] = get_args(kind)
        nargs, options["action"] = 1, "extend"  # for `append`, jsonargparse would check the list as one value
    options |= {"type": annotation, "metavar": name if positional else metavar(annotation)}
    if annotation is bool:
        nargs, options["const"] = "?", True  # `--reverse` as well as `--reverse true`
    if nargs is not None:
        options["nargs"] = nargs
    if not positional:
        options["default"] = default
    if default not in (None, ""):
        text += f" (default: {str(default).lower() if isinstance(default, bool) else default})"
    container.add_argument(name if positional else f"--{name}", help=text, **options)


def metavar(annotation: Any) -> str:
    """The placeholder of an option's value: N for integers, X for numbers, PATH or TEXT.

    Example:

    >>> from textrnn.cli.parser import metavar
    >>> metavar(int | None), metavar(float), metavar(str)
    ('N', 'X', 'TEXT')
    """
    kind = single_type(annotation)
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if kind is bool:
        return "{true,false}"
    if issubclass(kind, (int, float)):
        return "N" if issubclass(kind, int) else "X"
    return "TEXT" if issubclass(kind, str) else "PATH"
