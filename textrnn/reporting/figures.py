"""What all figures share: colours, fonts, the canvas and the file format."""

import unicodedata
import warnings
from functools import cache

from matplotlib import get_cachedir
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

from textrnn.errors import warn

# Okabe and Ito's palette, which is distinguishable with any colour vision.
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#555555"


_WARNED: set[str] = set()
"""Scripts whose letters were drawn as boxes, with a warning."""


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
    """Write a figure to a PNG file, with fonts that have its characters.

    Characters that no installed font has are drawn as boxes. A warning on stderr names some of them.
    """
    texts = figure.findobj(Text)
    written = "".join(text.get_text() for text in texts)
    families = font_families(written)
    if len(families) > 1:
        for text in texts:
            text.set_family(families)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path, format="png")
    _warn_of_boxes(written, families)


def font_families(text):
    """Return the families of fonts that have the characters of a text.

    Args:
        text: A str.

    Returns:
        A list of str: the default family, and installed ones for the characters that it lacks.

    Example:

    >>> from textrnn.reporting.figures import font_families
    >>> font_families("naïve")
    ['sans-serif']
    """
    families = FontProperties().get_family()
    missing = {ord(character) for character in text} - _characters(findfont(FontProperties()))
    missing -= set(map(ord, "\t\n\r"))
    fonts = fontManager.ttflist if missing else []
    # Matplotlib's font of boxes has all characters.
    others = {font.fname: font.name for font in fonts if not font.name.startswith("Last Resort")}
    while others:
        best = max(sorted(others), key=lambda path: len(missing & _characters(path)))
        if not missing & _characters(best):
            break
        families.append(others[best])
        missing -= _characters(best)
    return families


@cache
def _characters(path):
    """Return the code points that a font can draw at any size."""
    try:
        font = get_font(path)
    except RuntimeError:  # such as of a broken file
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()


def _warn_of_boxes(text, families):
    """Warn of letters that no font has, once for each script."""
    fonts = [findfont(FontProperties(family=[family])) for family in families]
    boxes = [
        character
        for character in dict.fromkeys(text)
        if character.isalpha() and not any(ord(character) in _characters(font) for font in fonts)
    ]
    names = [unicodedata.name(character, "UNNAMED").split()[0] for character in boxes]
    new = [character for character, name in zip(boxes, names, strict=True) if name not in _WARNED]
    _WARNED.update(names)
    if new:
        some = ", ".join(map(repr, new[:3]))
        warn(
            f"no installed font has {some}, so figures show boxes: install a font of its script, such as of "
            f"Noto, and remove matplotlib's list of fonts, {get_cachedir()}/fontlist*.json"
        )
