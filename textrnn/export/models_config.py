"""TF Serving's list of models."""

from pathlib import Path

from textrnn.export.versions import versions
from textrnn.files import replacing


def write_models_config(base, server_base="/models"):
    """Write `<base>/models.config`, TF Serving's list of the models in a base folder.

    Args:
        base: The folder with one folder per model.
        server_base: The path of that folder on the server; `/models` in TF Serving's container.

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
    with replacing(path) as unfinished:
        unfinished.write_text("model_config_list {\n" + "".join(entries) + "}\n", encoding="utf-8")
    return path
