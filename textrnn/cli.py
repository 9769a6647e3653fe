"""The command line: `textrnn` and its subcommands, and what recipes share of theirs.

Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textrnn.errors import InputError


def generate(
    model: str,
    prompt: str = "",
    interactive: bool = False,
    samples: int = 1,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    cell: str | None = None,
):
    """Continue a prompt with a trained model, from its SavedModel or its preset.

    Args:
        model: A model's folder (saved_models/NAME, the newest version is used), one version, or a preset.
        prompt: The text to continue.
        interactive: Ask for prompts until Ctrl-D.
        samples: How many different continuations to show.
        max_new_tokens: How many tokens to add at the most, up to 4096. Default: the model's own.
        temperature: Higher is more surprising; 0 takes the likeliest token. Default: the model's own.
        top_k: Choose among this many tokens; 0 for all. Default: the model's own.
        top_p: Choose among the likeliest tokens that reach this probability. Default: the model's own.
        seed: Give another one for another answer. Default: derived from the prompt.
        cell: For a preset whose cell is a class of your own: module:attribute, as for the recipe.
    """
    _expect(samples >= 1, f"--samples {samples}: expected 1 or more")
    _expect(
        max_new_tokens is None or max_new_tokens >= 0,
        f"--max_new_tokens {max_new_tokens}: expected 0 or more",
    )
    _expect(temperature is None or temperature >= 0, f"--temperature {temperature}: expected 0 or more")
    _expect(top_k is None or top_k >= 0, f"--top_k {top_k}: expected 0 or more (0 keeps all tokens)")
    _expect(top_p is None or 0 < top_p <= 1, f"--top_p {top_p}: expected more than 0 and at most 1")
    _expect(seed is None or 0 <= seed < 2**63, f"--seed {seed}: expected 0 or more")
    function = _functions(model, "generate", "text", "does not generate text", cell)["generate"]

    import tensorflow as tf

    def answer(prompt):
        seeds = [-1 if seed is None and i == 0 else (seed or 0) + i for i in range(samples)]
        repeat = lambda value, dtype: tf.fill([samples], tf.constant(-1 if value is None else value, dtype))  # noqa: E731
        texts = function(
            text=repeat(prompt, tf.string),
            max_new_tokens=repeat(max_new_tokens, tf.int32),
            temperature=repeat(temperature, tf.float32),
            top_k=repeat(top_k, tf.int32),
            top_p=repeat(top_p, tf.float32),
            seed=tf.constant(seeds, tf.int64),
        )["text"]
        for i, text in enumerate(texts.numpy()):
            if samples > 1:
                print(f"--- {i + 1} of {samples}")
            print(text.decode("utf-8"))

    if not interactive:
        answer(prompt)
        return
    print("Type a prompt, Enter for an answer, Ctrl-D to end.", file=sys.stderr)
    if prompt:
        answer(prompt)
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return
        answer(line)


def classify(
    model: str,
    text: str | None = None,
    file: str | None = None,
    output: str | None = None,
    batch_size: int = 8192,
    cell: str | None = None,
):
    """Say of which class texts are, with a trained classifier, from its SavedModel or its preset.

    Each line of the answer is the label, a tab and its probability.

    Args:
        model: A model's folder (saved_models/NAME, the newest version is used), one version, or a preset.
        text: A text. Without it and --file, every line of the standard input is one.
        file: A file with a text in every line; its lines are answered in their order, as they are read.
        output: Write the answers to this file instead of printing them.
        batch_size: How many texts are classified at once, at the most; the more, the faster.
        cell: For a preset whose cell is a class of your own: module:attribute, as for the recipe.
    """
    _expect(not (text and file), "--text and --file: give one of them")
    _expect(batch_size >= 1, f"--batch_size {batch_size}: expected 1 or more")
    _expect(file is None or Path(file).is_file(), f"--file {file}: there is no such file")
    functions = _functions(model, "serving_default", "scores", "does not classify text", cell)

    from contextlib import ExitStack

    from textrnn.serving.classify import classified

    with ExitStack() as stack:
        size = None
        lines: Iterable[bytes]
        if text is not None:
            lines = [text.encode("utf-8")]
        elif file is not None:
            lines, size = stack.enter_context(open(file, "rb")), Path(file).stat().st_size
        else:
            lines = sys.stdin.buffer
        to = stack.enter_context(open(output, "w", encoding="utf-8")) if output else sys.stdout
        bar = None
        if size is not None and sys.stderr.isatty() and (output or not sys.stdout.isatty()):
            from tqdm import tqdm

            bar = stack.enter_context(tqdm(total=size, unit="B", unit_scale=True))
        for label, score, read in classified(functions["serving_default"], lines, batch_size):
            to.write(f"{label}\t{score:.4f}\n")
            if bar is not None:
                bar.update(read)


def explain(
    model: str,
    text: str,
    html: str | None = None,
    png: str | None = None,
    cell: str | None = None,
):
    """Show which words made a classifier say what it says about a text.

    The number beside a word is what it added to the log-odds of the label: blue words spoke for it, orange
    ones against it. Beside it is the attention that the word got, if the classifier pools by attention.

    Args:
        model: A model's folder (saved_models/NAME, the newest version is used), one version, or a preset.
        text: The text.
        html: Write the explanation to this file too, as a page for a browser.
        png: Write the explanation to this file too, as a picture.
        cell: For a preset whose cell is a class of your own: module:attribute, as for the recipe.
    """
    functions = _functions(model, "explain", "weights", "explains nothing", cell)
    from textrnn.explanation import explainer, to_html, to_terminal

    [explanation] = explainer(functions)([text])
    print(to_terminal(explanation, colours=sys.stdout.isatty()))
    if html:
        Path(html).write_text(to_html([explanation]), encoding="utf-8")
    if png:
        from textrnn.plots import explanations

        explanations([explanation], png)


def translate(
    model: str,
    text: str | None = None,
    file: str | None = None,
    output: str | None = None,
    interactive: bool = False,
    n_best: int = 1,
    num_beams: int | None = None,
    length_penalty: float | None = None,
    max_new_tokens: int | None = None,
    batch_size: int = 32,
    cell: str | None = None,
):
    """Translate texts with a trained model, from its SavedModel or its preset.

    Args:
        model: A model's folder (saved_models/NAME, the newest version is used), one version, or a preset.
        text: A text. Without it, --file and --interactive, every line of the standard input is one.
        file: A file (perhaps .gz) with a text in every line; the answers come in their order.
        output: Write the translations to this file instead of printing them.
        interactive: Ask for texts until Ctrl-D.
        n_best: How many translations of each text to show; more than one come with their scores.
        num_beams: How many hypotheses the search follows, up to 32; 1 is greedy. Default: the model's own.
        length_penalty: Higher ones prefer longer translations. Default: the model's own.
        max_new_tokens: How many tokens a translation has at the most, up to 1024. Default: by the text.
        batch_size: How many texts are translated side by side.
        cell: For a preset whose cell is a class of your own: module:attribute, as for the recipe.
    """
    _expect(sum(map(bool, (text is not None, file, interactive))) <= 1,
            "--text, --file and --interactive: give one of them")  # fmt: skip
    _expect(batch_size >= 1, f"--batch_size {batch_size}: expected 1 or more")
    _expect(n_best >= 1, f"--n_best {n_best}: expected 1 or more")
    _expect(num_beams is None or 1 <= num_beams <= 32, f"--num_beams {num_beams}: expected 1 to 32")
    if num_beams is None and n_best > 1:
        num_beams = max(n_best, 5)
    _expect(num_beams is None or n_best <= num_beams,
            f"--n_best {n_best}: a search with {num_beams} beams finds no more than so many")  # fmt: skip
    _expect(
        length_penalty is None or 0 <= length_penalty <= 10,
        f"--length_penalty {length_penalty}: expected 0 to 10",
    )
    _expect(
        max_new_tokens is None or 0 <= max_new_tokens <= 1024,
        f"--max_new_tokens {max_new_tokens}: expected 0 to 1024",
    )
    _expect(file is None or Path(file).is_file(), f"--file {file}: there is no such file")
    _expect(output is None or (Path(output).parent.is_dir() and not Path(output).is_dir()),
            f"--output {output}: give a file in a folder that exists")  # fmt: skip
    search = _functions(model, "translate", "attention", "does not translate", cell)["translate"]

    from contextlib import ExitStack

    from textrnn.serving.translate import lines_of, translated

    given = (("num_beams", num_beams), ("length_penalty", length_penalty), ("max_new_tokens", max_new_tokens))
    own: dict[str, Any] = {name: value for name, value in given if value is not None}

    with ExitStack() as stack:
        if text is not None:
            lines = iter([text])
        elif interactive:
            print("Type a text, Enter for its translation, Ctrl-D to end.", file=sys.stderr)
            lines, batch_size = _asked(), 1
        else:
            lines = lines_of(stack.enter_context(open(file, "rb")) if file else sys.stdin.buffer, file or "")
        to = stack.enter_context(open(output, "w", encoding="utf-8")) if output else sys.stdout
        for number, answer in enumerate(translated(search, lines, batch_size, **own), start=1):
            for remark in answer.remarks:
                print(f"note: text {number} {remark}", file=sys.stderr)
            for best, score in answer.n_best[:n_best]:
                to.write(f"{score:.3f}\t{best}\n" if n_best > 1 else f"{best}\n")
            if n_best > 1 and text is None:
                to.write("\n")
            to.flush()


def _asked():
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return


def cells(name: str | None = None, markdown: bool = False):
    """Print the table of all cells, or one cell: its equations, states, parameters and paper.

    Args:
        name: A cell's name, or module:attribute for one of your own. Default: the table of all.
        markdown: Print the reference page of all cells, as in docs/cells.md.
    """
    with native_messages_hidden():
        from textrnn.cells import describe
    _expect(not (name and markdown), "--markdown prints all cells: leave out the name")
    if markdown:
        print(describe.page(), end="")
    else:
        print(describe.sheet(name) if name else describe.table())


def _functions(model, name, output, failing, cell=None):
    """The signatures of a SavedModel or of a preset, as functions called by keyword; one must be `name`."""
    load_tensorflow()
    path = Path(model)
    with native_messages_hidden():
        from textrnn.serving.saved_model import find_saved_model, load_signatures

        if cell is not None:
            from textrnn.cells import find_cell

            find_cell(cell)
        if find_saved_model(path) is not None:
            functions = load_signatures(path)
            found = output in getattr(functions.get(name), "structured_outputs", {})
        elif path.exists():
            from textrnn.export import load_preset
            from textrnn.signatures import python_functions

            functions = python_functions(load_preset(path))
            found = name in functions
        else:
            raise InputError(
                f"{path} does not exist: give a folder that a recipe wrote, such as saved_models/NAME"
            )
    _expect(found, f"{path} {failing}: it has the signatures {', '.join(sorted(functions))}")
    return functions


@contextmanager
def native_messages_hidden():
    """Hides what C++ libraries print while they load, which says nothing that a user can act on.

    Some of it is written before any log level is read, so standard error is closed meanwhile. Exceptions
    are raised as always.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def load_tensorflow():
    """Imports TensorFlow, the backend that recipes and exports need, without its start-up messages."""
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    _expect(
        backend == "tensorflow",
        f"KERAS_BACKEND is {backend!r}: recipes and exports run on TensorFlow; unset it for this command",
    )
    with native_messages_hidden():
        import tensorflow as tf

        tf.constant(0)  # the first tensor makes the devices, which has messages of its own


def _expect(condition, message):
    if not condition:
        raise InputError(message)


def _parser(**kwargs):
    """A parser whose errors are one message, without the usage of thirty flags above it."""
    from jsonargparse import ArgumentParser

    class Parser(ArgumentParser):
        def error(self, message, ex=None):
            print(f"error: {message}\nFor the options: {self.prog} --help", file=sys.stderr)
            raise SystemExit(2)

    return Parser(**kwargs)


def run_recipe(main, options_class, description):
    """Parses a recipe's options, from flags or from `--config FILE`, and runs it.

    Args:
        main: the recipe, a function of its options.
        options_class: a dataclass; its docstring says what each option means.
        description: what `--help` says first.
    """
    parser = _parser(description=description.strip().splitlines()[0])
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
        _expect(value is None or value >= 1, f"--{name} {value}: give 1 or more")
    for name in fractions:
        value = getattr(options, name)
        _expect(0 <= value < 1, f"--{name} {value}: give a fraction of at least 0 and below 1")
    rate = options.learning_rate
    _expect(0 < rate < float("inf"), f"--learning_rate {rate}: give a number above 0")
    _expect(0 <= options.seed < 2**31, f"--seed {options.seed}: give a whole number from 0 to 2147483647")
    _expect(
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
        from textrnn.export import find_preset

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


def run(function):
    """Runs a command; what a person gave wrong becomes one line on stderr and exit status 2.

    Args:
        function: a callable without arguments.
    """
    try:
        function()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


COMMANDS: dict[str, Callable[..., None]] = {
    "generate": generate,
    "classify": classify,
    "explain": explain,
    "translate": translate,
    "cells": cells,
}
"""The subcommands of `textrnn`, by name; a switch is a parameter that is False by default."""

OPTIONAL_POSITIONALS = {"name"}
"""Parameters that are given without a flag, or not at all."""


def make_parser():
    """The parser of the `textrnn` command."""
    parser = _parser(
        prog="textrnn", description="Use models that textrnn's recipes trained, and look at cells."
    )
    subcommands = parser.add_subcommands()
    for name, function in COMMANDS.items():
        parameters = inspect.signature(function).parameters
        switches = [p for p, parameter in parameters.items() if parameter.default is False]
        optional = OPTIONAL_POSITIONALS & set(parameters)
        help_lines = (inspect.getdoc(function) or "").splitlines()
        subparser = _parser(description=help_lines[0])
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
    given = make_parser().parse_args()
    run(lambda: COMMANDS[given.subcommand](**given[given.subcommand].as_dict()))
