"""Running a command: exit statuses and messages of input errors, full disks, Ctrl-C and closed pipes."""

import os
import sys
from collections.abc import Callable

from textrnn.errors import InputError, WorkerLost
from textrnn.files import disk_problem


def run(function, place=None, advice: Callable[[], str] = str):
    r"""Call a function. An `InputError` or an error of the disk becomes one line on stderr and status 2.

    A `WorkerLost` prints one line too, with status 75: try again. Ctrl-C exits with status 130, a closed pipe
    with 141. Characters that the encoding of the output lacks are printed as escapes such as `\u4f60`.

    Args:
        function: A callable without arguments.
        place: Where it writes, for errors that do not say which file they are about.
        advice: Returns a sentence to append to an error of the disk and to that of Ctrl-C, or nothing.
    """
    if hasattr(sys.stdout, "reconfigure") and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as that of stderr: no text is worth a traceback
    try:
        function()
        sys.stdout.flush()  # here, where an error is reported
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except WorkerLost as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(75) from None  # EX_TEMPFAIL
    except KeyboardInterrupt:
        print(f"\ninterrupted{advice()}", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        _discard_output()
        raise SystemExit(141) from None
    except Exception as error:
        problem = disk_problem(error, place)
        if problem is None:
            raise
        print(f"error: {problem}{advice()}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()
        raise SystemExit(2) from None


def _discard_output():
    """Send the rest of the output nowhere. Python writes it when it ends, and would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
