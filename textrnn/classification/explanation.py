"""Explanations to look at: the words of a text, coloured by what they moved."""

import html
from typing import NamedTuple

FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito


class Explanation(NamedTuple):
    """Why a classifier said what it said about a text.

    Attributes:
        words: the words of the text.
        weights: what each added to the log-odds of the label.
        label: what the classifier said.
        score: the probability that it gave that.
        attention: the part of the attention that each word got, or None if the classifier pools without.
    """

    words: list[str]
    weights: list[float]
    label: str
    score: float
    attention: list[float] | None = None

    @property
    def depths(self):
        """How strongly to colour each word: its weight over the largest, from -1 (against) to 1 (for)."""
        largest = max(map(abs, self.weights), default=0) or 1
        return [weight / largest for weight in self.weights]


def in_groups(explanations):
    """Pairs of a heading and a list of explanations, from such pairs or from explanations alone."""
    explanations = list(explanations)
    if explanations and isinstance(explanations[0], Explanation):
        return [("", explanations)]
    return explanations


def worth_a_look(targets, probabilities, most=8):
    """Which texts to explain: the surest errors, those it was least sure of, and the surest ones.

    Args:
        targets: the right class of each text, ints `(texts,)`.
        probabilities: `(texts, classes)`.
        most: how many of each kind.

    Returns:
        A dict of heading to the positions of texts; kinds without any are left out.

    Example:
    >>> from textrnn.classification.explanation import worth_a_look
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> {heading: rows.tolist() for heading, rows in worth_a_look([0, 1, 1], probabilities, most=1).items()}
    {'Wrong, and sure of it': [2], 'Least sure': [2], 'Right, and surest': [0]}
    """
    import numpy as np

    probabilities = np.asarray(probabilities)
    surest, right = np.argsort(-probabilities.max(axis=1)), probabilities.argmax(axis=1) == targets
    groups = {
        "Wrong, and sure of it": surest[~right[surest]],
        "Least sure": surest[::-1],
        "Right, and surest": surest[right[surest]],
    }
    return {heading: rows[:most] for heading, rows in groups.items() if len(rows)}


def explainer(signatures):
    """Explains texts with the signatures of a classifier, of a SavedModel or of a task.

    Args:
        signatures: a mapping with the functions `explain` and `serving_default` of
            `textrnn.tasks.registry.classification_signatures`, called by keyword.

    Returns:
        A function of a list of str that returns an `Explanation` of each.
    """
    import tensorflow as tf

    def explain(texts):
        text = tf.constant(list(texts), tf.string)
        answer = {name: value.numpy() for name, value in signatures["explain"](text=text).items()}
        scores = signatures["serving_default"](text=text)["scores"].numpy().max(axis=1)
        explanations = []
        for row, score in enumerate(scores):
            named = answer["words"][row] != b""  # rows end with empty words; a newline may be one, too
            words = [word.decode("utf-8", "replace") for word in answer["words"][row][named]]
            weights = answer["weights"][row][named].tolist()
            attention = answer["attention"][row][named].tolist() if "attention" in answer else None
            label = answer["label"][row].decode("utf-8")
            explanations.append(Explanation(words, weights, label, float(score), attention))
        return explanations

    return explain


def to_html(explanations, title="Why it said that"):
    """A page with the words of texts, blue for what spoke for the label and orange for what spoke against.

    Where there is attention, a bar below each word shows how much of it the word got.

    Args:
        explanations: `Explanation`s, or pairs of a heading and a list of them.
        title: the title of the page.

    Returns:
        The page, a str that needs no other file.

    Example:
    >>> from textrnn.classification.explanation import Explanation, to_html
    >>> page = to_html([Explanation(["so", "<dull>"], [0.1, 2.0], "negative", 0.93)])
    >>> "&lt;dull&gt;" in page, "negative, 93 %" in page
    (True, True)
    """
    groups, body = in_groups(explanations), []
    for heading, group in groups:
        body += [f"<h2>{html.escape(heading)}</h2>"] if heading else []
        for explanation in group:
            body.append(
                f"<p><b>{html.escape(explanation.label)}, {100 * explanation.score:.0f} %</b> "
                f"{_marked_words(explanation)}</p>"
            )
    attended = any(explanation.attention for _, group in groups for explanation in group)
    return _PAGE.format(
        title=html.escape(title), attention=_ATTENTION if attended else "", body="\n".join(body)
    )


def to_terminal(explanation, colours=True):
    """The words of a text, coloured, and below those that moved most, with their attention if there is any.

    Args:
        explanation: an `Explanation`.
        colours: whether the terminal shows colours.

    Returns:
        A str of several lines.

    Example:
    >>> from textrnn.classification.explanation import Explanation, to_terminal
    >>> print(to_terminal(Explanation(["so", "dull"], [-0.1, 2.0], "negative", 0.93), colours=False))
    negative, 93 %
    so dull
      +2.00 dull
      -0.10 so
    >>> print(to_terminal(Explanation(["so", "dull"], [-0.1, 2.0], "negative", 0.93, [0.25, 0.75]), False))
    negative, 93 %
    so dull
      weight  attention
       +2.00       75 %  dull
       -0.10       25 %  so
    """
    words, weights, label, score, attention = explanation
    marked = []
    for word, weight, depth in zip(words, weights, explanation.depths, strict=True):
        if colours and abs(depth) > 0.15:
            strong = "1;" if abs(depth) > 0.5 else ""
            word = "\033[{}38;2;{};{};{}m{}\033[0m".format(strong, *_colour(weight), word)  # noqa: PLW2901
        marked.append(word)
    lines = [f"{label}, {100 * score:.0f} %", " ".join(marked)]
    most = sorted(range(len(words)), key=lambda i: -abs(weights[i]))[:8]
    if attention is None:
        lines += [f"  {weights[i]:+.2f} {words[i]}" for i in most]
    else:
        lines += ["  weight  attention"] if most else []
        lines += [f"  {weights[i]:+6.2f}  {100 * attention[i]:7.0f} %  {words[i]}" for i in most]
    return "\n".join(lines)


def _marked_words(explanation):
    """The words in spans: a background for the weight, and a bar below for the attention."""
    attention = explanation.attention or [None] * len(explanation.words)
    most = max(explanation.attention or [], default=0) or 1
    spans = []
    for word, weight, depth, share in zip(
        explanation.words, explanation.weights, explanation.depths, attention, strict=True
    ):
        style = f"background:rgba{(*_colour(weight), round(0.7 * abs(depth), 2))}"
        number = f"{weight:+.2f}"
        if share is not None:
            style += f";box-shadow:0 {5 * share / most:.1f}px #555"
            number += f", attention {100 * share:.0f} %"
        spans.append(f'<span title="{number}" style="{style}">{html.escape(word)}</span>')
    return " ".join(spans)


def _colour(weight):
    return FOR if weight > 0 else AGAINST


_ATTENTION = "The bar below a word is the attention that it got: the thickest one got most."


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/2 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; }}
span {{ padding: 1px 2px; }}
p {{ margin: 0.8em 0; }}
</style></head><body>
<h1>{title}</h1>
<p>Blue words spoke for the label, orange ones against it; how strongly, by the depth of the colour.
{attention}
Hold the pointer over a word for its number: what it added to the log-odds of the label.</p>
{body}
</body></html>
"""
