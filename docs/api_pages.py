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
    "training", "export", "presets", "serving", "reporting", "tasks",
)  # fmt: skip
PUBLIC = {
    getattr(module, name): f"{module.__name__}.{name}"
    for module in [*(importlib.import_module(f"textrnn.{package}") for package in PACKAGES), textrnn]
    for name in getattr(module, "__all__", ())
    if callable(getattr(module, name))
}
"""What packages, and at last textrnn itself, say is theirs: object -> the name to import it by."""
# Keras calls these; what they take is in the docstring of the class.
KERAS_METHODS = {"build", "call", "compute_mask", "compute_output_shape", "from_config", "get_config"}
SECTION = re.compile(r"([A-Z][a-z]+(?: [a-z]+)?):(?: (.+))?")
ENTRY = re.compile(r"([\w*`.]+(?:, [\w*`.]+)*)(?: \([^)]*\))?: (.*)")


def write(folder):
    """Writes `index.md` and a page for each package to a folder."""
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
        "```{toctree}", ":hidden:", "", *PACKAGES, "```", "",
    ]  # fmt: skip
    (folder / "index.md").write_text("\n".join(index), encoding="utf-8")


def page(package):
    """The reference page of a package: the public classes and functions of each of its modules."""
    lines = [f"# {package}", "", summary(package), ""]
    for name in modules(package):
        objects = public_objects(name)
        if objects:
            lines += [f"## {name}", "", summary(name), ""] if name != package else []
            for public, value in objects.items():
                lines += [*described(public, value), ""]
    return "\n".join(lines)


def modules(package):
    """The names of a package and its public modules, without the functions behind subcommands."""
    path = importlib.import_module(package).__path__
    found = sorted(module.name for module in pkgutil.walk_packages(path, f"{package}."))
    return [package, *(name for name in found if "._" not in name and not name.endswith(".commands"))]


def public_objects(module_name):
    """The classes and functions that a module defines, by the names to import them by."""
    module = importlib.import_module(module_name)
    return {
        PUBLIC.get(value, f"{module_name}.{name}"): value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module_name
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
    """The parameters of a callable with their defaults, without types."""
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
