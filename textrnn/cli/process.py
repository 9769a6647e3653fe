"""The end of a command: errors in the input, Ctrl-C and closed pipes."""

import os
import sys

from textrnn.errors import InputError


def run(function):
    """Call a function and turn an `InputError` into one line on stderr and exit status 2.

    Ctrl-C exits with status 130, a closed pipe with 141.

    Args:
        function: A callable without arguments.
    """
    try:
        function()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
