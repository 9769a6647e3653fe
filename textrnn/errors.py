"""The one exception that means: something a person gave us is wrong, and here is what to do."""


class InputError(ValueError):
    """Raised for files, flags and prompts that cannot be used.

    The message says what was given, what was expected and what to do. Recipes and the command line
    print it without a traceback; everything else propagates as usual.

    Example:

    >>> raise textrnn.InputError("notes.txt is empty: give a file with text in it")
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: notes.txt is empty: give a file with text in it
    """


def expect(condition, message):
    """Raises an `InputError` with the message unless the condition holds.

    Example:

    >>> from textrnn.errors import expect
    >>> expect(0 <= 0.5 < 1, "--dropout 0.5: give a fraction of at least 0 and below 1")
    """
    if not condition:
        raise InputError(message)
