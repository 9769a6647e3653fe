"""BLEU by the length of sentences."""

import json

import pytest

from concepts import attention_bleu


@pytest.mark.parametrize(
    ("words", "group"), [(0, 0), (1, 0), (8, 0), (9, 1), (11, 1), (18, 3), (19, 4), (60, 4)]
)
def test_a_sentence_belongs_to_the_group_of_its_length(words, group):
    assert attention_bleu.group_of(" ".join(["word"] * words)) == group


def test_groups_are_named_by_their_lengths():
    assert attention_bleu.group_names() == ["up to 8", "9–11", "12–14", "15–18", "19 or more"]


def test_each_group_is_scored_alone():
    short, long = "one two three four five", " ".join(["word"] * 20)
    scores = attention_bleu.scores_by_length([short, long], [short, "wrong"], [short, long])
    assert scores[1] == [pytest.approx(100), 1] and scores[5][0] == 0 and scores[5][1] == 0.05
    assert scores[2:5] == [None] * 3 and scores[0][1] == round(6 / 25, 3)


@pytest.mark.slow
def test_the_command_writes_numbers_and_a_picture(tmp_path, capsys):
    attention_bleu.main(["--quick", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "attention_bleu.json").read_text("utf-8"))["results"]
    assert [run["attention"] for run in results["runs"]] == [True, False]
    with_attention, without = results["runs"]
    assert with_attention["weights"] == without["weights"] > 0
    assert results["sentences"][0] == sum(results["sentences"][1:])
    assert (tmp_path / "attention_bleu.png").stat().st_size > 10_000
    attention_bleu.main(["--draw", "--output", str(tmp_path)])
    assert capsys.readouterr().out == printed
