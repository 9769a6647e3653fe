"""TF Serving's list of models."""

from pathlib import Path

from textrnn.errors import warn
from textrnn.export.versions import versions
from textrnn.files import replacing


def write_models_config(base, server_base="/models"):
    """Write `<base>/models.config`, TF Serving's list of the models in a base folder.

    Models that the file lists already keep their settings, such as labels of versions. Those that are
    elsewhere stay, and those that are no longer in the folder are removed. A file that cannot be read stays
    as it is, with a warning.

    Args:
        base: The folder with one folder per model.
        server_base: The path of that folder on the server; `/models` in TF Serving's container.

    Returns:
        The path of the file, for `tensorflow_model_server --model_config_file`.
    """
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    base = Path(base)
    path = base / "models.config"
    before = model_server_config_pb2.ModelServerConfig()
    if path.exists():
        try:
            text_format.Parse(path.read_text("utf-8"), before)
        except (text_format.ParseError, UnicodeDecodeError) as error:
            warn(f"{path} cannot be read, so it stays as it is: {error}")
            return path
    names = {child.name for child in base.iterdir() if child.is_dir() and versions(child)}
    config = model_server_config_pb2.ModelServerConfig()
    config.CopyFrom(before)
    kept = [
        one
        for one in before.model_config_list.config
        if one.base_path != f"{server_base}/{one.name}" or one.name in names
    ]
    new = [
        model_server_config_pb2.ModelConfig(
            name=name, base_path=f"{server_base}/{name}", model_platform="tensorflow"
        )
        for name in names - {one.name for one in kept}
    ]
    del config.model_config_list.config[:]
    config.model_config_list.config.extend(sorted([*kept, *new], key=lambda one: one.name))
    config.model_config_list.SetInParent()
    if not path.exists() or config != before:
        with replacing(path) as unfinished:
            unfinished.write_text(text_format.MessageToString(config), encoding="utf-8")
    return path
