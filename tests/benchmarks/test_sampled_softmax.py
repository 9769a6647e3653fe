"""The comparison of sampled losses trains each model for the same time and prints a row for each."""

import pytest

import sampled_softmax


@pytest.mark.slow
def test_each_number_of_samples_has_a_row(capsys):
    sizes = ["--units", "8", "--embedding_dim", "4", "--batch_size", "4", "--sequence_length", "8"]
    sampled_softmax.main(["--dataset", "starter", "--samples", "0", "50", "--minutes", "0.03", *sizes])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [row[0].strip() for row in rows] == ["words in the loss", "---", "all", "50"]
    for row in rows[2:]:
        perplexity, steps, milliseconds = (float(cell.replace(",", "")) for cell in row[1:])
        assert perplexity > 1 and steps > 10
        assert 0.5 < steps * milliseconds / 1800 < 2
