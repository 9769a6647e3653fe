import io
import math
import re
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf

from textrnn import training
from textrnn.errors import InputError
from textrnn.text_generation.evaluation import held_out_metrics, language_model
from textrnn.training import BestWeights, Evaluate, ProgressBar, SampleText

VOCABULARY, ROWS, STEPS = 5, 2, 4
QUIET = {"progress": ProgressBar(file=io.StringIO())}


def language_model_of_bigrams(learning_rate=0.5, **optimizer):
    """A model with the signature of `CausalLM`: a dict in, logits out."""
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    restart = keras.Input((), dtype="bool", name="restart")
    logits = keras.layers.Embedding(VOCABULARY, VOCABULARY)(token_ids)
    model = keras.Model({"token_ids": token_ids, "restart": restart}, logits)
    model.compile(
        keras.optimizers.SGD(learning_rate, **optimizer),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def windows(batches, weighted=False, seed=0):
    """Windows in which each token is its predecessor plus one, mostly."""
    random = np.random.default_rng(seed)
    steps = random.choice([1, 1, 1, 2], (batches * ROWS, STEPS + 1))
    stream = (np.cumsum(steps, axis=1) % VOCABULARY).astype("int32")
    x = {"token_ids": stream[:, :-1], "restart": np.zeros(len(stream), bool)}
    weights = (np.ones((len(stream), STEPS)),) if weighted else ()
    return tf.data.Dataset.from_tensor_slices((x, stream[:, 1:], *weights)).batch(ROWS, drop_remainder=True)


def line(bad_steps=(), batches=10):
    """A regression of one weight, and its data, in which the given steps (from 1) are not numbers."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = np.ones((batches, 1), "float32")
    x[[step - 1 for step in bad_steps]] = np.nan
    return model, tf.data.Dataset.from_tensor_slices((x, np.zeros((batches, 1), "float32"))).batch(1)


def weight(model):
    return model.get_weights()[0].item()


class At(keras.callbacks.Callback):
    """Does something at one batch of one epoch, both from 0; or when that epoch ends."""

    async_safe = True

    def __init__(self, epoch, batch, do):
        super().__init__()
        self.at, self.do = (epoch, batch), do

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.do()

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            self.do()


class Scripted(keras.callbacks.Callback):
    """Writes given held-out losses into the logs and remembers the weight of each epoch."""

    async_safe = True

    def __init__(self, *losses):
        super().__init__()
        self.losses, self.weights = losses, []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(weight(self.model))
        if self.losses[epoch] is not None:
            logs["val_loss"] = self.losses[epoch]


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


# --- Evaluate ---


def test_every_epoch_is_scored_in_the_history():
    model, held_out = language_model_of_bigrams(), windows(3, weighted=True, seed=1)
    evaluate = Evaluate(held_out_metrics(model, held_out, 30))
    history = model.fit(windows(4), epochs=2, verbose=0, shuffle=False, callbacks=[evaluate]).history
    assert set(history) == {"loss", "val_loss", "val_perplexity", "val_bits_per_character"}
    assert all(len(column) == 2 for column in history.values())
    score = language_model(model, held_out, characters=30)
    last = {name: column[-1] for name, column in history.items()}
    assert last["val_loss"] == pytest.approx(score.loss)
    assert last["val_perplexity"] == pytest.approx(score.perplexity)
    assert last["val_bits_per_character"] == pytest.approx(score.bits_per_character)
    assert [position for position, _ in evaluate.scores] == [1, 2]


def test_long_epochs_are_scored_on_the_way():
    model = language_model_of_bigrams()
    evaluate = Evaluate(held_out_metrics(model, windows(2, weighted=True, seed=1), 20), every=2)
    result = training.fit(model, windows(5), epochs=2, callbacks=[evaluate], **QUIET)
    positions = [0.4, 0.8, 1, 1.4, 1.8, 2]
    assert [position for position, _ in evaluate.scores] == positions
    assert result.history["epoch"] == positions
    assert result.history["val_loss"] == [metrics["val_loss"] for _, metrics in evaluate.scores]
    assert all(map(math.isfinite, result.history["loss"]))


def test_the_best_weights_may_be_from_the_middle_of_an_epoch():
    model = language_model_of_bigrams()
    # Up to the middle of the epoch the model learns what the held-out text is like, then the opposite.
    held_out = windows(4, weighted=True, seed=1)
    good, bad = windows(10), windows(10).map(lambda x, y: (x, (y + 2) % VOCABULARY))
    evaluate = Evaluate(held_out_metrics(model, held_out, 40), every=10)
    result = training.fit(model, good.concatenate(bad), epochs=1, callbacks=[evaluate], **QUIET)
    assert result.best_epoch == 0.5
    assert language_model(model, held_out, 40).loss == evaluate.scores[0][1]["val_loss"]


def test_evaluation_within_epochs_needs_a_known_length():
    data = windows(4).filter(lambda *_: True)
    with pytest.raises(InputError, match="known length"):
        training.fit(
            language_model_of_bigrams(),
            data,
            epochs=1,
            callbacks=[Evaluate(dict, every=2)],
            **QUIET,
        )
    with pytest.raises(InputError, match="every is 0"):
        Evaluate(dict, every=0)


class Growing(keras.Model):
    """Makes room for states as `CausalLM` does: by new variables, and by tracing anew."""

    evaluation_states = None

    def carry_states(self, batch_size, name):
        if self.evaluation_states is None:
            self.evaluation_states = keras.Variable(np.zeros(batch_size), trainable=False)
            self.train_function = None


def test_a_model_that_makes_room_for_states_does_so_before_training_is_traced():
    plain = language_model_of_bigrams()
    model = Growing(plain.input, plain.output)
    model.compile("sgd", plain.loss)
    result = training.fit(
        model,
        windows(4),
        epochs=2,
        callbacks=[Evaluate(held_out_metrics(model, windows(2, weighted=True), 20))],
        **QUIET,
    )
    assert result.best_epoch is not None


# --- BestWeights ---


def test_training_ends_with_the_weights_of_the_lowest_held_out_loss():
    model, data = line()
    script = Scripted(3.0, 1.0, math.nan, 2.0, -math.inf)
    result = training.fit(model, data, epochs=5, callbacks=[script], **QUIET)
    assert result.best_epoch == 2
    assert result.stopped is None
    assert weight(model) == script.weights[1] != script.weights[-1]


def test_without_evaluation_training_ends_with_its_last_weights():
    model, data = line()
    script = Scripted(None, None)
    result = training.fit(model, data, epochs=2, callbacks=[script], **QUIET)
    assert (result.best_epoch, result.stopped) == (None, None)
    assert weight(model) == script.weights[-1]


def test_keras_validation_is_as_good_as_ours():
    model, data = line()
    result = training.fit(model, data, epochs=2, validation_data=data, **QUIET)
    assert result.best_epoch == 2
    assert set(result.history) == {"epoch", "loss", "val_loss"}


def test_best_weights_can_be_used_alone_and_again():
    model, data = line()
    best = BestWeights(monitor="loss")
    for _ in range(2):
        model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=[best])
        assert best.best_epoch == 2
    kept = weight(model)
    model.set_weights([np.full((1, 1), 9.0)])
    assert best.restore().startswith("of epoch 2 (loss ")
    assert weight(model) == kept


# --- a loss that is not finite ---


def test_a_loss_that_is_not_finite_stops_training_at_its_step_and_keeps_the_best(capsys):
    model, data = line()
    _, spoilt = line(bad_steps=[4, 7])
    script = Scripted(2.0, 1.0)
    data = data.concatenate(spoilt)
    result = training.fit(model, data, epochs=9, callbacks=[script], best=BestWeights(every=3), **QUIET)
    assert result.stopped == "not finite"
    assert result.best_epoch is None
    assert len(result.history["epoch"]) == 1
    said = capsys.readouterr().err
    assert "epoch 1: the loss was not finite at step 14" in said
    assert "the weights of epoch 1, step 12" in said
    assert math.isfinite(weight(model))


@pytest.mark.parametrize("bad_step, kept", [(1, "before training"), (10, "of epoch 1, step 8")])
def test_the_last_good_weights_are_back_if_nothing_was_evaluated(bad_step, kept, capsys):
    model, data = line(bad_steps=[bad_step])
    result = training.fit(model, data, epochs=3, best=BestWeights(every=4), **QUIET)
    assert result.stopped == "not finite"
    assert f"at step {bad_step}. The model has the weights {kept}" in capsys.readouterr().err
    assert math.isfinite(weight(model))


def test_the_best_weights_are_back_if_a_later_epoch_fails(capsys):
    model, data = line()

    def spoil():
        model.set_weights([np.full((1, 1), np.inf)])

    script = Scripted(2.0, 3.0, 1.0)
    callbacks = [script, At(2, 5, spoil)]
    result = training.fit(model, data, epochs=9, callbacks=callbacks, **QUIET)
    assert (result.stopped, result.best_epoch) == ("not finite", 1)
    assert weight(model) == script.weights[0]
    assert (
        "epoch 3: the loss was not finite at step 6. The model has the weights of epoch 1 (val_loss 2.0"
        in (capsys.readouterr().err)
    )


def test_weights_that_the_last_update_spoils_are_not_left_in_the_model(capsys):
    model, data = line()
    callbacks = [At(0, None, lambda: model.set_weights([np.full((1, 1), np.nan)]))]
    result = training.fit(model, data, epochs=1, callbacks=callbacks, **QUIET)
    assert result.stopped == "not finite"
    assert "the weights were not finite at the end" in capsys.readouterr().err
    assert math.isfinite(weight(model))


@pytest.mark.parametrize(
    "optimizer, advice",
    [
        (keras.optimizers.SGD(0.3), "(now 0.3; try 0.1) or clip the gradients (they are not"),
        (
            keras.optimizers.Adam(training.warmup_cosine(0.06, 100, warmup=0.5), global_clipnorm=1.0),
            "(now 0.06; try 0.02) or clip the gradients harder (now global_clipnorm=1; try 0.5)",
        ),
        (
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.3, clipvalue=4.0), initial_scale=1.0),
            "(now 0.3; try 0.1) or clip the gradients harder (now clipvalue=4; try 2)",
        ),
    ],
    ids=["constant", "schedule", "loss scale"],
)
def test_the_advice_names_the_learning_rate_and_clipping_in_use(optimizer, advice, capsys):
    model, data = line(bad_steps=[2])
    model.compile(optimizer, "mse")
    training.fit(model, data, epochs=1, **QUIET)
    assert advice in capsys.readouterr().err


def test_what_is_not_finite_is_neither_evaluated_nor_sampled(tmp_path):
    model, data = line(bad_steps=[3])
    epochs = []
    evaluate = Evaluate(lambda: pytest.fail("evaluated"))
    training.fit(model, data, epochs=2, callbacks=[evaluate, SampleText(epochs.append)], **QUIET)
    assert (evaluate.scores, epochs) == ([], [])


# --- Ctrl-C ---


def test_ctrl_c_ends_training_with_the_best_weights(capsys):
    model, data = line()
    script = Scripted(1.0, 2.0, 0.0)
    result = training.fit(model, data, epochs=9, callbacks=[script, At(2, 5, press_ctrl_c)], **QUIET)
    assert (result.stopped, result.best_epoch) == ("interrupted", 1)
    assert result.history["val_loss"] == [1.0, 2.0]
    assert weight(model) == script.weights[0]
    assert "Interrupted" in capsys.readouterr().err


def test_ctrl_c_before_any_evaluation_keeps_what_was_learned():
    model, data = line()
    before = weight(model)
    result = training.fit(model, data, epochs=9, callbacks=[At(0, 5, press_ctrl_c)], **QUIET)
    assert (result.stopped, result.best_epoch, result.history) == ("interrupted", None, {})
    assert abs(weight(model)) < abs(before)


def test_ctrl_c_after_a_loss_that_is_not_finite_still_leaves_finite_weights():
    model, data = line()

    def spoil():
        model.set_weights([np.full((1, 1), np.nan)])
        press_ctrl_c()

    training.fit(model, data, epochs=9, callbacks=[At(0, 5, spoil)], **QUIET)
    assert math.isfinite(weight(model))


def test_a_second_ctrl_c_goes_through():
    model, data = line()

    class Slow(BestWeights):
        def restore(self):
            press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        training.fit(model, data, epochs=9, callbacks=[At(0, 5, press_ctrl_c)], best=Slow(), **QUIET)


def test_training_goes_on_after_ctrl_c():
    model, data = line()
    training.fit(model, data, epochs=9, callbacks=[At(0, 5, press_ctrl_c)], **QUIET)
    result = training.fit(model, data, epochs=2, **QUIET)
    assert (result.stopped, result.history["epoch"]) == (None, [1, 2])


def test_other_errors_go_through_and_close_the_bar():
    model, data = line()
    bar = ProgressBar(file=Terminal())

    def fail():
        assert bar._bar is not None
        raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        training.fit(model, data, epochs=1, callbacks=[At(0, 5, fail)], progress=bar)
    assert bar._bar is None


# --- ProgressBar ---


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_file_gets_plain_lines_and_one_at_the_end_of_each_epoch():
    model, log = language_model_of_bigrams(), io.StringIO()
    bar = ProgressBar(unit="tok", items_per_batch=ROWS * STEPS, file=log)
    bar.plain_interval = 0.0
    evaluate = Evaluate(held_out_metrics(model, windows(2, weighted=True, seed=1), 20))
    result = training.fit(model, windows(8), epochs=2, callbacks=[evaluate], progress=bar)
    text = log.getvalue()
    assert "\r" not in text
    assert re.search(
        r"^epoch 1/2  25%, \S+ tok/s, \d\d:\d\d left, \d\d:\d\d of all epochs, loss 1\.\d+$", text, re.M
    )
    assert re.search(r"^epoch 2/2  88%, \S+ tok/s, \d\d:\d\d left, loss 1\.\d+$", text, re.M)
    end = r"  loss \S+  held-out loss \S+  perplexity \S+  bits/char \S+  \S+ tok/s  \d\d:\d\d elapsed$"
    assert len(re.findall(r"^epoch [12]/2" + end, text, re.M)) == 2
    assert result.items_per_second > 0


def test_a_log_file_is_not_flooded():
    model, data = line(batches=50)
    log = io.StringIO()
    training.fit(model, data, epochs=2, progress=ProgressBar(file=log))
    assert [text.split("  ")[0] for text in log.getvalue().splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_a_terminal_gets_a_bar_that_leaves_one_line_behind():
    model, data = line()
    screen = Terminal()
    bar = ProgressBar(file=screen)
    bar.live_interval = 0.0
    training.fit(model, data, epochs=1, progress=bar)
    assert "90%" in screen.getvalue()
    lines = [text.split("\r")[-1] for text in screen.getvalue().split("\n")]
    assert [text for text in lines if text.strip()] == [lines[0]]
    assert lines[0].startswith("epoch 1/1  loss ")


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # how Keras learns the length
def test_data_of_unknown_length_has_a_bar_without_percent():
    model, data = line()
    log = io.StringIO()
    bar = ProgressBar(file=log)
    bar.plain_interval = 0.0
    training.fit(model, data.filter(lambda *_: True), epochs=1, progress=bar)
    assert "epoch 1/1  9 batches, " in log.getvalue()
    assert "%" not in log.getvalue()


def test_the_loss_in_the_bar_is_recent_not_the_mean_of_the_epoch():
    bar = ProgressBar(file=io.StringIO())
    bar.set_params({"epochs": 1, "steps": 2000})
    bar.on_train_begin()
    bar.on_epoch_begin(0)
    total = 0.0
    for batch in range(2000):
        total += 8.0 if batch < 1000 else 2.0
        bar.on_train_batch_end(batch, {"loss": total / (batch + 1)})
        if batch % 10 == 9:
            bar._smooth_loss()
    assert bar._loss == pytest.approx(2.0, abs=1e-3)


# --- SampleText ---


def test_samples_are_printed_below_a_heading_and_collected_in_a_file(tmp_path, capsys):
    model, data = line()
    path = tmp_path / "report" / "samples.txt"
    sample = SampleText(lambda epoch: f"line {epoch}\n  “indented” \x1b[31m", path)
    for _ in range(2):  # the second training begins the file anew
        training.fit(model, data, epochs=2, callbacks=[sample], **QUIET)
    assert path.read_text(encoding="utf-8") == (
        "--- sample after epoch 1 ---\nline 1\n  “indented” \x1b[31m\n\n"
        "--- sample after epoch 2 ---\nline 2\n  “indented” \x1b[31m\n\n"
    )
    printed = capsys.readouterr().err
    assert (
        "  --- sample after epoch 2 ---\n    line 2\n      “indented” \N{REPLACEMENT CHARACTER}[31m\n"
        in printed
    )
    assert "\x1b" not in printed


def test_samples_come_after_what_the_epoch_reports():
    model, data = line()
    log = io.StringIO()
    sample = SampleText(lambda epoch: log.write("sample") and "")
    training.fit(model, data, epochs=1, callbacks=[sample], progress=ProgressBar(file=log))
    assert log.getvalue().startswith("epoch 1/1  loss") and log.getvalue().endswith("sample")
