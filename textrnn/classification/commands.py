"""The commands `textrnn classify` and `textrnn explain`."""

import sys
from collections.abc import Iterable
from pathlib import Path

from textrnn.errors import expect
from textrnn.types import PositiveInt


def classify(
    model: Path,
    text: str | None = None,
    file: Path | None = None,
    output: Path | None = None,
    batch_size: PositiveInt = 8192,
    cell: str | None = None,
):
    """Classify texts.

    Prints one line per text: its label, a tab and the label's probability.

    Args:
        model: Folder of a model (saved_models/NAME), of one version, or of a preset
        text: Text to classify (default: every line of the standard input)
        file: File with one text per line
        output: File to write to (default: the standard output)
        batch_size: Maximum number of texts per batch
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    expect(text is None or file is None, "--text and --file: give one of them")
    expect(file is None or file.is_file(), f"--file {file}: there is no such file")
    from textrnn.presets.functions import load_functions

    functions = load_functions(model, "serving_default", "scores", "does not classify text", cell)

    from contextlib import ExitStack

    from textrnn.serving.classify import classified

    with ExitStack() as stack:
        size = None
        lines: Iterable[bytes]
        if text is not None:
            lines = [text.encode("utf-8")]
        elif file is not None:
            lines, size = stack.enter_context(open(file, "rb")), file.stat().st_size
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
        model: Folder of a model (saved_models/NAME), of one version, or of a preset
        text: Text to explain
        html: Also write the explanation to this HTML file
        png: Also write the explanation to this PNG file
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    from textrnn.presets.functions import load_functions

    functions = load_functions(model, "explain", "weights", "does not explain its labels", cell)
    from textrnn.classification.explanation import explainer, to_html, to_terminal

    [explanation] = explainer(functions)([text])
    print(to_terminal(explanation, colours=sys.stdout.isatty()))
    if html:
        html.write_text(to_html([explanation]), encoding="utf-8")
    if png:
        from textrnn.classification.plots import explanations

        explanations([explanation], png)
