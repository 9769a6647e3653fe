"""Write the tree of the package into ARCHITECTURE.md: a line for each file, from its module's docstring.

Run `python docs/tree.py`, as `make docs` does. A test fails if the tree is out of date.
"""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- tree: written by docs/tree.py -->\n", "<!-- end of the tree -->\n"
FOLDERS = ("textrnn", "recipes", "benchmarks")


def first_line(path):
    """The first line of a module's docstring, without its period."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return docstring.partition("\n")[0].removesuffix(".")


def tree():
    """The tree as Markdown: a heading per folder and a line per file."""
    listed = subprocess.run(
        ["git", "ls-files", *(f"{folder}/*.py" for folder in FOLDERS)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    files = [Path(name) for name in listed if (ROOT / name).exists()]
    folders = dict.fromkeys(
        sorted((file.parent for file in files), key=lambda f: (f.parts[0] != "textrnn", f))
    )
    lines = []
    for folder in folders:
        inside = sorted(file for file in files if file.parent == folder)
        package = folder / "__init__.py"
        meaning = f": {first_line(ROOT / package)}" if package in inside else ""
        lines.append(f"\n**`{folder}/`**{meaning}\n")
        lines += [f"- `{file.name}`: {first_line(ROOT / file)}" for file in inside if file != package]
    return "\n".join(lines) + "\n"


def page():
    """ARCHITECTURE.md with the tree as it is now."""
    text = PAGE.read_text("utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + tree() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
