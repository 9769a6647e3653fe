import csv
import dataclasses
import json
import math
from pathlib import Path

import jsonargparse
import numpy as np
import pytest

import textrnn
from textrnn.errors import InputError
from textrnn.files import replacing
from textrnn.reporting.report import save_config, save_history, save_metrics, save_report


@dataclasses.dataclass(frozen=True)
class Options:
    data: Path | None = None
    prompt: str = "Über: “yes”, 1e3\n"
    learning_rate: float = 1e-05
    units: int = 64
    layers: tuple[int, ...] = (3, 4)
    export: bool = True


HISTORY = {"epoch": [1, 2], "loss": [2.0, 1.5], "val_loss": [None, 1.6]}


@pytest.mark.parametrize("options", [Options(), Options(data=Path("a b/c.txt"), prompt="yes", units=1)])
def test_the_config_reads_back_as_the_same_options(options, tmp_path):
    path = tmp_path / "config.yaml"
    save_config(path, options)
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Options)
    parsed = parser.parse_args([f"--config={path}"]).as_dict()
    parsed.pop("config")
    assert Options(**parsed) == options


def test_an_option_that_yaml_cannot_represent_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        save_config(tmp_path / "config.yaml", {"cell": object()})
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_strict_json_with_seed_versions_and_platform(tmp_path):
    path = tmp_path / "metrics.json"
    metrics = {
        "val_loss": np.float32(1.5),
        "perplexity": math.inf,
        "by_class": {"good": math.nan, "bad": [np.int64(1), np.float64("nan")]},
        "stopped": None,
    }
    save_metrics(path, metrics, seed=3)

    def refuse(constant):
        raise AssertionError(constant)

    report = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert report["metrics"] == {
        "val_loss": 1.5,
        "perplexity": None,
        "by_class": {"good": None, "bad": [1, None]},
        "stopped": None,
    }
    assert report["seed"] == 3
    assert report["platform"]
    assert report["versions"]["textrnn"] == textrnn.__version__
    assert all(report["versions"][name] for name in ("tensorflow", "keras", "python"))


def test_the_history_has_a_row_for_every_epoch(tmp_path):
    path = tmp_path / "history.csv"
    save_history(path, HISTORY)
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"epoch": "1", "loss": "2.0", "val_loss": ""},
            {"epoch": "2", "loss": "1.5", "val_loss": "1.6"},
        ]


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match="differ in length"):
        save_history(tmp_path / "history.csv", {"loss": [1.0], "val_loss": []})


def test_a_report_replaces_the_files_of_an_older_one(tmp_path):
    folder = tmp_path / "model" / "report"
    for units in (32, 64):
        save_report(folder, options=Options(units=units), metrics={"a": units}, history=HISTORY, seed=0)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["config.yaml", "history.csv", "learning_curve.png", "metrics.json"]
    assert "units: 64" in (folder / "config.yaml").read_text(encoding="utf-8")
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"] == {"a": 64}


@pytest.mark.parametrize("history", [{}, {"epoch": [1], "loss": [math.nan]}])
def test_a_report_without_a_finite_loss_has_no_learning_curve(history, tmp_path):
    (tmp_path / "learning_curve.png").write_bytes(b"of an older run")
    save_report(tmp_path, options={}, metrics={}, history=history)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "history.csv", "metrics.json"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
