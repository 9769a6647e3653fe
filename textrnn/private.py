"""Private parts of other libraries, each with the reason why the public interface is not enough.

No other module of the package imports from a private path. Imports are inside functions, so that importing
this module loads nothing. `tensorflow.core.protobuf` is not private: TensorFlow's compatibility guarantees
cover its protocol buffers.
"""

import importlib.util
from pathlib import Path


def load_preset_json(preset, config_file):
    """Read a JSON file of a KerasHub preset, which is a folder or a handle such as `hf://user/model`."""
    # KerasHub resolves handles in this function, and no public function returns the JSON as it stands.
    from keras_hub.src.utils.preset_utils import load_json

    return load_json(preset, config_file)


def sentencepiece_ops():
    """Return the generated module of TensorFlow Text's SentencePiece ops."""
    # The public `tensorflow_text.SentencepieceTokenizer` creates its resource without a name, so the resource
    # is lost when `keras.utils.set_random_seed` clears TensorFlow's kernel cache. The op takes a name.
    from tensorflow_text.python.ops.sentencepiece_tokenizer import gen_sentencepiece_tokenizer

    return gen_sentencepiece_tokenizer


def sentencepiece_libraries():
    """Return the paths of the libraries that define TensorFlow Text's SentencePiece ops.

    The list has one path, or none where TensorFlow Text is not installed.
    """
    # `import tensorflow_text` registers the ops too, but it also imports Keras, which servers do without.
    package = importlib.util.find_spec("tensorflow_text")
    folders = (package and package.submodule_search_locations) or ()
    return [str(Path(folder, "python", "ops", "_sentencepiece_tokenizer.so")) for folder in folders]


def check_sample_weight(sample_weight, X):
    """Return sample weights as an array of floats; raise ValueError if one is negative or not finite."""
    # scikit-learn's own estimators check their weights with this function; there is no public one.
    from sklearn.utils.validation import _check_sample_weight

    return _check_sample_weight(sample_weight, X, ensure_non_negative=True)
