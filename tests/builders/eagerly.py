"""Running functions without tracing them."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def functions_run_eagerly():
    """Inside, a `tf.function` is not traced: for a few short calls that takes seconds longer than they do."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
