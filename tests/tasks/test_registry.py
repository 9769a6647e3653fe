"""Signatures as functions of Python."""

from builders.language_models import make_lm

import textrnn
from textrnn.tasks.registry import python_functions
from textrnn.tokenizers import ByteTokenizer


def test_functions_are_traced_once_for_a_task_its_sampler_and_options():
    lm = make_lm("byte")
    functions = python_functions(lm)
    assert python_functions(lm) is functions
    assert python_functions(lm, max_new_tokens=3) is not functions
    again = python_functions(lm)
    lm.default_sampler = textrnn.RowSampler(temperature=0.5)
    cooler = python_functions(lm)
    assert cooler is not again and python_functions(lm) is cooler
    lm.default_sampler.temperature = 0.2
    assert python_functions(lm) is not cooler


def test_functions_of_a_calibrated_classifier_are_traced_again():
    preprocessor = textrnn.TextClassifierPreprocessor(ByteTokenizer())
    encoder = textrnn.RecurrentEncoder(258, units=4)
    classifier = textrnn.TextClassifier(encoder, ["bad", "good"], preprocessor)
    functions = python_functions(classifier)
    assert python_functions(classifier) is functions
    classifier.temperature = 2.0
    assert python_functions(classifier) is not functions
