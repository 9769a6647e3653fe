"""The recipe's real command line, on small text."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from references.command import recipe_command

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "text_generation.py"
TEXT = "the cat sat on the mat.\nthe dog ate the cat's hat, and that was that.\n"
SMALL = {
    "tokenizer": "byte", "units": 8, "batch_size": 2, "sequence_length": 16, "epochs": 1, "max_new_tokens": 8,
}  # fmt: skip

REGULARIZED = {
    "dropout": 0.1, "recurrent_dropout": 0.2, "weight_drop": 0.3, "zoneout": 0.15, "embedding_dropout": 0.05,
    "ar": 2.0, "tar": 1.0,
}  # fmt: skip


def start(folder, **options):
    flags = [word for name, value in {**SMALL, "output": folder / "out", **options}.items()
             for word in (f"--{name}", str(value))]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, RECIPE, *flags],
        cwd=folder,
        env={**os.environ, "TEXTRNN_DATA": str(folder / "data"), "TEXTRNN_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, **options):
    process = start(folder, **options)
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "cats.txt").write_text(TEXT * 40)
    return folder, run(
        folder, data="cats.txt", name="cats", tokenizer="sentencepiece", vocabulary_size=280, **REGULARIZED
    )


def test_leaves_a_saved_model_a_preset_and_a_report(trained):
    folder, (status, out, err) = trained
    assert status == 0, err
    model = folder / "out" / "cats"
    assert {child.name for child in model.iterdir()} == {"1", "preset", "report"}
    report = {child.name for child in (model / "report").iterdir()}
    assert report == {"config.yaml", "metrics.json", "history.csv", "learning_curve.png", "samples.txt"}
    metrics = json.loads((model / "report" / "metrics.json").read_text())["metrics"]
    assert 0 < metrics["held_out_bits_per_character"] < 20
    assert (folder / "out" / "models.config").is_file()
    assert f"{metrics['held_out_bits_per_character']:.3f} bits per character" in out
    assert "tok/s" in err and "sample after epoch 1" in err


def test_regularizes_as_asked(trained):
    folder, _ = trained
    config = json.loads((folder / "out" / "cats" / "preset" / "config.json").read_text())["config"]
    arguments = {"ar": "activation_regularization", "tar": "temporal_activation_regularization"}
    assert {flag: config[arguments.get(flag, flag)] for flag in REGULARIZED} == REGULARIZED


def test_says_the_command_that_asks_the_model_and_it_works(trained):
    folder, (_, out, _) = trained
    command = re.search(r"textrnn (generate .*) --prompt", out)[1]
    answer = subprocess.run(
        [sys.executable, "-m", "textrnn", *command.split(), "--prompt", "the cat", "--max_new_tokens", "5"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert answer.stdout.startswith("the cat")


def ask(folder, model, *flags):
    command = [sys.executable, "-m", "textrnn", "generate", str(model), "--prompt", "the cat", *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


MY_CELLS = """
import keras, textrnn
leaky = textrnn.GateSpec(name="leaky", forget=0.9, input=0.1)
class Bounded(textrnn.GatedCell):
    def step(self, projected, states, dot, weights):
        output, (h, c) = super().step(projected, states, dot, weights)
        return output, [h, keras.ops.tanh(c)]
"""


def trained_with_my_cell(folder, cell):
    """A model with a cell of `my_cells.py`, trained in that folder."""
    (folder / "my_cells.py").write_text(MY_CELLS)
    (folder / "cats.txt").write_text(TEXT * 40)
    status, _, err = run(folder, data="cats.txt", name="mine", cell=f"my_cells:{cell}")
    assert status == 0, err
    return folder / "out" / "mine"


def test_a_declaration_of_one_s_own_is_data_and_needs_its_module_only_to_train(tmp_path):
    model = trained_with_my_cell(tmp_path, "leaky")
    (tmp_path / "my_cells.py").unlink()
    answer = ask(tmp_path, model / "preset")
    assert answer.stdout.startswith("the cat"), answer.stderr


def test_a_class_of_one_s_own_is_named_again_to_load_its_preset(tmp_path):
    model = trained_with_my_cell(tmp_path, "Bounded")
    answer = ask(tmp_path, model / "preset", "--cell", "my_cells:Bounded")
    assert answer.stdout.startswith("the cat"), answer.stderr


def test_goes_on_from_a_preset_on_new_text_and_keeps_what_was_there(trained):
    folder, _ = trained
    (folder / "dogs.txt").write_text(TEXT.replace("cat", "dog") * 40)
    # With the options of the first run from its report; flags win.
    config = folder / "out" / "cats" / "report" / "config.yaml"
    status, out, err = run(
        folder, config=config, data="dogs.txt", from_preset="out/cats", name="cats", epochs=2
    )
    assert status == 0, err
    assert "280 different" in out
    children = {child.name for child in (folder / "out" / "cats").iterdir()}
    assert children == {"1", "2", "preset", "preset-1", "report", "report-1"}


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, {"data": "missing.txt"}, "missing.txt"),
        (b"", {}, "empty"),
        (b"abc\x00def", {}, r"byte 3|offset 3"),
        (b"caf\xe9 noir" * 50, {}, r"(byte|offset) 3\b"),
        (b"short", {}, r"text\.txt.*too short"),
        (TEXT.encode() * 40, {"cell": "lsmt"}, "no cell called 'lsmt'; did you mean lstm"),
        (TEXT.encode() * 40, {"dataset": "bible"}, "one of them"),
        (TEXT.encode() * 40, {"tokenizer": "letters"}, "letters.*character"),
        (TEXT.encode() * 40, {"tokenizer": "sentencepiece", "vocabulary_size": 9000}, "at most [0-9]+"),
        (TEXT.encode() * 40, {"held_out": 1.5}, "1.5"),
        (TEXT.encode() * 40, {"batch_size": 5000}, "batch_size"),
        (TEXT.encode() * 40, {"from_preset": "nowhere"}, "no preset at nowhere"),
        (TEXT.encode() * 40, {"temperature": -2}, "temperature"),
        (TEXT.encode() * 40, {"dropout": 1.5}, "--dropout 1.5"),
        (TEXT.encode() * 40, {"weight_drop": 1}, "--weight_drop 1.0: give a fraction"),
        (TEXT.encode() * 40, {"zoneout": -0.1}, "--zoneout -0.1: give a fraction"),
        (TEXT.encode() * 40, {"embedding_dropout": 1}, "--embedding_dropout 1.0: give a fraction"),
        (TEXT.encode() * 40, {"ar": -1}, "--ar -1.0: give 0 or more"),
        (TEXT.encode() * 40, {"tar": -0.5}, "--tar -0.5: give 0 or more"),
        (TEXT.encode() * 40, {"seed": -1}, "--seed -1"),
        (TEXT.encode() * 40, {"vocabulary_size": 0}, "--vocabulary_size 0"),
        (TEXT.encode() * 40, {"name": "a/b"}, "--name a/b"),
    ],
)
def test_bad_input_is_one_clear_line(content, options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("text.txt").write_bytes(content)
    flags = {**SMALL, "data": "text.txt", "output": tmp_path / "out", **options}
    status, _, error = recipe_command(
        capsys, RECIPE, *(word for name, value in flags.items() for word in (f"--{name}", value))
    )
    assert status == 2
    assert re.search(message, error), error
    assert error.startswith("error: ") and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_an_unknown_data_set_is_answered_with_the_known_ones(tmp_path, capsys):
    status, _, error = recipe_command(capsys, RECIPE, "--dataset", "bible", "--output", tmp_path)
    assert status == 2 and re.search("bible.*shakespeare", error)


def test_a_loss_that_is_not_finite_keeps_good_weights_and_says_what_to_lower(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT * 40)
    status, _, error = run(tmp_path, data="text.txt", name="wild", units=64, learning_rate=2e37, epochs=2)
    # Nothing was learnt: there is nothing to serve.
    assert status == 2 and "its report is in" in error
    assert {child.name for child in (tmp_path / "out" / "wild").iterdir()} == {"preset", "report"}
    assert "not finite" in error and "Lower the learning rate" in error
    metrics = json.loads((tmp_path / "out" / "wild" / "report" / "metrics.json").read_text())["metrics"]
    assert metrics["stopped"] == "not finite" and metrics["held_out_loss"] is not None


def test_ctrl_c_keeps_the_best_weights_and_says_where(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT * 400)
    process = start(tmp_path, data="text.txt", name="long", epochs=1000)
    for line in process.stderr:
        if "sample after epoch 1" in line:
            break
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=280)
    assert process.returncode == 0, error
    assert "Interrupted" in error
    assert str(Path("out") / "long" / "preset") in out
    assert (tmp_path / "out" / "long" / "1" / "saved_model.pb").is_file()


def test_every_recipe_is_tested():
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {path.stem for path in RECIPE.parent.glob("*.py")} == tested
