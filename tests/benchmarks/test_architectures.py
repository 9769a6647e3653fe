"""Recurrent layers against other architectures: models, windows, the clock, runs and their tables."""

import dataclasses
import functools
import itertools
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import architectures
from architecture_comparison import results, runs, scaling, tasks, text, translation
from architecture_comparison.networks import body_weights, classifier, language_model, size_within
from architecture_comparison.settings import BLOCKS, CONTESTANTS, QUICK, SETTINGS, Run, Settings
from architecture_comparison.steppers import stepper
from harness.clock import UNTIMED_STEPS, Clock, rate_at

TINY = Settings("starter", 30, 8, 2600, length=12, batch_size=2, dropout=0.0, heads=2)


# === Models ===


@pytest.fixture(scope="module")
def models():
    """The tiny language model of each contestant, and its size."""
    found = {}
    for name in CONTESTANTS:
        size = size_within(functools.partial(language_model, name, settings=TINY), TINY)
        found[name] = language_model(name, size, TINY), size
    return found


@pytest.mark.parametrize("name", ["gru", "convolution", "transformer"])
def test_the_size_is_the_largest_within_the_budget(models, name):
    model, size = models[name]
    assert body_weights(model, TINY) <= TINY.budget < body_weights(language_model(name, size + 1, TINY), TINY)


@pytest.mark.slow
@pytest.mark.parametrize("task", SETTINGS)
def test_the_contestants_have_the_same_number_of_weights(task):
    settings = SETTINGS[task]
    models = {
        "text": language_model,
        "classification": functools.partial(classifier, classes=2),
        "translation": translation.translator,
    }
    makes = [functools.partial(models[task], n, settings=settings) for n in CONTESTANTS]
    weights = [body_weights(make(size_within(make, settings)), settings) for make in makes]
    assert max(weights) < 1.02 * min(weights)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_a_language_model_does_not_look_ahead(models, name):
    model, _ = models[name]
    tokens = np.random.default_rng(0).integers(TINY.vocabulary_size, size=(1, 12), dtype=np.int32)
    changed = tokens.copy()
    changed[0, 7] += 1
    one, other = (logits_of(model, each) for each in (tokens, changed % TINY.vocabulary_size))
    np.testing.assert_allclose(one[:, :7], other[:, :7], atol=1e-5)
    assert not np.allclose(one[:, 7:], other[:, 7:], atol=1e-3)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_generation_gives_the_logits_of_the_model(models, name):
    model, _ = models[name]
    tokens = np.random.default_rng(1).integers(TINY.vocabulary_size, size=(1, 12), dtype=np.int32)
    states, step = stepper(name, model, 12)
    found = []
    for index in range(12):
        logits, states = step(tokens[:, index], states, index)
        found.append(np.asarray(logits))
    np.testing.assert_allclose(np.stack(found, axis=1), logits_of(model, tokens), rtol=1e-4, atol=1e-4)


def logits_of(model, tokens):
    """Logits of tokens."""
    inputs = {"token_ids": tokens}
    if "padding_mask" in model.input:
        inputs["padding_mask"] = np.ones_like(tokens, bool)
    return np.asarray(model(inputs))


@pytest.mark.parametrize("name", ["lstm", *BLOCKS])
def test_padding_does_not_change_a_class(name):
    model = classifier(name, 4, TINY, classes=3)
    tokens = np.random.default_rng(2).integers(TINY.vocabulary_size, size=(2, 10), dtype=np.int32)
    mask = np.arange(10) < np.array([[10], [6]])
    batch = np.asarray(model({"token_ids": tokens, "padding_mask": mask}))
    alone = np.asarray(model({"token_ids": tokens[1:, :6], "padding_mask": mask[1:, :6]}))
    assert batch.shape == (2, 3)
    np.testing.assert_allclose(batch[1:], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lstm", *BLOCKS])
def test_padding_does_not_change_a_translation_and_the_decoder_does_not_look_ahead(name):
    model = translation.translator(name, 4, TINY)
    tokens = np.random.default_rng(2).integers(2, TINY.vocabulary_size, size=(2, 10), dtype=np.int32)
    lengths = np.array([[10], [6]])

    def logits(row, time):
        mask = (np.arange(10) < lengths)[row, :time]
        source, target = (
            {f"{side}_token_ids": tokens[row, :time], f"{side}_padding_mask": mask}
            for side in ("encoder", "decoder")
        )
        return np.asarray(model(source | target))

    both, alone = logits(slice(0, 2), 10), logits(slice(1, 2), 6)
    np.testing.assert_allclose(both[1:, :6], alone, rtol=1e-4, atol=1e-5)
    seen = {"encoder_token_ids": tokens}
    seen |= {f"{side}_padding_mask": np.ones_like(tokens, bool) for side in ("encoder", "decoder")}
    changed = tokens.copy()
    changed[:, 5] = np.where(tokens[:, 5] == 2, 3, 2)
    one, other = (np.asarray(model(seen | {"decoder_token_ids": target})) for target in (tokens, changed))
    np.testing.assert_allclose(one[:, :5], other[:, :5], rtol=1e-4, atol=1e-5)
    assert not np.allclose(one[:, 5:], other[:, 5:], atol=1e-3)


@pytest.mark.parametrize("name", BLOCKS)
def test_greedy_translations_are_the_most_likely_tokens(name):
    settings = dataclasses.replace(TINY, heads=2)
    model = translation.translator(name, 6, settings)
    start, end, rows = 1, 29, 3
    random = np.random.default_rng(3)
    tokens = random.integers(2, 29, size=(rows, 7), dtype=np.int32)
    mask = np.arange(7) < np.array([[7], [4], [1]])
    found = translation.decoder(name, model, settings, start, end)(tokens, mask).numpy()
    inputs = np.concatenate([np.full((rows, 1), start), found[:, :-1]], axis=1).astype(np.int32)
    logits = model(
        {
            "encoder_token_ids": tokens,
            "encoder_padding_mask": mask,
            "decoder_token_ids": inputs,
            "decoder_padding_mask": np.ones_like(inputs, bool),
        }
    )
    assert found.shape == (rows, settings.length) or (found == end).any(axis=1).all()
    assert (np.asarray(logits).argmax(axis=-1) == found).all()


# === Windows ===


@pytest.mark.parametrize("tokens", [2, 5, 9, 10, 11, 37])
@pytest.mark.parametrize("length", [7, 8])
def test_overlapping_windows_score_each_token_once_with_half_a_window_of_context(tokens, length):
    stream = np.arange(tokens, dtype=np.int32)
    scored = []
    for inputs, targets, weights in text.overlapping_windows(stream, 3, length):
        assert inputs["token_ids"].shape == targets.shape == weights.shape == (3, length)
        for row, column in np.argwhere(weights.numpy()):
            target = int(targets[row, column])
            context = inputs["token_ids"].numpy()[row, : column + 1]
            assert context.tolist() == [*range(target - len(context), target)]
            assert len(context) >= min(target, length // 2)
            scored.append(target)
    assert sorted(scored) == [*range(1, tokens)]


def test_random_windows_are_parts_of_the_stream_and_differ_between_epochs():
    batches = text.random_windows(np.arange(50, dtype=np.int32), batch_size=2, length=5)
    first, second = ([(x["token_ids"].numpy(), y.numpy()) for x, y in batches] for _ in range(2))
    assert len(first) == len(batches) == 4
    for tokens, targets in first + second:
        assert (targets == tokens + 1).all() and (np.diff(tokens) == 1).all()
    assert any((one != other).any() for (one, _), (other, _) in zip(first, second, strict=True))


def test_characters_are_counted_and_parts_are_separate(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("aé€😀\n" * 200, encoding="utf-8")
    train, parts = text.byte_streams(str(file), 10_000)
    assert train.dtype == np.int32 and set(parts) == {"test", "validation"}
    (test, characters), (search, _) = parts["test"], parts["validation"]
    assert characters == len(bytes(test[1:].tolist()).decode("utf-8", "ignore"))
    assert test[-1] == search[0] and len(test) + len(search) - 1 + len(train) == 200 * 11


# === The clock ===


def test_the_rate_rises_and_falls_to_zero():
    rates = [rate_at(part) for part in (0, 0.01, 0.02, 0.5, 1, 1.2)]
    assert rates[0] == 0.05 and rates[2] == 1 and rates[4] == rates[5] == 0
    assert 0.5 < rates[3] < 0.52


def run_clock(clock, losses):
    """Call a clock as `fit` does; return the learning rates."""
    rates = []
    model = types.SimpleNamespace(stop_training=False, optimizer=types.SimpleNamespace(learning_rate=None))
    clock.set_model(model)
    clock.on_train_begin()
    for step, loss in enumerate(losses):
        clock.on_train_batch_end(step, {"loss": loss})
        rates.append(model.optimizer.learning_rate)
        if model.stop_training:
            return rates
    raise AssertionError("the clock did not end training")


def test_the_clock_counts_training_alone():
    now = [0.0]

    def score():
        now[0] += 1000
        return 7.0

    def tick():  # a second passes at each look at the clock
        now[0] += 1
        return now[0]

    clock = Clock(0.1, seconds=60, score=score, scores=4, now=tick)
    rates = run_clock(clock, itertools.repeat(1.0))
    assert clock.points == [[0.25, 7.0], [0.5, 7.0], [0.75, 7.0], [1.0, 7.0]]
    assert clock.timed_steps == 60 and clock.steps == len(rates) == 60 + UNTIMED_STEPS
    assert max(rates) == pytest.approx(0.1, rel=0.01) and rates[-1] == 0


def test_a_budget_of_steps_does_not_depend_on_the_clock():
    clock = Clock(0.1, steps=50, score=lambda: 7.0, scores=2, now=itertools.count(0.0, 3.0).__next__)
    rates = run_clock(clock, itertools.repeat(1.0))
    assert clock.steps == len(rates) == 50 and clock.timed_steps == 50 - UNTIMED_STEPS
    assert clock.spent == 3 * (50 - UNTIMED_STEPS)
    assert rates == [pytest.approx(0.1 * rate_at((i + 1) / 50)) for i in range(50)]
    assert [score for _, score in clock.points] == [7.0, 7.0]


@pytest.mark.parametrize("budget", [{}, {"steps": 5, "seconds": 5.0}])
def test_a_budget_is_of_steps_or_of_seconds(budget):
    with pytest.raises(ValueError, match="expected one of them"):
        Clock(0.1, **budget)


def test_a_loss_that_is_not_finite_ends_training():
    clock = Clock(0.1, seconds=60, score=lambda: 1.0, scores=4)
    run_clock(clock, [1.0, float("nan")])
    assert clock.diverged and clock.points == []


# === Runs ===


@pytest.mark.parametrize(
    ("task", "contestant"),
    [
        ("text", "gru"),
        *(pytest.param(t, c, marks=pytest.mark.slow) for t in QUICK for c in CONTESTANTS),
    ],
)
def test_a_run_learns_and_is_scored(task, contestant):
    run = Run(task, contestant, 1e-2, 0.01, 0, "test")
    entry = runs.perform(run, QUICK[task], scores=1)
    assert entry["status"] == "ok", entry["reason"]
    [(end, last)] = entry["points"]
    assert end >= 0.01 and entry["steps"] > 0
    assert (last < 8) if task == "text" else (0 <= last <= 100)
    assert json.loads(json.dumps(entry)) == entry
    assert runs.is_done(runs.run_key(run, QUICK[task]), [entry])
    assert not runs.is_done(runs.run_key(dataclasses.replace(run, seed=1), QUICK[task]), [entry])


@pytest.mark.parametrize("name", ["min_gru", pytest.param("transformer", marks=pytest.mark.slow)])
def test_a_measurement_has_all_figures(name):
    figures = scaling.measure(name, 16, TINY, tokens=32, rounds=2, xla=False)
    assert figures["rows"] == 2 and figures["weights"] > 0
    assert figures["step_ms"] > 0 and figures["token_ms"] > 0
    assert figures["peak_mb"] > figures["memory_mb"] >= 0


@pytest.mark.slow
def test_measurements_on_jax_have_a_file_of_their_own(tmp_path):
    script = Path(architectures.__file__)
    options = "--quick --tasks scaling --contestants gru convolution --lengths 16 --tokens 32 --rounds 2"
    subprocess.run(
        [sys.executable, script, *options.split(), "--output", tmp_path],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        check=True,
    )
    records = [json.loads(line) for line in (tmp_path / "architectures_jax.jsonl").read_text().splitlines()]
    assert [entry["contestant"] for entry in records] == ["gru", "convolution"]
    for entry in records:
        assert entry["status"] == "ok" and entry["rows"] == 2 and entry["device"] == "cpu"
        assert entry["step_ms"] > 0 and entry["token_ms"] > 0 and entry["weights"] > 0


def fake_training(monkeypatch, best):
    """Runs whose score is their learning rate, and of whose long runs one rate is the best.

    Returns the list of runs that were done.
    """
    done = []

    def perform(run, settings, scores):
        done.append(run)
        validation = {} if run.purpose == "search" else {"validation": abs(run.learning_rate - best)}
        points = [[run.minutes, run.learning_rate]]
        return runs.record(run, settings, status="ok", points=points, **validation)

    monkeypatch.setattr(runs, "perform", perform)
    return done


def test_the_best_rate_of_long_runs_is_used_and_nothing_is_run_twice(monkeypatch, tmp_path, capsys):
    done = fake_training(monkeypatch, best=0.1)
    command = [
        "--tasks",
        "text",
        "--contestants",
        "gru",
        "lstm",
        "--learning_rates",
        "0.3",
        "0.4",
        "0.2",
        "0.1",
    ]
    command += ["--seeds", "0", "1", "--quick", "--output", str(tmp_path)]
    architectures.main(command)
    for name in ("gru", "lstm"):
        ours = [run for run in done if run.contestant == name]
        assert [run.learning_rate for run in ours if run.purpose == "search"] == [0.3, 0.4, 0.2, 0.1]
        tested = [(run.learning_rate, run.seed, run.minutes) for run in ours if run.purpose == "test"]
        assert tested == [(0.1, 0, 6.0), (0.1, 1, 6.0)]
    records = [json.loads(line) for line in (tmp_path / "architectures.jsonl").read_text().splitlines()]
    assert len(done) == len(records) == 12
    architectures.main([*command, "--seeds", "0", "1", "2"])
    assert len(done) == 14 and {run.seed for run in done[12:]} == {2}


def test_the_next_lower_rate_is_tried_in_long_runs_too(monkeypatch, tmp_path, capsys):
    done = fake_training(monkeypatch, best=0.6)
    command = ["--tasks", "classification", "--contestants", "gru", "--learning_rates", "0.9", "0.3", "0.6"]
    architectures.main([*command, "--seeds", "5", "6", "--quick", "--output", str(tmp_path)])
    # The highest accuracy of the search is that of 0.9, and so is the validation score of the long runs.
    tested = [(run.learning_rate, run.seed) for run in done if run.purpose == "test"]
    assert tested == [(0.9, 5), (0.6, 5), (0.9, 6)]
    records = [json.loads(line) for line in (tmp_path / "architectures.jsonl").read_text().splitlines()]
    [(name, shown)] = results.curves(records, QUICK["classification"], "classification").items()
    assert name == "gru" and [(e["learning_rate"], e["seed"]) for e in shown] == [(0.9, 5), (0.9, 6)]


def test_a_failed_run_is_tried_again_and_others_go_on(monkeypatch):
    run, settings = Run("text", "gru", 0.1, 1.0, 0, "test"), QUICK["text"]

    def crash(run, settings):
        raise MemoryError("no memory left")

    monkeypatch.setitem(tasks.TASKS, "text", dataclasses.replace(tasks.TASKS["text"], prepare=crash))
    entry = runs.perform(run, settings, 1)
    assert entry["status"] == "failed" and entry["reason"] == "MemoryError: no memory left"
    assert not runs.is_done(runs.run_key(run, settings), [entry])


def test_a_diverged_rate_is_not_chosen():
    settings = QUICK["classification"]
    given = types.SimpleNamespace(search_minutes=1.0, learning_rates=[0.1, 0.2, 0.4])
    wanted = runs.search_runs("classification", "gru", False, given)
    outcomes = [("ok", 0.7), ("ok", 0.8), ("diverged", 0.9)]
    records = [
        runs.record(run, settings, status=status, points=[[1.0, score]])
        for run, (status, score) in zip(wanted, outcomes, strict=True)
    ]
    assert runs.candidate_rates(records, settings, "classification", "gru", False, given) == [0.2, 0.1]
    assert runs.candidate_rates(records, settings, "classification", "lstm", False, given) == []


# === Tables and the picture ===


def some_records():
    """Records of two seeds of two contestants, and measurements at two lengths."""
    facts = {"cpu": "a processor", "commit": "abc"}
    for task, name, seed, score in itertools.product([*SETTINGS][:2], ("gru", "transformer"), (0, 1), (0.5,)):
        last = score + 0.1 * seed + 0.2 * (name == "gru")
        run = Run(task, name, 0.01, 2.0, seed, "test")
        points = [[1.0, 2 * last], [2.0, last]]
        speed = {"rows_per_second": 1500.0, "weights": 1234}
        ended = {"status": "ok", "points": points, "validation": last}
        yield runs.run_key(run, SETTINGS[task]) | ended | speed | facts
    for rate in (0.01, 0.02):
        run = Run("text", "gru", rate, 1.0, 0, "search")
        yield runs.run_key(run, SETTINGS["text"]) | {"status": "ok", "points": [[1.0, 100 * rate]]} | facts
    for name, length, xla in itertools.product(("gru", "transformer"), (64, 128), (False, True)):
        key = runs.scaling_key(name, length, SETTINGS["text"], 4096, xla)
        slower = 1 + xla if name == "gru" else 2 - xla
        figures = {"step_ms": length / 2 * slower, "memory_mb": 900 + slower, "token_ms": 0.5 / slower}
        yield key | {"status": "ok"} | figures | facts


def test_the_tables_show_scores_with_ranges_and_figures_by_length():
    lines = results.tables([*some_records()], SETTINGS).splitlines()
    assert "| `transformer` | 1,234 | 0.01 | 192,000 | 0.550 (0.500–0.600) | 2 |" in lines
    assert "| `gru` | 1,234 | 0.01 | 1,500 | 75.0% (70.0%–80.0%) | 2 |" in lines
    first, second = (
        next(i for i, line in enumerate(lines) if line.startswith(task)) for task in [*SETTINGS][:2]
    )
    assert "transformer" in lines[first + 4] and "gru" in lines[second + 4]  # the best one first
    assert "| contestant | 0.01 | 0.02 |" in lines and "| `gru` | 1.000 | 2.000 |" in lines
    assert (
        "| `gru` | 32 | 64 |" in lines
        and "| `gru` | 901 | 901 |" in lines
        and "| `transformer` | 902 | 902 |" in lines
    )
    assert "| `gru` | 0.25 | 0.25 |" in lines and lines[-1] == "cpu a processor, commit abc"
    assert results.tables([], SETTINGS) == "no runs\n"


def test_xla_compiles_the_steps_that_it_makes_faster():
    records, settings = [*some_records()], SETTINGS["text"]
    assert runs.faster_with_xla(records, settings, "text", "transformer") is True
    assert runs.faster_with_xla(records, settings, "text", "gru") is False
    assert runs.faster_with_xla([], settings, "text", "transformer") is False
    assert runs.faster_with_xla(records, SETTINGS["classification"], "classification", "transformer") is False


@pytest.mark.parametrize("part", [slice(None), slice(4), slice(10, None)], ids=["all", "text", "scaling"])
def test_any_set_of_records_can_be_drawn(tmp_path, part):
    results.draw([*some_records()][part], SETTINGS, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_command_measures_in_processes_and_draws(tmp_path, capsys):
    command = [
        "--tasks",
        "scaling",
        "--contestants",
        "convolution",
        "gru",
        "--lengths",
        "16",
        "--tokens",
        "32",
    ]
    command += ["--rounds", "2", "--quick", "--output", str(tmp_path), "--plot", str(tmp_path / "plot.png")]
    architectures.main(command)
    records = [json.loads(line) for line in (tmp_path / "architectures.jsonl").read_text().splitlines()]
    assert [entry["status"] for entry in records] == ["ok"] * 4, records
    assert "| `convolution` |" in capsys.readouterr().out and (tmp_path / "plot.png").exists()
