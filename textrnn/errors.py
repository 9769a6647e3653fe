"""Errors and warnings about what a user gives (files, flags and prompts), other workers and servers."""

import difflib
import numbers
import sys


class InputError(ValueError):
    """Raised for invalid files, flags, prompts and arguments.

    The message says what was given, what is expected and what to do. Recipes and the command line print it
    without a traceback.

    Example:

    >>> raise textrnn.InputError("notes.txt is empty: give a file with text in it")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: notes.txt is empty: give a file with text in it
    """


class WorkerLost(RuntimeError):
    """Raised in the other workers when one has ended or cannot be reached; see `textrnn.training.workers`.

    Example:

    >>> raise textrnn.errors.WorkerLost("worker 0 of 2 stops: another worker has ended")
    Traceback (most recent call last):
    ...
    textrnn.errors.WorkerLost: worker 0 of 2 stops: another worker has ended
    """


class ServerError(RuntimeError):
    """Raised by `textrnn.Client` when a server refuses a request, fails, or cannot be reached.

    Args:
        message: The address of the server, its own message and the code.
        code: One of gRPC's codes, also for REST, such as `"NOT_FOUND"` or `"UNAVAILABLE"`.
        retry_after: Seconds after which the server takes requests again, if it said so.

    Example:

    >>> raise textrnn.ServerError("http://server:8501: Servable not found (NOT_FOUND)", "NOT_FOUND")
    Traceback (most recent call last):
    ...
    textrnn.errors.ServerError: http://server:8501: Servable not found (NOT_FOUND)
    """

    def __init__(self, message: str, code: str = "UNKNOWN", retry_after: float | None = None):
        super().__init__(message)
        self.code, self.retry_after = code, retry_after


def expect(condition, message):
    """Raise an `InputError` with the message if the condition is false.

    Example:

    >>> from textrnn.errors import expect
    >>> expect(0 <= 0.5 < 1, "--dropout 0.5: give a fraction of at least 0 and below 1")
    """
    if not condition:
        raise InputError(message)


def unknown_argument(what, name, known):
    """Return the error about an argument that does not exist, with the one that may be meant, or all.

    Args:
        what: What takes the arguments.
        name: The argument that was given.
        known: The names of those that there are.

    Example:

    >>> from textrnn.errors import unknown_argument
    >>> print(unknown_argument("Gate", "read", ["reads", "activation"]))
    Gate has no argument 'read': did you mean 'reads'?
    """
    near = difflib.get_close_matches(str(name), known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"use any of {', '.join(known)}"
    return InputError(f"{what} has no argument {name!r}: {advice}")


def is_integer(value):
    """Whether a value is an integer of Python or NumPy. A bool is not.

    Example:

    >>> from textrnn.errors import is_integer
    >>> is_integer(3), is_integer(3.0), is_integer(True)
    (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value):
    """Whether a value is a real number of Python or NumPy. A bool is not.

    Example:

    >>> from textrnn.errors import is_number
    >>> is_number(3), is_number(0.5), is_number("0.5")
    (True, True, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def warn(message):
    """Print a warning on stderr.

    Example:

    >>> from textrnn.errors import warn
    >>> warn("line 3 is empty")  # warning: line 3 is empty
    """
    print(f"warning: {message}", file=sys.stderr, flush=True)
