"""The command `textrnn translate`."""

import sys
from pathlib import Path
from typing import Any

from textrnn.errors import expect


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
    expect(sum(map(bool, (text is not None, file, interactive))) <= 1,
            "--text, --file and --interactive: give one of them")  # fmt: skip
    expect(batch_size >= 1, f"--batch_size {batch_size}: expected 1 or more")
    expect(n_best >= 1, f"--n_best {n_best}: expected 1 or more")
    expect(num_beams is None or 1 <= num_beams <= 32, f"--num_beams {num_beams}: expected 1 to 32")
    if num_beams is None and n_best > 1:
        num_beams = max(n_best, 5)
    expect(num_beams is None or n_best <= num_beams,
            f"--n_best {n_best}: a search with {num_beams} beams finds no more than so many")  # fmt: skip
    expect(
        length_penalty is None or 0 <= length_penalty <= 10,
        f"--length_penalty {length_penalty}: expected 0 to 10",
    )
    expect(
        max_new_tokens is None or 0 <= max_new_tokens <= 1024,
        f"--max_new_tokens {max_new_tokens}: expected 0 to 1024",
    )
    expect(file is None or Path(file).is_file(), f"--file {file}: there is no such file")
    expect(output is None or (Path(output).parent.is_dir() and not Path(output).is_dir()),
            f"--output {output}: give a file in a folder that exists")  # fmt: skip
    from textrnn.presets.functions import load_functions

    search = load_functions(model, "translate", "attention", "does not translate", cell)["translate"]

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
            for remark in answer.warnings:
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
