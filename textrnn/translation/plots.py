"""Figures of translations: attention maps, and quality by length."""

from textrnn.reporting.figures import BLUE, GREY, VERMILION, make_figure, save_figure


def attention_maps(maps, path, *, columns=3):
    """Draw the attention weights of translations, one heat map per translation.

    The colour scale is the square root of a weight, so that small weights are visible.

    Args:
        maps: A list of `(source tokens, tokens, weights)`; weights are `(tokens, source tokens)`.
        path: The PNG file to write.
        columns: Number of maps per row of the figure.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.translation.plots import attention_maps
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
    figure = make_figure(side * columns, side * rows)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis in axes[len(maps) :]:
        axis.set_axis_off()
    for axis, (source, tokens, weights) in zip(axes, maps, strict=False):
        axis.imshow(weights**0.5, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(source)), [_plain(token) for token in source], rotation=90, fontsize=8)
        axis.set_yticks(range(len(tokens)), [_plain(token) for token in tokens], fontsize=8)
        axis.xaxis.tick_top()
        axis.xaxis.set_label_position("top")
        axis.set_xlabel("source", color=GREY)
        axis.set_ylabel("translation", color=GREY)
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
    if not maps:
        figure.suptitle("no translation has any tokens", fontsize=10)
    save_figure(figure, path)


def _plain(token):
    """Return a token as a tick label: shortened, with dollar signs escaped."""
    return (token if len(token) <= 12 else token[:11] + "…").replace("$", r"\$")


def quality_by_length(lengths, quality, path, *, unit="words", bins=6):
    """Draw a box plot of the quality of translations by the length of the source.

    Args:
        lengths: Number of words, or of another unit, of each source, ints `(texts,)`.
        quality: ChrF of each translation, 0 to 100, `(texts,)`.
        path: The PNG file to write.
        unit: What the lengths count.
        bins: Number of boxes, with about the same number of texts each.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.translation.plots import quality_by_length
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
    figure = make_figure(7.2, 4.2)
    axis = figure.subplots()
    drawn = axis.boxplot(
        groups, tick_labels=names, showmeans=True, patch_artist=True, boxprops={"facecolor": "#dce9f5"},
        medianprops={"color": BLUE, "linewidth": 2}, flierprops={"markersize": 3, "markeredgecolor": GREY},
        meanprops={"marker": "D", "markersize": 5, "markerfacecolor": VERMILION, "markeredgecolor": "white"},
    )  # fmt: skip
    axis.legend([drawn["medians"][0], drawn["means"][0]], ["median", "mean"], frameon=False, loc="lower left")
    axis.set(xlabel=f"{unit} in the source", ylabel="sentence chrF", ylim=(0, 102))
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
