"""ARCHITECTURE.md is up to date: its tree, and its order of imports."""

import runpy
from pathlib import Path

from test_imports import ORDER

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def test_the_tree_is_up_to_date():
    tree = runpy.run_path(str(ROOT / "docs" / "tree.py"))
    assert tree["page"]() == PAGE, "run python docs/tree.py"


def test_the_order_of_imports_is_the_one_that_is_tested():
    block = PAGE.partition("## Imports point one way")[2].split("```")[1]
    lines = [set(line.replace(" ", "").split(",")) for line in block.strip().splitlines()]
    assert lines == [*ORDER, {"recipes"}]
