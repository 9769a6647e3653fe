"""Explanations to look at: the words of a text, coloured by what they moved."""

import html
from typing import NamedTuple

_FOR, _AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito


class Explanation(NamedTuple):
    """Why a classifier said what it said about a text.

    Attributes:
        words: the words of the text.
        weights: what each added to the log-odds of the label.
        label: what the classifier said.
        score: the probability that it gave that.
    """

    words: list[str]
    weights: list[float]
    label: str
    score: float


def explainer(signatures):
    """Explains texts with the signatures of a classifier, of a SavedModel or of a task.

    Args:
        signatures: a mapping with the functions `explain` and `serving_default` of
            `textrnn.signatures.classification_signatures`, called by keyword.

    Returns:
        A function of a list of str that returns an `Explanation` of each.
    """
    import tensorflow as tf

    def explain(texts):
        text = tf.constant(list(texts), tf.string)
        answer = {name: value.numpy() for name, value in signatures["explain"](text=text).items()}
        scores = signatures["serving_default"](text=text)["scores"].numpy().max(axis=1)
        explanations = []
        for words, weights, label, score in zip(
            answer["words"], answer["weights"], answer["label"], scores, strict=True
        ):
            named = [
                (w.decode("utf-8", "replace"), float(x)) for w, x in zip(words, weights, strict=True) if w
            ]
            explanations.append(
                Explanation([w for w, _ in named], [x for _, x in named], label.decode("utf-8"), float(score))
            )
        return explanations

    return explain


def to_html(explanations, title="Why it said that"):
    """A page with the words of texts, blue for what spoke for the label and orange for what spoke against.

    Args:
        explanations: `Explanation`s, or pairs of a heading and a list of them.
        title: the title of the page.

    Returns:
        The page, a str that needs no other file.

    Example:
    >>> from textrnn.explanation import Explanation, to_html
    >>> page = to_html([Explanation(["so", "<dull>"], [0.1, 2.0], "negative", 0.93)])
    >>> "&lt;dull&gt;" in page, "negative, 93 %" in page
    (True, True)
    """
    explanations = list(explanations)
    if explanations and isinstance(explanations[0], Explanation):
        explanations = [("", explanations)]
    body = []
    for heading, group in explanations:
        body += [f"<h2>{html.escape(heading)}</h2>"] if heading else []
        for words, weights, label, score in group:
            largest = max([abs(weight) for weight in weights], default=0) or 1
            marked = " ".join(
                _marked(word, weight, abs(weight) / largest)
                for word, weight in zip(words, weights, strict=True)
            )
            body.append(f"<p><b>{html.escape(label)}, {100 * score:.0f} %</b> {marked}</p>")
    return _PAGE.format(title=html.escape(title), body="\n".join(body))


def to_terminal(explanation, colours=True):
    """The words of a text, coloured, and below those that moved most.

    Args:
        explanation: an `Explanation`.
        colours: whether the terminal shows colours.

    Returns:
        A str of several lines.

    Example:
    >>> from textrnn.explanation import Explanation, to_terminal
    >>> print(to_terminal(Explanation(["so", "dull"], [-0.1, 2.0], "negative", 0.93), colours=False))
    negative, 93 %
    so dull
      +2.00 dull
      -0.10 so
    """
    words, weights, label, score = explanation
    largest = max([abs(weight) for weight in weights], default=0) or 1
    marked = []
    for word, weight in zip(words, weights, strict=True):
        if colours and abs(weight) > 0.15 * largest:
            strong = "1;" if abs(weight) > 0.5 * largest else ""
            word = "\033[{}38;2;{};{};{}m{}\033[0m".format(strong, *_colour(weight), word)  # noqa: PLW2901
        marked.append(word)
    most = sorted(zip(weights, words, strict=True), key=lambda pair: -abs(pair[0]))[:8]
    return "\n".join(
        [
            f"{label}, {100 * score:.0f} %",
            " ".join(marked),
            *(f"  {weight:+.2f} {word}" for weight, word in most),
        ]
    )


def _marked(word, weight, share):
    background = f"background:rgba{(*_colour(weight), round(0.7 * share, 2))}"
    return f'<span title="{weight:+.2f}" style="{background}">{html.escape(word)}</span>'


def _colour(weight):
    return _FOR if weight > 0 else _AGAINST


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.7 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; }}
span {{ border-radius: 3px; padding: 1px 2px; }}
p {{ margin: 0.8em 0; }}
</style></head><body>
<h1>{title}</h1>
<p>Blue words spoke for the label, orange ones against it; how strongly, by the depth of the colour.
Hold the pointer over a word for its number: what it added to the log-odds of the label.</p>
{body}
</body></html>
"""
