"""Imports point one way, and the cells and layers load no more than they need."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import textrnn

PACKAGE = Path(textrnn.__file__).parent
KNOWS = {
    "cells": {"cells", "errors"},
    "layers": {"layers", "cells", "errors"},
    "data": {"data", "errors"},
    "tokenizers": {"tokenizers", "data", "errors"},
    "serving": {"serving", "errors"},
    "losses": {"cells", "errors"},
    "models": {
        "models",
        "layers",
        "cells",
        "data",
        "tokenizers",
        "decoding",
        "beam_search",
        "losses",
        "errors",
    },
}
"""Part of the package -> the parts it may import. Parts that are not here may import any but `recipes`."""


def imports(path):
    """The modules that a file imports, anywhere in it, by their full names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: spell the package out"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_point_one_way(path):
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    names = list(imports(path))
    assert not [name for name in names if name.split(".")[0] == "recipes"]
    if part == "serving":
        assert not [name for name in names if name.split(".")[0] in ("keras", "keras_hub")]
    if part in KNOWS:
        assert {name.split(".")[1] for name in names if name.startswith("textrnn.")} <= KNOWS[part]


@pytest.mark.parametrize(
    ("modules", "backend", "absent"),
    [
        ("textrnn", "tensorflow", ["keras", "keras_hub", "tensorflow"]),
        ("textrnn.cells, textrnn.layers", "tensorflow", ["keras_hub"]),
        ("textrnn.cells, textrnn.layers", "jax", ["keras_hub", "tensorflow"]),
    ],
)
def test_importing_loads_no_more_than_is_needed(modules, backend, absent):
    code = f"import sys, {modules}; print(*(m for m in {absent} if m in sys.modules))"
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
