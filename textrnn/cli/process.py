"""How a command ends: errors of the input, Ctrl-C and closed pipes."""

import os
import sys

from textrnn.errors import InputError


def run(function):
    """Runs a command; what a person gave wrong becomes one line on stderr and exit status 2.

    Args:
        function: a callable without arguments.
    """
    try:
        function()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
