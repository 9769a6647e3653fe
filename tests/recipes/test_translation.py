"""The translation recipe, from pairs of texts to answers, through its command line."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from references.command import recipe_command, textrnn_command

import textrnn
from textrnn.presets import load_preset
from textrnn.serving.saved_model import load_signatures

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


def run(*arguments):
    return subprocess.run(
        [sys.executable, RECIPE, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("translation"))


@pytest.fixture(scope="module")
def trained(folder):
    """The folder of a model, and what the recipe printed."""
    done = run("--data", folder / "pairs.tsv", "--name", "tiny", "--output", folder, *SMALL)
    assert done.returncode == 0, done.stderr
    return folder / "tiny", done.stdout


def test_it_reports_what_it_reached(trained):
    folder, printed = trained
    metrics = json.loads((folder / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    assert metrics["test"]["exact_match"] > 0.8
    assert "nrefs:1|case:mixed" in metrics["test"]["bleu_signature"]
    assert metrics["test"]["bleu_signature"] in printed
    names = {path.name for path in (folder / "report").iterdir()}
    assert {"attention.png", "length.png", "translations.tsv", "worst.tsv", "config.yaml"} <= names
    rows = (folder / "report" / "translations.tsv").read_text("utf-8").splitlines()
    assert len(rows) == 1 + metrics["test"]["sentences"]


def test_the_served_model_the_preset_and_the_command_give_one_answer(trained, capsys):
    folder, _ = trained
    sources = ["one two three", "five four one"]
    served = load_signatures(folder)["serving_default"](text=tf.constant(sources))["text"].numpy()
    lm = load_preset(folder)
    assert isinstance(lm, textrnn.Seq2SeqLM)
    lm.compile()
    assert lm.generate(sources) == [text.decode() for text in served]
    for text, expected in zip(sources, served, strict=True):
        for model in (folder, folder / "preset"):
            assert textrnn_command(capsys, "translate", model, "--text", text) == (
                0,
                expected.decode() + "\n",
                "",
            )


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


def test_a_text_longer_than_the_model_reads_is_answered_with_a_note(trained, capsys):
    folder, _ = trained
    status, printed, note = textrnn_command(capsys, "translate", folder, "--text", "one " * 400)
    assert status == 0
    assert printed.count("\n") == 1
    assert re.search("note: text 1 is longer than the model reads: its end is not translated", note)


def test_training_goes_on_from_a_preset_in_the_other_order_of_files(trained, folder):
    model, _ = trained
    done = run(
        "--source", folder / "source.txt", "--target", folder / "target.txt.gz", "--from_preset", model,
        "--name", "again", "--output", folder, "--epochs", "1", "--num_beams", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "again" / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    assert metrics["test"]["exact_match"] > 0.8
    assert load_preset(folder / "again").default_sampler.num_beams == 2


def bad_inputs(folder):
    short = folder / "short.txt"
    short.write_text("one\ntwo\n", encoding="utf-8")
    sentiment = folder / "not_a_translator" / "preset"
    sentiment.mkdir(parents=True, exist_ok=True)
    return [
        (["--source", folder / "source.txt", "--target", short], "has 125 lines and .* has 2:"),
        (["--source", folder / "source.txt"], "--source and --target go together"),
        (["--data", folder / "pairs.tsv", "--dataset", "multi30k-en-de"], "--data and --dataset: give one"),
        (["--data", folder / "nothing.tsv"], "nothing.tsv"),
        (["--data", short], "line 1"),
        (["--dataset", "multi30k-en-es"], "choose one of multi30k-en-de, multi30k-en-fr, tatoeba"),
        (["--attention", "bahdanau"], "no attention 'bahdanau': use additive"),
        (["--average_of", "first"], "give last or best"),
        (["--num_beams", "99"], "give 32 at the most"),
        (["--length_penalty", "-1"], "length_penalty from 0 to 10"),
        (["--learning_rate", "-1"], "--learning_rate -1.0: give a number above 0"),
        (["--average", "0"], "--average 0: give 1 or more"),
        (["--input_feeding", "--zoneout", "0.1"], "input_feeding with zoneout=0.1"),
        (["--held_out", "0.7"], "below 0.5"),
        (["--cell", "lstn"], "lstn"),
        (["--data", folder / "pairs.tsv", "--max_tokens", "2", "--tokenizer", "word"], "--max_tokens"),
        (["--from_preset", folder / "nowhere"], "no preset at"),
    ]


@pytest.mark.parametrize("case", range(17))
def test_bad_input_is_one_line_that_says_what_to_do(case, folder, capsys):
    arguments, message = bad_inputs(folder)[case]
    status, _, error = recipe_command(capsys, RECIPE, *arguments, "--output", folder / "bad")
    assert status == 2
    assert len(error.strip().splitlines()) == 1
    assert re.search(message, error), error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "a", "--interactive"], "give one of them"),
        (["--text", "a", "--num_beams", "0"], "expected 1 to 32"),
        (["--text", "a", "--n_best", "4", "--num_beams", "2"], "finds no more than so many"),
        (["--text", "a", "--length_penalty", "-2"], "expected 0 to 10"),
        (["--text", "a", "--max_new_tokens", "2000"], "expected 0 to 1024"),
        (["--file", "nowhere.txt"], "there is no such file"),
        (["--text", "a", "--output", "nowhere/out.txt"], "give a file in a folder that exists"),
    ],
)
def test_the_command_refuses_what_cannot_be(trained, arguments, message, capsys):
    status, _, error = textrnn_command(capsys, "translate", trained[0], *arguments)
    assert status == 2
    assert message in error
