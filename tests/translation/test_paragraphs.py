"""A paragraph is translated sentence by sentence, in Python and in an export alike."""

from itertools import chain

import numpy as np
import pytest
import tensorflow as tf
from builders.eagerly import functions_run_eagerly
from builders.exporting import export_unchecked
from builders.translators import make_translator

import textrnn
from textrnn.errors import InputError
from textrnn.presets import load_preset, save_preset
from textrnn.serving.saved_model import load_signatures
from textrnn.serving.translate import translated
from textrnn.tasks.registry import python_functions, signatures_of
from textrnn.translation import signatures
from textrnn.translation.translations import translate as translate_texts

PARAGRAPHS = [
    "One. Two? Three one!",
    "three",
    "",
    "One two.\n\nThree. ",
    " \n",
    "Two. " * 7 + "One",
]
SENTENCES = [
    ["One.", "Two?", "Three one!"], ["three"], [""], ["One two.", "Three."], [" \n"], ["Two."] * 7 + ["One"],
]  # fmt: skip
SPACES = [[" ", " ", ""], [""], [""], ["\n\n", " "], [""], [" "] * 7 + [""]]


@pytest.fixture(scope="module")
def lm():
    tokenizer = textrnn.tokenizers.ByteTokenizer()
    translator = make_translator([tokenizer], units=12, sampler=textrnn.BeamSearchSampler(3, 0.7))
    for weight in translator.trainable_variables:
        weight.assign(weight * 2)  # so that logits differ
    return translator


@pytest.fixture(scope="module")
def served(lm, tmp_path_factory):
    return load_signatures(export_unchecked(lm, tmp_path_factory.mktemp("models") / "numbers"))


def translate(functions, texts, num_beams=3, length_penalty=-1.0, max_new_tokens=9):
    rows = len(texts)
    found = functions["translate"](
        text=tf.constant(texts, tf.string),
        num_beams=tf.constant(np.broadcast_to(num_beams, rows), tf.int32),
        length_penalty=tf.constant(np.broadcast_to(length_penalty, rows), tf.float32),
        max_new_tokens=tf.constant(np.broadcast_to(max_new_tokens, rows), tf.int32),
    )
    return {name: value.numpy() for name, value in found.items()}


def without_padding(values):
    return [value for value in values.tolist() if value]


def test_a_paragraph_is_joined_from_the_translations_of_its_sentences(served):
    together = translate(served, PARAGRAPHS, num_beams=[3, 2, 3, 4, 1, 3])
    for row, (sentences, spaces) in enumerate(zip(SENTENCES, SPACES, strict=True)):
        beams = [3, 2, 3, 4, 1, 3][row]
        alone = translate(served, sentences, num_beams=beams)
        assert together["sentences"][row] == len(sentences)
        scores = np.maximum(alone["scores"].astype(np.float64).sum(axis=0), -1e9)
        exists = scores > -1e9
        np.testing.assert_allclose(together["scores"][row, :beams], np.where(exists, scores, -1e9), rtol=1e-4)
        assert (together["scores"][row, beams:] == -1e9).all()
        for beam in np.flatnonzero(exists):
            made = [text[beam].decode() for text in alone["text"]]
            expected = "".join(text + space for text, space in zip(made, spaces, strict=True))
            assert together["text"][row, beam].decode() == expected
            tokens = [without_padding(one[beam]) for one in alone["tokens"]]
            assert without_padding(together["tokens"][row, beam]) == list(chain(*tokens))
        source = [without_padding(one) for one in alone["source_tokens"]]
        assert without_padding(together["source_tokens"][row]) == list(chain(*source))
        assert (
            together["unfinished"][row, :beams].tolist()
            == (alone["unfinished"].any(axis=0) & exists).tolist()
        )


def test_attention_is_block_diagonal(served):
    found, row = translate(served, PARAGRAPHS), 0
    alone = translate(served, SENTENCES[row])
    for beam in range(3):
        expected = np.zeros_like(found["attention"][row, beam])
        step = column = 0
        for sentence in range(3):
            height = len(without_padding(alone["tokens"][sentence, beam]))
            width = len(without_padding(alone["source_tokens"][sentence]))
            block = alone["attention"][sentence, beam, :height, :width]
            expected[step : step + height, column : column + width] = block
            step, column = step + height, column + width
        np.testing.assert_allclose(found["attention"][row, beam], expected, atol=1e-5)


def test_types_and_ranks_of_outputs_do_not_depend_on_sentences(lm, served):
    whole = load_whole(lm)["translate"].structured_outputs
    split = served["translate"].structured_outputs
    expected = {name: (tensor.dtype, tensor.shape.rank) for name, tensor in whole.items()}
    assert {name: (tensor.dtype, tensor.shape.rank) for name, tensor in split.items()} == expected


def load_whole(lm):
    return python_functions(lm, split_sentences=False)


def test_a_text_of_one_sentence_has_the_answer_of_a_model_that_does_not_split(lm, served):
    texts = ["one two", " Three.\n", "", "ONE 3.5"]
    whole, split = (translate(functions, texts) for functions in (load_whole(lm), served))
    assert whole.keys() == split.keys()
    for name, values in whole.items():
        if values.dtype == np.float32:
            np.testing.assert_allclose(split[name], values, atol=1e-5, err_msg=name)
        else:
            assert split[name].tolist() == values.tolist(), name


def test_all_ways_to_translate_agree(lm, served):
    answers = served["serving_default"](text=tf.constant(PARAGRAPHS))["text"].numpy()
    expected = [text.decode() for text in answers]
    assert [text.decode() for text in translate(served, PARAGRAPHS, -1, -1.0, -1)["text"][:, 0]] == expected
    assert [answer.n_best[0][0] for answer in translated(served["translate"], PARAGRAPHS)] == expected
    assert translate_texts(lm, PARAGRAPHS).best == expected


def test_generate_in_python_joins_sentences_too(lm, served):
    lm.compile(run_eagerly=True)
    texts = [text for text in PARAGRAPHS if text.strip()]
    expected = [text.decode() for text in translate(served, texts, -1)["text"][:, 0]]
    assert lm.generate(texts, max_length=10) == expected  # which includes the start token
    assert lm.generate({"encoder_text": tf.constant(texts)}, max_length=10) == expected
    assert lm.generate(texts[0], max_length=10) == expected[0]


def test_long_texts_are_read_up_to_a_number_of_tokens(lm, monkeypatch):
    monkeypatch.setattr(signatures, "MAX_SOURCE_TOKENS", 10)
    # Each sentence has four bytes and the end token.
    with functions_run_eagerly():
        found = translate(python_functions(lm), ["One. Two. Six.", "One. Two. ", "One."])
    assert found["truncated"].tolist() == [True, False, False]
    assert found["sentences"].tolist() == [2, 2, 1]


def test_the_preset_remembers_whether_texts_are_split(lm, tmp_path):
    preprocessor = textrnn.Seq2SeqLMPreprocessor(lm.preprocessor.tokenizer, split_sentences=False)
    whole = textrnn.Seq2SeqLM(lm.backbone, preprocessor)
    save_preset(whole, tmp_path)
    again = load_preset(tmp_path / "preset")
    assert not again.preprocessor.split_sentences
    with functions_run_eagerly():
        assert translate(python_functions(again), PARAGRAPHS)["sentences"].tolist() == [1] * 6


def test_an_option_that_a_task_does_not_have_is_refused(lm):
    with pytest.raises(InputError, match=r"translation has no option max_new_tokens: .*split_sentences"):
        signatures_of(lm, max_new_tokens=3)
