"""`Evaluate` adds validation metrics to the logs after each epoch and within epochs."""

import math

import keras
import numpy as np
import pytest
from builders.training import QUIET, VOCABULARY, language_model_of_bigrams, windows

from textrnn import training
from textrnn.errors import InputError
from textrnn.text_generation.evaluation import score_language_model, validation_metrics
from textrnn.training import Evaluate


def test_metrics_of_every_epoch_are_in_the_history():
    model, validation = language_model_of_bigrams(), windows(3, weighted=True, seed=1)
    evaluate = Evaluate(validation_metrics(model, validation, 30))
    history = model.fit(windows(4), epochs=2, verbose=0, shuffle=False, callbacks=[evaluate]).history
    assert set(history) == {"loss", "val_loss", "val_perplexity", "val_bits_per_character"}
    assert all(len(column) == 2 for column in history.values())
    score = score_language_model(model, validation, characters=30)
    last = {name: column[-1] for name, column in history.items()}
    assert last["val_loss"] == pytest.approx(score.loss)
    assert last["val_perplexity"] == pytest.approx(score.perplexity)
    assert last["val_bits_per_character"] == pytest.approx(score.bits_per_character)
    assert [position for position, _ in evaluate.scores] == [1, 2]


def test_every_also_evaluates_within_epochs():
    model = language_model_of_bigrams()
    evaluate = Evaluate(validation_metrics(model, windows(2, weighted=True, seed=1), 20), every=2)
    result = training.fit(model, windows(5), epochs=2, callbacks=[evaluate], **QUIET)
    positions = [0.4, 0.8, 1, 1.4, 1.8, 2]
    assert [position for position, _ in evaluate.scores] == positions
    assert result.history["epoch"] == positions
    assert result.history["val_loss"] == [metrics["val_loss"] for _, metrics in evaluate.scores]
    assert all(map(math.isfinite, result.history["loss"]))


def test_the_best_weights_may_be_from_the_middle_of_an_epoch():
    model = language_model_of_bigrams()
    # In the first half of the epoch the targets are those of the validation data, in the second others.
    validation = windows(4, weighted=True, seed=1)
    good, bad = windows(10), windows(10).map(lambda x, y: (x, (y + 2) % VOCABULARY))
    evaluate = Evaluate(validation_metrics(model, validation, 40), every=10)
    result = training.fit(model, good.concatenate(bad), epochs=1, callbacks=[evaluate], **QUIET)
    assert result.best_epoch == 0.5
    assert score_language_model(model, validation, 40).loss == evaluate.scores[0][1]["val_loss"]


def test_evaluation_within_epochs_needs_a_known_length():
    data = windows(4).filter(lambda *_: True)
    with pytest.raises(InputError, match="length of the training data is not known"):
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
    """Creates variables for states at the first evaluation and traces again, as `CausalLM` does."""

    evaluation_states = None

    def carry_states(self, batch_size, name):
        if self.evaluation_states is None:
            self.evaluation_states = keras.Variable(np.zeros(batch_size), trainable=False)
            self.train_function = None


def test_a_model_may_create_variables_when_it_is_evaluated():
    plain = language_model_of_bigrams()
    model = Growing(plain.input, plain.output)
    model.compile("sgd", plain.loss)
    result = training.fit(
        model,
        windows(4),
        epochs=2,
        callbacks=[Evaluate(validation_metrics(model, windows(2, weighted=True), 20))],
        **QUIET,
    )
    assert result.best_epoch is not None
