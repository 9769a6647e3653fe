"""Signatures as functions of Python."""

from builders.language_models import make_lm

import textrnn
from textrnn.tasks.registry import python_functions


def test_functions_are_traced_once_for_a_task_its_sampler_and_options():
    lm = make_lm("byte")
    functions = python_functions(lm)
    assert python_functions(lm) is functions
    assert python_functions(lm, max_new_tokens=3) is not functions
    again = python_functions(lm)
    lm.default_sampler = textrnn.RowSampler(temperature=0.5)
    assert python_functions(lm) is not again
