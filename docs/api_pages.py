"""Writes the pages of the API reference from docstrings, which are Markdown with Google's sections."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import textrnn

# The order of the pages is that in which a reader meets the packages.
PACKAGES = (
    "cells", "layers", "text_generation", "classification", "translation", "tokenizers", "decoding", "data",
    "training", "export", "presets", "serving", "client", "reporting", "tasks",
)  # fmt: skip
ALSO = (
    "textrnn.cells.describe", "textrnn.cells.equations", "textrnn.layers.strategies",
    "textrnn.training.losses",
)  # fmt: skip
"""Modules to describe besides what a package lists in its `__all__`."""
TOP = {getattr(textrnn, name): f"textrnn.{name}" for name in textrnn.__all__ if name != "__version__"}
# Keras calls these; what they take is in the docstring of the class.
KERAS_METHODS = {"build", "call", "compute_mask", "compute_output_shape", "from_config", "get_config"}
SECTION = re.compile(r"([A-Z][a-z]+(?: [a-z]+)?):(?: (.+))?")
ENTRY = re.compile(r"([\w*`.]+(?:, [\w*`.]+)*)(?: \([^)]*\))?: (.*)")


def write(folder):
    """Write `index.md` and a page for each package to a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for package in PACKAGES:
        (folder / f"{package}.md").write_text(page(f"textrnn.{package}"), encoding="utf-8")
        rows.append(f"| [`textrnn.{package}`]({package}.md) | {summary(f'textrnn.{package}')} |")
    index = [
        "# API reference", "",
        "Generated from the docstrings. Names in `textrnn` itself load on first use.", "",
        "| package | contents |", "|---|---|", *rows, "",
        "Errors in what a user gave are all of one class:", "",
        *described("textrnn.InputError", textrnn.InputError), "",
        "Errors of servers that a client asks, too:", "",
        *described("textrnn.ServerError", textrnn.ServerError), "",
        "```{toctree}", ":hidden:", "", *PACKAGES, "```", "",
    ]  # fmt: skip
    (folder / "index.md").write_text("\n".join(index), encoding="utf-8")


def page(package):
    """The reference page of a package: what it lists in `__all__`, or else what its modules define."""
    listed = public_objects(package)
    lines = [f"# {package}", "", summary(package), ""]
    for name, value in listed.items():
        lines += [*described(name, value), ""]
    rest = []
    for name in modules(package):
        if not listed or name in ALSO:
            objects = public_objects(name)
            lines += [f"## {name}", "", summary(name), ""] if objects else []
            for public, value in objects.items():
                lines += [*described(public, value), ""]
        else:
            rest.append(f"| `{name}` | {summary(name)} |")
    return "\n".join(
        [*lines, *(["## Modules", "", "| module | contents |", "|---|---|", *rest, ""] if rest else [])]
    )


def modules(package):
    """The names of a package's public modules, without the functions behind subcommands."""
    path = importlib.import_module(package).__path__
    found = sorted(module.name for module in pkgutil.walk_packages(path, f"{package}."))
    return [name for name in found if "._" not in name and not name.endswith(".commands")]


def public_objects(name):
    """The classes and functions that a package lists or a module defines, by the names to import them by."""
    module = importlib.import_module(name)
    is_package = hasattr(module, "__path__")
    names = getattr(module, "__all__", []) if is_package else [n for n in vars(module) if n[0] != "_"]
    found = {public: getattr(module, public) for public in names}
    return {
        TOP.get(value, f"{name}.{public}"): value
        for public, value in found.items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and (is_package or value.__module__ == name)
    }


def summary(module_name):
    """The first paragraph of a module's docstring, in one line."""
    return " ".join((importlib.import_module(module_name).__doc__ or "").split("\n\n")[0].split())


def described(name, value):
    """The lines of a directive that documents a class, with its methods, or a function."""
    if inspect.isfunction(value):
        return directive("py:function", name, signature(value), markdown(inspect.getdoc(value) or ""))
    members = []
    for member, of_class in vars(value).items():
        plain = getattr(of_class, "__func__", of_class)
        if member.startswith("_") or member in KERAS_METHODS:
            continue
        if isinstance(of_class, property):
            body = markdown(inspect.getdoc(of_class) or "")
            members += ["", *directive("py:property", member, "", body, fence=":::")]
        elif inspect.isfunction(plain):
            kind = "py:method" if plain is of_class else "py:classmethod"
            arguments = signature(plain, bound=not isinstance(of_class, staticmethod))
            body = markdown(inspect.getdoc(plain) or "")
            members += ["", *directive(kind, member, arguments, body, fence=":::")]
    body = [*markdown(inspect.getdoc(value) or ""), *members]
    return directive("py:class", name, signature(value), body, fence="::::")


def directive(kind, name, arguments, body, fence=":::"):
    """The lines of a MyST directive."""
    return [f"{fence}{{{kind}}} {name}{arguments}", "", *body, fence]


def signature(value, bound=False):
    """The parameters of a callable with their defaults, without types; nothing for an exception."""
    if inspect.isclass(value) and issubclass(value, Exception):
        return ""
    parameters = list(inspect.signature(value).parameters.values())[bound:]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain))


def markdown(docstring):
    r"""The lines of a docstring with its sections as bold headings and lists, and its examples as code.

    >>> markdown("Add.\n\nArgs:\n    x: a number,\n        or two.\n\nExample:\n>>> 1 + 1\n2")[2:9]
    ['**Args**', '', '- `x`: a number,', '  or two.', '', '**Example**', '']
    """
    made, section, code = [], None, False
    for line in [*docstring.splitlines(), ""]:
        text = line.strip()
        if code:
            made.append(line if text else "```")
            made += [] if text else [""]
            code = bool(text)
        elif text.startswith(">>>"):
            made += [*([""] if made and made[-1] else []), "```python", text]
            code = True
        elif (heading := SECTION.fullmatch(line)) and (not made or not made[-1]):
            section = heading[1]
            made += [f"**{section}**", "", *([heading[2]] if heading[2] else [])]
        elif section in {"Args", "Call arguments", "Attributes", "Raises"} and line.startswith("    "):
            entry = ENTRY.fullmatch(line[4:])
            made.append(f"- `{entry[1].replace('`', '')}`: {entry[2]}" if entry else f"  {text}")
        elif line.startswith("    ") and section:
            made.append(line[4:])
        else:
            section = section if not text else None
            made.append(line)
    return made
