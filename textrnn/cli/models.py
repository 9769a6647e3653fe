"""The commands `textrnn models` and `textrnn export`, for presets and the starter models."""

from pathlib import Path
from typing import Any

from textrnn.errors import expect
from textrnn.starters import FOLDER, card, starter_names, starter_task
from textrnn.startup import load_tensorflow, native_messages_hidden
from textrnn.types import ModelName, PositiveInt


def models(name: str | None = None):
    """List the starter models, or print the card of one.

    A card says what a model was trained on, under which licences, how good it is, and where not to use it.

    Args:
        name: A starter model. Default: the table of all
    """
    if name is not None:
        expect(name in starter_names(), f"there is no starter model {name!r}: {_known()}")
        print(card(name).rstrip())
        return
    if not starter_names():
        print("the package has no starter models")
        return
    rows = [("name", "task", "size", "model")] + [_row(known) for known in starter_names()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def export(
    model: Path,
    output: Path = Path("saved_models"),
    name: ModelName | None = None,
    float16: bool = False,
    whole_texts: bool = False,
    max_new_tokens: PositiveInt | None = None,
):
    """Write the SavedModel of a preset for TF Serving.

    Args:
        model: A preset, the folder of a model, or a name from `textrnn models`
        output: Folder of all models
        name: Name of the model for TF Serving (default: that of the preset or its folder)
        float16: Store the weights in half precision
        whole_texts: Of a translator: translate texts as a whole, not sentence by sentence
        max_new_tokens: Of a language model: most tokens that it adds if a request says nothing (default: 100)
    """
    from textrnn.files import reserved
    from textrnn.presets import find_preset

    found = find_preset(model)
    folder = output / (name or (found.parent if found.name == "preset" else found).resolve().name)
    with reserved(folder):
        load_tensorflow()
        with native_messages_hidden():
            from textrnn import export as exporting
            from textrnn.presets import load_preset
        options: dict[str, Any] = {"split_sentences": False} if whole_texts else {}
        options |= {"max_new_tokens": max_new_tokens} if max_new_tokens else {}
        version = exporting.export(
            load_preset(model), folder, dtype="float16" if float16 else "float32", **options
        )
        exporting.write_server_files(output)
    print(f"SavedModel {version}")


def _known():
    return f"choose one of {', '.join(starter_names())}" if starter_names() else "the package has none"


def _row(name):
    folder = FOLDER / name
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    summary = next(line for line in card(name).splitlines() if line and not line.startswith("#"))
    return name, starter_task(name), f"{size / 1e6:.1f} MB", summary
