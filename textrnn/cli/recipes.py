"""The command lines of recipes: options from flags or a file, and the checks that they share."""

import re

from textrnn.cli.parser import make_parser
from textrnn.cli.process import run
from textrnn.errors import expect
from textrnn.startup import load_tensorflow


def run_recipe(main, options_class, description):
    """Parses a recipe's options, from flags or from `--config FILE`, and runs it.

    Args:
        main: the recipe, a function of its options.
        options_class: a dataclass; its docstring says what each option means.
        description: what `--help` says first.
    """
    parser = make_parser(description=description.strip().splitlines()[0])
    parser.add_argument("--config", action="config", help="Options from a YAML file; flags win.")
    parser.add_class_arguments(options_class)
    for action in parser._actions:
        if isinstance(action.default, bool) and action.option_strings[0] != "--help":
            action.nargs, action.const = "?", True  # `--reverse` alone, as well as `--reverse true`
    given = parser.parse_args()
    given.pop("config")

    def start():
        load_tensorflow()
        main(options_class(**given.as_dict()))

    run(start)


def check_options(options, whole=(), fractions=()):
    """Refuses options of a recipe that cannot be, before the long work begins.

    Args:
        options: the recipe's options, with a `name`, a `seed` and a `learning_rate`.
        whole: the names of those that must be 1 or more, unless they are None.
        fractions: the names of those that must be at least 0 and below 1.

    Raises:
        InputError: naming the first that is wrong.
    """
    for name in whole:
        value = getattr(options, name)
        expect(value is None or value >= 1, f"--{name} {value}: give 1 or more")
    for name in fractions:
        value = getattr(options, name)
        expect(0 <= value < 1, f"--{name} {value}: give a fraction of at least 0 and below 1")
    rate = options.learning_rate
    expect(0 < rate < float("inf"), f"--learning_rate {rate}: give a number above 0")
    expect(0 <= options.seed < 2**31, f"--seed {options.seed}: give a whole number from 0 to 2147483647")
    expect(
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", options.name),
        f"--name {options.name}: it is part of an address; use letters, digits, . _ and -",
    )


def check_cell(options):
    """Refuses a recipe's `cell`, or what it does not go together with, before the long work begins.

    With a preset it only finds both: a class of one's own is registered by being found.

    Args:
        options: the recipe's options, with `from_preset`, `cell`, `recurrent_dropout`, `weight_drop` and
            `zoneout`.

    Raises:
        InputError: saying why.
    """
    import textrnn

    if options.from_preset:
        from textrnn.cells import find_cell
        from textrnn.presets import find_preset

        find_cell(options.cell)
        find_preset(options.from_preset)
        return
    layer = textrnn.Recurrent(
        textrnn.GatedCell(4, options.cell),
        recurrent_dropout=options.recurrent_dropout,
        weight_drop=options.weight_drop,
        zoneout=options.zoneout,
    )
    layer.build((None, None, 4))
