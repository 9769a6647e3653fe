"""The classifier inside scikit-learn's own tools."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from textrnn import InputError
from textrnn.classification.estimator import RecurrentTextClassifier

TEXTS = ["dull", "a joy", "so dull", "what joy", "joy", "Dull and long"] * 6
LABELS = np.array(["bad", "good", "bad", "good", "good", "bad"] * 6)


def small(**options):
    settings = {"units": 6, "tokenizer": "word", "epochs": 6, "learning_rate": 0.05, "batch_size": 8}
    return RecurrentTextClassifier(**(settings | options))


def test_it_is_cross_validated():
    assert cross_val_score(small(), TEXTS, LABELS, cv=3).tolist() == [1.0, 1.0, 1.0]


def test_it_is_searched_over():
    search = GridSearchCV(
        small(), {"cell": ["gru", "min_gru"], "units": [2, 6], "dropout": [0.0]}, cv=2, scoring="neg_log_loss"
    )
    search.fit(TEXTS, LABELS)
    assert set(search.best_params_) == {"cell", "units", "dropout"}
    assert search.predict(["such joy"]).tolist() == ["good"]


def test_a_clone_repeats_it_and_probabilities_are_those_of_the_classes():
    one = small(seed=3).fit(TEXTS, LABELS)
    two = clone(one).fit(TEXTS, LABELS)
    probabilities = one.predict_proba(["joy", "dull", ""])
    np.testing.assert_array_equal(probabilities, two.predict_proba(["joy", "dull", ""]))
    assert one.classes_.tolist() == one.model_.labels == ["bad", "good"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert probabilities[0, 1] > 0.5 > probabilities[1, 1]


def test_weights_count():
    ignored = np.where(LABELS == "good", 0.0, 1.0)
    assert set(small().fit(TEXTS, LABELS, ignored).predict(TEXTS)) == {"bad"}


def test_labels_may_be_numbers():
    estimator = small().fit(TEXTS, (LABELS == "good").astype(int))
    assert estimator.predict(["joy", "dull"]).tolist() == [1, 0]


def test_what_it_cannot_use_is_refused():
    with pytest.raises(NotFittedError):
        small().predict(TEXTS)
    with pytest.raises(InputError, match="expected texts, found 7"):
        small().fit(["a", 7], [0, 1])
    with pytest.raises(InputError, match=r"all texts \(2\) are of one class"):
        small().fit(["a", "b"], [1, 1])
