"""The command `textrnn translate`."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from textrnn.data.text_files import typed_lines
from textrnn.errors import expect, warn
from textrnn.types import Beams, LengthPenalty, MaxNewTokens, PositiveInt


def translate(
    model: Path,
    text: list[str] | None = None,
    file: Path | None = None,
    output: Path | None = None,
    interactive: bool = False,
    text_column: str | None = None,
    no_header: bool = False,
    encoding: str | None = None,
    n_best: Beams = 1,
    num_beams: Beams | None = None,
    length_penalty: LengthPenalty | None = None,
    max_new_tokens: MaxNewTokens | None = None,
    batch_size: PositiveInt = 32,
    cell: str | None = None,
):
    """Translate texts.

    Args:
        model: Folder of a model (saved_models/NAME), a version or a preset, or a name from `textrnn models`
        text: Text to translate; can be repeated (default: every line of the standard input)
        file: File with one text per line, or a table such as texts.csv; optionally compressed
        output: File to write to; for a table, one with its columns and the translations
        interactive: Read texts until Ctrl-D
        text_column: Column of the file with the texts, by name or number (default: source or text)
        no_header: The first row of the table has no names of columns
        encoding: Encoding of the file, such as cp1252 (default: UTF-8, or as marked)
        n_best: Number of translations per text, up to 32; more than one are printed with scores
        num_beams: Number of beams, up to 32; 1 is greedy (default: the model's)
        length_penalty: Length penalty from 0 to 10; higher favours longer translations (default: the model's)
        max_new_tokens: Maximum number of tokens in a translation, up to 1024 (default: by the text)
        batch_size: Number of texts per batch
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    ways = {"--text": text is not None, "--file": file is not None, "--interactive": interactive}
    chosen = [way for way, is_given in ways.items() if is_given]
    expect(len(chosen) <= 1, f"{' and '.join(chosen)}: give one of them")
    expect(
        num_beams is None or n_best <= num_beams,
        f"--n_best {n_best}: beam search with {num_beams} beams returns at most {num_beams}",
    )
    from textrnn.serving.texts import Texts, answered, check_answers, check_output, checked, given_texts

    check_output(output, file, text_column, no_header)
    if interactive:
        given, batch_size = Texts(checked(typed_lines())), 1
    else:
        given = given_texts(
            text, file, text_column=text_column, no_header=no_header, encoding=encoding,
            pairs=True,
        )  # fmt: skip
    if given.table and output:
        check_answers(output, given.table, _names(n_best))
    from textrnn.presets.functions import load_functions

    search = load_functions(model, "Seq2SeqLM", "translate", "attention", "does not translate", cell)[
        "translate"
    ]
    if num_beams is None and n_best > 1:
        num_beams = max(n_best, _own_beams(search))
    if interactive:
        print("Type a text, Enter for its translation, Ctrl-D to end.", file=sys.stderr)

    from textrnn.serving.translate import translated

    options = {"num_beams": num_beams, "length_penalty": length_penalty, "max_new_tokens": max_new_tokens}
    own: dict[str, Any] = {name: value for name, value in options.items() if value is not None}

    def answers():
        for number, answer in enumerate(translated(search, given.texts, batch_size, **own), start=1):
            for warning in answer.warnings:
                warn(f"text {number} {warning}")
            yield answer.n_best[:n_best]

    if given.table and output:
        from textrnn.data.table_writing import write_table

        rows = _rows(answers(), n_best)
        write_table(output, *answered(given.table, _names(n_best), rows), given.table.dialect)
        return
    with open(output, "w", encoding="utf-8") if output else nullcontext(sys.stdout) as to:
        for best in answers():
            for translation, score in best:
                to.write(f"{score:.3f}\t{translation}\n" if n_best > 1 else f"{translation}\n")
            if n_best > 1 and (text is None or len(text) > 1):
                to.write("\n")
            to.flush()


def _own_beams(search) -> int:
    """Return the number of beams of a model, which the translations of any text have."""
    import tensorflow as tf

    own = tf.constant([-1])
    found = search(text=[""], num_beams=own, length_penalty=tf.cast(own, tf.float32), max_new_tokens=own)
    return found["text"].shape[1]


def _names(n_best: int) -> list[str]:
    """Return the names of the columns of a table of translations."""
    if n_best == 1:
        return ["translation"]
    return [f"{name}_{rank}" for rank in range(1, n_best + 1) for name in ("translation", "score")]


def _rows(answers, n_best: int) -> list[list]:
    """Return the values of these columns."""
    if n_best == 1:
        return [[translation] for [(translation, _)] in answers]
    rows = [
        [value for translation, score in best for value in (translation, round(score, 3))] for best in answers
    ]
    return [row + [None] * (2 * n_best - len(row)) for row in rows]
