"""The sentiment recipe, from labelled texts to a served model."""

import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.exporting import signatures_alone
from builders.language_models import make_lm
from builders.translators import make_translator, word_tokenizers
from references.command import recipe_command, recipe_in, start_recipe, textrnn_command

from textrnn import training
from textrnn.classification.learned_texts import FILE
from textrnn.errors import InputError
from textrnn.presets import load_preset, save_preset
from textrnn.serving.saved_model import load_signatures

RECIPE = Path(__file__).parents[2] / "recipes" / "sentiment.py"
SMALL = [
    "--from_scratch",
    "--units",
    "8",
    "--embedding_dim",
    "8",
    "--tokenizer",
    "word",
    "--epochs",
    "4",
    "--learning_rate",
    "0.02",
]
COLUMNS = ["--text_column", "review", "--label_column", "verdict"]
WORDS = {"good": "a joy to see", "bad": "dull and too long", "mixed": "neither here nor there"}


def table(path, classes=("good", "bad"), count=20):
    rows = [f"{i} {WORDS[name]} number {i % 3}\t{name}" for i in range(count) for name in classes]
    path.write_text("review\tverdict\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a model, and what the recipe printed."""
    folder = tmp_path_factory.mktemp("sentiment")
    data = table(folder / "reviews.tsv", ("good", "bad", "mixed"), 60)
    arguments = ("--data", data, *COLUMNS, "--name", "tiny", "--output", folder, *SMALL)
    status, out, err = recipe_in(folder, RECIPE, *arguments)
    assert status == 0, err
    return folder / "tiny", out


def test_weights_of_classes_count_in_training_validation_and_calibration(tmp_path, monkeypatch):
    seen, fitted = {}, training.fit

    def fit(classifier, batches, validation_data, **options):
        seen["training"], seen["validation"] = (
            np.concatenate([batch[2] for batch in each]) for each in (batches, validation_data)
        )
        return fitted(classifier, batches, validation_data=validation_data, **options)

    def calibrate(classifier, texts, targets, sample_weight=None, *others):
        seen["calibration"] = sample_weight
        raise InputError("enough")

    monkeypatch.setattr("textrnn.training.fit", fit)
    monkeypatch.setattr("textrnn.classification.calibration.calibrate", calibrate)
    data = tmp_path / "reviews.tsv"
    verdicts = ["good", "bad", "good", "good"]
    rows = [f"{i} {WORDS[verdicts[i % 4]]}\t{verdicts[i % 4]}" for i in range(120)]
    data.write_text("review\tverdict\n" + "\n".join(rows), encoding="utf-8")
    arguments = ["--data", data, *COLUMNS, "--output", tmp_path, *SMALL, "--class_weights", "balanced"]
    _, _, err = recipe_in(tmp_path, RECIPE, *arguments)
    assert "enough" in err
    for name, weights in seen.items():
        assert weights is not None and len({*weights.tolist()}) == 2, name
        assert weights.max() / weights.min() == pytest.approx(3, rel=0.1), name


@pytest.mark.slow
def test_it_is_a_program(tmp_path):
    data = table(tmp_path / "reviews.tsv")
    process = start_recipe(
        tmp_path, RECIPE, "--data", data, *COLUMNS, "--name", "tiny", "--output", ".", *SMALL
    )
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    assert {child.name for child in (tmp_path / "tiny").iterdir()} == {"1", "preset", "report"}


def test_it_learns_and_writes_a_model_and_a_report(trained):
    folder, printed = trained
    assert {child.name for child in folder.iterdir()} == {"1", "preset", "report"}
    assert {child.name for child in (folder / "report").iterdir()} == {
        "config.yaml", "metrics.json", "history.csv", "learning_curve.png", "log.txt",
        "classification.txt", "classification.png", "explanations.html", "explanations.png",
    }  # fmt: skip
    metrics = json.loads((folder / "report" / "metrics.json").read_text("utf-8"))["metrics"]
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["tfidf_baseline"]["accuracy"] > 0.9
    assert metrics["test_n-grams_alone"]["accuracy"] > 0.9
    assert metrics["test_network_alone"]["accuracy"] > 0.6
    assert "TF-IDF of words and characters: accuracy" in printed
    assert "this model:                     accuracy" in printed
    assert "44 bad, 44 good, 44 mixed" in printed
    helped = metrics["network_weight"] > 0
    sentence = "the network helped on" if helped else "the network did not clearly help on"
    assert re.search(rf"^this model: .*\n{sentence} the validation texts: ", printed, re.MULTILINE)


def test_the_saved_model_returns_labels(trained):
    answer = load_signatures(trained[0])["serving_default"](
        text=tf.constant(["a joy to see", "Dull and too long"])
    )
    assert answer["label"].numpy().tolist() == [b"good", b"bad"]


@pytest.mark.parametrize("kind", ["", "preset"])
def test_classify_answers_a_text_and_a_file(trained, kind, tmp_path, capsys):
    model = trained[0] / kind
    _, printed, _ = textrnn_command(capsys, "classify", model, "--text", "dull and too long")
    assert re.fullmatch(r"bad\t[01]\.\d{4}\n", printed)
    texts = [WORDS[name] for name in ("bad", "mixed", "good")] * 20 + [""]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", "utf-8")
    status, printed, _ = textrnn_command(
        capsys, "classify", model, "--file", tmp_path / "texts.txt", "--batch_size", 3
    )
    assert status == 0
    assert [line.split("\t")[0] for line in printed.splitlines()][:60] == ["bad", "mixed", "good"] * 20
    assert len(printed.splitlines()) == 61
    out = tmp_path / "labels.tsv"
    textrnn_command(capsys, "classify", model, "--file", tmp_path / "texts.txt", "--output", out)
    assert [line.split("\t")[0] for line in out.read_text("utf-8").splitlines()] == [
        line.split("\t")[0] for line in printed.splitlines()
    ]


def test_explain_shows_the_words_that_decide(trained, tmp_path, capsys):
    page, picture = tmp_path / "why.html", tmp_path / "why.png"
    status, printed, _ = textrnn_command(
        capsys, "explain", trained[0], "Number 777 DULL and Too long", "--html", page, "--png", picture
    )
    assert status == 0
    first, marked, *most = printed.splitlines()
    assert re.fullmatch(r"bad, \d+ %", first)
    assert (
        marked == "Number 777 DULL and Too long"
    )  # as given, though the model ignores case and does not know 777
    assert most[0].split()[1] in ("DULL", "and", "Too", "long")
    assert "DULL" in page.read_text("utf-8")
    assert picture.read_bytes()[1:4] == b"PNG"


NEW_WORDS = {"good": "splendid it was", "bad": "awful it was", "boring": "sleepy it was"}


@pytest.mark.parametrize(
    ("classes", "labels", "learnt"),
    [
        pytest.param(("bad", "good"), ["bad", "good", "mixed"], True, marks=pytest.mark.slow),
        pytest.param(("good", "boring"), ["boring", "good"], False, marks=pytest.mark.slow),
    ],
)
def test_training_continues_from_a_classifier_on_other_texts(
    trained, classes, labels, learnt, tmp_path, capsys
):
    rows = [f"{i} {NEW_WORDS[name]} number {i % 3}\t{name}" for i in range(20) for name in classes]
    data = tmp_path / "more.tsv"
    data.write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    status, printed, error = recipe_command(
        capsys, RECIPE, "--data", data, "--from_preset", trained[0], "--name", "more", "--output", tmp_path,
        "--epochs", "1", "--learning_rate", "1e-6", "--units", "99", "--tokenizer", "byte",
        "--precision", "mixed_bfloat16",
    )  # fmt: skip
    assert status == 0, error
    before, after = (load_preset(folder) for folder in (trained[0], tmp_path / "more"))
    assert after.labels == labels
    assert (" are not those of " in printed) is not learnt
    changed = {name: after.get_config()[name] for name in ("temperature", "network_weight", "linear")}
    config = before.get_config() | {"labels": labels, **changed}
    assert keras.saving.serialize_keras_object(after.get_config()) == keras.saving.serialize_keras_object(
        config
    )
    assert after.preprocessor.tokenizer.get_vocabulary() == before.preprocessor.tokenizer.get_vocabulary()
    # So few texts do not judge the network; that of a new output layer has no earlier weight.
    earlier = before.network_weight / before.temperature if learnt else 0.0
    assert after.network_weight == pytest.approx(earlier)
    # At this learning rate, trained weights hardly change.
    for old, new in zip(before.backbone.weights, after.backbone.weights, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-3)
    assert after.output_dense.kernel.shape[-1] == len(labels)
    # The n-grams are fitted again, since the earlier ones know none of these texts.
    assert not np.array_equal(before.linear.get_weights()[0], after.linear.get_weights()[0])
    answers = load_signatures(tmp_path / "more")["serving_default"](text=tf.constant(list(WORDS.values())))
    assert set(answers["label"].numpy()) <= {label.encode() for label in labels}
    if learnt:  # by the network, whatever its weight is after so few texts
        logits = after(after.preprocessor(list(WORDS.values())))
        assert [labels[i] for i in np.argmax(logits, axis=-1)] == list(WORDS)


@pytest.mark.slow
def test_texts_that_a_classifier_has_learned_from_are_no_test_of_it(trained, tmp_path, capsys):
    status, _, error = recipe_command(
        capsys, RECIPE, "--data", trained[0].parent / "reviews.tsv", *COLUMNS, "--from_preset", trained[0],
        "--name", "again", "--output", tmp_path, "--epochs", "1", "--seed", "5",
    )  # fmt: skip
    assert status == 0, error
    assert re.search(
        r"warning: \S+tiny has learned from \d+ of \d+ validation texts and \d+ of \d+ test", error
    )
    before, after = (np.load(folder / "preset" / FILE) for folder in (trained[0], tmp_path / "again"))
    assert set(before) < set(after)


def test_it_starts_from_a_language_model(tmp_path, capsys):
    lm = make_lm("byte")
    save_preset(lm, tmp_path / "novel")
    (tmp_path / "more.txt").write_text("Dull it is.\nA joy it was.\n" * 40)
    with signatures_alone("serving_default"):
        status, printed, error = recipe_command(
            capsys, RECIPE, "--data", table(tmp_path / "reviews.tsv"), *COLUMNS,
            "--from_preset", tmp_path / "novel", "--unlabelled", tmp_path / "more.txt",
            "--epochs", "2", "--ngrams", "0", "--name", "reviews", "--output", tmp_path,
        )  # fmt: skip
    assert status == 0, error
    assert f"adapting {tmp_path / 'novel'} to 116 texts" in printed
    classifier = load_preset(tmp_path / "reviews")
    assert classifier.pooling.mode == "concat"
    assert classifier.preprocessor.tokenizer.get_vocabulary() == lm.preprocessor.tokenizer.get_vocabulary()
    assert sorted(path.name for path in (tmp_path / "reviews").iterdir()) == ["1", "preset", "report"]


def test_the_preset_of_another_task_is_refused(tmp_path, capsys):
    save_preset(make_translator(word_tokenizers()), tmp_path / "to_german")
    status, printed, error = recipe_command(
        capsys, RECIPE, "--from_preset", tmp_path / "to_german", "--output", tmp_path
    )
    assert (status, printed) == (2, "")  # before the data is read
    assert "to_german is a preset of a Seq2SeqLM: give that of a classifier or language model" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "DATA"], "there is no 'text' and no 'label' among the columns 'review', 'verdict'"),
        (["--data", "DATA", "--dataset", "sst2"], "--data and --dataset: give one of them"),
        (["--dataset", "sst"], "--dataset sst: expected sst2 or imdb"),
        (["--pooling", "sum"], "--pooling sum: expected max, mean, last, attention or concat"),
        (["--ngrams", "-1"], "--ngrams -1: expected an integer of at least 0"),
        (["--held_out", "0.7"], "--held_out 0.7: expected a number above 0 and below 0.5"),
        (["--from_preset", "/nowhere"], "/nowhere does not exist"),
        (["--from_preset", "a", "--from_scratch"], "--from_preset, --from_scratch: give one of them"),
        (["--from_scratch", "--unlabelled", "DATA"], "--unlabelled: texts without labels are for a language"),
        (["--class_weights", "some"], "--class_weights some: expected balanced or none"),
        (["--name", "a/b"], "--name a/b: expected letters"),
    ],
)
def test_invalid_input_is_reported_before_training(arguments, message, tmp_path, capsys):
    data = table(tmp_path / "reviews.tsv")
    given = [data if argument == "DATA" else argument for argument in arguments]
    status, _, error = recipe_command(capsys, RECIPE, *given, "--output", tmp_path)
    assert status == 2
    assert message in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("classes", "count", "message"),
    [
        (("good",), 20, r"only one class, 'good' \(20 texts\)"),
        (("good", "bad"), 2, r"'bad' has 2 texts .* need at least 3 texts"),
    ],
)
def test_too_few_classes_or_examples_are_refused(classes, count, message, tmp_path, capsys):
    data = table(tmp_path / "reviews.tsv", classes, count)
    status, _, error = recipe_command(capsys, RECIPE, "--data", data, *COLUMNS, "--output", tmp_path)
    assert status == 2
    assert re.search(message, error)


@pytest.mark.slow
def test_a_run_that_replaces_its_start_resumes_after_an_error_at_the_end(
    trained, tmp_path, capsys, monkeypatch
):
    shutil.copytree(trained[0] / "preset", tmp_path / "tiny" / "preset")
    before = load_preset(tmp_path / "tiny").get_weights()
    rows = [f"{i} {NEW_WORDS[name]} number {i % 3}\t{name}" for i in range(20) for name in ("good", "bad")]
    (tmp_path / "more.tsv").write_text("text\tlabel\n" + "\n".join(rows) + "\n", encoding="utf-8")
    command = [
        "--data", tmp_path / "more.tsv", "--from_preset", tmp_path / "tiny", "--name", "tiny",
        "--output", tmp_path, "--epochs", "1",
    ]  # fmt: skip
    monkeypatch.setattr("textrnn.export.publish", lambda *_, **__: {}["killed"])
    with pytest.raises(KeyError, match="killed"):
        recipe_command(capsys, RECIPE, *command)
    for one, other in zip(before, load_preset(tmp_path / "tiny").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "tiny" / "preset.next" / "config.json").exists()  # what was trained is not lost
    monkeypatch.setattr("textrnn.export.publish", lambda *_, **__: None)
    status, _, error = recipe_command(capsys, RECIPE, *command)
    assert status == 0, error
    assert "Resuming after the last epoch" in error and "has learned from" not in error
    assert {child.name for child in (tmp_path / "tiny").iterdir()} == {"preset", "preset-1", "report"}
