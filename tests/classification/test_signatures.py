"""The serving functions of a classifier: labels, scores and explanations."""

import numpy as np
import pytest
import tensorflow as tf
from builders.eagerly import functions_run_eagerly
from builders.exporting import export_unchecked

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.evaluation import predict_probabilities
from textrnn.classification.fitting import fit_linear
from textrnn.classification.preprocessor import TextClassifierPreprocessor, padded
from textrnn.classification.signatures import (
    FIXED_COST,
    GROUP_TEXTS,
    GROUP_TOKENS,
    classification_signatures,
    in_groups_of_similar_length,
)
from textrnn.classification.text_classifier import TextClassifier
from textrnn.serving.saved_model import load_signatures
from textrnn.tasks.registry import python_functions
from textrnn.tokenizers import ByteTokenizer, train_tokenizer

LABELS = ["mixed", "negative", "überaus positiv"]
TEXTS = ["A good Day", "", "so  bad,\nSO bad", "day " * 50]


@pytest.fixture(scope="module")
def classifier():
    tokenizer = train_tokenizer("sentencepiece", ["a good day", "so bad, so bad"] * 10)
    encoder = RecurrentEncoder(tokenizer.vocabulary_size(), "gru", units=8, num_layers=2)
    for weight in encoder.trainable_variables:
        weight.assign(weight * 2)  # so that the scores of an untrained model differ
    preprocessor = TextClassifierPreprocessor(tokenizer, sequence_length=16, lowercase=True)
    return TextClassifier(encoder, LABELS, preprocessor, pooling="attention", temperature=1.5)


@pytest.fixture(scope="module")
def version(classifier, tmp_path_factory):
    return export_unchecked(
        classifier, tmp_path_factory.mktemp("models") / "reviews", warmup_prompts=TEXTS[:1]
    )


@pytest.fixture(scope="module")
def served(version):
    return load_signatures(version.parent)


def test_labels_are_the_most_probable_ones(classifier, served):
    answer = served["serving_default"](text=tf.constant(TEXTS))
    expected = np.asarray(classifier.probabilities(classifier.predict(TEXTS, verbose=0)))
    np.testing.assert_allclose(answer["scores"], expected, atol=1e-5)
    labels = [label.decode() for label in answer["label"].numpy()]
    assert labels == [LABELS[i] for i in expected.argmax(axis=1)]
    assert [[name.decode() for name in row] for row in answer["labels"].numpy()] == [LABELS] * len(TEXTS)


def test_unfamiliar_texts_are_noticed_whatever_their_case(served):
    texts = ["A GOOD DAY", "so bad", "", "Привет, мир"]
    found = served["serving_default"](text=tf.constant(texts))["unfamiliar"]
    assert found.numpy().tolist() == [False, False, False, True]


def test_explain_and_serving_default_return_the_same_label():
    tokenizer = train_tokenizer("word", ["good bad day"])
    encoder = RecurrentEncoder(tokenizer.vocabulary_size(), "gru", units=4)
    classifier = TextClassifier(
        encoder, ["bad", "good"], TextClassifierPreprocessor(tokenizer), temperature=2.0
    )
    texts = ["good day", "bad day"] * 4
    classifier.linear = fit_linear(texts, np.array([1, 0] * 4), 2).linear
    # A network that slightly prefers one class, and then the other.
    kernel, bias = classifier.output_dense.get_weights()
    functions = python_functions(classifier)
    answers = {}
    for sign in (1, -1):
        classifier.output_dense.set_weights([0 * kernel, bias + sign * np.array([0.1, -0.1])])
        with functions_run_eagerly():
            default, explained = (
                functions[name](text=tf.constant(texts)) for name in ("serving_default", "explain")
            )
        answers[sign] = explained["label"].numpy().tolist()
        assert answers[sign] == default["label"].numpy().tolist()
        assert (explained["total"].numpy() > 0).all()
    assert answers[1] == answers[-1] == [b"good", b"bad"] * 4


def test_classify_parses_examples(served):
    def example(text):
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        return tf.train.Example(features=tf.train.Features(feature={"text": feature})).SerializeToString()

    answer = served["classify"](inputs=tf.constant([example(text) for text in TEXTS]))
    default = served["serving_default"](text=tf.constant(TEXTS))
    np.testing.assert_allclose(answer["scores"], default["scores"], atol=1e-6)
    assert (answer["classes"].numpy() == default["labels"].numpy()).all()


def test_an_example_without_text_and_one_that_is_none_do_not_fail_the_other_rows(served):
    def example(**values):
        feature = {
            name: tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
            for name, texts in values.items()
        }
        return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    examples = [
        example(text=[b"A good Day"]), example(), example(other=[b"x"]), example(text=[]),
        example(text=[b"so", b"bad"]), b"A good Day",
    ]  # fmt: skip
    answer = served["classify"](inputs=tf.constant(examples))
    expected = served["serving_default"](text=tf.constant(["A good Day", "", "", "", "so bad", ""]))
    np.testing.assert_allclose(answer["scores"], expected["scores"], atol=1e-6)


def test_classify_has_the_method_name_of_the_classification_api(version):
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    signatures = saved_model.meta_graphs[0].signature_def
    assert signatures["classify"].method_name == "tensorflow/serving/classify"
    assert set(signatures["classify"].inputs) == {"inputs"}
    assert set(signatures["classify"].outputs) == {"classes", "scores"}
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"


def test_explain_returns_words_and_weights_that_sum_to_the_total(served):
    answer = served["explain"](text=tf.constant(TEXTS))
    words = [[word.decode() for word in row] for row in answer["words"].numpy()]
    assert [[word for word in row if word] for row in words[:3]] == [
        ["A", "good", "Day"], [], ["so", "bad,", "SO", "bad"]
    ]  # fmt: skip
    assert answer["weights"].shape == answer["words"].shape
    total, difference = answer["weights"].numpy().sum(axis=1), answer["total"].numpy()
    np.testing.assert_allclose(total, difference, rtol=0.05, atol=1e-3)
    assert (
        answer["label"].numpy() == served["serving_default"](text=tf.constant(TEXTS))["label"].numpy()
    ).all()


@pytest.mark.parametrize("name", ["serving_default", "explain"])
def test_an_answer_does_not_depend_on_the_other_rows(served, name):
    together = served[name](text=tf.constant(TEXTS))
    for row, text in enumerate(TEXTS):
        alone = served[name](text=tf.constant([text]))
        for key, value in alone.items():
            batched, own = together[key][row : row + 1].numpy(), value.numpy()
            if own.ndim == 2:
                batched = batched[:, : own.shape[1]]  # without padding
            if own.dtype == object:
                assert (batched == own).all()
            else:
                np.testing.assert_allclose(batched, own, atol=1e-4)


@pytest.mark.parametrize("name", ["serving_default", "explain"])
def test_an_empty_batch_has_an_empty_answer(served, name):
    answer = served[name](text=tf.constant([], tf.string))
    assert all(len(value) == 0 for value in answer.values())


def test_attention_is_summed_over_the_tokens_of_words(classifier, served):
    text = "A good Day"
    answer = served["explain"](text=tf.constant([text, "so"]))
    inputs = classifier.preprocessor([text])
    hidden = np.asarray(classifier.backbone(inputs), "float64")[0]
    kernel, bias, query = (np.asarray(weight, "float64") for weight in classifier.pooling.get_weights())
    of_tokens = np.exp(np.tanh(hidden @ kernel + bias) @ query)[:, 0]
    of_tokens /= of_tokens.sum()
    pieces = [
        classifier.preprocessor.tokenizer.detokenize([i]).numpy() for i in inputs["token_ids"][0].numpy()
    ]
    word = np.cumsum([piece.startswith(b" ") for piece in pieces])
    expected = [of_tokens[word == i].sum() for i in range(3)]
    np.testing.assert_allclose(answer["attention"][0], expected, atol=1e-5)
    np.testing.assert_allclose(answer["attention"][1], [1.0, 0.0, 0.0], atol=1e-6)


def test_other_poolings_return_no_attention():
    other = TextClassifier(
        RecurrentEncoder(258, "min_gru", units=4), LABELS, TextClassifierPreprocessor(ByteTokenizer()), "max"
    )
    explain, specs = classification_signatures(other)["explain"]
    traced = tf.function(explain, specs, autograph=False).get_concrete_function()
    assert set(traced.structured_outputs) == {"label", "words", "weights", "total"}


@pytest.mark.parametrize("lengths", [[3] * 700, [0, 500, 2, 7, 7, 0, 90, 1], [400] * 100, [1], []])
def test_groups_have_similar_lengths_and_change_no_answer(lengths):
    random, seen = np.random.default_rng(0), []
    lengths = random.permutation(lengths).astype(int)
    token_ids = random.integers(1, 9, lengths.sum()).astype("int32")
    tokens = tf.RaggedTensor.from_row_lengths(token_ids, lengths)

    def sums(tokens):
        inputs = padded(tokens)
        tf.numpy_function(lambda mask: seen.append(mask.sum(1)), [inputs["padding_mask"]], [])
        return tf.cast(tf.reduce_sum(inputs["token_ids"], axis=1, keepdims=True), tf.float32)

    spec = [tf.RaggedTensorSpec([None, None], tf.int32)]
    answers = tf.function(lambda tokens: in_groups_of_similar_length(sums, tokens, 1), spec)(tokens)
    assert answers[:, 0].numpy().tolist() == [sum(text) for text in tokens.to_list()]

    def cost(texts, longest):
        return max(longest, 1) * (texts + FIXED_COST)

    expected = []
    for length in sorted(lengths):
        count = len(expected[-1]) if expected else GROUP_TEXTS
        if (
            count < GROUP_TEXTS
            and (count + 1) * length <= GROUP_TOKENS
            and cost(count + 1, length) <= cost(count, expected[-1][-1]) + cost(1, length)
        ):
            expected[-1].append(length)
        else:
            expected.append([length])
    assert [sorted(group) for group in seen] == expected


def test_a_large_batch_has_the_answers_of_each_text_alone(served):
    texts = ["day " * (7 * i % 40) for i in range(300)]
    together = served["serving_default"](text=tf.constant(texts))["scores"]
    for row in (0, 1, 17, 299):
        alone = served["serving_default"](text=tf.constant(texts[row : row + 1]))["scores"]
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


@pytest.fixture(scope="module")
def ensemble():
    """A classifier of three classes with a linear part, whose network reads six tokens."""
    texts = ["A good Day", "so  bad,\nSO bad", "neither nor"] * 4
    preprocessor = TextClassifierPreprocessor(ByteTokenizer(), sequence_length=6, lowercase=True)
    classifier = TextClassifier(RecurrentEncoder(258, "gru", units=4), LABELS, preprocessor)
    classifier.linear = fit_linear(texts, np.array([2, 1, 0] * 4), 3).linear
    classifier.network_weight = 0.5
    return classifier


@pytest.fixture(scope="module")
def served_ensemble(ensemble, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "ensemble"
    return load_signatures(export_unchecked(ensemble, folder, only=("serving_default", "explain")))


def test_an_export_with_a_linear_part_answers_as_python_does(ensemble, served_ensemble):
    served = served_ensemble
    texts = [*TEXTS, "bad " * 300]
    expected = predict_probabilities(ensemble, texts)
    np.testing.assert_allclose(
        served["serving_default"](text=tf.constant(texts))["scores"], expected, atol=1e-5
    )
    logits = ensemble.predict(texts, verbose=0)
    np.testing.assert_allclose(ensemble.probabilities(logits), expected, atol=1e-5)
    assert served["serving_default"](text=tf.constant([], tf.string))["scores"].shape == (0, 3)
    explained = served["explain"](text=tf.constant(texts))
    assert explained["label"].numpy().tolist() == [LABELS[i].encode() for i in expected.argmax(axis=1)]


@pytest.mark.parametrize("weight", [0.5, 0.0])
def test_words_beyond_the_tokens_of_the_network_have_the_weights_of_their_ngrams(
    ensemble, served_ensemble, weight
):
    before, ensemble.network_weight = ensemble.network_weight, weight
    functions = served_ensemble if weight == before else python_functions(ensemble)
    with functions_run_eagerly():  # those of Python
        explained = functions["explain"](text=tf.constant(["day so BAD", "", "A good"]))
    ensemble.network_weight = before
    assert explained["words"].numpy().tolist()[0] == [b"day", b"so", b"BAD"]
    weights = explained["weights"].numpy()
    assert np.abs(weights[0]).min() > 1e-3
    assert explained["label"].numpy()[0] == b"negative" and weights[0].argmax() == 2
    np.testing.assert_allclose(weights.sum(axis=1), explained["total"], rtol=0.05, atol=1e-3)
