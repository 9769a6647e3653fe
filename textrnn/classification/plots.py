"""Figures of classifiers: what is confused, calibration, explanations."""

import warnings

from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from textrnn.classification.explanation import in_groups
from textrnn.reporting.figures import BLUE, GREY, VERMILION, make_figure, save_figure


def classification(targets, probabilities, labels, path, *, title=None):
    """Draws what a classifier confuses, and how far its probabilities can be trusted.

    Panels: the confusion matrix; the reliability curve, how often it is right against how sure it is, over
    ten bins with as many texts each; for two classes the ROC and the precision-recall curve of the second.

    Args:
        targets: The right class of each text, ints `(texts,)`.
        probabilities: `(texts, classes)`.
        labels: The names of the classes.
        path: The PNG file to write.
        title: What to write above, or None.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.classification.plots import classification
    >>> path = Path(tempfile.mkdtemp()) / "classes.png"
    >>> classification([0, 1, 1], np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]), ["bad", "good"], path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    import numpy as np
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import (
        ConfusionMatrixDisplay,
        average_precision_score,
        precision_recall_curve,
        roc_auc_score,
        roc_curve,
    )

    targets, probabilities = np.asarray(targets), np.asarray(probabilities)
    curves = len(labels) == 2 and len(set(targets.tolist())) == 2
    size = min(4.8 + 0.35 * max(len(labels) - 6, 0), 14)  # many classes need room for their names
    figure = make_figure(size + 4.4 * (3 if curves else 1), size)
    axes = figure.subplots(1, 4 if curves else 2, width_ratios=[size, *([4.4] * (3 if curves else 1))])
    if title:
        figure.suptitle(title)

    chosen = probabilities.argmax(axis=1)
    ConfusionMatrixDisplay.from_predictions(
        targets,
        chosen,
        labels=range(len(labels)),
        display_labels=labels,
        xticks_rotation="vertical" if len(labels) > 4 else "horizontal",
        cmap="Blues",
        colorbar=False,
        ax=axes[0],
    )
    axes[0].set(xlabel="said", ylabel="right", title="which class for which")

    right, sure = calibration_curve(
        chosen == targets, probabilities.max(axis=1), n_bins=10, strategy="quantile"
    )
    least = 1 / len(labels)
    axes[1].plot([least, 1], [least, 1], color=GREY, linestyle=":", label="honest")
    axes[1].plot(sure, right, color=BLUE, marker="o", label="this model")
    axes[1].set(xlabel="how sure it is", ylabel="how often it is right", title="reliability")
    axes[1].legend(frameon=False)
    if curves:
        of_second = probabilities[:, 1]
        false_share, true_share, _ = roc_curve(targets, of_second)
        axes[2].plot(false_share, true_share, color=BLUE)
        axes[2].plot([0, 1], [0, 1], color=GREY, linestyle=":")
        area = roc_auc_score(targets, of_second)
        axes[2].set(xlabel=f"false {labels[1]}", ylabel=f"true {labels[1]}", title=f"ROC, area {area:.3f}")
        precision, recall, _ = precision_recall_curve(targets, of_second)
        axes[3].step(recall, precision, where="post", color=BLUE)
        axes[3].axhline(np.mean(targets == 1), color=GREY, linestyle=":")
        mean = average_precision_score(targets, of_second)
        axes[3].set(xlabel="recall", ylabel="precision", title=f"{labels[1]}, mean precision {mean:.3f}")
    save_figure(figure, path)


def explanations(explained, path, *, title=None, width=8.0, most_words=150):
    """Draws texts with their words coloured by what they moved, as `explanation.to_html` does.

    Blue words spoke for the label, orange ones against it. Where there is attention, a bar below a word shows
    how much of it the word got. Characters that the font lacks are drawn as boxes.

    Args:
        explained: `Explanation`s, or pairs of a heading and a list of them.
        path: The PNG file to write.
        title: What to write above, or None.
        width: Of the picture, in inches; it is as high as the texts need.
        most_words: How many words of a text are drawn at the most.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.classification.explanation import Explanation
    >>> from textrnn.classification.plots import explanations
    >>> path = Path(tempfile.mkdtemp()) / "why.png"
    >>> explanations([Explanation(["so", "dull"], [-0.1, 2.0], "negative", 0.93)], path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    groups = in_groups(explained)
    page = _Page(width)
    if title:
        page.line(title, size=14, weight="bold")
    page.legend(attention=any(one.attention for _, group in groups for one in group))
    for heading, group in groups:
        if heading:
            page.line(heading, size=13, weight="bold", above=14)
        for one in group:
            page.line(f"{one.label}, {100 * one.score:.0f} %", weight="bold", above=8)
            most = max(one.attention or [], default=0) or 1
            shares = [share / most for share in one.attention] if one.attention else [0.0] * len(one.words)
            for word, depth, share in list(zip(one.words, one.depths, shares, strict=True))[:most_words]:
                page.word(word, depth, share)
            left_out = len(one.words) - most_words
            if not one.words or left_out > 0:
                page.word(f"… and {left_out:,} more words" if one.words else "(no words)", color=GREY)
            page.end_line()
    page.save(path)


class _Page:
    """Words in lines, from the left and from above, on a picture as high as they need; lengths in points."""

    margin, size, space, line_height = 18.0, 11.0, 4.5, 21.0

    def __init__(self, width):
        self.figure = make_figure(width, 1, layout="none")
        self.renderer = self.figure.canvas.get_renderer()
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.right = 72 * width - self.margin
        self.x, self.y = self.margin, self.margin  # y is the upper edge of a line

    def line(self, text, size=size, weight="normal", above=0.0):
        """A line of its own, shortened if it is too long."""
        self.y += above
        while self._width(text, size, weight) > self.right - self.margin:
            text = text.rstrip("…")[:-1] + "…"
        self._text(text, size, weight=weight)
        self.y += 1.7 * size

    def word(self, word, depth=0.0, share=0.0, color="black"):
        """A word on its colour, with a bar below it; on the next line if it does not fit on this one."""
        width = self._width(word)
        if width > self.right - self.margin and len(word) > 1:  # an address, perhaps: in pieces
            self.word(word[: len(word) // 2], depth, share, color)
            self.word(word[len(word) // 2 :], depth, share, color)
            return
        if self.x + width > self.right:
            self.end_line()
        if depth:
            colour = BLUE if depth > 0 else VERMILION
            self._box(self.x - self.space / 2, 0, width + self.space, 15, colour, 0.7 * abs(depth))
        if share:
            self._box(self.x, 15.5, width, 4 * share, GREY, snap=False)  # as thin as it is
        self._text(word, color=color)
        self.x += width + self.space

    def end_line(self):
        self.x = self.margin
        self.y += self.line_height

    def legend(self, attention):
        """What the colours mean, and the bars."""
        self.word("spoke against the label")
        for step in range(-25, 26):
            colour = BLUE if step > 0 else VERMILION
            self._box(self.x, 1, 2.2, 13, colour, 0.7 * abs(step) / 25)
            self.x += 2.2
        self.x += self.space
        self.word("for it; the deeper, the stronger")
        if attention:
            self.x += 4 * self.space
            self.word("attention", share=1.0)
        self.end_line()

    def save(self, path):
        height = self.y + self.margin / 2
        self.figure.set_figheight(height / 72)
        self.axes.set(xlim=(0, self.right + self.margin), ylim=(height, 0))
        save_figure(self.figure, path)

    def _width(self, text, size=size, weight="normal"):
        font = FontProperties(size=size, weight=weight)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            pixels, _, _ = self.renderer.get_text_width_height_descent(text, font, ismath=False)
        return 72 * pixels / self.figure.dpi

    def _text(self, text, size=size, **style):
        # A dollar in a text is no formula.
        self.axes.text(self.x, self.y + size, text, size=size, va="baseline", parse_math=False, **style)

    def _box(self, x, below, width, height, color, alpha=1.0, snap=True):
        self.axes.add_patch(
            Rectangle(
                (x, self.y + below), width, height, facecolor=color, alpha=alpha, linewidth=0, snap=snap
            )
        )
