"""The commands `textrnn classify` and `textrnn explain`."""

import sys
from collections.abc import Iterable
from pathlib import Path

from textrnn.errors import expect


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
    expect(not (text and file), "--text and --file: give one of them")
    expect(batch_size >= 1, f"--batch_size {batch_size}: expected 1 or more")
    expect(file is None or Path(file).is_file(), f"--file {file}: there is no such file")
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
    from textrnn.presets.functions import load_functions

    functions = load_functions(model, "explain", "weights", "explains nothing", cell)
    from textrnn.classification.explanation import explainer, to_html, to_terminal

    [explanation] = explainer(functions)([text])
    print(to_terminal(explanation, colours=sys.stdout.isatty()))
    if html:
        Path(html).write_text(to_html([explanation]), encoding="utf-8")
    if png:
        from textrnn.classification.plots import explanations

        explanations([explanation], png)
