"""An exported translator answers as in Python, row by row."""

import numpy as np
import pytest
import tensorflow as tf
from builders.exporting import export_unchecked

import textrnn
from textrnn.serving.saved_model import load_signatures
from textrnn.tokenizers import train_tokenizer, valid_utf8
from textrnn.translation.signatures import MAX_NEW_TOKENS

TEXTS = ["a good day", "so bad, so bad", "day " * 9, "", " \n"]


@pytest.fixture(scope="module")
def lm():
    english, spanish = ["a good day", "so bad, so bad"] * 10, ["un día bueno", "tan malo, tan malo"] * 10
    tokenizers = [train_tokenizer("sentencepiece", texts) for texts in (english, spanish)]
    sizes = [tokenizer.vocabulary_size() for tokenizer in tokenizers]
    backbone = textrnn.RecurrentSeq2Seq(*sizes, cell="lstm", units=12)
    for weight in backbone.trainable_variables:
        weight.assign(weight * 1.5)  # so that logits differ
    preprocessor = textrnn.Seq2SeqLMPreprocessor(*tokenizers, encoder_sequence_length=30)
    return textrnn.Seq2SeqLM(backbone, preprocessor, textrnn.BeamSearchSampler(3, 0.7))


@pytest.fixture(scope="module")
def served(lm, tmp_path_factory):
    version = export_unchecked(lm, tmp_path_factory.mktemp("models") / "days", warmup_prompts=TEXTS[:1])
    return load_signatures(version.parent)


def translate(served, texts, num_beams=-1, length_penalty=-1.0, max_new_tokens=8):
    rows = len(texts)
    found = served["translate"](
        text=tf.constant(texts, tf.string),
        num_beams=tf.constant(np.broadcast_to(num_beams, rows), tf.int32),
        length_penalty=tf.constant(np.broadcast_to(length_penalty, rows), tf.float32),
        max_new_tokens=tf.constant(np.broadcast_to(max_new_tokens, rows), tf.int32),
    )
    return {name: value.numpy() for name, value in found.items()}


def test_serving_default_returns_the_best_text_of_translate(lm, served):
    texts = served["serving_default"](text=tf.constant(TEXTS))["text"].numpy()
    best = translate(served, TEXTS, max_new_tokens=-1)["text"][:, 0]
    assert texts.tolist() == best.tolist()
    lm.compile(run_eagerly=True)
    best = translate(served, TEXTS[:3], max_new_tokens=20)["text"][:, 0]
    # In Python the length includes the start token.
    assert [text.decode() for text in best] == lm.generate(TEXTS[:3], max_length=21)


def test_a_row_does_not_depend_on_the_texts_and_parameters_of_other_rows(served):
    parameters = {
        "num_beams": [1, 4, 2, 3, 5],
        "length_penalty": [0.0, 1.0, 2.0, 0.6, -1.0],
        "max_new_tokens": [3, 8, 5, 0, 2],
    }
    together = translate(served, TEXTS, **parameters)
    for row, text in enumerate(TEXTS):
        alone = translate(served, [text], **{name: values[row] for name, values in parameters.items()})
        beams = alone["text"].shape[1]
        assert together["text"][row, :beams].tolist() == alone["text"][0].tolist()
        np.testing.assert_allclose(together["scores"][row, :beams], alone["scores"][0], rtol=1e-4)
        assert (together["scores"][row, beams:] == -1e9).all()
        assert (together["text"][row, beams:] == b"").all()


def test_tokens_and_attention_weights_are_aligned(lm, served):
    found = translate(served, TEXTS[:3], num_beams=3)
    for row in range(3):
        source = [token for token in found["source_tokens"][row].tolist() if token]
        assert source[-1] == b"</s>"
        for beam in range(3):
            tokens = [token for token in found["tokens"][row, beam].tolist() if token]
            weights = found["attention"][row, beam]
            np.testing.assert_allclose(weights[: len(tokens)].sum(axis=1), 1, atol=1e-5)
            assert not weights[:, len(source) :].any()
            assert not weights[len(tokens) :].any()
            tokenizer = lm.preprocessor.target_tokenizer
            ids = [tokenizer.token_to_id(token.decode()) for token in tokens]
            assert valid_utf8(tokenizer.detokenize([ids])).numpy()[0] == found["text"][row, beam]
    assert (np.diff(found["scores"], axis=1) <= 0).all()


def test_blank_texts_have_blank_translations(served):
    assert served["serving_default"](text=tf.constant(["", " \n\t"]))["text"].numpy().tolist() == [b"", b""]


def test_an_empty_batch_has_an_empty_answer(served):
    assert served["serving_default"](text=tf.constant([], tf.string))["text"].shape == (0,)
    assert translate(served, [])["text"].shape[0] == 0


def test_truncated_texts_are_reported(served):
    assert translate(served, [*TEXTS[:2], "day " * 200])["truncated"].tolist() == [False, False, True]


def test_translations_of_maximum_length_are_reported_as_unfinished(served):
    found = translate(served, [*TEXTS, "a good day"], num_beams=2, max_new_tokens=[1, 2, 30, 5, 5, 0])
    lengths = (found["tokens"] != b"").sum(axis=2)
    limits = np.array([[1], [2], [30], [5], [5], [0]])
    blank = np.array([[False], [False], [False], [True], [True], [True]])  # or no token was allowed
    expected = (lengths == limits) & (found["scores"] > -1e9) & ~blank
    assert found["unfinished"].tolist() == expected.tolist()
    assert expected.any()


def test_scores_are_finite_for_any_length_penalty(served):
    found = translate(served, TEXTS, num_beams=4, length_penalty=1e6, max_new_tokens=200)
    assert np.isfinite(found["scores"]).all()


def test_nan_stands_for_the_length_penalty_of_the_model(served):
    parameters = {"num_beams": [1, 2, 3, 4, 5], "max_new_tokens": 6}
    own = translate(served, TEXTS, **parameters)
    found = translate(served, TEXTS, length_penalty=float("nan"), **parameters)
    assert found["text"].tolist() == own["text"].tolist()
    np.testing.assert_array_equal(found["scores"], own["scores"])


@pytest.mark.parametrize("penalty", [float("inf"), -float("inf")])
def test_an_infinite_length_penalty_gives_texts(served, penalty):
    found = translate(served, TEXTS[:3], num_beams=2, length_penalty=penalty)
    assert (found["scores"] > -1e9).all()


def test_requests_are_limited(served):
    found = translate(served, ["a good day"], num_beams=1000, max_new_tokens=10**6)
    assert found["text"].shape == (1, 32)
    assert found["tokens"].shape[2] <= MAX_NEW_TOKENS


def test_a_model_that_samples_is_deterministic_per_row(lm):
    sampling = textrnn.Seq2SeqLM(lm.backbone, lm.preprocessor, textrnn.RowSampler(temperature=0.9))
    from textrnn.tasks.registry import python_functions

    answer = python_functions(sampling)["serving_default"]
    together = answer(text=tf.constant(TEXTS))["text"].numpy().tolist()
    alone = [answer(text=tf.constant([text]))["text"].numpy()[0] for text in TEXTS]
    assert together == alone
