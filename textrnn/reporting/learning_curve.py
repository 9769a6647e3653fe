"""The learning curve of a training run."""

import math

from matplotlib.ticker import MaxNLocator

from textrnn.errors import InputError
from textrnn.reporting.figures import BLUE, GREY, VERMILION, make_figure, save_figure


def learning_curve(history, path, *, x="epoch", title=None):
    """Draw the training and validation loss, and mark the lowest validation loss.

    Bits per character, if any, get a panel of their own.

    Args:
        history: A mapping from names to columns of the same length, such as Keras's `History.history`. The
            columns `loss`, `val_loss` and `val_bits_per_character` are drawn, without values that are None
            or not finite.
        path: The PNG file to write.
        x: The column of the x-axis, such as `"epoch"` or `"step"`; 1, 2, ... if there is none.
        title: Title of the figure, or None.

    Raises:
        InputError: If there is nothing to draw, or if the columns differ in length.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.reporting.learning_curve import learning_curve
    >>> path = Path(tempfile.mkdtemp()) / "curve.png"
    >>> learning_curve({"loss": [2.1, 1.7, 1.5], "val_loss": [2.0, 1.8, 1.9]}, path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    train, validation, bits = (
        _numbers(history.get(name, ())) for name in ("loss", "val_loss", "val_bits_per_character")
    )
    columns = [column for column in (train, validation, bits) if column]
    if not columns:
        raise InputError(
            f"no learning curve to draw: the columns of the history are {', '.join(history) or 'none'}; "
            "expected a finite value in 'loss' or 'val_loss'"
        )
    positions = _numbers(history.get(x, ())) or [float(i + 1) for i in range(len(columns[0]))]
    if any(len(column) != len(positions) for column in columns):
        raise InputError(f"the columns of the history differ in length: {_lengths(history)}")

    panels = 2 if bits else 1
    figure = make_figure(6.4 * panels, 4.2)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if title:
        figure.suptitle(title, parse_math=False)

    loss = axes[0]
    _line(loss, positions, train, label="training", color=BLUE, marker="o", linestyle="--")
    _line(loss, positions, validation, label="validation", color=VERMILION, marker="s", linestyle="-")
    _mark_lowest(loss, positions, validation, x)
    loss.set_ylabel("loss (nats per token)" if bits else "loss")
    if bits:
        _line(axes[1], positions, bits, label="validation", color=VERMILION, marker="s", linestyle="-")
        _mark_lowest(axes[1], positions, bits, x)
        axes[1].set_ylabel("bits per character")
    for axis in axes:
        _finish(axis, positions, x)
    save_figure(figure, path)


def _line(axis, x, y, *, marker, **style):
    """Draw a line through the finite values."""
    points = [(position, value) for position, value in zip(x, y, strict=False) if math.isfinite(value)]
    if points:
        few = len(points) <= 40  # more markers would hide the curve
        axis.plot(*zip(*points, strict=True), marker=marker if few else None, linewidth=1.8, **style)


def _mark_lowest(axis, x, y, x_name):
    points = [(value, position) for value, position in zip(y, x, strict=False) if math.isfinite(value)]
    if not points:
        return
    value, position = min(points)
    axis.axvline(position, color=GREY, linewidth=1, linestyle=":", zorder=0)
    axis.plot(
        [position], [value], linestyle="none", marker="o", markersize=12, markerfacecolor="none",
        markeredgecolor=GREY, markeredgewidth=1.5, label=f"best: {value:.3f}, {x_name} {position:,.10g}",
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
    """Return the column as floats, NaN where it is None or not finite; empty if all are."""
    values = [math.nan if value is None else float(value) for value in column]
    values = [value if math.isfinite(value) else math.nan for value in values]
    return [] if all(math.isnan(value) for value in values) else values


def _lengths(history):
    return {name: len(column) for name, column in history.items()}
