"""Benchmarks run, and what they compare is the same work; nothing here is about speed."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "language_model.py"


@pytest.fixture(scope="module")
def benchmark():
    """The names of the script."""
    return runpy.run_path(str(SCRIPT))


@pytest.mark.parametrize("tied", [False, True])
def test_the_models_of_all_contestants_are_the_same_function_of_the_same_weights(benchmark, tied):
    work = replace(benchmark["WORKS"][0], vocabulary_size=11, units=5, tied=tied)
    lm = benchmark["textrnn_model"](work)
    embed, lstm, project = benchmark["keras_layers"](work, return_sequences=True)
    token_ids = keras.Input((None,), dtype="int32")
    peer = keras.Model(token_ids, project(lstm(embed(token_ids))))

    assert peer.count_params() == lm.count_params()
    embedding, *rest = lm.get_weights()  # the untied projection comes second, in Keras's model last
    peer.set_weights([embedding, *rest] if tied else [embedding, *rest[1:], rest[0]])
    x = np.arange(12).reshape(2, 6) % 11
    ours = lm({"token_ids": x, "padding_mask": np.ones_like(x, "bool")})
    np.testing.assert_allclose(ours, peer(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["training", "generation"])
def test_contestants_say_how_many_tokens_they_did(benchmark, task):
    work = next(work for work in benchmark["WORKS"] if work.task == task)
    work = replace(
        work,
        vocabulary_size=11,
        units=4,
        batch_size=2,
        windows=3,
        sequence_length=5,
        prompt_tokens=6,
        new_tokens=7,
    )
    inputs = benchmark["make_inputs"](work, seed=0)
    for (peer, _), prepare in benchmark["CONTESTANTS"][task].items():
        done = 2 * 4 if peer == "Keras, re-reading" else 2 * {"training": 3 * 5, "generation": 7}[task]
        if peer == "re-reading overlapping windows":
            done //= 2  # half of each is new text
        run = prepare(work, inputs)
        assert run is None or run() == done  # None: its library is not installed


@pytest.mark.slow
def test_the_script_measures_every_contestant_and_writes_what_it_prints(benchmark, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--units", "4", "--vocabulary_size", "11", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )

    report = json.loads((tmp_path / "language_model.json").read_text("utf-8"))
    assert done.stdout == (tmp_path / "language_model.md").read_text("utf-8")
    for work, result in zip(benchmark["WORKS"], report["results"], strict=True):
        measured = [(entry["peer"], entry["form"]) for entry in result["contestants"]]
        assert {*measured} | {("PyTorch", "")} == {*benchmark["CONTESTANTS"][work.task]} | {("PyTorch", "")}
        for entry in result["contestants"]:
            assert len(entry["tokens_per_second"]) == 2 == report["environment"]["rounds"]
            assert min(entry["tokens_per_second"]) <= entry["median"] <= max(entry["tokens_per_second"])


def test_help_comes_without_tensorflow():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['', '--help']\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit: print([name for name in ('tensorflow', 'keras') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


RECURRENCE = SCRIPT.with_name("recurrence.py")


@pytest.fixture(scope="module")
def recurrence():
    """The names of the other script."""
    sys.path.insert(0, str(RECURRENCE.parent))
    yield runpy.run_path(str(RECURRENCE))
    sys.path.remove(str(RECURRENCE.parent))


def test_a_ratio_is_of_the_first_to_each_and_within_rounds(recurrence):
    work = recurrence["Work"]("training", "lstm", 32, 64, 256)
    report = {
        "results": [
            recurrence["result"](work, {"textrnn": [10.0, 30.0, 20.0], "PyTorch": [20.0, 15.0, 10.0]})
        ],
        "environment": {"cpus": 2},
    }
    ours, theirs = report["results"][0]["rows"]
    assert (ours["median"], theirs["median"], theirs["ratio"]) == (20.0, 15.0, 1.333)
    assert theirs["lowest_and_highest_ratio"] == [0.5, 2.0]
    table = recurrence["markdown"](report)
    assert "|  | PyTorch | 15 ms (10–20) | 1.33 (0.50–2.00) | ≤ 1.2, missed |" in table.splitlines()


def test_cells_are_compared_by_the_time_of_a_multiply_add(recurrence):
    work = recurrence["Work"]("cells", "lstm", 32, 64, 256)
    rows = recurrence["result"](work, {"lstm": [8.0], "simple": [4.0]}, per={"lstm": 8, "simple": 2})["rows"]
    assert rows[1]["ratio"] == 0.5  # half the time for a quarter of the work
    assert [recurrence["multiply_adds"](name, 4) for name in ("lstm", "simple")] == [8 * 16, 2 * 16]


@pytest.mark.slow
def test_every_contestant_of_every_task_does_its_work(tmp_path):
    done = subprocess.run(
        [sys.executable, RECURRENCE, "--quick", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads((tmp_path / "recurrence.json").read_text("utf-8"))
    assert done.stdout == (tmp_path / "recurrence.md").read_text("utf-8")
    assert {entry["work"]["task"] for entry in report["results"]} == {
        "forward", "training", "parts", "classifier", "lengths", "linear", "memory", "cells", "generation"
    }  # fmt: skip
    for entry in report["results"]:
        assert entry["rows"][0]["contestant"] in ("textrnn", "lstm")
        assert all(min(row[entry["unit"]]) > 0 for row in entry["rows"])


TEXT_CLASSIFIER = SCRIPT.with_name("text_classifier.py")


@pytest.fixture(scope="module")
def text_classifier():
    """The names of the script about classifiers."""
    sys.path.insert(0, str(TEXT_CLASSIFIER.parent))
    yield runpy.run_path(str(TEXT_CLASSIFIER))
    sys.path.remove(str(TEXT_CLASSIFIER.parent))


def test_classifiers_are_the_same_function_and_padding_changes_nothing(text_classifier):
    work = replace(text_classifier["WORKS"][0], **text_classifier["QUICK"])
    ours, theirs = text_classifier["textrnn_model"](work), text_classifier["keras_model"](work)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    theirs.set_weights(ours.get_weights())
    batches, padded = (text_classifier["make_batches"](work, 0, padding) for padding in (False, True))
    assert {x["token_ids"].shape[1] for x, _ in padded} == {work.longest}
    assert sum(x["padding_mask"].size for x, _ in batches) < sum(x["padding_mask"].size for x, _ in padded)
    assert sum(len(y) for _, y in batches) == work.texts
    for (x, y), (wide, same) in zip(batches, padded, strict=True):
        np.testing.assert_array_equal(y, same)
        np.testing.assert_allclose(ours(x), theirs(x), atol=1e-6)
        np.testing.assert_allclose(theirs(wide), theirs(x), atol=1e-6)


@pytest.mark.slow
def test_every_classifier_does_its_work(tmp_path):
    done = subprocess.run(
        [sys.executable, TEXT_CLASSIFIER, "--quick", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads((tmp_path / "text_classifier.json").read_text("utf-8"))
    assert done.stdout == (tmp_path / "text_classifier.md").read_text("utf-8")
    assert [entry["work"]["task"] for entry in report["results"]] == ["training", "inference"]
    for entry in report["results"]:
        assert [row["contestant"] for row in entry["rows"]] == ["textrnn", "Keras", "Keras, padded"]
        assert all(min(row["texts/s"]) > 0 and len(row["texts/s"]) == 2 for row in entry["rows"])


TRANSLATION = SCRIPT.with_name("translation.py")


@pytest.fixture(scope="module")
def translation():
    """The names of the script about translation."""
    sys.path.insert(0, str(TRANSLATION.parent))
    yield runpy.run_path(str(TRANSLATION))
    sys.path.remove(str(TRANSLATION.parent))


@pytest.fixture
def torch():
    """PyTorch, if it is installed, on one thread: several wait for each other where others work too."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


def torch_translator(torch, translation, work, lm, packed=True):
    """PyTorch's model, with the weights of a `Seq2SeqLM`."""
    model, backbone = translation["torch_model"](work, packed), lm.backbone
    bidirectional, [dense_h, dense_c] = backbone.encoder.recurrent_layers[0], backbone.decoder.bridge[0]
    both = zip(dense_h.get_weights(), dense_c.get_weights(), strict=True)
    kernel, bias = (np.concatenate(arrays, axis=-1) for arrays in both)
    arrays = {
        "embedding.weight": backbone.target_embedding.get_weights()[0],
        "bridge.weight": kernel.T,
        "bridge.bias": bias,
        "keys.weight": backbone.decoder.attention.get_weights()[0].T,
        "combine.weight": backbone.decoder.combine.get_weights()[0].T,
    }
    for layer, suffix, cell in (
        ("encoder", "", bidirectional.forward_layer.cell),
        ("encoder", "_reverse", bidirectional.backward_layer.cell),
        ("decoder", "", backbone.decoder.stack.cells[0]),
    ):
        kernel, recurrent_kernel, bias = cell.get_weights()
        named = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T, "bias_ih": bias, "bias_hh": 0 * bias}
        arrays |= {f"{layer}.{name}_l0{suffix}": array for name, array in named.items()}
    model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias_hh" not in name)  # ours is one bias, PyTorch's two
    return model


@pytest.mark.parametrize("packed", [True, False])
def test_pytorch_s_translator_is_the_same_function_and_learns_as_ours_does(torch, translation, packed):
    # Only packed are the two the same at padding: without it the backward direction starts there.
    sizes = {"vocabulary_size": 30, "units": 6, "batch_size": 5, "batches": 2, "dropout": 0.0}
    work = replace(translation["WORKS"][0], **sizes)
    batches = translation["make_batches"](work, seed=0)
    if not packed:
        full = lambda x: {**x, "encoder_padding_mask": x["encoder_padding_mask"] | True}  # noqa: E731
        batches = batches.map(lambda x, *rest: (full(x), *rest))
    lm = translation["textrnn_model"](work)
    model = torch_translator(torch, translation, work, lm, packed)
    pairs = [translation["torch_pair"](model, *batch) for batch in batches]

    for (x, *_), (source, mask, target, _) in zip(batches, pairs, strict=True):
        valid = x["decoder_padding_mask"].numpy()
        theirs = model(source, mask, target).detach().numpy()
        np.testing.assert_allclose(lm(x).numpy()[valid], theirs[valid], atol=1e-6)
    train = translation["torch_training"](work, model, pairs)
    ours = lm.fit(batches, epochs=4, verbose=0).history["loss"]
    theirs = [train() for _ in range(4)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert theirs[-1] < theirs[0] - 0.01


@pytest.mark.parametrize("beams", [1, 3])
def test_pytorch_s_searches_find_what_ours_finds(torch, translation, beams):
    sizes = {"units": 6, "batch_size": 8, "batches": 3, "new_tokens": 11}  # no room for what goes in circles
    work = replace(translation["WORKS"][2], **sizes, vocabulary_size=12, beams=beams)
    lm = translation["textrnn_model"](work)
    model = torch_translator(torch, translation, work, lm).eval()
    batches, end = translation["make_batches"](work, seed=0), work.vocabulary_size - 1
    work, all_lengths = replace(work, vocabulary_size=end), []  # the last token is now the end of a text
    our_search = translation["textrnn_search"](work, lm)
    their_search = translation["torch_beam_search" if beams > 1 else "torch_greedy"]
    for batch in batches:
        ours, lengths = our_search(batch[0]["encoder_token_ids"], batch[0]["encoder_padding_mask"])
        source, mask, *_ = translation["torch_pair"](model, *batch)
        theirs = their_search(work, model, source, mask).numpy()
        theirs = np.pad(theirs, ((0, 0), (0, ours.shape[1] - theirs.shape[1])))
        np.testing.assert_array_equal(ours, np.where(theirs == end, 0, theirs))
        all_lengths += [*lengths.numpy()]
    assert min(all_lengths) < 11 == max(all_lengths)  # some ended, and some did not


@pytest.mark.slow
def test_every_translator_does_its_work(tmp_path):
    done = subprocess.run(
        [sys.executable, TRANSLATION, "--quick", "--torch_threads", "1", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads((tmp_path / "translation.json").read_text("utf-8"))
    assert done.stdout == (tmp_path / "translation.md").read_text("utf-8")
    assert [entry["work"]["task"] for entry in report["results"]] == ["training", "greedy", "beam"]
    for entry in report["results"]:
        names = [row["contestant"] for row in entry["rows"]]
        assert names in (["textrnn"], ["textrnn", "PyTorch", "PyTorch, packed"])  # if it is installed
        assert all(min(row["sentences/s"]) > 0 and len(row["sentences/s"]) == 2 for row in entry["rows"])
        assert max(entry["weights"].values()) <= 1.01 * min(entry["weights"].values())
