"""Width, depth and direction: the task of words without spaces, what a direction sees, and the report."""

import json

import numpy as np
import pytest

from concepts import networks


def test_letters_lose_their_spaces_and_keep_the_ends_of_words(monkeypatch):
    monkeypatch.setattr(networks, "STEPS", 4)
    letters, ends = networks.words_without_spaces("A cab, 2x\nba!", 100)
    assert letters.tolist() == [[0, 2, 0, 1]]
    assert ends[..., 0].tolist() == [[1, 0, 0, 1]]
    letters, ends = networks.words_without_spaces("ab abc d", 4)
    assert letters.tolist() == [[0, 1, 0, 1]] and ends[..., 0].tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("direction", "seen"), [("forwards", range(3, 6)), ("backwards", range(4)), ("both", range(6))]
)
def test_a_tagger_sees_its_side_of_a_letter(direction, seen):
    """The answers that depend on letter 3 of 6."""
    model = networks.tagger(direction, 3)
    letters = np.array([[0, 1, 2, 3, 4, 5], [0, 1, 2, 9, 4, 5]])
    one, other = np.asarray(model(letters))[..., 0]
    assert np.flatnonzero(np.abs(one - other) > 1e-7).tolist() == [*seen]


@pytest.mark.parametrize("layers", [1, 2])
def test_the_widest_network_is_within_the_budget_and_the_next_is_not(layers):
    def count(units):
        return networks.language_model(20, 4, layers, units).count_params()

    units = networks.widest(lambda units: networks.language_model(20, 4, layers, units), count(9) - 1)
    assert units == 8
    assert count(8) < count(9)


@pytest.mark.slow
def test_the_study_runs_and_draws_again(tmp_path, capsys):
    options = ["--output", str(tmp_path)]
    networks.main([*options, "--quick"])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "networks.json").read_text("utf-8"))["results"]
    one, other = (row for row in results["text"] if row["units"] == 5 or row["layers"] == 2)
    assert one["weights"] == networks.language_model(results["vocabulary"], 16, 1, 5).count_params()
    assert other["weights"] <= one["weights"] and "| both | 2 × " in printed
    (tmp_path / "networks.png").unlink()
    networks.main([*options, "--draw"])
    assert capsys.readouterr().out == printed
    assert (tmp_path / "networks.png").stat().st_size > 10_000
