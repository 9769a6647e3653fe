"""The argument parser of all command lines."""

import sys


def make_parser(**kwargs):
    """A parser whose errors are one message, without the usage of thirty flags above it."""
    from jsonargparse import ArgumentParser

    class Parser(ArgumentParser):
        def error(self, message, ex=None):
            print(f"error: {message}\nFor the options: {self.prog} --help", file=sys.stderr)
            raise SystemExit(2)

    return Parser(**kwargs)
