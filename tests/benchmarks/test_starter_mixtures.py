"""Mixtures of sources for a starter model, compared by source."""

import json
from itertools import islice
from pydoc_data.topics import topics

import pytest
from references.command import recipe_command

import starter_mixtures

CONFIG = """
data:
  novels.txt: 1
  web.txt: 4
held_out: 0.2
document: blank_line
vocabulary_size: 500
"""


def test_mixtures_differ_in_how_often_a_source_is_read():
    data = {"novels.txt": 1, "web.txt": 4}
    assert starter_mixtures.mixed("config", data) == data
    assert starter_mixtures.mixed("each source once", data) == {"novels.txt": 1, "web.txt": 1}
    assert starter_mixtures.mixed("repeated sources twice as often", data) == {"novels.txt": 1, "web.txt": 8}


def test_the_table_has_a_column_for_each_mixture_and_the_means_of_sources():
    def row(mixture, *bits):
        names = ("novels", "web", "mail", "speeches")
        return {"mixture": mixture, "epochs": 0.5, "bits": dict(zip(names, bits, strict=True))}

    rows = [row("each source once", 1.5, 2.0, 2.5, 2.75), row("config", 1.625, 1.5, 2.25, 2.5)]
    data = {"en/novels.txt.xz": 1, "en/web.txt.xz": 4, "en/mail.txt.xz": 2}
    assert starter_mixtures.table(rows, data, ["en/speeches.txt.xz"]).splitlines() == [
        "| bits per character | each source once | config |",
        "|---|---:|---:|",
        "| novels, read 1 times | 1.500 | 1.625 |",
        "| web, read 4 times | 2.000 | 1.500 |",
        "| mail, read 2 times | 2.500 | 2.250 |",
        "| mean of those read once | 1.500 | 1.625 |",
        "| mean of the others | 2.250 | 1.875 |",
        "| speeches, not read | 2.750 | 2.500 |",
        "| epochs | 0.50 | 0.50 |",
    ]


def test_sources_of_the_same_name_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")
    status, _, error = recipe_command(
        capsys, starter_mixtures.__file__, "config.yaml", "--kept_out", "other/web.txt"
    )
    assert status == 2 and "the same name in novels.txt, web.txt, other/web.txt: rename one" in error


@pytest.mark.slow
def test_a_run_is_a_line_and_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(starter_mixtures, "UNITS", 16)
    monkeypatch.setattr(starter_mixtures, "ROWS", 4)
    for name, start in (("novels", 0), ("web", 12), ("speeches", 24)):
        text = "\n\n".join(islice(topics.values(), start, start + 12))
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    (tmp_path / "config.yaml").write_text(CONFIG, "utf-8")
    command = ["config.yaml", "--kept_out", "speeches.txt", "--output", "lines", "--updates", "40"]

    def run(*mixtures):
        status, printed, error = recipe_command(
            capsys, starter_mixtures.__file__, *command, "--mixtures", *mixtures
        )
        assert status == 0, error
        return printed

    run("each source once")
    once = (tmp_path / "lines" / "starter_mixtures.jsonl").read_text("utf-8")
    printed = run("each source once", "config")
    lines = (tmp_path / "lines" / "starter_mixtures.jsonl").read_text("utf-8")
    assert lines.startswith(once) and lines.count("\n") == 2
    first, second = map(json.loads, lines.splitlines())
    assert second["epochs"] < first["epochs"]  # as many updates of a longer mixture
    assert first["bits"].keys() == second["bits"].keys() == {"novels", "web", "speeches"}
    assert first["bits"]["web"] != second["bits"]["web"]
    assert "| bits per character | each source once | config |" in printed
