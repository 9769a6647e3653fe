"""SavedModels of starter models: exported when they are first served, and kept in the cache."""

import hashlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import textrnn
from textrnn.data.cache import cached
from textrnn.errors import InputError

PACKAGES = ("tensorflow", "tensorflow-text", "keras", "keras-hub")
"""What an export depends on besides the preset and the code of this package."""


def exported(name: str, preset: Path) -> Path:
    """Return the folder that has the SavedModel of a preset as its only model.

    It is exported by a process of its own, unless it has been before.

    Args:
        name: The name of the model.
        preset: Its preset, a folder.

    Raises:
        InputError: If it cannot be exported.
    """

    def write(folder):
        print(f"exporting {name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "textrnn", "export", str(preset), name, "--output", str(folder)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{name} cannot be exported: {done.stderr.strip()}")
        return {"name": name}

    size = sum(path.stat().st_size for path in preset.rglob("*") if path.is_file())
    return cached("served", f"{name}-{fingerprint(preset)}", write, 4 * size).folder


def fingerprint(preset: Path, code: Path = Path(textrnn.__file__).parent) -> str:
    """Return a hash of all that the SavedModel of a preset depends on.

    Args:
        preset: A preset, whose files are read.
        code: A folder of Python files, which are read.

    Example:

    >>> from textrnn.cli.starter_exports import fingerprint
    >>> from textrnn.starters import starter_path
    >>> len(fingerprint(starter_path("english")))
    32
    """
    found = hashlib.sha256()
    for package in PACKAGES:
        found.update(f"{package} {_version(package)}\n".encode())
    for folder, files in ((preset, "*"), (code, "*.py")):
        for path in sorted(folder.rglob(files)):
            if path.is_file():
                found.update(f"{path.relative_to(folder)}\n{path.stat().st_size}\n".encode())
                found.update(path.read_bytes())
    return found.hexdigest()[:32]


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # such as a build of TensorFlow of another name
        return None
