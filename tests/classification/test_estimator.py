"""The estimator inside scikit-learn's tools."""

import random

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, cross_val_score

import textrnn.estimator
from textrnn import InputError, RecurrentTextClassifier

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


def test_cross_validation():
    assert cross_val_score(small(), TEXTS, LABELS, cv=2).tolist() == [1.0, 1.0]


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
    assert fitted.model_.temperature != 1
    assert fitted.model_.ngram_logits.adapted


def test_fitting_leaves_global_random_generators_alone():
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    small(epochs=1, ngrams=0).fit(TEXTS, LABELS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_sample_weights_count():
    ignored = np.where(LABELS == "good", 0.0, 1.0)
    assert set(small().fit(TEXTS, LABELS, ignored).predict(TEXTS)) == {"bad"}


def test_labels_may_be_numbers_and_classes_may_have_one_text():
    estimator = small(epochs=6).fit(["joy", "dull"], [1, 0])
    assert estimator.predict(["joy", "dull"]).tolist() == [1, 0]


def test_invalid_input_is_refused():
    with pytest.raises(NotFittedError):
        small().predict(TEXTS)
    with pytest.raises(InputError, match="expected texts, got 7"):
        small().fit(["a", 7], [0, 1])
    with pytest.raises(InputError, match="got the str 'a joy': put it in a list"):
        small().fit("a joy", [0])
    with pytest.raises(InputError, match="all 2 texts have the same label"):
        small().fit(["a", "b"], [1, 1])
    with pytest.raises(InputError, match=r"validation_fraction is 1\.5"):
        small(validation_fraction=1.5).fit(["a", "b"], [0, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small().fit(["a", "b"], [0, 1, 1])
    with pytest.raises(ValueError, match="Unknown label type"):
        small().fit(["a", "b"], [0.5, 1.25])


def test_the_documented_module_exports_the_estimator():
    assert textrnn.estimator.RecurrentTextClassifier is RecurrentTextClassifier
