"""Pictures of a training, drawn without a display and without matplotlib's global state."""

import math
import warnings

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from textrnn.errors import InputError
from textrnn.explanation import in_groups

# From the palette of Okabe and Ito, which people with any kind of colour vision can tell apart.
_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#555555"


def _save(figure, path):
    """Writes a PNG file; what the fonts lack is drawn as boxes, without a warning for each character."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, format="png")


def learning_curve(history, path, *, x="epoch", title=None):
    """Draws the loss in training and on held-out data, and marks the best held-out one.

    If there are bits per character, they have a panel of their own.

    Args:
        history: A mapping from names to columns of one length, as `textrnn.training.fit` returns it or as
            Keras's `History.history` is. Drawn are `loss`, `val_loss` and `val_bits_per_character`; None
            and what is not finite are left out.
        path: The PNG file to write.
        x: The column to draw over, such as `"epoch"` or `"step"`; counted from 1 if there is none.
        title: What to write above, or None.

    Raises:
        InputError: There is nothing to draw, or the columns differ in length.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.plots import learning_curve
    >>> path = Path(tempfile.mkdtemp()) / "curve.png"
    >>> learning_curve({"loss": [2.1, 1.7, 1.5], "val_loss": [2.0, 1.8, 1.9]}, path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    train, held_out, bits = (
        _numbers(history.get(name, ())) for name in ("loss", "val_loss", "val_bits_per_character")
    )
    columns = [column for column in (train, held_out, bits) if column]
    if not columns:
        raise InputError(
            f"there is no learning curve to draw: the history has {', '.join(history) or 'nothing'}, "
            "and neither a `loss` nor a `val_loss` with a value in it"
        )
    positions = _numbers(history.get(x, ())) or [float(i + 1) for i in range(len(columns[0]))]
    if any(len(column) != len(positions) for column in columns):
        raise InputError(f"the columns of a history have one length, but these have {_lengths(history)}")

    panels = 2 if bits else 1
    figure = Figure(figsize=(6.4 * panels, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if title:
        figure.suptitle(title)

    loss = axes[0]
    _line(loss, positions, train, label="training", color=_BLUE, marker="o", linestyle="--")
    _line(loss, positions, held_out, label="held-out", color=_VERMILION, marker="s", linestyle="-")
    _mark_lowest(loss, positions, held_out, x)
    loss.set_ylabel("loss (nats per token)" if bits else "loss")
    if bits:
        _line(axes[1], positions, bits, label="held-out", color=_VERMILION, marker="s", linestyle="-")
        _mark_lowest(axes[1], positions, bits, x)
        axes[1].set_ylabel("bits per character")
    for axis in axes:
        _finish(axis, positions, x)
    _save(figure, path)


def _line(axis, x, y, *, marker, **style):
    """Joins the points that were measured."""
    points = [(position, value) for position, value in zip(x, y, strict=False) if math.isfinite(value)]
    if points:
        few = len(points) <= 40  # markers would hide a longer curve
        axis.plot(*zip(*points, strict=True), marker=marker if few else None, linewidth=1.8, **style)


def _mark_lowest(axis, x, y, x_name):
    points = [(value, position) for value, position in zip(y, x, strict=False) if math.isfinite(value)]
    if not points:
        return
    value, position = min(points)
    axis.axvline(position, color=_GREY, linewidth=1, linestyle=":", zorder=0)
    axis.plot(
        [position], [value], linestyle="none", marker="o", markersize=12, markerfacecolor="none",
        markeredgecolor=_GREY, markeredgewidth=1.5, label=f"best: {value:.3f}, {x_name} {position:,.10g}",
    )  # fmt: skip


def _finish(axis, x, x_name):
    axis.set_xlabel(x_name)
    axis.grid(True, color="#DDDDDD", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.margins(x=0.06, y=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    if all(position.is_integer() for position in x):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(x) == 1:
        axis.set_xlim(x[0] - 1, x[0] + 1)
        axis.set_xticks(x)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False)


def _numbers(column):
    """The column as floats, NaN for what was not measured or is not finite; empty if all of it is."""
    values = [math.nan if value is None else float(value) for value in column]
    values = [value if math.isfinite(value) else math.nan for value in values]
    return [] if all(math.isnan(value) for value in values) else values


def _lengths(history):
    return {name: len(column) for name, column in history.items()}


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
    >>> from textrnn.plots import classification
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
    figure = Figure(figsize=(size + 4.4 * (3 if curves else 1), size), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
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
    axes[1].plot([least, 1], [least, 1], color=_GREY, linestyle=":", label="honest")
    axes[1].plot(sure, right, color=_BLUE, marker="o", label="this model")
    axes[1].set(xlabel="how sure it is", ylabel="how often it is right", title="reliability")
    axes[1].legend(frameon=False)
    if curves:
        of_second = probabilities[:, 1]
        false_share, true_share, _ = roc_curve(targets, of_second)
        axes[2].plot(false_share, true_share, color=_BLUE)
        axes[2].plot([0, 1], [0, 1], color=_GREY, linestyle=":")
        area = roc_auc_score(targets, of_second)
        axes[2].set(xlabel=f"false {labels[1]}", ylabel=f"true {labels[1]}", title=f"ROC, area {area:.3f}")
        precision, recall, _ = precision_recall_curve(targets, of_second)
        axes[3].step(recall, precision, where="post", color=_BLUE)
        axes[3].axhline(np.mean(targets == 1), color=_GREY, linestyle=":")
        mean = average_precision_score(targets, of_second)
        axes[3].set(xlabel="recall", ylabel="precision", title=f"{labels[1]}, mean precision {mean:.3f}")
    _save(figure, path)


def attention_maps(maps, path, *, columns=3):
    """Draws what the tokens of texts attended to, one map for each text.

    The shade is the square root of a weight, so that one of 0.04 is seen at all.

    Args:
        maps: A list of `(source tokens, tokens, weights)`; weights are `(tokens, source tokens)`.
        path: The PNG file to write.
        columns: How many maps side by side.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.plots import attention_maps
    >>> path = Path(tempfile.mkdtemp()) / "attention.png"
    >>> attention_maps([(["a", "dog"], ["ein", "Hund"], np.eye(2))], path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    maps = [each for each in maps if len(each[0]) and len(each[1])]
    columns = max(min(columns, len(maps)), 1)
    rows = max(-(-len(maps) // columns), 1)
    longest = max((max(len(source), len(tokens)) for source, tokens, _ in maps), default=1)
    side = min(max(1.6 + 0.24 * longest, 3.0), 9.0)
    figure = Figure(figsize=(side * columns, side * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[len(maps) :]:
        axis.set_axis_off()
    for axis, (source, tokens, weights) in zip(axes, maps, strict=False):
        axis.imshow(weights**0.5, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(source)), [_shown(token) for token in source], rotation=90, fontsize=8)
        axis.set_yticks(range(len(tokens)), [_shown(token) for token in tokens], fontsize=8)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
    of = "rows: the translation; columns: the source; the darker, the more it was attended to (square root)"
    figure.suptitle(of if maps else "no translation has any token", fontsize=10)
    _save(figure, path)


def _shown(token):
    # A dollar sign would begin a formula.
    return (token if len(token) <= 12 else token[:11] + "…").replace("$", r"\$")


def quality_by_length(lengths, quality, path, *, bins=6):
    """Draws how good translations are against the length of what was translated.

    Args:
        lengths: The length of each source, in words, ints `(texts,)`.
        quality: A score of each translation, 0 to 100, `(texts,)`.
        path: The PNG file to write.
        bins: Into how many groups of about one size the texts are put.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.plots import quality_by_length
    >>> path = Path(tempfile.mkdtemp()) / "length.png"
    >>> quality_by_length([3, 5, 9], [80.0, 70.0, 40.0], path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    import numpy as np

    lengths, quality = np.asarray(lengths), np.asarray(quality)
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)).round().astype(int))
    edges = edges if len(edges) > 1 else np.array([edges[0], edges[0]])
    group = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, len(edges) - 2)
    groups = [quality[group == index] for index in range(len(edges) - 1)]
    highest = [*(edges[1:-1] - 1), edges[-1]]
    names = [
        (f"{low}" if low == high else f"{low} to {high}") + f"\n{len(found)} texts"
        for low, high, found in zip(edges, highest, groups, strict=False)
    ]
    figure = Figure(figsize=(7.2, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.boxplot(
        groups, tick_labels=names, showmeans=True, patch_artist=True, boxprops={"facecolor": "#dce9f5"},
        medianprops={"color": _BLUE}, flierprops={"markersize": 3, "markeredgecolor": _GREY},
    )  # fmt: skip
    axis.set(xlabel="words in the source", ylabel="chrF of a sentence", ylim=(0, 102))
    _save(figure, path)


def explanations(explained, path, *, title=None, width=8.0, most_words=150):
    """Draws texts with their words coloured by what they moved, as `textrnn.explanation.to_html` does.

    Blue words spoke for the label, orange ones against it. Where there is attention, a bar below a word shows
    how much of it the word got. Characters that the font lacks are drawn as boxes.

    Args:
        explained: `textrnn.explanation.Explanation`s, or pairs of a heading and a list of them.
        path: The PNG file to write.
        title: What to write above, or None.
        width: Of the picture, in inches; it is as high as the texts need.
        most_words: How many words of a text are drawn at the most.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.explanation import Explanation
    >>> from textrnn.plots import explanations
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
                page.word(f"… and {left_out:,} more words" if one.words else "(no words)", color=_GREY)
            page.end_line()
    page.save(path)


class _Page:
    """Words in lines, from the left and from above, on a picture as high as they need; lengths in points."""

    margin, size, space, line_height = 18.0, 11.0, 4.5, 21.0

    def __init__(self, width):
        self.figure = Figure(figsize=(width, 1), dpi=120)
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
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
            colour = _BLUE if depth > 0 else _VERMILION
            self._box(self.x - self.space / 2, 0, width + self.space, 15, colour, 0.7 * abs(depth))
        if share:
            self._box(self.x, 15.5, width, 4 * share, _GREY, snap=False)  # as thin as it is
        self._text(word, color=color)
        self.x += width + self.space

    def end_line(self):
        self.x = self.margin
        self.y += self.line_height

    def legend(self, attention):
        """What the colours mean, and the bars."""
        self.word("spoke against the label")
        for step in range(-25, 26):
            colour = _BLUE if step > 0 else _VERMILION
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
        _save(self.figure, path)

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
