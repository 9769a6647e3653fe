"""Arguments of constructors: unknown ones are refused, known ones are saved."""

import inspect
from typing import Any

from textrnn.errors import unknown_argument

_KERAS = {"inputs", "outputs", "config_file", "_allow_python_workflow"}
"""Arguments that Keras and KerasHub pass to each other and that no signature shows."""


class KnownArguments:
    """Mixin of Keras objects that refuse unknown keyword arguments. Keras models ignore them.

    It stands before the Keras class among the bases.

    Raises:
        InputError: For an argument that no constructor of the class and its bases has. It is a `ValueError`,
            as for the unknown arguments of Keras layers.

    Example:

    >>> textrnn.RecurrentBackbone(9, recurent_dropout=0.5)
    Traceback (most recent call last):
    ...
    textrnn.errors.InputError: RecurrentBackbone has no argument 'recurent_dropout': did you mean
    'recurrent_dropout'?
    """

    def __init__(self, *args, **kwargs):
        known = {name for base in type(self).__mro__ for name in arguments(base)} | _KERAS
        for name in kwargs:
            if name not in known:
                raise _unknown(type(self), name)
        super().__init__(*args, **kwargs)


def arguments(cls) -> list[str]:
    """The names of the arguments of a constructor, without `*args` and `**kwargs`."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def stored_arguments(cls, instance) -> dict[str, Any]:
    """The arguments of a constructor and their values, for `get_config`.

    Args:
        cls: A class whose constructor stores each argument under its name, apart from `dtype`.
        instance: An instance of that class or of a subclass.
    """
    return {name: getattr(instance, name) for name in arguments(cls) if name != "dtype"}


def _unknown(cls, name):
    bases = [base for base in cls.__mro__ if base.__module__.split(".")[0] not in ("keras", "builtins")]
    names = [argument for base in bases for argument in arguments(base)]
    return unknown_argument(cls.__name__, name, list(dict.fromkeys([*names, "name", "trainable", "dtype"])))
