"""The commands `textrnn classify` and `textrnn explain`."""

import sys
from contextlib import nullcontext
from pathlib import Path

from textrnn.errors import expect, warn
from textrnn.files import expect_output
from textrnn.types import PositiveInt
from textrnn.unicode import cleaned


def classify(
    model: Path,
    text: list[str] | None = None,
    file: Path | None = None,
    output: Path | None = None,
    text_column: str | None = None,
    no_header: bool = False,
    encoding: str | None = None,
    batch_size: PositiveInt = 8192,
    cell: str | None = None,
):
    """Classify texts.

    Prints one line per text: its label, a tab and the label's probability.

    Args:
        model: Folder of a model (saved_models/NAME), a version or a preset, or a name from `textrnn models`
        text: Text to classify; can be repeated (default: every line of the standard input)
        file: File with one text per line, or a table such as reviews.csv
        output: File to write to; for a table, one with its columns and the answers
        text_column: Column of the file with the texts, by name or number (default: text)
        no_header: The first row of the table has no names of columns
        encoding: Encoding of the file, such as cp1252 (default: UTF-8, or as marked)
        batch_size: Maximum number of texts per batch
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    expect(text is None or file is None, "--text and --file: give one of them")
    for one in text or ():
        expect(one.strip(), f"--text {one!r}: give the text to classify")
    from textrnn.serving.texts import answered, check_answers, check_output, given_texts

    check_output(output, file, text_column, no_header)
    given = given_texts(text, file, text_column=text_column, no_header=no_header, encoding=encoding)
    expect(given.number != 0, f"{file} has no texts")
    names = ["predicted_label", "probability"]
    if given.table and output:
        check_answers(output, given.table, names)
    from textrnn.presets.functions import load_functions

    functions = load_functions(
        model, "TextClassifier", "serving_default", "scores", "does not classify text", cell
    )

    from textrnn.serving.classify import classified

    answers = classified(functions["serving_default"], given.texts, batch_size)
    if given.number and file and sys.stderr.isatty() and (output or not sys.stdout.isatty()):
        from tqdm import tqdm

        answers = tqdm(answers, total=given.number, unit="text", unit_scale=True)
    answers = _warned(answers)  # outside of the bar, which is closed before the warning
    if given.table and output:
        from textrnn.data.table_writing import write_table

        rows = [(label, round(score, 4)) for label, score in answers]
        write_table(output, *answered(given.table, names, rows), given.table.dialect)
        return
    with open(output, "w", encoding="utf-8") if output else nullcontext(sys.stdout) as to:
        for label, score in answers:
            to.write(f"{label}\t{score:.4f}\n")


def _warned(answers):
    """Yield labels and probabilities, and at the end warn of unfamiliar texts."""
    first, count, number = 0, 0, 0
    for number, answer in enumerate(answers, start=1):
        if answer.unfamiliar:
            first, count = first or number, count + 1
        yield answer.label, answer.probability
    if count:
        from textrnn.serving.text_warnings import unfamiliar_texts_warning

        warn(unfamiliar_texts_warning(first, count, number))


def explain(
    model: Path,
    text: str,
    html: Path | None = None,
    png: Path | None = None,
    cell: str | None = None,
):
    """Show how much each word of a text contributed to its label.

    Prints each word's contribution to the log-odds of the label: blue words support the label, orange words
    contradict it. For a classifier that pools by attention, the attention to each word is printed as well.

    Args:
        model: Folder of a model (saved_models/NAME), a version or a preset, or a name from `textrnn models`
        text: Text to explain
        html: Also write the explanation to this HTML file
        png: Also write the explanation to this PNG file
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    expect(text.strip(), f"text {text!r}: give the text to explain")
    expect_output(html, "--html")
    expect_output(png, "--png")
    from textrnn.presets.functions import load_functions

    functions = load_functions(
        model, "TextClassifier", "explain", "weights", "does not explain its labels", cell
    )
    from textrnn.classification.explanation import explainer, to_html, to_terminal

    [explanation] = explainer(functions)([cleaned(text, "the text")])
    print(to_terminal(explanation, colours=sys.stdout.isatty()))
    if html:
        html.write_text(to_html([explanation]), encoding="utf-8")
    if png:
        from textrnn.classification.plots import explanations

        explanations([explanation], png)
