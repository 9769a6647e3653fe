"""What a task answers: TensorFlow functions of strings, ready to be exported.

The same functions answer in Python, at the command line and in the exported SavedModel.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from textrnn.errors import InputError
from textrnn.models.causal_lm import CausalLM
from textrnn.models.seq2seq_lm import Seq2SeqLM
from textrnn.models.text_classifier import TextClassifier
from textrnn.signatures.classification import classification_signatures
from textrnn.signatures.text_generation import MAX_NEW_TOKENS, text_completer, text_signatures
from textrnn.signatures.translation import translation_signatures

SIGNATURES: dict[Any, Callable] = {
    CausalLM: text_signatures,
    TextClassifier: classification_signatures,
    Seq2SeqLM: translation_signatures,
}
"""Task -> the function that makes its signatures."""


def signatures_of(task, **options):
    """The serving functions of a task: name -> `(function, input specs)`.

    Args:
        task: a task with a preprocessor, of a kind in `SIGNATURES`.
        **options: of the function that makes its signatures.

    Raises:
        InputError: for a task of another kind.
    """
    for kind, make in SIGNATURES.items():
        if isinstance(task, kind):
            return make(task, **options)
    kinds = ", ".join(kind.__name__ for kind in SIGNATURES)
    raise InputError(f"a {type(task).__name__} has no signatures: expected one of {kinds}")


def python_functions(task, **options):
    """A task's signatures as a mapping of functions that are called by keyword, like those of a SavedModel.

    Args:
        task, **options: as for `signatures_of`.
    """

    def by_keyword(function, specs):
        compiled = tf.function(function, input_signature=specs, autograph=False)
        return lambda **inputs: compiled(*(inputs[spec.name] for spec in specs))

    return {name: by_keyword(*signature) for name, signature in signatures_of(task, **options).items()}


__all__ = [
    "MAX_NEW_TOKENS",
    "SIGNATURES",
    "classification_signatures",
    "python_functions",
    "signatures_of",
    "text_completer",
    "text_signatures",
    "translation_signatures",
]
