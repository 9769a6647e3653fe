"""Private parts of other libraries, each with the reason why the public interface is not enough.

No other module of the package imports from a private path or uses private attributes. Imports are inside
functions, so that importing this module loads nothing. `tensorflow.core.protobuf` is not private:
TensorFlow's compatibility guarantees cover its protocol buffers.
"""

import importlib.util
import re
from pathlib import Path


def yaml_mode():
    """Return jsonargparse's mode in which a line that begins with `#` is a text, such as a heading."""
    # An option that may be None is read as YAML, where such a line is a comment, and so None. `set_loader` is
    # public, but not the loaders and dumpers that it has.
    from jsonargparse import set_dumper, set_loader
    from jsonargparse._loaders_dumpers import dumpers, loaders

    load = loaders["yaml"]
    set_loader("text_yaml", lambda text: text if re.fullmatch(r"\s*#.*", text) else load(text))
    set_dumper("text_yaml", dumpers["yaml"])
    return "text_yaml"


def load_preset_json(preset, config_file):
    """Read a JSON file of a KerasHub preset, which is a folder or a handle such as `hf://user/model`."""
    # KerasHub resolves handles in this function, and no public function returns the JSON as it stands.
    from keras_hub.src.utils.preset_utils import load_json

    return load_json(preset, config_file)


def fused_kernel(architecture):
    """Return Keras's function over the backend's fused kernel for `"lstm"` or `"gru"`."""
    # Only `keras.layers.LSTM` and `GRU` call these functions, and those layers make their own weights.
    from keras.src import backend

    return getattr(backend, architecture)


def has_fused_kernels():
    """Whether Keras would run fused kernels for an LSTM on this machine."""
    # The public layers ask this function, and tell only by what they run.
    import keras
    from keras.src import backend

    return backend.cudnn_ok(keras.activations.tanh, keras.activations.sigmoid, unroll=False, use_bias=True)


def compiled_by_xla():
    """Whether TensorFlow is tracing a function for XLA, which has no fused kernels."""
    # Public names say whether a graph is traced, not for what.
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def autocast_to(dtype):
    """Return a context manager in which float variables are read in a dtype, as in the call of a layer."""
    # A public call of a layer opens it, but a loop of steps is none.
    from keras.src.backend import AutocastScope

    return AutocastScope(dtype)


def in_stateless_scope():
    """Whether Keras reads the weights of a `keras.StatelessScope` instead of those of a model."""
    # The class is public, the question is not.
    from keras.src.backend.common.stateless_scope import in_stateless_scope

    return in_stateless_scope()


def session_callable(session, feeds, fetches, run_options):
    """Make a function of arrays, one for each tensor that is fed, which runs a session and returns a list.

    Args:
        session: A `tf.compat.v1.Session`.
        feeds, fetches: Names of tensors, all different.
        run_options: A `tf.compat.v1.RunOptions`.
    """
    # The public `make_callable` prepares feeds in each call, which takes as long as a small model.
    from tensorflow.core.protobuf import config_pb2

    options = config_pb2.CallableOptions(feed=feeds, fetch=fetches, run_options=run_options)
    return session._make_callable_from_options(options)


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


def build_for_training(model, batch):
    """Create the variables of a model's optimizer, loss and metrics.

    Args:
        model: A compiled Keras model.
        batch: The shapes and dtypes of a batch, a structure of `keras.KerasTensor`.
    """
    # Keras creates them while it traces the first step, and a checkpoint must restore them before it.
    model._symbolic_build(data_batch=batch)


def watch_workers(jobs, leader, start_seconds, silence_seconds):
    """Set how long TensorFlow waits for workers, before `MultiWorkerMirroredStrategy` connects them.

    Args:
        jobs: A dict from the names of jobs to their numbers of workers.
        leader: The first worker, such as `"/job:worker/task:0"`.
        start_seconds: For how long workers wait for each other at the start. The default is an hour.
        silence_seconds: After how long a worker that is not heard of is lost.
    """
    # The strategy configures TensorFlow's coordination service with its defaults, unless it is configured.
    from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
    from tensorflow.python.eager import context

    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=leader,
        cluster_register_timeout_in_ms=1000 * start_seconds,
        heartbeat_timeout_in_ms=1000 * silence_seconds,
        coordinated_jobs=[CoordinatedJob(name=name, num_tasks=count) for name, count in jobs.items()],
    )


def check_sample_weight(sample_weight, X):
    """Return sample weights as an array of floats; raise ValueError if one is negative or not finite."""
    # scikit-learn's own estimators check their weights with this function; there is no public one.
    from sklearn.utils.validation import _check_sample_weight

    return _check_sample_weight(sample_weight, X, ensure_non_negative=True)


def options_of(parser):
    """Return the options of an argument parser, a list of `argparse.Action`."""
    # argparse has no public list of them, with which to suggest a flag or to name the option of an error.
    return parser._actions


def type_of(option):
    """Return the type of an option, as it was passed to `add_argument`, or None."""
    # jsonargparse replaces the public attribute `type` for types that argparse does not know.
    return getattr(option, "_typehint", None) or option.type


def help_formatter():
    """Return a formatter class for `argparse` that prints the help of an option as it is written."""
    # argparse calls only the name of its formatter public; jsonargparse adds types in these methods.
    import argparse

    from jsonargparse import DefaultHelpFormatter

    class HelpFormatter(DefaultHelpFormatter):
        def __init__(self, prog, **kwargs):
            super().__init__(prog, max_help_position=30, **kwargs)

        def _get_help_string(self, action):
            if isinstance(action, argparse._HelpAction):
                return "Show this help and exit"
            return action.help or ""

        def _format_action(self, action):
            if isinstance(action, argparse._SubParsersAction):  # the commands, without a heading of their own
                return "".join(self._format_action(command) for command in action._get_subactions())
            return super()._format_action(action)

    return HelpFormatter
