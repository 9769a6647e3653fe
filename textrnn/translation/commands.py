"""The command `textrnn translate`."""

import sys
from pathlib import Path
from typing import Any

from textrnn.errors import expect, warn
from textrnn.types import Beams, LengthPenalty, MaxNewTokens, PositiveInt


def translate(
    model: Path,
    text: str | None = None,
    file: Path | None = None,
    output: Path | None = None,
    interactive: bool = False,
    n_best: PositiveInt = 1,
    num_beams: Beams | None = None,
    length_penalty: LengthPenalty | None = None,
    max_new_tokens: MaxNewTokens | None = None,
    batch_size: PositiveInt = 32,
    cell: str | None = None,
):
    """Translate texts.

    Args:
        model: Folder of a model (saved_models/NAME), of one version, or of a preset
        text: Text to translate (default: every line of the standard input)
        file: File with one text per line, optionally gzipped
        output: File to write to (default: the standard output)
        interactive: Read texts until Ctrl-D
        n_best: Number of translations per text; more than one are printed with scores
        num_beams: Number of beams, up to 32; 1 is greedy (default: the model's)
        length_penalty: Length penalty from 0 to 10; higher favours longer translations (default: the model's)
        max_new_tokens: Maximum number of tokens in a translation, up to 1024 (default: by the text)
        batch_size: Number of texts per batch
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    ways = {"--text": text is not None, "--file": file is not None, "--interactive": interactive}
    chosen = [way for way, is_given in ways.items() if is_given]
    expect(len(chosen) <= 1, f"{' and '.join(chosen)}: give one of them")
    if num_beams is None and n_best > 1:
        num_beams = max(n_best, 5)
    expect(
        num_beams is None or n_best <= num_beams,
        f"--n_best {n_best}: beam search with {num_beams} beams returns at most {num_beams}",
    )
    expect(file is None or file.is_file(), f"--file {file}: there is no such file")
    expect(
        output is None or (output.parent.is_dir() and not output.is_dir()),
        f"--output {output}: give a file in a folder that exists",
    )
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
            binary = stack.enter_context(open(file, "rb")) if file else sys.stdin.buffer
            lines = lines_of(binary, str(file or ""))
        to = stack.enter_context(open(output, "w", encoding="utf-8")) if output else sys.stdout
        for number, answer in enumerate(translated(search, lines, batch_size, **own), start=1):
            for warning in answer.warnings:
                warn(f"text {number} {warning}")
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
