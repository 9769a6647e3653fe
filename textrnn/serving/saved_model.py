"""Finding and loading SavedModels with TensorFlow alone."""

from pathlib import Path

from textrnn import private
from textrnn.errors import InputError
from textrnn.startup import native_messages_hidden


def find_saved_model(path):
    """Return the SavedModel that a server would load: the highest version.

    Args:
        path: A model's folder, whose numbered children are versions, or one version.

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
    """Load the signatures of a SavedModel.

    Args:
        path: See `find_saved_model`.

    Returns:
        A dict from names of signatures to functions of named tensors.

    Raises:
        InputError: If there is no SavedModel at `path`.
    """
    found = find_saved_model(path)
    if found is None:
        raise InputError(
            f"no SavedModel at {path}: expected a folder with numbered versions, such as saved_models/NAME, "
            "or one of its versions"
        )
    with native_messages_hidden():
        import tensorflow as tf

    with native_messages_hidden():  # SentencePiece prints a line for every model
        load_text_ops()
        loaded = tf.saved_model.load(str(found))
    # The functions work only as long as the loaded object lives.
    return _Signatures(loaded.signatures, loaded)


def load_text_ops():
    """Register TensorFlow Text's SentencePiece ops without its Python package, which imports Keras."""
    import tensorflow as tf

    for library in private.sentencepiece_libraries():
        tf.load_op_library(library)


class _Signatures(dict):
    def __init__(self, signatures, owner):
        super().__init__(signatures)
        self._owner = owner
