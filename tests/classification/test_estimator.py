"""The estimator inside scikit-learn's tools."""

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders.language_models import make_lm
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags

import textrnn.estimator
from textrnn import InputError, RecurrentTextClassifier
from textrnn.classification import fitting
from textrnn.classification.estimator import _check_labels, _validation_rows
from textrnn.presets import save_preset

TEXTS = ["dull", "a joy", "so dull", "what joy", "joy", "Dull and long"] * 6
LABELS = np.array(["bad", "good", "bad", "good", "good", "bad"] * 6)


def small(**options):
    settings = {
        "cell": "min_gru", "units": 4, "tokenizer": "word", "epochs": 3, "learning_rate": 0.05,
        "batch_size": 8, "ngrams": 1, "ngram_buckets": 1024,
    }  # fmt: skip
    return RecurrentTextClassifier(**(settings | options))


@pytest.fixture(scope="module")
def fitted():
    return small(seed=3).fit(TEXTS, LABELS)


@pytest.mark.slow
def test_cross_validation():
    assert cross_val_score(small(), TEXTS, LABELS, cv=2).tolist() == [1.0, 1.0]


def test_unpickling_prints_no_messages_of_libraries():
    code = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])))"
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(
        [sys.executable, "-c", code, pickle.dumps(RecurrentTextClassifier("gru")).hex()],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("RecurrentTextClassifier(cell='gru')\n", "")


@pytest.mark.slow
def test_grid_search():
    grid = {"cell": ["gru", "min_gru"], "units": [4], "ngrams": [0]}
    split = StratifiedShuffleSplit(n_splits=1, random_state=0)
    search = GridSearchCV(small(epochs=6), grid, cv=split, scoring="neg_log_loss").fit(TEXTS, LABELS)
    assert set(search.best_params_) == set(grid)
    assert search.predict(["such joy"]).tolist() == ["good"]


def test_a_clone_gives_the_same_probabilities(fitted):
    again = clone(fitted).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(
        fitted.predict_proba(["joy", "dull", ""]), again.predict_proba(["joy", "dull", ""])
    )


def test_probabilities_are_calibrated_and_in_the_order_of_classes(fitted):
    probabilities = fitted.predict_proba(["joy", "dull", ""])
    assert fitted.classes_.tolist() == fitted.model_.labels == ["bad", "good"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert probabilities[0, 1] > 0.5 > probabilities[1, 1]
    assert fitted.model_.linear.features > 10


def test_fitting_leaves_global_random_generators_alone():
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    small(epochs=1, ngrams=0, seed=None).fit(TEXTS, LABELS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_while_n_grams_are_fitted_ends_fit_and_leaves_the_estimator_as_it_was(error, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(fitting, "fit_linear", fail)
    estimator = small(epochs=1, ngrams=0).fit(TEXTS, LABELS)
    before = dict(vars(estimator.set_params(ngrams=1)))
    with pytest.raises(error):
        estimator.fit(TEXTS, LABELS == "good")
    assert vars(estimator) == before
    with pytest.raises(error):
        cross_val_score(small(epochs=1), TEXTS, LABELS, cv=2, error_score="raise")


def test_sample_weights_count():
    ignored = np.where(LABELS == "good", 0.0, 1.0)
    assert set(small().fit(TEXTS, LABELS, ignored).predict(TEXTS)) == {"bad"}


def test_weights_of_classes_are_those_of_their_texts():
    labels = np.where(np.arange(36) % 6 == 0, "rare", "usual")
    by_class = small(epochs=1, class_weight="balanced").fit(TEXTS, labels)
    by_text = small(epochs=1).fit(TEXTS, labels, np.where(labels == "rare", 3.0, 0.6))
    np.testing.assert_allclose(by_class.predict_proba(TEXTS), by_text.predict_proba(TEXTS), rtol=1e-4)
    ignored = small(class_weight={"good": 0}).fit(TEXTS, LABELS)
    assert set(ignored.predict(TEXTS)) == {"bad"}


def test_copies_of_a_text_are_learned_or_validated():
    texts, targets = [f"text {row // 4}" for row in range(80)], np.arange(80) // 4 % 2
    weights = np.where(np.arange(80) < 40, 0.0, 1.0)
    chosen = _validation_rows(texts, targets, weights, 0.3, seed=1)
    assert chosen.sum() == 8 and not chosen[:40].any()
    assert {texts[row] for row in np.flatnonzero(chosen)}.isdisjoint(np.array(texts)[~chosen])


# === Labels ===


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(np.where(LABELS == "good", 7, 2), id="int"),
        pytest.param(LABELS == "good", marks=pytest.mark.slow, id="bool"),
    ],
)
def test_predicted_labels_have_the_type_of_those_learned(labels):
    estimator = small(epochs=6).fit(TEXTS, labels)
    assert estimator.classes_.dtype == labels.dtype
    assert estimator.predict(TEXTS[:2]).tolist() == labels[:2].tolist()
    nothing = estimator.predict([])
    assert nothing.shape == (0,) and nothing.dtype == labels.dtype
    assert estimator.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([7, 1, 7], "Int64"), ([True, False], "boolean"), ([7, 1, 7], object), ([True, False], object)],
)
def test_numbers_in_nullable_columns_and_in_arrays_of_objects_are_labels(labels, dtype):
    classes, targets = _check_labels(pd.Series(labels, dtype=dtype))
    assert classes.dtype == type(labels[0]) and classes[targets].tolist() == labels


def test_columns_of_tables_are_texts_and_labels_and_numbers_of_numpy_arguments():
    table = pd.DataFrame({"text": TEXTS, "label": pd.Categorical(LABELS)})
    numbers = {"epochs": np.int64(6), "dropout": np.float32(0.1)}
    estimator = small(**numbers).fit(table["text"], table["label"])
    assert estimator.predict(table["text"][:2]).tolist() == ["bad", "good"]
    assert estimator.predict(np.array(TEXTS[:2])).tolist() == ["bad", "good"]
    assert not hasattr(estimator, "n_features_in_")


def test_values_of_a_grid_may_be_those_of_an_array():
    grid = {
        name: np.array([value])[0] for name, value in {"lowercase": False, "units": 3, "cell": "gru"}.items()
    }
    estimator = small(epochs=1, ngrams=0, **grid).fit(TEXTS, LABELS)
    config = json.loads(json.dumps(estimator.model_.preprocessor.get_config()))
    assert config["lowercase"] is False
    assert estimator.model_.backbone.get_config()["units"] == 3


def test_classes_may_have_one_text():
    estimator = small(epochs=6).fit(["joy", "dull"], [1, 0])
    assert estimator.predict(["joy", "dull"]).tolist() == [1, 0]


# === Use in scikit-learn ===


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_mixin_order,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    ],
)
def test_checks_of_scikit_learn_for_any_input(check):
    check("RecurrentTextClassifier", small())


def test_tags_say_that_inputs_are_texts():
    tags = get_tags(small()).input_tags
    assert (tags.string, tags.one_d_array, tags.two_d_array) == (True, True, False)


def test_it_is_the_last_step_of_a_pipeline_and_pickled(fitted):
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [text[::-1][::-1] for text in texts]), fitted)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.predict_proba(TEXTS), pipeline.predict_proba(TEXTS), rtol=1e-5)


# === Invalid input ===


def test_an_estimator_that_is_not_fitted_does_not_predict():
    with pytest.raises(NotFittedError):
        small().predict(TEXTS)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", 7], "expected texts, got 7 at position 1: give a sequence of str"),
        (["a", b"b"], "got b'b' at position 1: decode bytes first"),
        (pd.Series(["a", None], index=[7, 3]), "got nan at position 1: leave out missing texts"),
        (pd.Series([None, "a", None, pd.NA], dtype="string"), "got <NA> at position 0 and 2 more: leave out"),
        ("ab", "got the str 'ab': put texts in a list"),
        (None, "expected a sequence of texts, got the NoneType 'None'"),
        (5, "got the int '5': put texts in a list"),
        (["", " \n"], "all texts are blank"),
        ({"a": 1, "b": 2}, "got the dict"),
        (pd.DataFrame({"a": ["x", "y"], "b": ["x", "y"]}), r"a DataFrame of shape \(2, 2\): give one column"),
        (np.array([["a"], ["b"]]), r"got a ndarray of shape \(2, 1\)"),
    ],
)  # fmt: skip
def test_what_is_no_sequence_of_texts_is_refused(texts, message):
    with pytest.raises(InputError, match=message):
        small().fit(texts, [0, 1])


NAN = float("nan")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 1, 1], "all 3 texts have the same label"),
        ([0, 1], "inconsistent numbers of samples"),
        ([0.5, 1.25, 1.0], "Unknown label type"),
        ([0.0, 1.0, NAN], "y has the label nan at position 2: leave out texts without a label"),
        (["a", "b", NAN], "y has the label nan"),
        (["a", None, None], "y has the label None at position 1 and 1 more: leave out"),
        (pd.Series([1, 0, None], dtype="Int64"), "y has the label <NA> at position 2: leave out"),
        (["a", "b", b"c"], "y has the label b'c' at position 2: give a str"),
        (["a", 1, "b"], "y has both str and numbers"),
        ([[0, 1], [1, 0], [1, 1]], "1d array"),
        (None, "y is None"),
        (5, "Expected array-like"),
    ],
)
def test_what_is_no_label_of_a_class_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        small().fit(["a", "b", "c"], labels)


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1, NAN], "contains NaN"), ([1, -1], "Negative"), ([0, 0], "non-zero"), ([1], "expected")],
)
def test_what_is_no_weight_is_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(["a", "b"], [0, 1], weights)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("units", 0, "units is 0: expected an integer of at least 1"),
        ("units", "8", "units is '8': expected an integer"),
        ("num_layers", True, "num_layers is True: expected an integer"),
        ("embedding_dim", 2.5, "embedding_dim is 2.5: expected an integer"),
        ("dropout", 1.0, "dropout is 1.0: expected a number of at least 0 and below 1"),
        ("pooling", "sum", "pooling is 'sum': expected max, mean, last, attention or concat"),
        ("tokenizer", "bpe", "tokenizer is 'bpe': expected sentencepiece, word, character or byte"),
        ("vocabulary_size", 0, "vocabulary_size is 0"),
        ("lowercase", "no", "lowercase is 'no': expected true or false"),
        ("max_tokens", 0, "max_tokens is 0"),
        ("epochs", "5", "epochs is .5.: expected an integer"),
        ("batch_size", 0, "batch_size is 0"),
        ("learning_rate", NAN, "learning_rate is nan: expected a number above 0"),
        ("seed", "x", "'x' cannot be used to seed"),
        ("ngrams", -1, "ngrams is -1: expected an integer of at least 0"),
        ("ngram_buckets", 0, "ngram_buckets is 0"),
        ("validation_fraction", 1.5, "validation_fraction is 1.5: expected a number above 0 and below 1"),
        ("cell", "lstmm", "did you mean lstm"),
        ("class_weight", "balance", "class_weight"),
        ("class_weight", {7: 2.0}, "not in class_weight"),
    ],
)
def test_every_argument_is_checked(name, value, expected):
    with pytest.raises(ValueError, match=expected):
        small(**{name: value}).fit(["a", "b"], [0, 1])


def test_a_preset_may_be_a_path(tmp_path):
    save_preset(make_lm("byte"), tmp_path)
    by_path, by_name = (small(preset=preset, epochs=1, ngrams=0) for preset in (tmp_path, str(tmp_path)))
    expected = by_name.fit(TEXTS[:6], LABELS[:6]).predict_proba(TEXTS[:6])
    np.testing.assert_allclose(by_path.fit(TEXTS[:6], LABELS[:6]).predict_proba(TEXTS[:6]), expected)


def test_the_documented_module_exports_the_estimator():
    assert textrnn.estimator.RecurrentTextClassifier is RecurrentTextClassifier


def test_half_surrogate_pairs_are_read_as_the_replacement_character(fitted):
    texts = ["cut \ud83d", "caf\udce9"]
    assert fitted.predict_proba(texts).tolist() == fitted.predict_proba(["cut \ufffd", "caf\ufffd"]).tolist()


def test_a_network_that_nothing_has_judged_does_not_join_the_n_grams():
    estimator = RecurrentTextClassifier("gru", units=4, tokenizer="byte", epochs=1)
    estimator.fit(["so dull", "a joy", "what time"], ["x", "y", "z"])
    assert estimator.model_.linear is not None and estimator.model_.network_weight == 0
