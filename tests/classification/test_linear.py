"""The linear part equals scikit-learn's TF-IDF with logistic regression, computed from the string."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from builders.exporting import export_unchecked
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

import textrnn
from textrnn.classification import fitting
from textrnn.classification.baseline import tfidf_vectorizer
from textrnn.classification.fitting import fit_linear, fit_linear_part, shares_of
from textrnn.classification.linear import LinearTextLogits, weighted_sum
from textrnn.classification.scales import log_losses
from textrnn.errors import InputError
from textrnn.serving.saved_model import load_signatures
from textrnn.tasks.tracing import graph_of_model

WORDS = "a good film bad, very! dull so-so I liked not at all the plot".split()  # noqa: SIM905


def corpus(classes=2, count=60):
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(3, 12))) for _ in range(count)]
    return texts, np.array([text.count("good") + text.count("dull") for text in texts]) % classes


TEXTS, TARGETS = corpus()


@pytest.fixture(scope="module")
def fit():
    return fit_linear(TEXTS, TARGETS, 2)


def logits(linear, texts):
    run = graph_of_model(linear, linear.call)
    return run.get_concrete_function(tf.TensorSpec([None], tf.string))(tf.constant(texts, tf.string)).numpy()


def test_held_out_copies_of_a_text_were_not_learned():
    """Labels are random, so that only a copy of a text tells what its label is."""
    texts, targets = corpus()[0] * 4, np.tile(np.random.default_rng(0).integers(2, size=60), 4)
    texts[60:] = [text.replace(" ", "  ") for text in texts[60:]]
    fit = fit_linear(texts, targets, 2)
    assert np.mean(fit.held_out.argmax(axis=1) == targets) < 0.7
    assert log_losses(fit.held_out, targets).mean() > 0.6
    alone = fit_linear(texts[:60], targets[:60], 2)
    assert fit.held_out.shape == (240, 2) and np.isfinite(fit.held_out).all()
    assert abs(softmax(fit.held_out, axis=1).max() - softmax(alone.held_out, axis=1).max()) < 0.2
    assert np.isnan(fit_linear(["dull"] * 4, np.array([0, 1, 0, 1]), 2).held_out).all()


def union():
    return make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    )


def test_its_features_have_the_products_of_those_of_scikit_learn(fit):
    """Logits that are products with texts show all products of features."""
    vectorizer = union().fit(TEXTS)
    expected = vectorizer.transform(TEXTS[:20])
    assert fit.linear.features == expected.shape[1]
    linear = LinearTextLogits(20, fit.linear.features)
    hashes, frequency, *_ = fit.linear.get_weights()
    rows = fitting._counted(TEXTS[:20], (1, 2), (2, 5))
    features = fitting._features(*rows, hashes, frequency, 20)
    linear.set_weights([hashes, frequency, features.T.toarray(), np.zeros(20)])
    others = ["so good, so dull", "unknown words", "", *TEXTS[30:33]]
    np.testing.assert_allclose(
        logits(linear, others), (vectorizer.transform(others) @ expected.T).toarray(), atol=1e-5
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_it_equals_logistic_regression_on_the_features_of_scikit_learn(classes):
    texts, targets = corpus(classes)
    fit = fit_linear(texts, targets, classes)
    vectorizer = union()
    features = vectorizer.fit_transform(texts)
    others = ["so good, so dull", "unknown words", "", *texts[:5]]
    for target in range(classes):
        # liblinear's intercept is a feature of value 1, with a penalty like the others.
        model = LogisticRegression(C=fit.penalty, solver="liblinear", tol=1e-6, max_iter=10_000)
        model.fit(features, targets == target)
        expected = model.decision_function(vectorizer.transform(others))
        found = logits(fit.linear, others)
        found = found[:, 1] - found[:, 0] if classes == 2 else found[:, target]
        expected = expected if target or classes > 2 else -expected
        scale = (found @ expected) / (expected @ expected)  # the calibration
        np.testing.assert_allclose(found, scale * expected, atol=0.05 * np.abs(expected).max())


def test_training_and_serving_compute_the_same(fit):
    rows = fitting._counted(TEXTS, (1, 2), (2, 5))
    hashes, frequency, kernel, bias = fit.linear.get_weights()
    features = fitting._features(*rows, hashes, frequency, len(TEXTS))
    np.testing.assert_allclose(logits(fit.linear, TEXTS), features @ kernel + bias, atol=1e-5)


@functools.cache
def traced(linear):
    """Attributions and logits, in one graph for all examples."""
    specs = [
        tf.TensorSpec([None], tf.string),
        tf.TensorSpec([None, None]),
        tf.RaggedTensorSpec([None, None], tf.string),
    ]
    run = lambda texts, *others: (linear.attributions(texts, *others), linear(texts))  # noqa: E731
    return tf.function(run, specs, autograph=False)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(alphabet="god bafilm,!\n\u00a0É好", max_size=25), min_size=1, max_size=4),
    st.integers(0, 2**31),
)
def test_attributions_sum_to_the_logits(fit, texts, seed):
    directions = np.random.default_rng(seed).normal(size=(len(texts), 2)).astype("float32")
    words = tf.ragged.constant([text.split() for text in texts], dtype=tf.string, ragged_rank=1)
    found, of_texts = traced(fit.linear)(tf.constant(texts), directions, words)
    expected = ((of_texts - fit.linear.bias).numpy() * directions).sum(axis=1)
    np.testing.assert_allclose(tf.reduce_sum(found, axis=1), expected, atol=1e-4)
    assert found.row_lengths().numpy().tolist() == [len(text.split()) for text in texts]


def test_attributions_are_those_of_the_characters_of_each_ngram():
    linear = LinearTextLogits(2, 1, words=(1, 2), characters=(1, 0))
    [_, _, pair] = fitting._counted(["so dull"], (1, 2), (1, 0))[1]
    linear.set_weights([np.array(each) for each in ([pair], [1.0], [[0.0, 6.0]], [0.0, 0.0])])
    words = tf.ragged.constant([["good", "so", "dull"]])
    found = linear.attributions(tf.constant(["good so dull"]), tf.constant([[0.0, 1.0]]), words)
    np.testing.assert_allclose(found.to_list(), [[0, 2, 4]], atol=1e-6)  # two and four of six characters


def test_words_that_the_tokenizer_spells_in_another_way_keep_the_sum(fit):
    words = tf.ragged.constant([["<unk>", "x"], [""]])
    texts, directions = tf.constant(["good film dull", " "]), tf.constant([[0.0, 1.0]] * 2)
    found = fit.linear.attributions(texts, directions, words)
    expected = (logits(fit.linear, ["good film dull", " "]) - fit.linear.bias.numpy())[:, 1]
    np.testing.assert_allclose(tf.reduce_sum(found, axis=1), expected, atol=1e-5)


def test_a_text_has_the_same_logits_alone_and_in_any_batch(fit):
    texts = ["good film", "", "very " * 40] * 100  # more than a group
    run = tf.function(fit.linear.call, [tf.TensorSpec([None], tf.string)], autograph=False)
    together = run(texts).numpy()
    for row in (0, 1, 2, 299):
        np.testing.assert_allclose(together[row], run(texts[row : row + 1])[0], atol=1e-5)
    np.testing.assert_allclose(together[1], fit.linear.bias, atol=1e-7)
    assert run([]).shape == (0, 2)


def test_held_out_logits_are_not_those_of_a_classifier_that_knows_the_text():
    random = np.random.default_rng(3).integers(0, 2, 60)
    texts = [f"{text} {i}" for i, text in enumerate(TEXTS)]
    fit = fit_linear(texts, random, 2)
    assert (logits(fit.linear, texts).argmax(axis=1) == random).mean() > 0.9
    assert (fit.held_out.argmax(axis=1) == random).mean() < 0.7


def test_only_the_most_frequent_ngrams_get_a_weight():
    fit = fit_linear(
        ["good film", "good plot", "bad film", "bad play"], np.array([1, 1, 0, 0]), 2, max_features=9
    )
    assert fit.linear.features == 9
    assert (np.diff(fit.linear.hashes.numpy()) > 0).all()
    assert logits(fit.linear, ["good", "bad"]).argmax(axis=1).tolist() == [1, 0]


def test_sample_weights_count_and_texts_of_weight_0_do_not(fit):
    weights = np.where(TARGETS == 1, 3.0, 1.0)
    heavy = fit_linear(TEXTS, TARGETS, 2, weights)
    heavy, plain = (softmax(logits(each.linear, TEXTS), axis=1)[:, 1].mean() for each in (heavy, fit))
    assert heavy > plain + 0.02
    wrong = np.concatenate([TARGETS, 1 - TARGETS])
    ignored = fit_linear(TEXTS * 2, wrong, 2, np.repeat([1.0, 0.0], len(TEXTS)))
    assert (logits(ignored.linear, TEXTS).argmax(axis=1) == TARGETS).mean() > 0.8


def test_a_class_without_texts_is_never_predicted():
    fit = fit_linear(TEXTS, 2 * TARGETS, 4)
    assert set(logits(fit.linear, ["good", "dull", "", "other"]).argmax(axis=1).tolist()) <= {0, 2}


def test_saving_keeps_the_weights(fit, tmp_path):
    encoder = textrnn.RecurrentEncoder(258, units=4)
    preprocessor = textrnn.TextClassifierPreprocessor(textrnn.tokenizers.ByteTokenizer())
    classifier = textrnn.TextClassifier(
        encoder, ["bad", "good"], preprocessor, linear=fit.linear, network_weight=0.5
    )
    classifier.save_to_preset(str(tmp_path / "preset"))
    expected = classifier.predict(TEXTS[:3], verbose=0)
    assert np.abs(expected - logits(fit.linear, TEXTS[:3])).max() > 0  # of both parts
    loaded = textrnn.TextClassifier.from_preset(str(tmp_path / "preset"))
    np.testing.assert_allclose(loaded.predict(TEXTS[:3], verbose=0), expected, atol=1e-6)
    assert loaded.linear.get_config() == fit.linear.get_config()


def test_the_part_of_a_classifier_learns_from_train_and_validation(fit):
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"])
    train, validation = (TEXTS[:50], TARGETS[:50]), (TEXTS[50:], TARGETS[50:])
    held_out = fit_linear_part(classifier, train, validation)
    assert held_out.shape == (10, 2)
    np.testing.assert_allclose(logits(classifier.linear, TEXTS), logits(fit.linear, TEXTS))


def test_of_many_texts_the_validation_texts_are_those_held_out(monkeypatch):
    monkeypatch.setattr(fitting, "MANY", 20)
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"])
    train, validation = (TEXTS[:50], TARGETS[:50]), (TEXTS[50:], TARGETS[50:])
    held_out = fit_linear_part(classifier, train, validation)
    folds = [(np.arange(50), np.arange(50, 60))]
    np.testing.assert_allclose(held_out, fit_linear(TEXTS, TARGETS, 2, folds=folds).held_out[50:])


@pytest.mark.parametrize(
    ("texts", "targets", "weights"),
    [(["a", "b"], [1, 1], None), (["", " "], [0, 1], None), (["a", "b"], [0, 1], [0.0, 1.0])],
)
def test_texts_that_teach_no_two_classes_give_no_linear_part(texts, targets, weights):
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"])
    assert fit_linear_part(classifier, (texts, targets), ([], []), weights) is None
    assert classifier.linear is None


@pytest.fixture
def classifier(fit):
    """A classifier with n-grams of all texts."""
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"])
    classifier.linear = fit.linear
    return classifier


def test_an_earlier_part_is_summed_with_a_new_one(fit, classifier):
    few, validation = (TEXTS[:4], TARGETS[:4]), (TEXTS[50:], TARGETS[50:])
    new = fit_linear(TEXTS[:4] + TEXTS[50:], np.concatenate([TARGETS[:4], TARGETS[50:]]), 2)
    held_out = fit_linear_part(classifier, few, validation)
    assert classifier.linear.features == [fit.linear.features, new.linear.features]
    of_earlier, of_new = shares_of(
        logits(fit.linear, TEXTS[:4] + TEXTS[50:]), new.held_out, np.concatenate([TARGETS[:4], TARGETS[50:]])
    )
    expected = of_earlier * logits(fit.linear, TEXTS) + of_new * logits(new.linear, TEXTS)
    np.testing.assert_allclose(logits(classifier.linear, TEXTS), expected, atol=1e-4)
    expected = of_earlier * logits(fit.linear, TEXTS[50:]) + of_new * new.held_out[4:]
    np.testing.assert_allclose(held_out, expected, atol=1e-4)


def test_an_earlier_part_that_new_texts_contradict_is_replaced(fit, classifier):
    classifier.linear = fit_linear(TEXTS, 1 - TARGETS, 2).linear
    validation = (TEXTS[50:], TARGETS[50:])
    assert fit_linear_part(classifier, (TEXTS[:50], TARGETS[:50]), validation).shape == (10, 2)
    np.testing.assert_allclose(logits(classifier.linear, TEXTS), logits(fit.linear, TEXTS))


def test_an_earlier_part_is_kept_alone_if_a_new_one_is_misled(fit, classifier, monkeypatch):
    good = np.array(["good" in text for text in TEXTS], int)
    classifier.linear = earlier = fit_linear(TEXTS, good, 2).linear
    misled = fit_linear(TEXTS, good, 2)
    monkeypatch.setattr(fitting, "fit_linear", lambda *_: misled._replace(held_out=-9 * misled.held_out))
    assert fit_linear_part(classifier, (TEXTS[:50], good[:50]), (TEXTS[50:], good[50:])) is None
    assert classifier.linear is earlier


def test_a_sum_says_of_classes_without_new_texts_what_the_earlier_part_says():
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["other", "good", "plot"])
    texts, _ = corpus(count=300)
    classes = np.array([2 if "plot" in text else int("good" in text) for text in texts])
    classifier.linear = fit_linear(texts[:60], classes[:60], 3).linear
    new, of_new = [text for text in texts[60:] if "plot" not in text], classes[60:][classes[60:] < 2]
    fit_linear_part(classifier, (new[:-20], of_new[:-20]), (new[-20:], of_new[-20:]))
    assert len(classifier.linear.features) == 2
    right = logits(classifier.linear, texts).argmax(axis=1) == classes
    assert right[classes == 2].mean() > 0.6 and right[classes < 2].mean() > 0.8


def test_texts_of_weight_0_do_not_count_in_a_sum(fit, classifier):
    weights = np.array([1.0] * 4 + [0.0] * 10)
    few, validation = (TEXTS[:4], TARGETS[:4]), (TEXTS[50:], 1 - TARGETS[50:])
    held_out = fit_linear_part(classifier, few, validation, weights)
    assert np.isnan(held_out).all()  # of validation texts
    weights = np.zeros(14)
    assert fit_linear_part(classifier, few, validation, weights) is None


def test_every_further_training_adds_a_part(fit, classifier):
    good = np.array(["good" in text for text in TEXTS], int)
    classifier.linear = fit_linear(TEXTS, good, 2).linear
    for run in ("once", "twice"):
        texts = [f"{text} {run}" for text in TEXTS]
        fit_linear_part(classifier, (texts[:50], good[:50]), (texts[50:], good[50:]))
    assert len(classifier.linear.features) == 3


def test_texts_that_an_earlier_part_has_learned_say_nothing_about_it(fit, classifier):
    few, validation, learned = (TEXTS[:4], TARGETS[:4]), (TEXTS[50:], TARGETS[50:]), [True] * 14
    assert fit_linear_part(classifier, few, validation, learned=learned) is not None
    assert isinstance(classifier.linear.features, int)  # the new part alone
    classifier.linear, learned = fit.linear, [False] * 4 + [True] * 10
    assert fit_linear_part(classifier, few, validation, learned=learned) is not None
    assert len(classifier.linear.features) == 2  # by the training texts


def test_an_earlier_part_with_ngrams_of_other_sizes_cannot_be_summed(fit, classifier):
    few, validation = (TEXTS[:4], TARGETS[:4]), (TEXTS[50:], TARGETS[50:])
    assert fit_linear_part(classifier, few, validation, words=1) is None
    assert classifier.linear is fit.linear  # which is better
    good = np.array(["good" in text for text in TEXTS], int)
    classifier.linear = fit_linear(TEXTS[:4], good[:4], 2).linear  # of too few texts
    assert fit_linear_part(classifier, (TEXTS[:50], good[:50]), (TEXTS[50:], good[50:]), words=1) is not None
    assert (classifier.linear.words, isinstance(classifier.linear.features, int)) == ((1, 1), True)


@pytest.fixture(scope="module")
def both(fit):
    """A sum of two classifiers of different n-grams."""
    other = fit_linear(["a dull plot", "a good joy", "so dull"] * 4, np.array([0, 1, 0] * 4), 2)
    return weighted_sum([(fit.linear, 0.5), (other.linear, 2.0)])


def test_attributions_of_a_sum_sum_to_its_logits(both):
    texts, directions = ["a good film", "so dull", "", "other"], tf.constant([[-1.0, 1.0]] * 4)
    words = tf.ragged.constant([text.split() for text in texts], dtype=tf.string, ragged_rank=1)
    found = both.attributions(tf.constant(texts), directions, words)
    expected = (logits(both, texts) - both.bias.numpy()) @ [-1, 1]
    np.testing.assert_allclose(tf.reduce_sum(found, axis=1), expected, atol=1e-4)


def test_a_sum_is_saved_and_exported(both, tmp_path):
    preprocessor = textrnn.TextClassifierPreprocessor(textrnn.tokenizers.ByteTokenizer())
    encoder = textrnn.RecurrentEncoder(258, units=4)
    classifier = textrnn.TextClassifier(encoder, ["bad", "good"], preprocessor, linear=both)
    classifier.save_to_preset(str(tmp_path / "preset"))
    expected = classifier.predict(TEXTS[:3], verbose=0)
    loaded = textrnn.TextClassifier.from_preset(str(tmp_path / "preset"))
    np.testing.assert_allclose(loaded.predict(TEXTS[:3], verbose=0), expected, atol=1e-5)
    for dtype, tolerance in (("float32", 1e-5), ("float16", 1e-2)):
        export_unchecked(classifier, tmp_path / dtype, dtype=dtype)
        served = load_signatures(tmp_path / dtype)
        found = served["serving_default"](text=tf.constant(TEXTS[:3]))["scores"]
        np.testing.assert_allclose(found, softmax(expected, axis=1), atol=tolerance)
        explained = served["explain"](text=tf.constant(TEXTS[:3]))
        np.testing.assert_allclose(
            tf.reduce_sum(explained["weights"], axis=1), explained["total"], rtol=10 * tolerance
        )
        assert served["serving_default"](text=tf.constant([], tf.string))["scores"].shape == (0, 2)


def test_ctrl_c_while_fitting_leaves_the_network_alone(monkeypatch, capsys):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit_linear", interrupt)
    classifier = textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"])
    assert fit_linear_part(classifier, (TEXTS, TARGETS), ([], [])) is None
    assert "the classifier is the network alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "targets", "message"),
    [(["a", "b"], [1, 1], "fewer than two classes"), (["", "\n"], [0, 1], "texts without words")],
)
def test_texts_of_which_nothing_is_learned_are_refused(texts, targets, message):
    with pytest.raises(InputError, match=message):
        fit_linear(texts, np.array(targets), 2)


@pytest.mark.parametrize("options", [{"classes": 1}, {"features": 0}, {"features": []}, {"features": [2, 0]}])
def test_invalid_arguments_are_refused(options):
    with pytest.raises(InputError, match="expected 2 classes or more"):
        LinearTextLogits(**{"classes": 2, "features": 3, **options})


def test_the_baseline_has_the_same_features(fit):
    assert tfidf_vectorizer("words and characters").fit_transform(TEXTS).shape[1] == fit.linear.features
