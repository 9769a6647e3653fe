"""Imports point one way, and the cells and layers load no more than they need."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import textrnn

PACKAGE = Path(textrnn.__file__).parent
ORDER = [
    {"errors"},
    {
        "cluster",
        "files",
        "private",
        "sentences",
        "starters",
        "startup",
        "tensors",
        "types",
        "unicode",
        "unspaced",
    },
    {"cells"},
    {"layers"},
    {"decoding"},
    {"tokenizers"},
    {"data"},
    {"training"},
    {"reporting"},
    {"serving"},
    {"server", "client"},
    {"tasks"},
    {"presets"},
    {"options"},
    {"text_generation", "classification", "translation"},
    {"export"},
    {"cli", "estimator"},
]
"""Parts of the package, the lowest first. A part imports itself and lower ones, not others of its level."""


def imports(path):
    """The modules that a file imports, anywhere in it, by their full names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: spell the package out"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def level(part):
    return next(level for level, parts in enumerate(ORDER) if part in parts)


FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in set().union(*ORDER)
)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_imports_point_one_way(path):
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    names = list(imports(path))
    assert not [name for name in names if name.split(".")[0] == "recipes"]
    if part in ("serving", "server", "client"):
        assert not [name for name in names if name.split(".")[0] in ("keras", "keras_hub")]
    for name in names:
        if name.startswith("textrnn.") and name.split(".")[1] in set().union(*ORDER):
            imported = name.split(".")[1]
            assert imported == part or level(imported) < level(part), f"{part} imports {name}"


def test_only_one_module_uses_private_parts_of_other_libraries():
    private = re.compile(
        r"\b(?!(?:textrnn|docs)\b)\w+\.(?:src|python)\b|_sentencepiece_tokenizer\.so"
        r"|\bargparse\._|\._(actions|typehint|get_subactions)\b"
    )
    users = {path.name for path in PACKAGE.rglob("*.py") if private.search(path.read_text("utf-8"))}
    assert users == {"private.py"}


@pytest.mark.parametrize(
    ("modules", "backend", "absent"),
    [
        ("textrnn, textrnn.private", "tensorflow", ["keras", "keras_hub", "tensorflow", "pandas"]),
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
