"""Sphinx builds the site from the Markdown pages of this folder and the docstrings: `make docs`."""

import re
import sys
from pathlib import Path

import textrnn
from textrnn.startup import load_tensorflow

load_tensorflow()  # now, quietly: the API reference imports every module
sys.path.insert(0, str(Path(__file__).parent))
import api_pages  # noqa: E402

project = "textrnn"
version = release = textrnn.__version__
html_title = f"textrnn {release}"

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
highlight_language = "none"  # indented blocks are equations

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_copyright = False


def show_architecture(app, docname, source):
    """Put ARCHITECTURE.md on its page, where links to files outside the site become plain names."""
    if docname == "architecture":
        text = (Path(app.srcdir).parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
        text = re.sub(r"\]\(docs/", "](", text)
        source[0] = re.sub(r"\[([^]]+)\]\((?:tests|textrnn|recipes|benchmarks)/[^)]+\)", r"`\1`", text)


def setup(app):
    """Write the pages of the API reference before Sphinx looks for its sources."""
    app.connect("config-inited", lambda app, config: api_pages.write(Path(app.srcdir) / "api"), priority=0)
    app.connect("source-read", show_architecture)
