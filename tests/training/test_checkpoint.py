"""A run that was killed goes on from its checkpoint, and ends as if nothing had happened."""

import random
import shutil
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.seeds import set_seed
from builders.training import QUIET, At, line

import textrnn
from textrnn import training
from textrnn.data.passages import relative_lengths
from textrnn.data.windows import windows
from textrnn.errors import InputError
from textrnn.training import checkpoint as checkpoints

EPOCHS, STEPS = 3, 5


class Killed(BaseException):
    """Ends a run as `kill -9` does: nothing that handles errors runs."""


def noisy_model():
    """A language model with every kind of noise, its data, and callbacks with states of all kinds."""
    set_seed(1)
    backbone = textrnn.RecurrentBackbone(
        20, units=6, dropout=0.2, recurrent_dropout=0.2, weight_drop=0.2, embedding_dropout=0.1
    )
    model = textrnn.CausalLM(backbone)
    tokens = np.random.default_rng(0).integers(0, 20, 3 * 4 * STEPS + 1)
    data = windows(tokens, 3, 4, restart_probability=0.3)
    schedule = training.warmup_cosine(0.01, steps=EPOCHS * STEPS)
    model.compile(
        keras.optimizers.Adam(schedule, global_clipnorm=1.0),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    return model, data


def run(folder, stop_at=(-1, -1), minutes=1e-9, epochs=EPOCHS, **options):
    """Train, and kill the run at an `(epoch, batch)`. Returns all that a user keeps of it."""
    model, data = noisy_model()
    early, average = keras.callbacks.EarlyStopping(patience=2), training.AverageWeights(2)
    evaluate = training.Evaluate(
        lambda: {"val_loss": float(np.sum(np.abs(model.get_weights()[0]))) + random.random()}, every=2
    )
    sample = training.SampleText(lambda epoch: f"{epoch} {np.random.random()}", folder / "samples.txt")
    callbacks = [evaluate, early, average, sample, At(*stop_at, kill)]
    checkpoint = training.Checkpoint(folder / "checkpoint", minutes, run={"epochs": epochs})
    result = training.fit(
        model, data, epochs=epochs, callbacks=callbacks, checkpoint=checkpoint, **QUIET, **options
    )
    return {
        "weights": model.get_weights(),
        "optimizer": [variable.numpy() for variable in model.optimizer.variables],
        "history": result.history,
        "best": (result.best_epoch, early.best, early.wait),
        "scores": evaluate.scores,
        "samples": (folder / "samples.txt").read_text(),
        "random": (random.random(), np.random.random()),
        "next_epoch": [batch[0]["token_ids"].numpy() for batch in data],
        "resumed": result.resumed,
    }


def kill():
    raise Killed


def expect_equal(one, other, but=("resumed",)):
    for name in one.keys() - set(but):
        keras.tree.map_structure(np.testing.assert_array_equal, one[name], other[name])


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder of a run that was not killed."""
    return tmp_path_factory.mktemp("ended")


@pytest.fixture(scope="module")
def uninterrupted(ended):
    return run(ended)


@pytest.fixture(scope="module")
def killed_once(tmp_path_factory):
    """The folder of a run that was killed in its second epoch."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.raises(Killed):
        run(folder, (1, 3))
    return folder


@pytest.fixture
def killed(killed_once, tmp_path):
    """A copy of it."""
    return shutil.copytree(killed_once, tmp_path / "killed")


def test_a_killed_run_ends_as_if_it_had_not_been_killed(uninterrupted, killed):
    resumed = run(killed)
    expect_equal(uninterrupted, resumed)
    assert resumed["resumed"] == 1


def test_a_run_killed_anywhere_ends_as_if_it_had_not_been_killed(uninterrupted, tmp_path):
    places = [(0, 0), (0, 1), (1, 0), (2, 1), (2, 4)]
    for stop_at in places:
        with pytest.raises(Killed):
            run(tmp_path, stop_at)
    resumed = run(tmp_path)
    expect_equal(uninterrupted, resumed)
    assert resumed["resumed"] == len(places)


@pytest.mark.parametrize("stop_at", [(0, 0), (1, 3)])
def test_the_scores_before_training_outlive_a_kill(stop_at, tmp_path):
    whole = run(tmp_path, evaluate_first=True)
    parts = tmp_path / "parts"
    parts.mkdir()
    with pytest.raises(Killed):
        run(parts, stop_at, evaluate_first=True)
    resumed = run(parts, evaluate_first=True)
    assert resumed["history"]["epoch"][0] == 0
    expect_equal(whole, resumed)


def test_a_run_killed_after_training_trains_no_more(uninterrupted, ended):
    again = run(ended)
    expect_equal(uninterrupted, again)


def test_early_stopping_ends_a_resumed_run_too(uninterrupted, tmp_path):
    def stop_early(folder, **options):
        model, data = line()
        early = keras.callbacks.EarlyStopping(monitor="loss", patience=1, mode="max")
        checkpoint = training.Checkpoint(folder, run={})
        return training.fit(
            model, data, epochs=9, callbacks=[early], checkpoint=checkpoint, **QUIET, **options
        )

    result = stop_early(tmp_path)
    assert result.history["epoch"] == [1, 2]
    assert stop_early(tmp_path).history == result.history


def test_a_dataset_that_is_shuffled_by_tensorflow_goes_on_in_its_order(tmp_path):
    def train(folder, at=(-1, -1)):
        set_seed(0)
        model, _ = line()
        x = np.random.default_rng(0).normal(size=(12, 1)).astype("float32")
        data = tf.data.Dataset.from_tensor_slices((x, 3 * x)).shuffle(12, seed=5).batch(2)
        checkpoint = training.Checkpoint(folder, minutes=1e-9)
        training.fit(model, data, epochs=3, callbacks=[At(*at, kill)], checkpoint=checkpoint, **QUIET)
        return model.get_weights()[0]

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", at=(2, 3))
    np.testing.assert_array_equal(train(tmp_path / "killed"), whole)


def test_a_damaged_checkpoint_is_not_used_but_the_one_before_it(uninterrupted, killed, capsys):
    newest = max((killed / "checkpoint").glob("*.data*"), key=lambda path: path.stat().st_mtime)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    expect_equal(uninterrupted, run(killed))
    printed = capsys.readouterr().err
    assert "cannot be read" in printed and "from epoch 2, batch 2" in printed


def test_if_no_checkpoint_can_be_read_nothing_is_lost_silently(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "checkpoint-1.index").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"no checkpoint in .* can be read: give --fresh"):
        training.Checkpoint(folder)
    assert not training.Checkpoint(folder, fresh=True).found


def test_another_run_is_refused_and_told_what_differs(killed):
    with pytest.raises(InputError, match=r"epochs was 3 and is 4\. .* another --name .*--fresh"):
        run(killed, epochs=4)
    assert training.Checkpoint(killed / "checkpoint", run={"epochs": 3}).found
    assert not training.Checkpoint(killed / "checkpoint", run={"epochs": 4}, fresh=True).found


def test_a_full_disk_keeps_the_last_good_checkpoint_and_training_goes_on(tmp_path, capsys, monkeypatch):
    save = tf.train.CheckpointManager.save

    def full(self):
        if len(self.checkpoints) < 1:
            return save(self)
        (tmp_path / "checkpoint-9.data-00000-of-00001").write_bytes(b"part of it")
        raise tf.errors.ResourceExhaustedError(None, None, f"{tmp_path}; No space left on device")

    monkeypatch.setattr(tf.train.CheckpointManager, "save", full)
    model, data = line()
    result = training.fit(
        model, data, epochs=2, checkpoint=training.Checkpoint(tmp_path), log="/dev/full", **QUIET
    )
    assert result.history["epoch"] == [1, 2]
    printed = capsys.readouterr().err
    assert "No space left on device" in printed and "the checkpoint before it is kept" in printed
    assert sorted(path.name for path in tmp_path.glob("*.index")) == ["checkpoint-1.index"]
    assert not (tmp_path / "checkpoint-9.data-00000-of-00001").exists()
    assert training.Checkpoint(tmp_path).position == (0, 0)


def test_a_run_whose_loss_is_not_finite_leaves_no_checkpoint(tmp_path):
    model, data = line(bad_steps=[3])
    checkpoint = training.Checkpoint(tmp_path / "c", 1e-9)
    result = training.fit(model, data, epochs=1, checkpoint=checkpoint, **QUIET)
    assert result.stopped == "not finite"
    assert not (tmp_path / "c").exists()


def test_sigterm_saves_and_ends_with_a_status_of_its_own(tmp_path, capsys):
    model, data = line()
    terminate = At(1, 4, lambda: signal.raise_signal(signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        training.fit(
            model, data, epochs=2, callbacks=[terminate], checkpoint=training.Checkpoint(tmp_path), **QUIET
        )
    assert ended.value.code == checkpoints.TERMINATED == 143
    assert training.Checkpoint(tmp_path).position == (1, 4)
    assert "Give the same command again" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_cannot_be_resumed_is_refused(tmp_path):
    model, _ = line()
    x = np.ones((4, 1))
    with pytest.raises(InputError, match=r"needs a tf\.data\.Dataset"):
        training.fit(model, x, y=x, epochs=1, checkpoint=training.Checkpoint(tmp_path), **QUIET)
    with pytest.raises(InputError, match="minutes is 0"):
        training.Checkpoint(tmp_path, minutes=0)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    model, data = line()
    training.fit(model, data, epochs=1, checkpoint=training.Checkpoint(tmp_path), **QUIET)
    wider = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(1)])
    wider.compile("sgd", "mse")
    with pytest.raises(InputError, match="does not fit this model"):
        training.fit(wider, data, epochs=1, checkpoint=training.Checkpoint(tmp_path), **QUIET)


@pytest.mark.slow
def test_the_scale_of_the_loss_of_mixed_precision_is_part_of_a_checkpoint(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        with pytest.raises(Killed):
            run(parts, stop_at=(1, 2))
        expect_equal(run(parts), run(whole))
    finally:
        keras.config.set_dtype_policy("float32")


def test_ctrl_c_before_a_run_is_restored_keeps_its_checkpoint(killed):
    class Impatient(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise KeyboardInterrupt

    model, data = noisy_model()
    checkpoint = training.Checkpoint(killed / "checkpoint", run={"epochs": EPOCHS})
    early, average = keras.callbacks.EarlyStopping(patience=2), training.AverageWeights(2)
    evaluate, sample = training.Evaluate(dict), training.SampleText(str)
    callbacks = [Impatient(), evaluate, early, average, sample, At(-1, -1, kill)]
    with pytest.raises(KeyboardInterrupt):
        training.fit(model, data, epochs=EPOCHS, callbacks=callbacks, checkpoint=checkpoint, **QUIET)
    assert training.Checkpoint(killed / "checkpoint", run={"epochs": EPOCHS}).position == (1, 2)


def test_arguments_of_callbacks_may_change_and_callbacks_be_added(tmp_path):
    def train(*callbacks, at=(-1, -1)):
        model, data = line()
        callbacks = [*callbacks, At(*at, kill)]
        checkpoint = training.Checkpoint(tmp_path, 1e-9)
        training.fit(model, data, epochs=3, callbacks=callbacks, checkpoint=checkpoint, **QUIET)

    with pytest.raises(Killed):
        train(keras.callbacks.EarlyStopping("loss", patience=2), at=(2, 1))
    later = keras.callbacks.EarlyStopping("loss", patience=50)
    train(later, training.TensorBoard(tmp_path / "events"))
    assert later.patience == 50 and later.best is not None
    with pytest.raises(InputError, match="had a callback EarlyStopping: pass one"):
        train()


def test_what_keras_does_at_the_end_of_fit_is_refused(tmp_path):
    model, data = line()
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
    with pytest.raises(InputError, match="use_ema=True"):
        training.fit(model, data, epochs=1, checkpoint=training.Checkpoint(tmp_path), **QUIET)
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(InputError, match="steps_per_execution is 2"):
        training.fit(model, data, epochs=1, checkpoint=training.Checkpoint(tmp_path), **QUIET)
    with pytest.raises(InputError, match="steps_per_epoch: leave them out"):
        training.fit(
            model, data, epochs=1, steps_per_epoch=2, checkpoint=training.Checkpoint(tmp_path), **QUIET
        )


def test_an_infinite_validation_loss_does_not_keep_an_epoch_from_being_saved(tmp_path):
    model, data = line()
    worse = data.map(lambda x, y: (x, y + float("inf")))
    training.fit(
        model, data, epochs=1, validation_data=worse, checkpoint=training.Checkpoint(tmp_path), **QUIET
    )
    assert training.Checkpoint(tmp_path).position == (1, 0)


def run_averaged(folder, average, cell, stop_at=(-1, -1)):
    """Train with SGD on windows of variable length, and with averaged steps."""
    set_seed(2)
    regularized = {"dropout": 0.2, "output_dropout": 0.4, "weight_drop": 0.3, "embedding_dropout": 0.1}
    backbone = textrnn.RecurrentBackbone(20, cell=cell, units=[6, 4], num_layers=2, **regularized)
    model = textrnn.CausalLM(backbone)
    data = windows(np.random.default_rng(0).integers(0, 20, 300), 3, 15, 0.1, variable_length=True)
    factors = relative_lengths(len(data), 15, seed=0, epochs=EPOCHS)
    model.compile(
        keras.optimizers.SGD(training.ScaledByStep(1.0, factors), weight_decay=0.01, global_clipnorm=0.25)
    )
    seen = []
    evaluate = training.Evaluate(
        lambda: seen.append(model.get_weights()[0].tolist()) or {"val_loss": float(np.sum(seen[-1]))}, every=4
    )
    result = training.fit(
        model,
        data,
        epochs=EPOCHS,
        callbacks=[evaluate, At(*stop_at, kill)],
        checkpoint=training.Checkpoint(folder / "checkpoint", 1e-9),
        average=training.AverageSteps(**average),
        **QUIET,
    )
    return {"weights": model.get_weights(), "history": result.history, "scores": evaluate.scores}


SPEC = textrnn.GateSpec(forget=textrnn.Gate(), input="1 - forget")


@pytest.mark.parametrize(
    ("average", "cell"),
    [
        pytest.param({"patience": 0}, "lstm", id="nt_asgd lstm"),
        pytest.param({"decay": 0.9}, "gru", id="ema gru", marks=pytest.mark.slow),
        pytest.param({"decay": 0.9}, SPEC, id="ema spec", marks=pytest.mark.slow),
    ],
)
def test_averaged_steps_and_variable_windows_go_on_as_if_not_killed(average, cell, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    uninterrupted = run_averaged(whole, average, cell)
    for stop_at in [(0, 4), (2, 1)]:
        with pytest.raises(Killed):
            run_averaged(parts, average, cell, stop_at)
    expect_equal(uninterrupted, run_averaged(parts, average, cell))
