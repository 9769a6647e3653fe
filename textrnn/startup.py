"""Loading TensorFlow and SentencePiece without the messages of their C++ libraries, and keeping memory."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager, nullcontext

from textrnn.errors import expect

_lock = threading.Lock()
_hiding = 0  # the number of `native_messages_hidden` blocks that are running, in all threads
_restore: list[Callable[[], None]] = []  # functions that undo the redirection, at most one


@contextmanager
def native_messages_hidden():
    """Context manager that hides what C++ libraries print on standard error.

    TensorFlow prints several lines before it reads its log level, and SentencePiece prints one for every
    model it loads. A user cannot act on any of them. Python's own output is not hidden: exceptions, warnings
    and whatever is written to `sys.stderr`. Several threads may use it at once.
    """
    global _hiding  # noqa: PLW0603 (the file descriptor belongs to the process)
    with _lock:
        if _hiding == 0:
            _restore.append(_redirect_native_stderr())
        _hiding += 1
    try:
        yield
    finally:
        with _lock:
            _hiding -= 1
            if _hiding == 0:
                _restore.pop()()


M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""Options of glibc's `mallopt`, from malloc.h."""
KEEPING = {M_MMAP_THRESHOLD: 2**30, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**28}
USUAL = {M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**26, M_TOP_PAD: 2**17}
"""In bytes: while training, and what glibc arrives at by itself."""


@contextmanager
def freed_memory_kept():
    """Context manager that lets the process keep what it frees, so that a training step has it again.

    By default glibc returns large blocks to the system, which clears them again when they are asked for:
    for a language model with 8,000 tokens that takes a sixth of a step. Afterwards the memory is returned. On
    systems without glibc nothing is done.

    Example:

    >>> from textrnn.startup import freed_memory_kept
    >>> with freed_memory_kept() as kept:
    ...     kept in (True, False)
    True
    """
    library = ctypes.CDLL(None) if os.name == "posix" else None
    mallopt = getattr(library, "mallopt", None)
    if mallopt is None:
        yield False
        return
    kept = all(mallopt(option, value) for option, value in KEEPING.items())
    try:
        yield kept
    finally:
        for option, value in USUAL.items():
            mallopt(option, value)
        library.malloc_trim(0)  # type: ignore[union-attr]


def load_tensorflow(keras: bool = True):
    """Import TensorFlow, the backend of recipes and exports, without its start-up messages.

    Args:
        keras: Whether TensorFlow loads Keras, which takes seconds and 130 MB, and serving does not need it.

    Raises:
        InputError: If another backend is chosen by the environment variable KERAS_BACKEND.
    """
    expect_tensorflow("recipes and exports run")
    with native_messages_hidden(), nullcontext() if keras else _keras_hidden():
        import tensorflow as tf

        tf.constant(0)  # the first tensor sets up the devices, which prints too


@contextmanager
def _keras_hidden():
    """Inside, Keras cannot be imported unless it is already; TensorFlow goes on without it."""
    hidden = "keras" not in sys.modules
    if hidden:
        sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["keras"]


def expect_tensorflow(what):
    """Choose TensorFlow as Keras's backend.

    Args:
        what: What runs on TensorFlow, with a verb, for the message.

    Raises:
        InputError: If another backend is chosen by the environment variable KERAS_BACKEND.

    Example:

    >>> from textrnn.startup import expect_tensorflow
    >>> expect_tensorflow("exports run")
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    expect(
        backend == "tensorflow",
        f"KERAS_BACKEND is {backend!r}: {what} on TensorFlow; unset it for this command",
    )


def _redirect_native_stderr():
    """Send file descriptor 2 to /dev/null, but not `sys.stderr`. Returns a function that undoes it."""
    original = sys.stderr
    try:
        saved = os.dup(2)
    except OSError:  # there is no standard error, so nothing to hide
        return lambda: None
    python = None
    if original is not None:
        original.flush()
        if _writes_to(original, 2):
            sys.stderr = python = _PythonStderr(original, saved)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)

    def restore():
        os.dup2(saved, 2)
        if python is not None:
            python.descriptor = 2
            if sys.stderr is python:
                sys.stderr = original
        os.close(saved)

    return restore


class _PythonStderr:
    """`sys.stderr` for the time in which file descriptor 2 is redirected."""

    def __init__(self, original, descriptor):
        self.original = original
        self.descriptor = descriptor

    def write(self, text):
        os.write(self.descriptor, text.encode(self.original.encoding, "backslashreplace"))
        return len(text)

    def close(self):
        """Do nothing: absl keeps this object as its stream, and closes it when logging is configured."""

    def __getattr__(self, name):
        return getattr(self.original, name)


def _writes_to(file, descriptor):
    try:
        return file.fileno() == descriptor
    except (AttributeError, OSError, ValueError):
        return False
