"""Every example in a docstring, and in README, runs."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
from builders.serving import addressed

import textrnn

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(textrnn.__path__, "textrnn.")
    if not module.name.endswith("__main__")
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name, request):
    """Those with a server at localhost ask one of small models."""
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in doctest.DocTestFinder().find(module, extraglobs={"textrnn": textrnn, "np": np}):
        for example in test.examples:
            if "localhost:85" in example.source:
                example.source = addressed(example.source, request.getfixturevalue("small_server"))
        runner.run(test)
    assert runner.failures == 0


def test_examples_of_the_readme(tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    copy = tmp_path / "README.txt"  # where a fence does not count as output
    copy.write_text(re.sub(r"^```.*$", "", readme, flags=re.MULTILINE), encoding="utf-8")
    failures, tried = doctest.testfile(
        str(copy), module_relative=False, optionflags=OPTIONS, encoding="utf-8"
    )
    assert failures == 0 and tried > 10
