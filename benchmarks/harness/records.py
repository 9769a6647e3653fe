"""Records of runs, the lines of a file."""

import contextlib
import json
import os


def read_records(path):
    """The records of a file, without incomplete lines. A missing file has none."""
    records = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records


def append(path, entry):
    """Append a record to a file on a new line, also after an incomplete line."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def reason(error):
    """An error as the reason in a record."""
    return f"{type(error).__name__}: {error}"[:500]
