"""Classifiers on few labels: the plot of the runs."""

import few_labels


def row(start, labels, accuracy):
    """A run on the starter reviews."""
    return {
        "dataset": "starter", "start": start, "labels": labels, "texts": 900, "model": accuracy,
        "unlabelled": False, "options": [],
    }  # fmt: skip


def test_a_curve_has_the_runs_of_its_start_and_all_labels_at_their_number(tmp_path):
    rows = [
        row("english", 0, 0.9),
        row("english", 100, 0.7),
        row("english", 100, 0.8),
        row("scratch", 0, 0.6),
        row("sentiment", 100, 0.95),
    ]
    assert few_labels.points(rows, "starter", "language model", "model") == {100: [0.7, 0.8], 900: [0.9]}
    assert few_labels.points(rows, "starter", "scratch", "model") == {900: [0.6]}
    assert few_labels.points(rows, "starter", "sentiment", "model") == {100: [0.95]}
    assert few_labels.points(rows, "sst2", "scratch", "model") == {}
    few_labels.draw(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000
