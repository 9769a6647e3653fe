"""The translation recipe, from pairs of texts to a served model."""

import gzip
import json
import re
from pathlib import Path

import pytest
import tensorflow as tf
from builders.exporting import signatures_alone
from references.command import recipe_command, recipe_in, start_recipe, textrnn_command

import textrnn
from textrnn.errors import InputError
from textrnn.presets import load_preset
from textrnn.serving.saved_model import load_signatures
from textrnn.translation.options import TranslationOptions

RECIPE = Path(__file__).parents[2] / "recipes" / "translation.py"
WORDS = {"one": "un", "two": "deux", "three": "trois", "four": "quatre", "five": "cinq"}
PAIRS = [(f"{a} {b} {c}", f"{WORDS[a]} {WORDS[b]} {WORDS[c]}") for a in WORDS for b in WORDS for c in WORDS]
SMALL = [
    "--units",
    "24",
    "--tokenizer",
    "word",
    "--epochs",
    "12",
    "--learning_rate",
    "0.02",
    "--batch_size",
    "16",
]


def write(folder):
    (folder / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS), encoding="utf-8")
    (folder / "source.txt").write_text("".join(f"{a}\n" for a, _ in PAIRS), encoding="utf-8")
    with gzip.open(folder / "target.txt.gz", "wt", encoding="utf-8") as file:
        file.write("".join(f"{b}\n" for _, b in PAIRS))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("translation"))


@pytest.fixture(scope="module")
def trained(folder):
    """The folder of a model, and what the recipe printed."""
    arguments = ("--data", "pairs.tsv", "--name", "tiny", "--output", ".", *SMALL, "--length_penalty", "2")
    status, out, err = recipe_in(folder, RECIPE, *arguments)
    assert status == 0, err
    return folder / "tiny", out


@pytest.mark.slow
def test_it_is_a_program(tmp_path):
    arguments = ("--data", "pairs.tsv", "--name", "tiny", "--output", ".", *SMALL, "--epochs", "1")
    process = start_recipe(write(tmp_path), RECIPE, *arguments)
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    assert {child.name for child in (tmp_path / "tiny").iterdir()} == {"1", "preset", "report"}


def test_it_learns_and_writes_a_model_and_a_report(trained):
    folder, printed = trained
    metrics = json.loads((folder / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    assert metrics["test"]["exact_match"] > 0.8
    assert "nrefs:1|case:mixed" in metrics["test"]["bleu_signature"]
    assert metrics["test"]["bleu_signature"] in printed
    names = {path.name for path in (folder / "report").iterdir()}
    assert {"attention.png", "length.png", "translations.tsv", "worst.tsv", "config.yaml"} <= names
    rows = (folder / "report" / "translations.tsv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + metrics["test"]["sentences"]


def test_a_shortlist_is_learned_scored_and_served(trained, folder, capsys):
    preset = str(trained[0])
    arguments = (
        "--data",
        "pairs.tsv",
        "--from_preset",
        preset,
        "--name",
        "short",
        "--output",
        ".",
        "--epochs",
        "1",
    )
    status, out, err = recipe_in(folder, RECIPE, *arguments, "--shortlist", "2")
    assert status == 0, err
    assert "all tokens: BLEU" in out
    metrics = json.loads((folder / "short" / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    assert metrics["test_without_shortlist"]["sentences"] == metrics["test"]["sentences"]
    assert metrics["test"]["exact_match"] > 0.8
    served = load_signatures(folder / "short")["serving_default"](text=tf.constant(["one two three"]))
    lm = load_preset(folder / "short")
    assert lm.shortlist.per_token == 2
    assert served["text"].numpy()[0].decode() == lm.generate("one two three")


def test_the_served_model_the_preset_and_the_command_give_one_answer(trained, capsys):
    folder, _ = trained
    sources = ["one two three", "five four one"]
    served = load_signatures(folder)["serving_default"](text=tf.constant(sources))["text"].numpy()
    lm = load_preset(folder)
    assert isinstance(lm, textrnn.Seq2SeqLM)
    lm.compile()
    assert lm.generate(sources) == [text.decode() for text in served]
    texts = [word for source in sources for word in ("--text", source)]
    answers = "".join(f"{text.decode()}\n" for text in served)
    for model in (folder, folder / "preset"):
        assert textrnn_command(capsys, "translate", model, *texts) == (0, answers, "")


def test_the_command_shows_the_n_best_with_scores(trained, capsys):
    folder, _ = trained
    status, printed, _ = textrnn_command(capsys, "translate", folder, "--text", "one two", "--n_best", "3")
    assert status == 0
    rows = [line.split("\t") for line in printed.splitlines()]
    assert len(rows) == 3
    assert [float(score) for score, _ in rows] == sorted((float(score) for score, _ in rows), reverse=True)


def test_the_command_reads_files_and_writes_one_line_for_each(trained, folder, capsys):
    model, _ = trained
    texts = [
        "one two three",
        "",
        "five five five",
        "unknown \udcff words".encode("utf-8", "replace").decode(),
    ]
    (folder / "texts.txt").write_text("\n".join(texts), encoding="utf-8")
    output = folder / "translations.txt"
    arguments = ("--file", folder / "texts.txt", "--output", output, "--batch_size", "2")
    assert textrnn_command(capsys, "translate", model, *arguments)[0] == 0
    lines = output.read_text("utf-8").split("\n")
    assert len(lines) == 5
    assert lines[1] == ""
    assert lines[0] == "un deux trois"
    with gzip.open(folder / "texts.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(texts))
    _, printed, _ = textrnn_command(capsys, "translate", model, "--file", folder / "texts.gz")
    assert printed == output.read_text("utf-8")


def test_a_warning_says_that_a_text_is_truncated(trained, capsys):
    folder, _ = trained
    status, printed, note = textrnn_command(capsys, "translate", folder, "--text", "one " * 400)
    assert status == 0
    assert printed.count("\n") == 1
    assert re.search("warning: text 1 is longer than the model reads, so its end is ignored", note)


def test_a_preset_translates_texts_of_the_length_that_is_given(trained, folder, capsys):
    arguments = (
        "--data", folder / "pairs.tsv", "--from_preset", trained[0], "--output", folder, "--epochs", "1",
        "--num_beams", "1",
    )  # fmt: skip
    for given, expected in ((["--max_tokens", "120"], 120), ([], 100)):
        with signatures_alone("serving_default"):
            status, _, error = recipe_command(capsys, RECIPE, *arguments, "--name", f"of_{expected}", *given)
        assert status == 0, error
        preprocessor = load_preset(folder / f"of_{expected}").preprocessor
        assert preprocessor.encoder_sequence_length == preprocessor.decoder_sequence_length == expected


def test_cells_with_a_rule_for_their_units_are_checked_with_those(tmp_path, monkeypatch):
    (tmp_path / "three_heads.py").write_text(
        "from textrnn.cells.slstm import SLSTMCell\n\n\n"
        "class ThreeHeads(SLSTMCell):\n"
        "    def __init__(self, units, num_heads=3, **kwargs):\n"
        "        super().__init__(units, num_heads, **kwargs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    cell = "three_heads:ThreeHeads"
    TranslationOptions(cell=cell, units=6).check()
    TranslationOptions(decoder_cell=cell, decoder_units=6).check()
    for options in ({"cell": cell, "units": 8}, {"decoder_cell": cell, "units": 8}):
        with pytest.raises(InputError, match="units is 8, not a multiple of num_heads, which is 3"):
            TranslationOptions(**options).check()


@pytest.mark.slow
def test_training_continues_from_a_preset_on_two_line_aligned_files(trained, folder, capsys):
    model, _ = trained
    status, _, error = recipe_command(
        capsys, RECIPE, "--source", folder / "source.txt", "--target", folder / "target.txt.gz",
        "--from_preset", model,
        "--name", "again", "--output", folder, "--epochs", "1", "--num_beams", "2",
        "--precision", "mixed_float16",
    )  # fmt: skip
    assert status == 0, error
    metrics = json.loads((folder / "again" / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    assert metrics["test"]["exact_match"] > 0.8
    search = load_preset(folder / "again").default_sampler.get_config()
    assert search == {"num_beams": 2, "length_penalty": 2.0, "coverage_penalty": 0.0}  # given, saved, default


def bad_inputs(folder):
    short = folder / "short.txt"
    short.write_text("one\ntwo\n", encoding="utf-8")
    sentiment = folder / "not_a_translator" / "preset"
    sentiment.mkdir(parents=True, exist_ok=True)
    return [
        (["--source", folder / "source.txt", "--target", short], "has 125 lines, but .* has 2:"),
        (["--source", folder / "source.txt"], "--source and --target: give both"),
        (["--data", folder / "pairs.tsv", "--dataset", "multi30k-en-de"], "--data and --dataset: give one"),
        (["--data", folder / "nothing.tsv"], "nothing.tsv"),
        (["--data", short], "line 1"),
        (
            ["--dataset", "multi30k-en-es"],
            "--dataset multi30k-en-es: expected multi30k-en-de, .* or tatoeba-en-es",
        ),
        (["--attention", "bahdanau"], "--attention bahdanau: expected scaled_general, .* or additive"),
        (["--average_of", "first"], "--average_of first: expected last or best"),
        (["--num_beams", "99"], "--num_beams 99: expected an integer from 1 to 32"),
        (["--length_penalty", "-1"], "--length_penalty -1: expected a number from 0 to 10"),
        (["--learning_rate", "-1"], "--learning_rate -1: expected a number above 0"),
        (["--average", "0"], "--average 0: expected an integer of at least 1"),
        (["--input_feeding", "--zoneout", "0.1"], "input_feeding with zoneout=0.1"),
        (["--held_out", "0.7"], "--held_out 0.7: expected a number above 0 and below 0.5"),
        (["--cell", "lstn"], "lstn"),
        (["--data", folder / "pairs.tsv", "--max_tokens", "2", "--tokenizer", "word"], "--max_tokens"),
        (["--from_preset", folder / "nowhere"], "nowhere does not exist"),
        (
            ["--encoder_from", "klingon", "--data", folder / "nothing.tsv"],
            "--encoder_from: klingon .*: english, .* spanish$",
        ),
        (
            ["--decoder_from", "sentiment"],
            "--decoder_from: sentiment is a preset of a TextClassifier: expected",
        ),
    ]


@pytest.mark.parametrize("case", range(19))
def test_invalid_input_is_reported_in_one_line(case, folder, capsys):
    arguments, message = bad_inputs(folder)[case]
    status, _, error = recipe_command(capsys, RECIPE, *arguments, "--output", folder / "bad")
    assert status == 2
    assert len(error.strip().splitlines()) == 1
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "a", "--interactive"], "give one of them"),
        (["--text", "a", "--num_beams", "0"], "--num_beams 0: expected an integer from 1 to 32"),
        (["--text", "a", "--n_best", "4", "--num_beams", "2"], "beam search with 2 beams returns at most 2"),
        (["--text", "a", "--length_penalty", "-2"], "--length_penalty -2: expected a number from 0 to 10"),
        (
            ["--text", "a", "--max_new_tokens", "2000"],
            "--max_new_tokens 2000: expected an integer from 0 to 1024",
        ),
        (["--file", "nowhere.txt"], "there is no such file"),
        (["--text", "a", "--output", "nowhere/out.txt"], "give a file in a folder that exists"),
    ],
)
def test_the_command_reports_invalid_options(trained, arguments, message, capsys):
    status, _, error = textrnn_command(capsys, "translate", trained[0], *arguments)
    assert status == 2
    assert message in error
