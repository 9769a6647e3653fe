"""Explanations of predictions: the words of a text, coloured by their attributions."""

import html
from typing import NamedTuple

from textrnn.unicode import well_formed
from textrnn.unspaced import separators

FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito's palette


class Explanation(NamedTuple):
    """The attributions of the words of a text.

    Attributes:
        words: The words of the text.
        weights: What each word added to the log-odds of the label.
        label: The predicted label.
        score: The probability of the label.
        attention: The share of the attention of each word; None without attention pooling.
        true_label: The true label, or None if it is unknown.
        text: The original text, from which spaces are restored; empty if it is unknown.
    """

    words: list[str]
    weights: list[float]
    label: str
    score: float
    attention: list[float] | None = None
    true_label: str | None = None
    text: str = ""

    @property
    def depths(self):
        """The weights divided by the largest absolute weight: from -1 (against the label) to 1 (for it)."""
        largest = max(map(abs, self.weights), default=0) or 1
        return [weight / largest for weight in self.weights]

    @property
    def verdict(self):
        """The predicted label with its probability, and the true label if it is another one."""
        verdict = f"{self.label}, {100 * self.score:.0f} %"
        return verdict if self.true_label in (None, self.label) else f"{verdict} (true: {self.true_label})"


def in_groups(explanations):
    """Return pairs of a heading and a list of explanations, from such pairs or from bare explanations."""
    explanations = list(explanations)
    if explanations and isinstance(explanations[0], Explanation):
        return [("", explanations)]
    return explanations


def select_examples(targets, probabilities, count=8):
    """Select texts to explain: confident errors, unconfident predictions, confident correct predictions.

    Each text is selected once, and of few texts each kind has at most a third.

    Args:
        targets: True classes, ints `(texts,)`.
        probabilities: Predicted probabilities `(texts, classes)`.
        count: Maximum number of texts of each kind.

    Returns:
        A dict from headings to the positions of texts, without kinds that have no text.

    Example:

    >>> from textrnn.classification.explanation import select_examples
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> found = select_examples([0, 1, 1], probabilities, count=1)
    >>> {heading: rows.tolist() for heading, rows in found.items()}
    {'Most confident errors': [2], 'Least confident': [1], 'Most confident and correct': [0]}
    """
    import numpy as np

    probabilities = np.asarray(probabilities)
    by_confidence = np.argsort(-probabilities.max(axis=1))
    correct = probabilities.argmax(axis=1) == targets
    groups = {
        "Most confident errors": by_confidence[~correct[by_confidence]],
        "Least confident": by_confidence[::-1],
        "Most confident and correct": by_confidence[correct[by_confidence]],
    }
    count = min(count, -(-len(by_confidence) // 3))
    selected: dict = {}
    shown: list = []
    for heading, rows in groups.items():
        if len(new := rows[~np.isin(rows, shown)][:count]):
            selected[heading] = new
            shown.extend(new)
    return selected


def explainer(signatures):
    """Return a function that explains texts with the signatures of a SavedModel or of a task.

    Args:
        signatures: A mapping with the functions `explain` and `serving_default` of
            `textrnn.classification.signatures.classification_signatures`, called with keyword arguments.

    Returns:
        A function from a list of str to a list of `Explanation`s.
    """
    import tensorflow as tf

    def explain(texts):
        texts = [well_formed(text) for text in texts]
        text = tf.constant(texts, tf.string)
        answer = {name: value.numpy() for name, value in signatures["explain"](text=text).items()}
        scores = signatures["serving_default"](text=text)["scores"].numpy().max(axis=1)
        explanations = []
        for row, score in enumerate(scores):
            named = answer["words"][row] != b""  # padding; a newline may be an empty word, too
            words = [word.decode("utf-8", "replace") for word in answer["words"][row][named]]
            weights = answer["weights"][row][named].tolist()
            attention = answer["attention"][row][named].tolist() if "attention" in answer else None
            label = answer["label"][row].decode("utf-8")
            explanations.append(Explanation(words, weights, label, float(score), attention, text=texts[row]))
        return explanations

    return explain


def to_html(explanations, title="Explanations of predictions"):
    """Return an HTML page of texts whose words are coloured by their attributions.

    Blue words support the predicted label, orange words contradict it. With attention pooling, a bar below a
    word shows its share of the attention.

    Args:
        explanations: `Explanation`s, or pairs of a heading and a list of them.
        title: The title of the page.

    Returns:
        A self-contained page, a str.

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
            verdict = html.escape(explanation.verdict)
            body.append(f'<p class="verdict" dir="auto"><b>{verdict}</b></p>')
            body.append(f'<p dir="auto">{_marked_words(explanation)}</p>')
    attended = any(explanation.attention for _, group in groups for explanation in group)
    return _PAGE.format(
        title=html.escape(title), attention=_ATTENTION if attended else "", body="\n".join(body)
    )


def to_terminal(explanation, colours=True):
    """Return an explanation as text: the coloured words, then those with the largest weights.

    Args:
        explanation: An `Explanation`.
        colours: Whether to colour words with ANSI escape codes.

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
    words, weights, attention = explanation.words, explanation.weights, explanation.attention
    marked = []
    spaces = separators(words, explanation.text)
    for space, word, weight, depth in zip(spaces, words, weights, explanation.depths, strict=True):
        if colours and abs(depth) > 0.15:
            strong = "1;" if abs(depth) > 0.5 else ""
            word = "\033[{}38;2;{};{};{}m{}\033[0m".format(strong, *_colour(weight), word)  # noqa: PLW2901
        marked.append(space + word)
    lines = [explanation.verdict, "".join(marked)]
    most = sorted(range(len(words)), key=lambda i: -abs(weights[i]))[:8]
    if attention is None:
        lines += [f"  {weights[i]:+.2f} {words[i]}" for i in most]
    else:
        lines += ["  weight  attention"] if most else []
        lines += [f"  {weights[i]:+6.2f}  {100 * attention[i]:7.0f} %  {words[i]}" for i in most]
    return "\n".join(lines)


def _marked_words(explanation):
    """Return the words in spans, with a background for the weight and a bar for the attention."""
    attention = explanation.attention or [None] * len(explanation.words)
    most = max(explanation.attention or [], default=0) or 1
    spans = []
    spaces = separators(explanation.words, explanation.text)
    for space, word, weight, depth, share in zip(
        spaces, explanation.words, explanation.weights, explanation.depths, attention, strict=True
    ):
        style = f"background:rgba{(*_colour(weight), round(0.7 * abs(depth), 2))}"
        number = f"{weight:+.2f}"
        if share is not None:
            style += f";box-shadow:0 {5 * share / most:.1f}px #555"
            number += f", attention {100 * share:.0f} %"
        spans.append(f'{space}<span title="{number}" style="{style}">{html.escape(word)}</span>')
    return "".join(spans)


def _colour(weight):
    return FOR if weight > 0 else AGAINST


_ATTENTION = "The bar below a word shows its share of the attention: the thicker, the more.\n"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/2 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; }}
span {{ padding: 1px 2px; }}
p {{ margin: 0 0 0.8em; }}
.verdict {{ margin-bottom: 0; }}
.legend {{ color: #444; line-height: 1.6; }}
</style></head><body>
<h1>{title}</h1>
<p class="legend">The predicted label with its probability, the true label if it is another, and the text.
<span style="background:rgba(0, 114, 178, 0.5)">Blue words</span> support the predicted label,
<span style="background:rgba(213, 94, 0, 0.5)">orange words</span> contradict it: the deeper the colour, the
more. {attention}Hover over a word to see what it added to the log-odds of the label.</p>
{body}
</body></html>
"""
