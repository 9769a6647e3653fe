"""Progress messages."""

import sys


def log(message):
    """Print progress to stderr."""
    print(message, file=sys.stderr, flush=True)
