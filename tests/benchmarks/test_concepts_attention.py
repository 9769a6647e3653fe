"""The measurement of attention: its texts, its scores, and the translator without attention."""

import json

import numpy as np
import pytest

from concepts import attention


def test_the_translation_of_a_text_is_the_text():
    inputs, targets, weights = attention.copies(np.random.default_rng(0), [3, 1], longest=4)
    for row, length in enumerate([3, 1]):
        letters = targets[row, :length].tolist()
        assert all(2 <= letter < 28 for letter in letters)
        assert targets[row].tolist() == [*letters, 1, *[0] * (4 - length)]
        assert inputs["encoder_token_ids"][row].tolist() == targets[row].tolist()
        assert inputs["decoder_token_ids"][row, : length + 1].tolist() == [1, *letters]
        assert weights[row].tolist() == [1] * (length + 1) + [0] * (4 - length)
        assert (inputs["encoder_padding_mask"][row] == weights[row]).all()


def test_a_letter_is_right_at_its_place():
    texts = np.array([[5, 6, 7, 1], [5, 6, 1, 0], [5, 6, 7, 1]])
    found = np.array([[5, 7, 7, 1, 0], [6, 5, 1, 0, 0], [5, 6, 7, 8, 1]])
    assert attention.letters_right(texts, found, [3, 2, 3]).tolist() == [pytest.approx(2 / 3), 0, 1]
    assert attention.letters_right(texts[:1], found[:1, :1], [3]).tolist() == [pytest.approx(1 / 3)]


@pytest.mark.parametrize("with_attention", [False, True])
def test_without_attention_the_decoder_reads_its_states_alone(with_attention):
    inputs, _, _ = attention.copies(np.random.default_rng(0), [5, 3], longest=6)
    backbone = attention.translator(with_attention, units=4).backbone
    outputs = np.asarray(backbone(inputs))
    memory, states = backbone.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
    decoder = backbone.decoder
    hidden, _ = decoder.stack(
        backbone._read_target(inputs["decoder_token_ids"]),
        initial_states=backbone.get_initial_states(states),
    )
    alone = np.tanh(np.asarray(hidden) @ np.asarray(decoder.combine.kernel)[:4])
    valid = inputs["decoder_padding_mask"]
    assert np.allclose(outputs[valid], alone[valid], atol=1e-5) is not with_attention
    assert np.any(np.asarray(memory)) == with_attention


@pytest.mark.slow
def test_the_command_writes_numbers_and_a_picture(tmp_path, capsys):
    attention.main(["--quick", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    results = json.loads((tmp_path / "attention.json").read_text("utf-8"))["results"]
    assert [(run["attention"], run["units"]) for run in results["runs"]] == [
        (True, 4), (False, 4), (False, 8)
    ]  # fmt: skip
    assert np.allclose(np.sum(results["map"], axis=1), 1, atol=0.01)
    assert (tmp_path / "attention.png").stat().st_size > 10_000
    attention.main(["--draw", "--output", str(tmp_path)])
    assert capsys.readouterr().out == printed
