"""What all figures share: colours, the canvas and the file format."""

import warnings

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, which is distinguishable with any colour vision.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"


def make_figure(width, height, **options):
    """Return a figure without a display and without matplotlib's global state.

    Args:
        width, height: In inches, at 120 pixels per inch.
        **options: See `matplotlib.figure.Figure`; the layout is `"constrained"` by default.
    """
    figure = Figure(figsize=(width, height), dpi=120, **{"layout": "constrained", **options})
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path):
    """Write a figure to a PNG file; characters without a glyph are drawn as boxes, without warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, format="png")
