"""`SampleText` prints a sample after each epoch and appends it to a file."""

import io

from builders.training import QUIET, line

from textrnn import training
from textrnn.training import ProgressBar, SampleText


def test_samples_are_printed_below_a_heading_and_collected_in_a_file(tmp_path, capsys):
    model, data = line()
    path = tmp_path / "report" / "samples.txt"
    sample = SampleText(lambda epoch: f"line {epoch}\n  “indented” \x1b[31m", path)
    for _ in range(2):  # the second training overwrites the file
        training.fit(model, data, epochs=2, callbacks=[sample], **QUIET)
    assert path.read_text(encoding="utf-8") == (
        "--- sample after epoch 1 ---\nline 1\n  “indented” \x1b[31m\n\n"
        "--- sample after epoch 2 ---\nline 2\n  “indented” \x1b[31m\n\n"
    )
    printed = capsys.readouterr().err
    assert (
        "  --- sample after epoch 2 ---\n    line 2\n      “indented” \N{REPLACEMENT CHARACTER}[31m\n"
        in printed
    )
    assert "\x1b" not in printed


def test_samples_come_after_the_line_of_the_epoch():
    model, data = line()
    log = io.StringIO()
    sample = SampleText(lambda epoch: log.write("sample") and "")
    training.fit(model, data, epochs=1, callbacks=[sample], progress=ProgressBar(file=log))
    assert log.getvalue().startswith("epoch 1/1  loss") and log.getvalue().endswith("sample")
