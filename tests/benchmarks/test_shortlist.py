"""The comparison of shortlists scores and times each size."""

import pytest
from builders.translators import make_translator

import shortlist
from textrnn.presets import save_preset
from textrnn.tokenizers import ByteTokenizer


@pytest.mark.slow
def test_each_size_has_a_row(tmp_path, capsys):
    preset = save_preset(make_translator([ByteTokenizer()], units=8), tmp_path)
    sizes = ["--per_token", "2", "--batch_sizes", "4", "--beams", "1", "--sentences", "4", "--rounds", "2"]
    shortlist.main([str(preset), *sizes])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    head, _, whole, short = ([cell.strip() for cell in row] for row in rows)
    assert head == [
        "tokens for a source token",
        "coverage",
        "BLEU, beam of 1",
        "beam of 1, batch 4: sentences/s",
    ]
    assert whole[:2] == ["all", "100.0%"] and short[0] == "2"
    assert 0.5 < float(short[1].rstrip("%")) / 100 <= 1
