"""Loading models that Keras has saved with layers of this package."""

import re
import zipfile
from importlib import import_module


def load_model(filepath, **kwargs):
    """Load a model with layers, tasks or optimizers of textrnn; otherwise `keras.models.load_model`.

    Keras finds a class of another package only once it is imported, and the names of `textrnn` are imported
    when they are first used. This imports what the file names, and no more.

    Args:
        filepath: The `.keras` file.
        **kwargs: As for `keras.models.load_model`.

    Returns:
        The model.

    Raises:
        ValueError: If there is no such file, by Keras.

    Example:

    >>> import keras, os, tempfile, textrnn
    >>> model = keras.Sequential([keras.Input((None, 3)), textrnn.Recurrent(textrnn.GatedCell(2, "gru"))])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
    >>> model.save(path)
    >>> textrnn.load_model(path).output_shape
    (None, 2)
    """
    import keras

    for module in _modules(filepath):
        import_module(module)
    return keras.models.load_model(filepath, **kwargs)


def _modules(filepath):
    """The modules of textrnn with the classes of a saved model; none where there is no such file."""
    if not zipfile.is_zipfile(filepath):
        return []
    with zipfile.ZipFile(filepath) as archive:
        config = archive.read("config.json").decode("utf-8")
    return sorted(set(re.findall(r'"module": "(textrnn(?:\.\w+)+)"', config)))
