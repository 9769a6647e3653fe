"""Loading TensorFlow without the messages of its C++ libraries."""

import os
import sys
from contextlib import contextmanager

from textrnn.errors import expect


@contextmanager
def native_messages_hidden():
    """Hides what C++ libraries print while they load, which says nothing that a user can act on.

    Some of it is written before any log level is read, so standard error is closed meanwhile. Exceptions
    are raised as always.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def load_tensorflow():
    """Imports TensorFlow, the backend that recipes and exports need, without its start-up messages."""
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    expect(
        backend == "tensorflow",
        f"KERAS_BACKEND is {backend!r}: recipes and exports run on TensorFlow; unset it for this command",
    )
    with native_messages_hidden():
        import tensorflow as tf

        tf.constant(0)  # the first tensor makes the devices, which has messages of its own
