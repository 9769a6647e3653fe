"""Figures have fonts for the characters in them."""

import pytest
from references.png import size

from textrnn.reporting import figures
from textrnn.reporting.figures import font_families, make_figure, save_figure

ONLY_IN_STIX = "\u1d81"  # "d" with a palatal hook; STIXGeneral comes with matplotlib


@pytest.mark.parametrize(
    ("text", "families"),
    [
        ("naïve\n→ …", ["sans-serif"]),
        (f"na{ONLY_IN_STIX}ve", ["sans-serif", "STIXGeneral"]),
        ("\U000f0000", ["sans-serif"]),  # for private use: no font has it
        ("", ["sans-serif"]),
    ],
)
def test_fonts_have_the_characters_that_the_default_lacks(text, families):
    assert font_families(text) == families


def test_a_figure_is_drawn_with_the_fonts_that_it_needs(tmp_path):
    figure = make_figure(2, 1)
    label = figure.text(0.1, 0.5, f"na{ONLY_IN_STIX}ve")
    save_figure(figure, tmp_path / "figure.png")
    assert label.get_family() == ["sans-serif", "STIXGeneral"]
    assert size(tmp_path / "figure.png") == (240, 120)


def test_letters_without_a_font_are_named_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "_characters", lambda path: frozenset(map(ord, "abc ")))
    monkeypatch.setattr(figures, "_WARNED", set())
    for text, warned in (("abc", []), ("ab กข\ufe0f", ["'ก'", "'ข'"]), ("ค", []), ("你", ["'你'"])):
        figure = make_figure(1, 1)
        figure.text(0, 0, text)
        save_figure(figure, tmp_path / "figure.png")
        [*lines] = capsys.readouterr().err.splitlines()
        assert len(lines) == bool(warned)
        assert all(f"{', '.join(warned)}, so figures show boxes" in line for line in lines)
