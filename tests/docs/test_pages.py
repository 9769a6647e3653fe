"""The blocks of README and the docs run: Python here, shell commands on small data in `make test-slow`."""

import contextlib
import doctest
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from builders.serving import addressed
from references import small_data
from references.command import recipe_command

from textrnn.cli import commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DERIVED = {"cells.md", "cells_compared.md"}
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
    if not {"_build", "api"} & set(path.relative_to(ROOT).parts) and path.name not in DERIVED
}
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MEASURED = {"docs/results.md", "docs/results_starters.md", "docs/results_training.md", "docs/speed.md"}
"""Pages whose commands take hours on public data: they are parsed, not run."""
ONLY_PARSED = re.compile(
    r"^\s*(docker|textrnn serve|curl|make|git|grpcurl|source|\.venv/bin/pip|pip)\b|--distribute", re.MULTILINE
)
"""What a block needs that a test has not: a server, the network, another environment, several GPUs."""
NO_REQUEST = re.compile(r"^(?:docker|textrnn|python|make)\b(?:.*\\\n)*.*\n", re.MULTILINE)
"""The other commands of a block that asks a server."""
LANGUAGES = {"python", "sh", "text", "json", "{toctree}"}


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    code: str
    line: int


def blocks(page):
    """The fenced blocks of a page, in order."""
    text = PAGES[page].read_text(encoding="utf-8")
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def pages_with(language):
    return [page for page in PAGES if any(block.language == language for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_and_every_block_has_a_known_language(page):
    assert len(PAGES[page].read_text(encoding="utf-8").splitlines()) <= 220
    assert {block.language for block in blocks(page)} <= LANGUAGES


SLOW_PAGES = [
    f"docs/howto/{name}.md" for name in ("classify", "generate", "python", "time_series", "translate")
]
"""Pages whose Python blocks train models for about ten seconds or more."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page in SLOW_PAGES else [])
        for page in pages_with("python")
        if page != "README.md"
    ],
)
def test_python_blocks_run(page, tmp_path, monkeypatch, request):
    """In one namespace for a page; a block whose first line is `# name.py` is also saved as that file.

    A block that asks a server at localhost gets one of small models.

    `tests/test_doctests.py` runs those of README.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    namespace = {"__name__": "page"}
    of_page = [block for block in blocks(page) if block.language == "python"]
    if any("localhost:85" in block.code for block in of_page):
        server = request.getfixturevalue("small_server")
        of_page = [block._replace(code=addressed(block.code, server)) for block in of_page]
    for block in of_page:
        if name := re.match(r"# (\w+\.py)\n", block.code):
            (tmp_path / name[1]).write_text(block.code, encoding="utf-8")
        if ">>>" in block.code:
            run_examples(block, page, namespace)
        else:
            code = "\n" * (block.line - 1) + block.code
            with contextlib.redirect_stdout(None):
                exec(compile(code, PAGES[page], "exec"), namespace)


def run_examples(block, page, namespace):
    test = doctest.DocTestParser().get_doctest(block.code, {}, page, str(PAGES[page]), block.line - 1)
    test.globs = namespace
    report = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test, out=report.append, clear_globs=False)
    assert not runner.failures, "".join(report)


def commands_of(code):
    """The commands of a shell block as lists of words; variables become 0."""
    code = re.sub(r"<<'?(\w+)'?.*?^\1$", "", code, flags=re.MULTILINE | re.DOTALL)
    lexer = shlex.shlex(code.replace("\\\n", " ").replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = [[]]
    for word in lexer:
        if set(word) <= set(";|&()<>"):
            words.append([])
        else:
            words[-1].append(re.sub(r"\$\w+", "0", word))
    keywords = {"do", "then", "time"}
    plain = [command[1:] if command[:1] and command[0] in keywords else command for command in words]
    return [command for command in plain if command]


@pytest.mark.parametrize("page", pages_with("sh"))
def test_shell_blocks_parse_and_their_options_exist(page, capsys):
    for block in blocks(page):
        if block.language != "sh":
            continue
        parsed = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
        assert parsed.returncode == 0, parsed.stderr
        for command in commands_of(re.sub(r"(^|\s)#.*", "", block.code)):
            check_options(command, page, capsys)


def check_options(command, page, capsys):
    """Parses a command of this project with its own parser, without running it."""
    program, *arguments = command
    if "--config" in arguments:  # of a run that has not been
        place = arguments.index("--config")
        del arguments[place : place + 2]
    if program == "textrnn" and arguments[0] == "recipe" and len(arguments) > 1 and arguments[1][0] != "-":
        name, arguments = arguments[1], arguments[2:]
        program, arguments = "python", [f"recipes/{name}.py", *arguments]
    if program == "textrnn":
        with contextlib.redirect_stderr(None):
            commands.make_command_parser().parse_args(arguments)
    elif program == "python" and arguments[0].startswith("recipes/"):
        status, _, error = recipe_command(capsys, ROOT / arguments[0], *arguments[1:], "--print_config")
        assert status == 0, f"{shlex.join(command)}\n{error}"
    elif program == "python" and arguments[0].endswith(".py"):
        of_page = {block.code.split("\n")[0].removeprefix("# ") for block in blocks(page)}
        assert (ROOT / arguments[0]).is_file() or arguments[0] in of_page, arguments[0]


def requests_of(page):
    """The blocks of a page that ask a server by curl."""
    pattern = re.compile(r"^curl .*?localhost:8501", re.MULTILINE | re.DOTALL)
    return [block for block in blocks(page) if block.language == "sh" and pattern.search(block.code)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", [page for page in pages_with("sh") if requests_of(page)])
def test_requests_by_curl_are_answered(page, small_server):
    """By a server of small models under the names of the page."""
    checked = 'set -e; curl() { command curl --silent --show-error --fail-with-body "$@"; echo; }\n'
    for block in requests_of(page):
        code = checked + addressed(NO_REQUEST.sub("", block.code), small_server)
        ran = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
        assert ran.returncode == 0 and '"error"' not in ran.stdout, f"{code}\n{ran.stdout}\n{ran.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", [page for page in pages_with("sh") if page not in MEASURED])
def test_shell_blocks_run_on_small_data(page, tmp_path):
    """In a folder with small files of the names that the pages use, and with small options added."""
    small_data.write(tmp_path)
    for name in ("recipes", "textrnn", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    programs = small_data.programs(tmp_path / ".programs")
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    for block in blocks(page):
        if name := re.match(r"# (\w+\.py)\n", block.code):
            (tmp_path / name[1]).write_text(block.code, encoding="utf-8")
        if block.language != "sh" or ONLY_PARSED.search(block.code):
            continue
        ran = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", block.code],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{page}, line {block.line}:\n{block.code}\n{ran.stdout}\n{ran.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("furo", reason="not installed: make docs")
    source = tmp_path / "docs"
    source.symlink_to(DOCS)
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--nitpicky", "--quiet",
         "--doctree-dir", tmp_path / "doctrees", DOCS, tmp_path / "html"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "html" / "index.html").is_file()


def test_the_reference_renders_docstrings_as_markdown():
    pages = runpy.run_path(str(DOCS / "api_pages.py"))
    text = "Add.\n\nArgs:\n    x: a number,\n        or two.\n\nExample:\n>>> 1 + 1\n2"
    argument = ["**Args**", "", "- `x`: a number,", "  or two.", ""]
    example = ["**Example**", "", "```python", ">>> 1 + 1", "2", "```", ""]
    assert pages["markdown"](text) == ["Add.", "", *argument, *example]
    layer = "\n".join(pages["described"]("textrnn.Recurrent", pages["textrnn"].Recurrent))
    assert "{py:class} textrnn.Recurrent(cell, return_sequences=False" in layer
    assert "- `recurrent_dropout`: " in layer and "{py:property} resolved_strategy" in layer
    assert "```python\n>>> import numpy as np" in layer and "get_config" not in layer


@pytest.mark.parametrize(
    ("recipe", "column"), [("text_generation", 2), ("sentiment", 3), ("translation", 4)], ids=str
)
def test_the_tables_of_options_are_complete_and_name_the_defaults(recipe, column, capsys):
    status, printed, _ = recipe_command(capsys, ROOT / "recipes" / f"{recipe}.py", "--print_config")
    assert status == 0
    told = {}
    for line in (DOCS / "guide" / "options.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`") and cells[column] != "-":
            told |= dict(zip(re.findall(r"`(\w+)`", cells[0]), cells[column].split(", "), strict=True))
    expected = {
        name: "unset" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in yaml.safe_load(printed).items()
    }
    assert told == expected


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page):
    named = re.findall(
        r"\b((?:benchmarks|docs|recipes|tests|textrnn)/[\w/]+\.(?:py|md|png|tsv))\b",
        PAGES[page].read_text(encoding="utf-8"),
    )
    assert [name for name in named if not (ROOT / name).exists()] == []
