"""Colours and files of all figures."""

import warnings

# From the palette of Okabe and Ito, which people with any kind of colour vision can tell apart.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"


def save(figure, path):
    """Writes a PNG file; what the fonts lack is drawn as boxes, without a warning for each character."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, format="png")
