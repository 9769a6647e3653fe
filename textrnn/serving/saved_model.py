"""Exported models in Python: find a version, load it, ask it."""

from pathlib import Path

from textrnn import private
from textrnn.errors import InputError
from textrnn.startup import native_messages_hidden


def find_saved_model(path):
    """The SavedModel that a server pointed at `path` would load: the highest version.

    Args:
        path: a model's folder, whose numbered children are versions, or one version.

    Returns:
        The `pathlib.Path` of a folder with a `saved_model.pb`, or None if there is none.
    """
    path = Path(path)
    if (path / "saved_model.pb").is_file():
        return path
    children = path.iterdir() if path.is_dir() else ()
    numbered = [
        child for child in children if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    ]
    return max(numbered, key=lambda child: int(child.name), default=None)


def load_signatures(path):
    """Loads a SavedModel with TensorFlow alone.

    Args:
        path: see `find_saved_model`.

    Returns:
        The signatures: a mapping from name to a function of named tensors.

    Raises:
        InputError: if there is no SavedModel at `path`.
    """
    found = find_saved_model(path)
    if found is None:
        raise InputError(
            f"No SavedModel at {path}: expected a folder with numbered versions, as a recipe leaves in "
            "saved_models/NAME, or one of those versions."
        )
    with native_messages_hidden():
        import tensorflow as tf

    with native_messages_hidden():  # SentencePiece prints a line for every model
        load_text_ops()
        loaded = tf.saved_model.load(str(found))
    # The functions live as long as the object they came with.
    return _Signatures(loaded.signatures, loaded)


def load_text_ops():
    """Registers the SentencePiece ops of TensorFlow Text, whose Python package would bring Keras along."""
    import tensorflow as tf

    for library in private.sentencepiece_libraries():
        tf.load_op_library(library)


class _Signatures(dict):
    def __init__(self, signatures, owner):
        super().__init__(signatures)
        self._owner = owner
