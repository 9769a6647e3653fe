"""The report of a training run: options, metrics, history and learning curve.

    report/config.yaml          the recipe's options, for `--config`
    report/metrics.json         metrics, seed, versions and platform
    report/history.csv          the metrics of each epoch
    report/learning_curve.png   a plot of the history

Every file is written under a temporary name and renamed, so that readers never see an incomplete file.
"""

import csv
import dataclasses
import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import textrnn
from textrnn.errors import InputError
from textrnn.files import replacing, set_aside


def save_report(folder, *, options, metrics, history, seed=None):
    """Write the report of a training run.

    A history without a finite loss, such as that of a run that failed in its first epoch, has no learning
    curve.

    Args:
        folder: The folder of the report. It is created if necessary, and files of an earlier report are
            replaced.
        options: The recipe's options, a dataclass or a mapping.
        metrics: A mapping from names to numbers, strings, or mappings of these.
        history: A mapping from names to columns of the same length, such as `TrainingResult.history`.
        seed: The seed of the run.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        InputError: If the columns differ in length, or if YAML cannot represent an option.

    Example:

    >>> import tempfile
    >>> from textrnn.reporting.report import save_report
    >>> folder = save_report(tempfile.mkdtemp(), options={"units": 64}, metrics={"val_loss": 1.5},
    ...                      history={"epoch": [1, 2], "loss": [2.0, 1.6], "val_loss": [1.9, 1.5]}, seed=1)
    >>> sorted(path.name for path in folder.iterdir())
    ['config.yaml', 'history.csv', 'learning_curve.png', 'metrics.json']
    """
    folder = Path(folder)
    save_config(folder / "config.yaml", options)
    save_metrics(folder / "metrics.json", metrics, seed=seed)
    save_history(folder / "history.csv", history)
    save_curve(folder / "learning_curve.png", history)
    return folder


def begin_report(folder, options):
    """Set an earlier report aside, and write the options, with which a run that is killed can be resumed.

    Args:
        folder: The folder of the report.
        options: The recipe's options, a dataclass or a mapping.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.reporting.report import begin_report
    >>> folder = Path(tempfile.mkdtemp()) / "report"
    >>> for units in (32, 64):
    ...     begin_report(folder, {"units": units, "fresh": True})
    >>> for file in sorted(folder.parent.glob("*/*")):
    ...     print(file.parent.name, file.read_text(encoding="utf-8").strip())
    report units: 64
    report-1 units: 32
    """
    set_aside(folder)
    save_config(Path(folder) / "config.yaml", options)


def save_config(path, options):
    """Write options as YAML for a recipe's `--config`.

    `fresh` is left out: a run that is repeated and killed must not start over each time.

    Args:
        path: The file to write.
        options: A dataclass or a mapping of numbers, strings, paths, lists and mappings.

    Raises:
        InputError: If an option has another type.

    Example:

    >>> import dataclasses, tempfile
    >>> from pathlib import Path
    >>> from textrnn.reporting.report import save_config
    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     data: Path | None = None
    ...     learning_rate: float = 1e-5
    >>> path = Path(tempfile.mkdtemp()) / "config.yaml"
    >>> save_config(path, Options(data=Path("notes.txt")))
    >>> print(path.read_text(encoding="utf-8").strip())
    data: notes.txt
    learning_rate: 1.0e-05
    """
    import yaml

    try:
        values = {name: value for name, value in _plain(options).items() if name != "fresh"}
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as error:
        raise InputError(
            f"the options cannot be written to {path}: {error.args[-1]!r} is not a number, string, path, "
            "list or mapping"
        ) from error
    _write(path, text)


def save_metrics(path, metrics, seed=None):
    """Write metrics with the seed, versions and platform as JSON.

    NaN and infinity, which JSON lacks, become null.

    Args:
        path: The file to write.
        metrics: A mapping from names to numbers (also NumPy's), strings, or mappings of these.
        seed: The seed of the run.

    Example:

    >>> import json, math, tempfile
    >>> from pathlib import Path
    >>> from textrnn.reporting.report import save_metrics
    >>> path = Path(tempfile.mkdtemp()) / "metrics.json"
    >>> save_metrics(path, {"perplexity": 4.2, "bleu": math.nan}, seed=7)
    >>> report = json.loads(path.read_text(encoding="utf-8"))
    >>> report["metrics"], report["seed"], sorted(report["versions"])
    ({'perplexity': 4.2, 'bleu': None}, 7, ['keras', 'python', 'tensorflow', 'textrnn'])
    """
    report = {"metrics": metrics, "seed": seed, "versions": versions(), "platform": platform.platform()}
    _write(path, json.dumps(_finite(_plain(report)), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def save_history(path, history):
    """Write the history as CSV; None becomes an empty field.

    Args:
        path: The file to write.
        history: A mapping from names to columns of the same length.

    Raises:
        InputError: If the columns differ in length.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.reporting.report import save_history
    >>> path = Path(tempfile.mkdtemp()) / "history.csv"
    >>> save_history(path, {"epoch": [1, 2], "val_loss": [None, 1.25]})
    >>> path.read_text(encoding="utf-8").split()
    ['epoch,val_loss', '1,', '2,1.25']
    """
    lengths = {name: len(column) for name, column in history.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"the columns of the history differ in length: {lengths}")
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(history)
        writer.writerows(zip(*_plain(history).values(), strict=True))


def save_curve(path, history):
    """Draw the learning curve, unless the history has no finite loss; see `learning_curve`.

    Args:
        path: The PNG file to write. If there is nothing to draw, an older file is removed.
        history: A mapping from names to columns of the same length.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from textrnn.reporting.report import save_curve
    >>> path = Path(tempfile.mkdtemp()) / "curve.png"
    >>> save_curve(path, {"epoch": [1], "loss": [float("nan")]})
    >>> path.exists()
    False
    """
    from textrnn.reporting.learning_curve import learning_curve

    losses = [value for name in ("loss", "val_loss") for value in history.get(name, ()) if value is not None]
    if not any(math.isfinite(value) for value in losses):
        Path(path).unlink(missing_ok=True)
        return
    with replacing(path) as temporary:
        learning_curve(history, temporary)


def versions():
    """Return the versions of the software that results depend on; None if it is not installed.

    Example:

    >>> import textrnn
    >>> from textrnn.reporting.report import versions
    >>> versions()["textrnn"] == textrnn.__version__
    True
    """
    return {
        "textrnn": textrnn.__version__,
        "tensorflow": _version("tensorflow"),
        "keras": _version("keras"),
        "python": platform.python_version(),
    }


def _write(path, text):
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value):
    """Convert a value to types that YAML and JSON can represent."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return value.tolist()
    return value


def _finite(value):
    """Replace NaN and infinity by None."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version(package):
    """Return a module's `__version__` if it is loaded: its distribution may have another name."""
    if package in sys.modules:
        return getattr(sys.modules[package], "__version__", None)
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
