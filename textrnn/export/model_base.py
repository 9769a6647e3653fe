"""The folder of all models: versions, and TF Serving's list of models."""

import os
import re
from pathlib import Path


def versions(folder):
    """The version numbers in a model's folder, ascending; TF Serving ignores other names.

    >>> from textrnn.export.model_base import versions
    >>> versions("/nowhere")
    []
    """
    folder = Path(folder)
    children = folder.iterdir() if folder.is_dir() else ()
    return sorted(
        int(child.name) for child in children if re.fullmatch(r"\d+", child.name) and child.is_dir()
    )


def next_version(folder):
    """The number after the highest version in a model's folder; 1 for the first.

    >>> from textrnn.export.model_base import next_version
    >>> next_version("/nowhere")
    1
    """
    return max(versions(folder), default=0) + 1


def write_models_config(base, server_base="/models"):
    """Writes `<base>/models.config`, TF Serving's list of the models in a base folder.

    Args:
        base: the folder that holds one folder a model.
        server_base: where that folder is seen by the server; `/models` in its container.

    Returns:
        The path of the file, for `tensorflow_model_server --model_config_file`.
    """
    base = Path(base)
    names = sorted(child.name for child in base.iterdir() if child.is_dir() and versions(child))
    entries = [
        f'  config {{\n    name: "{name}"\n    base_path: "{server_base}/{name}"\n'
        f'    model_platform: "tensorflow"\n  }}\n'
        for name in names
    ]
    path = base / "models.config"
    unfinished = base / f".models.config.{os.getpid()}"
    unfinished.write_text("model_config_list {\n" + "".join(entries) + "}\n", encoding="utf-8")
    unfinished.replace(path)
    return path
