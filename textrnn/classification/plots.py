"""Figures of classifiers: predictions against true classes, calibration, and explanations."""

import warnings

from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from textrnn.classification.explanation import in_groups
from textrnn.data.labelled_splits import FEW_TEST_TEXTS
from textrnn.reporting.figures import BLUE, GREY, VERMILION, font_families, make_figure, save_figure
from textrnn.unicode import is_right_to_left

PANEL = 4.2
"""Width and height of a panel, in inches."""

MATRIX_CLASSES, SHOWN_ERRORS, LEAST_ERRORS = 30, 25, 8
"""Largest number of classes in a confusion matrix, and of errors that are shown for more classes. Fewer than
the last number have the height of so many."""


def classification(targets, probabilities, labels, path, *, title=None):
    """Draw the confusion matrix and the reliability diagram of a classifier.

    For more than 30 classes, bars of the most frequent errors replace the confusion matrix.

    The reliability diagram has up to ten bins, each with the same number of texts, at least 20. With two
    classes, the ROC curve and the precision-recall curve of the second class follow. Fewer than 100 texts
    (`FEW_TEST_TEXTS`) have no curves, which would be steps of single texts.

    Args:
        targets: True classes, ints `(texts,)`.
        probabilities: Predicted probabilities `(texts, classes)`.
        labels: Names of the classes.
        path: The PNG file to write.
        title: Title of the figure, or None.

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

    targets, probabilities = np.asarray(targets), np.asarray(probabilities)
    has_reliability = len(targets) >= FEW_TEST_TEXTS
    has_curves = has_reliability and len(labels) == 2 and len(set(targets.tolist())) == 2
    predicted = probabilities.argmax(axis=1)
    names = short_names(labels)
    many = len(labels) > MATRIX_CLASSES
    errors = frequent_errors(targets.tolist(), predicted.tolist())
    vertical = len(labels) > 4 or max(map(len, names)) > 12
    room = 0.09 * max(map(len, names))  # for the names of the classes
    if many:
        width, height = PANEL + 2 * room, 0.22 * max(len(errors), LEAST_ERRORS) + 1
    else:
        side = max(PANEL, 0.45 * len(labels) + 1)
        width, height = side + room, side + room * vertical
    others = ["reliability"] * has_reliability + ["roc", "precision"] * has_curves
    figure = make_figure(width + PANEL * len(others), height)
    # The other panels keep their size next to a large one.
    axes = figure.subplot_mosaic(
        [["classes", *others], ["classes", *("." * len(others))]]
        if height > PANEL
        else [["classes", *others]],
        width_ratios=[width] + [PANEL] * len(others),
        height_ratios=[PANEL, height - PANEL] if height > PANEL else None,
    )
    if title:
        figure.suptitle(title)
    if many:
        _frequent_errors(axes["classes"], errors, targets, predicted, names)
    else:
        _confusion_matrix(axes["classes"], targets, predicted, names, vertical)
    if has_reliability:
        _reliability_diagram(axes["reliability"], targets, probabilities)
    if has_curves:
        _roc_curve(axes["roc"], targets, probabilities[:, 1], names[1])
        _precision_recall_curve(axes["precision"], targets, probabilities[:, 1], names[1])
    for name in others:
        axes[name].spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _confusion_matrix(axis, targets, predicted, names, vertical):
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    counts = confusion_matrix(targets, predicted, labels=range(len(names)))
    ConfusionMatrixDisplay(counts, display_labels=names).plot(
        xticks_rotation="vertical" if vertical else "horizontal",
        cmap="Blues",
        colorbar=False,
        values_format=",d",
        text_kw={"fontsize": 10 if len(names) < 10 else 7},
        ax=axis,
    )
    axis.set_aspect("auto")
    axis.set(xlabel="predicted", ylabel="true", title="confusion matrix")


def frequent_errors(targets, predicted, shown=SHOWN_ERRORS):
    """Find the most frequent confusions of a class with another.

    Args:
        targets: True classes, ints `(texts,)`.
        predicted: Predicted classes, ints `(texts,)`.
        shown: Maximum number of confusions.

    Returns:
        A list of a true class, a predicted class and a number of texts; the most frequent first, and of
        equally frequent ones that with the largest share of the texts of the true class.

    Example:

    >>> from textrnn.classification.plots import frequent_errors
    >>> frequent_errors([0, 0, 1, 1, 2], [1, 0, 2, 2, 0])
    [(1, 2, 2), (2, 0, 1), (0, 1, 1)]
    """
    from collections import Counter

    texts = Counter(targets)
    errors = Counter(pair for pair in zip(targets, predicted, strict=True) if pair[0] != pair[1])
    order = sorted(errors, key=lambda pair: (-errors[pair], texts[pair[0]], pair))
    return [(*pair, errors[pair]) for pair in order[:shown]]


def _frequent_errors(axis, errors, targets, predicted, names):
    from matplotlib.ticker import MaxNLocator

    texts, wrong = targets.tolist(), int((targets != predicted).sum())
    counts = [count for *_, count in errors]
    bars = axis.barh(range(len(errors)), counts, color=VERMILION)
    shares = [f"{count:,} of {texts.count(true):,}" for true, _, count in errors]
    axis.bar_label(bars, shares, padding=3, fontsize=8)
    axis.set_yticks(range(len(errors)), [f"{names[i]} → {names[j]}" for i, j, _ in errors], fontsize=8)
    axis.set_ylim(max(len(errors), LEAST_ERRORS) - 0.5, -0.5)
    axis.margins(x=0.2)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.spines[["top", "right"]].set_visible(False)
    axis.set(
        xlabel="texts",
        title="most frequent errors, true → predicted\n"
        f"{sum(counts):,} of {wrong:,} errors, {len(names):,} classes",
    )


def _reliability_diagram(axis, targets, probabilities):
    from sklearn.calibration import calibration_curve

    correct = probabilities.argmax(axis=1) == targets
    bins = min(10, len(targets) // 20)
    accuracy, confidence = calibration_curve(
        correct, probabilities.max(axis=1), n_bins=bins, strategy="quantile"
    )
    least = 1 / probabilities.shape[1]
    axis.plot([least, 1], [least, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    axis.plot(confidence, accuracy, color=BLUE, marker="o", label="this model")
    axis.set(xlabel="confidence", ylabel="accuracy", title="reliability diagram")
    axis.legend(frameon=False)


def _roc_curve(axis, targets, scores, name):
    from sklearn.metrics import roc_auc_score, roc_curve

    false_positives, true_positives, _ = roc_curve(targets, scores)
    axis.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    axis.plot(false_positives, true_positives, color=BLUE, label=name)
    area = roc_auc_score(targets, scores)
    axis.set(xlabel="false positive rate", ylabel="true positive rate", title=f"ROC curve, AUC {area:.3f}")
    axis.legend(frameon=False, loc="lower right")


def _precision_recall_curve(axis, targets, scores, name):
    import numpy as np
    from sklearn.metrics import average_precision_score, precision_recall_curve

    precision, recall, _ = precision_recall_curve(targets, scores)
    axis.axhline(np.mean(targets == 1), color=GREY, linestyle=":", label="chance")
    axis.step(recall, precision, where="post", color=BLUE, label=name)
    mean = average_precision_score(targets, scores)
    axis.set(
        xlabel="recall", ylabel="precision", ylim=(0, 1.05),
        title=f"precision-recall curve, AP {mean:.3f}",
    )  # fmt: skip
    axis.legend(frameon=False, loc="lower left")


def short_names(labels, size=24):
    r"""Shorten labels to tick labels that differ, and escape their dollar signs.

    Args:
        labels: The names of the classes.
        size: Maximum number of characters, which is exceeded only where short names would be the same.

    Example:

    >>> from textrnn.classification.plots import short_names
    >>> short_names(["goods > computers > laptop bags", "goods > computers > laptop fans", "$"])
    ['goods > com…laptop bags', 'goods > com…laptop fans', '\\$']
    """

    def shortened(start, end):
        return [
            label if len(label) <= size else label[:start] + "…" + label[len(label) - end :]
            for label in labels
        ]

    names = shortened(size - 1, 0)
    if len(set(names)) < len(labels):
        names = shortened(size // 2 - 1, size // 2 - 1)
    if len(set(names)) < len(labels):
        names = labels
    return [name.replace("$", r"\$") for name in names]


def explanations(explained, path, *, title=None, width=8.0, max_words=150):
    """Draw texts whose words are coloured by their attributions, as `explanation.to_html` does.

    Blue words support the predicted label, orange words contradict it. With attention pooling, the bar below
    a word shows its share of the attention. Words of a text that is written from right to left are in that
    order. Characters that no installed font has are drawn as boxes, with a warning.

    Args:
        explained: `Explanation`s, or pairs of a heading and a list of them.
        path: The PNG file to write.
        title: Title of the figure, or None.
        width: Width of the figure in inches; the texts determine its height.
        max_words: Number of words after which a text is cut.

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
    written = [one.verdict + "".join(one.words[:max_words]) for _, group in groups for one in group]
    page = _Page(width, font_families("".join(written)))
    if title:
        page.line(title, size=14, weight="bold")
    page.legend(attention=any(one.attention for _, group in groups for one in group))
    for heading, group in groups:
        if heading:
            page.line(heading, size=13, weight="bold", above=14)
        for one in group:
            page.line(one.verdict, weight="bold", above=8)
            page.right_to_left = is_right_to_left(one.text or "".join(one.words))
            most = max(one.attention or [], default=0) or 1
            shares = [share / most for share in one.attention] if one.attention else [0.0] * len(one.words)
            for word, depth, share in list(zip(one.words, one.depths, shares, strict=True))[:max_words]:
                page.word(word, depth, share)
            left_out = len(one.words) - max_words
            if not one.words or left_out > 0:
                page.word(f"… and {left_out:,} more words" if one.words else "(no words)", color=GREY)
            page.end_line()
            page.right_to_left = False
    page.save(path)


class _Page:
    """Lay out words in lines on a figure as high as they need; lengths are in points."""

    margin, size, space, line_height = 18.0, 11.0, 4.5, 21.0
    right_to_left = False
    """Whether words are added from right to left. Their places are counted from that side then."""

    def __init__(self, width, families):
        self.families = families
        self.figure = make_figure(width, 1, layout="none")
        self.renderer = self.figure.canvas.get_renderer()
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.right = 72 * width - self.margin
        self.x, self.y = self.margin, self.margin  # y is the upper edge of a line

    def line(self, text, size=size, weight="normal", above=0.0):
        """Add text on a line of its own, shortened to fit."""
        self.y += above
        while self._width(text, size, weight) > self.right - self.margin:
            text = text.rstrip("…")[:-1] + "…"
        self._text(text, size, weight=weight)
        self.y += 1.7 * size

    def word(self, word, depth=0.0, share=0.0, color="black"):
        """Add a word on a coloured background, with a bar below it; start a new line if needed."""
        width = self._width(word)
        if width > self.right - self.margin and len(word) > 1:  # such as a URL: break it
            self.word(word[: len(word) // 2], depth, share, color)
            self.word(word[len(word) // 2 :], depth, share, color)
            return
        if self.x + width > self.right:
            self.end_line()
        if depth:
            colour = BLUE if depth > 0 else VERMILION
            self._box(self.x - self.space / 2, 0, width + self.space, 15, colour, 0.7 * abs(depth))
        if share:
            self._box(self.x, 15.5, width, 4 * share, GREY, snap=False)  # thinner than a pixel, if need be
        self._text(word, color=color)
        self.x += width + self.space

    def end_line(self):
        self.x = self.margin
        self.y += self.line_height

    def legend(self, attention):
        """Add the legend of the colours, and of the bars if there is attention."""
        self.word("contradicts the label")
        for step in range(-25, 26):
            colour = BLUE if step > 0 else VERMILION
            self._box(self.x, 1, 2.2, 13, colour, 0.7 * abs(step) / 25)
            self.x += 2.2
        self.x += self.space
        self.word("supports the label")
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
        font = FontProperties(family=self.families, size=size, weight=weight)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            pixels, _, _ = self.renderer.get_text_width_height_descent(text, font, ismath=False)
        return 72 * pixels / self.figure.dpi

    def _text(self, text, size=size, **style):
        # parse_math=False: a dollar sign does not start a formula.
        style = {"family": self.families, "size": size, "va": "baseline", "parse_math": False, **style}
        x = self.right + self.margin - self.x if self.right_to_left else self.x
        self.axes.text(x, self.y + size, text, ha="right" if self.right_to_left else "left", **style)

    def _box(self, x, below, width, height, color, alpha=1.0, snap=True):
        x = self.right + self.margin - x - width if self.right_to_left else x
        self.axes.add_patch(
            Rectangle(
                (x, self.y + below), width, height, facecolor=color, alpha=alpha, linewidth=0, snap=snap
            )
        )
