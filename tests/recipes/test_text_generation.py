"""The text generation recipe, from a small text to a served model."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from builders.exporting import signatures_alone
from references.command import recipe_command, start_recipe, textrnn_command

import textrnn
from textrnn.data import stored_texts
from textrnn.data.documents import Document
from textrnn.presets import load_preset
from textrnn.text_generation.options import TextGenerationOptions

RECIPES = Path(__file__).parents[2] / "recipes"
TEXT = "the cat sat on the mat.\nthe dog ate the cat's hat, and that was that.\n"
SMALL = {
    "tokenizer": "byte", "units": 8, "batch_size": 2, "sequence_length": 16, "epochs": 1, "max_new_tokens": 8,
}  # fmt: skip

REGULARIZED = {
    "dropout": 0.1, "recurrent_dropout": 0.2, "weight_drop": 0.3, "zoneout": 0.15, "embedding_dropout": 0.05,
    "ar": 2.0, "tar": 1.0, "input_dropout": 0.25, "output_dropout": 0.35,
}  # fmt: skip

AWD_LSTM = {
    "optimizer": "sgd", "schedule": "constant", "learning_rate": 1.0, "weight_decay": 1.2e-6,
    "variable_length": "true", "average_steps": "nt_asgd", "layers": 2, "last_units": 6, "embedding_dim": 6,
    "sampled_softmax": 100,
}  # fmt: skip


def flags(**options):
    given = {**SMALL, "output": "out", **options}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def run(capsys, **options):
    """Runs the recipe in this process and in the current folder."""
    return recipe_command(capsys, RECIPES / "text_generation.py", *flags(**options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model, and what the recipe printed: the smoke test of the real command line."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "cats.txt").write_text(TEXT * 40)
    process = start_recipe(
        folder,
        RECIPES / "text_generation.py",
        *flags(
            data="cats.txt",
            name="cats",
            tokenizer="sentencepiece",
            vocabulary_size=280,
            average_steps="ema",
            cache=20,
            cached_generation="true",
            dynamic_evaluation="true",
            **REGULARIZED,
        ),
    )
    out, err = process.communicate(timeout=280)
    return folder, (process.returncode, out, err)


def test_it_writes_a_saved_model_a_preset_and_a_report(trained):
    folder, (status, out, err) = trained
    assert status == 0, err
    model = folder / "out" / "cats"
    assert {child.name for child in model.iterdir()} == {"1", "preset", "report"}
    report = {child.name for child in (model / "report").iterdir()}
    assert report == {
        "config.yaml",
        "metrics.json",
        "history.csv",
        "learning_curve.png",
        "samples.txt",
        "log.txt",
    }
    metrics = json.loads((model / "report" / "metrics.json").read_text())["metrics"]
    assert 0 < metrics["held_out_bits_per_character"] < 20
    assert metrics["cache"]["window"] == 20
    for name in ("cached", "dynamic"):
        assert f"{metrics[f'{name}_bits_per_character']:.3f} bits per character" in out
    assert metrics["cached_loss"] < metrics["held_out_loss"]
    assert textrnn.CausalLM.from_preset(str(model / "preset")).neural_cache.window == 20
    assert (folder / "out" / "models.config").is_file()
    assert f"{metrics['held_out_bits_per_character']:.3f} bits per character" in out
    assert "tok/s" in err and "sample after epoch 1" in err


def test_it_regularizes_the_model(trained):
    folder, _ = trained
    config = json.loads((folder / "out" / "cats" / "preset" / "config.json").read_text())["config"]
    arguments = {"ar": "activation_regularization", "tar": "temporal_activation_regularization"}
    assert {flag: config[arguments.get(flag, flag)] for flag in REGULARIZED} == REGULARIZED


def test_it_prints_a_command_that_asks_the_model(trained, capsys, monkeypatch):
    folder, (_, out, _) = trained
    monkeypatch.chdir(folder)
    command = re.search(r"textrnn (generate .*) --prompt", out)[1].split()
    status, answer, _ = textrnn_command(capsys, *command, "--prompt", "the cat", "--max_new_tokens", "5")
    assert status == 0 and answer.startswith("the cat")


def test_a_killed_run_goes_on_and_only_with_the_same_options(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cats.txt").write_text(TEXT * 40)
    options = {"data": "cats.txt", "name": "cats", "epochs": 2, **AWD_LSTM}
    with monkeypatch.context() as patch, pytest.raises(KeyError, match="killed"):
        patch.setattr("textrnn.presets.save_preset", lambda *_: {}["killed"])
        run(capsys, **options)
    samples = Path("out/cats/report/samples.txt").read_bytes()
    written = yaml.safe_load(Path("out/cats/report/config.yaml").read_text())  # for a run from its own config
    assert (written["name"], written["epochs"]) == ("cats", 2) and "fresh" not in written

    status, _, err = run(capsys, **options | {"epochs": 3})
    assert status == 2
    assert "--epochs was 2 and is 3" in err
    with signatures_alone("serving_default"):
        status, _, err = run(capsys, **options)
    assert status == 0, err
    assert "Resuming after the last epoch" in err
    assert Path("out/cats/report/samples.txt").read_bytes() == samples
    assert json.loads(Path("out/cats/report/metrics.json").read_text())["metrics"]["resumed"] == 1
    assert {child.name for child in Path("out/cats").iterdir()} == {"1", "preset", "report"}


def test_it_continues_from_a_preset_and_keeps_the_earlier_files(trained, capsys, monkeypatch, tmp_path):
    folder, _ = trained
    monkeypatch.chdir(folder)
    Path("dogs.txt").write_text(TEXT.replace("cat", "dog") * 40)
    monkeypatch.setattr(stored_texts, "IN_MEMORY_BYTES", 0)  # as if the text were larger than memory
    monkeypatch.setenv("TEXTRNN_CACHE", str(tmp_path))
    # With the options of the first run from its report; flags win.
    config = Path("out", "cats", "report", "config.yaml")
    with signatures_alone("serving_default"):
        status, out, err = run(
            capsys,
            config=config,
            data="dogs.txt",
            document="line",
            from_preset="out/cats",
            name="cats",
            epochs=2,
            schedule="slanted_triangular",
            layer_rate_factor=2.6,
            unfreeze_epochs=1,
            export_dtype="float16",
            precision="mixed_bfloat16",
        )
    assert status == 0, err
    assert "strategy: recompute, XLA off (no GPU), mixed_bfloat16" in out
    assert "vocabulary of 280" in out
    assert [len(list((tmp_path / kind).glob("*/*"))) for kind in ("texts", "tokens")] == [3, 4]
    assert "before training  validation loss" in err
    history = Path("out", "cats", "report", "history.csv").read_text().splitlines()
    assert history[1].startswith("0,")
    before, after = map(float, re.search(r"bits per character: (\S+) before, (\S+) after\n", out).groups())
    metrics = json.loads(Path("out", "cats", "report", "metrics.json").read_text())["metrics"]
    assert metrics["held_out_bits_per_character_before_adaptation"] == pytest.approx(before, abs=1e-3)
    assert metrics["held_out_bits_per_character"] == pytest.approx(after, abs=1e-3)
    assert after < before and "adapting helped: " in out
    assert re.search("has 2,[0-9]{3} characters, which can hardly teach a language model", err)
    assert re.search("it was adapted to 2,[0-9]{3} characters, which are few: more text would help", out)
    assert TEXT.replace("cat", "dog").startswith(re.search(r"--prompt '?(the \w+)", out)[1])
    children = {child.name for child in Path("out", "cats").iterdir()}
    assert children == {"1", "2", "preset", "preset-1", "report", "report-1"}
    sizes = [Path("out", "cats", version, "variables", "variables.data-00000-of-00001") for version in "12"]
    single, half = (path.stat().st_size for path in sizes)
    assert half < 0.75 * single


def test_adapting_is_compared_with_a_new_model_trained_for_the_same_time(trained, capsys, monkeypatch):
    folder, _ = trained
    monkeypatch.chdir(folder)
    Path("birds.txt").write_text(TEXT.replace("cat", "bird") * 40)
    options = {"data": "birds.txt", "from_preset": "out/cats", "name": "birds"}
    with signatures_alone("serving_default"):
        status, out, err = run(capsys, compare_with_scratch="true", **options)
    assert status == 0, err
    metrics = json.loads(Path("out", "birds", "report", "metrics.json").read_text())["metrics"]
    parts = ("_before_adaptation", "", "_from_scratch")
    before, after, scratch = (metrics[f"held_out_bits_per_character{part}"] for part in parts)
    assert f"{before:.3f} before, {after:.3f} after, {scratch:.3f} from scratch in the same time\n" in out
    assert ("a model from scratch is better on this text" in out) is (scratch < after)
    assert scratch < math.log2(len({*TEXT})), "better than guessing: it was trained"
    saved = [load_preset(f"out/{name}").preprocessor.tokenizer.get_vocabulary() for name in ("cats", "birds")]
    assert saved[0] == saved[1], "the adapted model is saved, not the new one"


def test_options_that_are_not_given_depend_on_the_size_of_the_text(capsys):
    options = TextGenerationOptions(epochs=3).by_size(30_000)
    assert (options.tokenizer, options.batch_size, options.epochs) == ("character", 8, 3)
    printed = "--tokenizer character, --batch_size 8, --learning_rate 0.003, --dropout 0.2\n"
    out, err = capsys.readouterr()
    assert out == f"for 30,000 characters: {printed}"
    assert "30,000 characters, too few" in err and "--from_preset" in err
    german = Document(
        "a.txt", "Die Kinder standen am Fenster, und niemand hatte die alte Frau gesehen.\n" * 9
    )
    TextGenerationOptions().by_size(30_000, [german])
    assert "the starter model of its language: --from_preset german" in capsys.readouterr().err
    options = TextGenerationOptions(from_preset=Path("old"), tokenizer="word").by_size(30_000)
    assert (options.tokenizer, options.batch_size, options.epochs) == ("word", 4, 5)
    assert (options.learning_rate, options.patience) == (0.0005, 2)
    assert capsys.readouterr().err == ""


MY_CELLS = """
import keras, textrnn
leaky = textrnn.GateSpec(name="leaky", forget=0.9, input=0.1)
class Bounded(textrnn.GatedCell):
    def step(self, projected, states, dot, weights):
        output, (h, c) = super().step(projected, states, dot, weights)
        return output, [h, keras.ops.tanh(c)]
"""


@pytest.mark.parametrize(
    ("cell", "arguments"),
    [
        pytest.param("leaky", [], marks=pytest.mark.slow, id="spec"),
        pytest.param("Bounded", ["--cell", "my_cells:Bounded"], marks=pytest.mark.slow, id="class"),
    ],
)
def test_a_preset_needs_the_module_of_a_cell_class_but_not_of_a_spec(
    cell, arguments, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # which finding the cell extends
    Path("my_cells.py").write_text(MY_CELLS)
    Path("cats.txt").write_text(TEXT * 40)
    status, _, err = run(capsys, data="cats.txt", name="mine", cell=f"my_cells:{cell}")
    sys.modules.pop("my_cells")
    assert status == 0, err
    if not arguments:
        Path("my_cells.py").unlink()
    ask = [sys.executable, "-m", "textrnn", "generate", "out/mine/preset", "--prompt", "the cat", *arguments]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)  # a process without the cell
    assert answer.stdout.startswith("the cat"), answer.stderr


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, {"data": "missing.txt"}, "missing.txt"),
        (b"", {}, "empty"),
        (b"abc\x00def", {}, r"byte 3|offset 3"),
        (b"caf\xe9 noir" * 50, {}, r"(byte|offset) 3\b"),
        (b"short", {}, r"text\.txt.*too short"),
        (TEXT.encode() * 40, {"cell": "lsmt"}, "no cell called 'lsmt'; did you mean lstm"),
        (TEXT.encode() * 40, {"dataset": "ptb"}, "--data and --dataset: give one of them"),
        (TEXT.encode() * 40, {"dataset": "bible"}, "--dataset bible: expected shakespeare, .* or ptb"),
        (TEXT.encode() * 40, {"tokenizer": "letters"}, "--tokenizer letters: expected .*character"),
        (TEXT.encode() * 40, {"tokenizer": "sentencepiece", "vocabulary_size": 9000}, "at most [0-9]+"),
        (TEXT.encode() * 40, {"held_out": 1.5}, "--held_out 1.5: expected a number above 0 and below 1"),
        (TEXT.encode() * 40, {"batch_size": 5000}, "batch_size"),
        (
            TEXT.encode() * 40,
            {"from_preset": "nowhere"},
            "/NAME, or a starter model: english, french, german, spanish\n",
        ),
        (TEXT.encode() * 40, {"from_preset": "sentiment"}, "is a preset of a TextClassifier: expected a"),
        (TEXT.encode() * 40, {"temperature": -2}, "--temperature -2: expected a number of at least 0"),
        (TEXT.encode() * 40, {"dropout": 1.5}, "--dropout 1.5: expected a number of at least 0 and below 1"),
        (TEXT.encode() * 40, {"weight_drop": 1}, "--weight_drop 1: expected a number"),
        (TEXT.encode() * 40, {"zoneout": -0.1}, "--zoneout -0.1: expected a number"),
        (TEXT.encode() * 40, {"embedding_dropout": 1}, "--embedding_dropout 1: expected a number"),
        (TEXT.encode() * 40, {"ar": -1}, "--ar -1: expected a number of at least 0"),
        (TEXT.encode() * 40, {"tar": "inf"}, "--tar inf: expected a number of at least 0"),
        (TEXT.encode() * 40, {"input_dropout": 1}, "--input_dropout 1: expected a number"),
        (TEXT.encode() * 40, {"last_units": 0}, "--last_units 0: expected an integer of at least 1"),
        (
            TEXT.encode() * 40,
            {"average_steps": "asgd"},
            "--average_steps asgd: expected none, ema or nt_asgd",
        ),
        (TEXT.encode() * 40, {"compare_with_scratch": "true"}, "--compare_with_scratch: give --from_preset"),
        (TEXT.encode() * 40, {"layer_rate_factor": 0.5}, "factor is 0.5: give at least 1"),
        (TEXT.encode() * 40, {"optimizer": "lion"}, "--optimizer lion: expected adam or sgd"),
        (TEXT.encode() * 40, {"weight_decay": -1}, "--weight_decay -1: expected a number of at least 0"),
        (TEXT.encode() * 40, {"cache": -1}, "--cache -1: expected an integer of at least 0"),
        (TEXT.encode() * 40, {"cached_generation": "true"}, "--cached_generation: give the --cache"),
        (TEXT.encode() * 40, {"seed": -1}, "--seed -1: expected an integer from 0"),
        (TEXT.encode() * 40, {"epochs": "many"}, "--epochs many: expected an integer of at least 1"),
        (
            TEXT.encode() * 40,
            {"vocabulary_size": 0},
            "--vocabulary_size 0: expected an integer of at least 1",
        ),
        (TEXT.encode() * 40, {"name": "a/b"}, "--name a/b: expected letters"),
        (TEXT.encode() * 40, {"unit": 3}, "--unit: there is no such option; did you mean --units"),
    ],
)
def test_invalid_input_is_reported_before_training(content, options, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("text.txt").write_bytes(content)
    status, _, error = run(capsys, **{"data": "text.txt", **options})
    assert status == 2
    assert re.search(message, error), error
    assert re.search("^error: ", error, re.MULTILINE) and "Traceback" not in error
    assert not Path("out").exists()


def test_a_loss_that_is_not_finite_keeps_finite_weights_and_says_what_to_lower(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT * 40)
    status, _, error = run(capsys, data="text.txt", name="wild", units=64, learning_rate=2e37, epochs=2)
    # No weights are worth serving.
    assert status == 2 and "nothing to export" in error and "See the report in" in error
    assert {child.name for child in Path("out", "wild").iterdir()} == {"preset", "report"}
    assert "not finite" in error and "Lower the learning rate" in error
    metrics = json.loads(Path("out", "wild", "report", "metrics.json").read_text())["metrics"]
    assert metrics["stopped"] == "not finite" and metrics["held_out_loss"] is not None


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_weights_and_says_where(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT * 400)
    process = start_recipe(
        tmp_path, RECIPES / "text_generation.py", *flags(data="text.txt", name="long", epochs=1000)
    )
    for line in process.stderr:
        if "sample after epoch 1" in line:
            break
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=280)
    assert process.returncode == 0, error
    assert "Interrupted" in error
    assert os.path.join("out", "long", "preset") in out
    assert (tmp_path / "out" / "long" / "1" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_the_same_command_resumes(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT * 400)
    command = (RECIPES / "text_generation.py", *flags(data="text.txt", name="long", epochs=1000))
    process = start_recipe(tmp_path, *command)
    for awaited in ("sample after epoch 1", "Interrupted"):
        for line in process.stderr:
            if awaited in line:
                break
        time.sleep(0.3)  # the callbacks of TensorFlow's destructors have ended, in which Python ignores it
        process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=280)
    assert (process.returncode, error.splitlines()[-1]) == (
        130,
        "interrupted. The same command resumes from the last checkpoint",
    )
    assert not (tmp_path / "out" / "long" / "1").exists()
    process = start_recipe(tmp_path, *command)
    for line in process.stderr:
        if "Resuming from epoch" in line:
            break
    process.terminate()
    process.communicate(timeout=280)
    assert process.returncode == 143


def test_words_that_the_model_does_not_know_are_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("games.txt").write_text("e4 e5 Nf3 Nc6\nd4 d5 c4 e6\n" * 20)
    options = {"data": "games.txt", "tokenizer": "word", "document": "line", "name": "games"}
    *_, warnings = run(capsys, **options)
    assert "<unk>" not in warnings
    assert textrnn_command(capsys, "generate", "out/games", "--prompt", "e4 e5")[2] == ""
    *_, warnings = textrnn_command(capsys, "generate", "out/games", "--prompt", "e4 Zz9 h5")
    assert warnings == "warning: prompt 'e4 Zz9 h5': the model does not know 2 of its words, read as <unk>\n"
    Path("games.txt").write_text("".join(f"move{number} e5\n" for number in range(60)))
    *_, warnings = run(capsys, **options)
    assert re.search(r"warning: \d+% of the validation tokens are <unk>, .*: the scores do not pay", warnings)


def test_every_recipe_is_tested():
    tested = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {path.stem for path in RECIPES.glob("*.py")} == tested
