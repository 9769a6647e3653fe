"""The serving functions of a language model answer as `generate` does, in Python and exported."""

import re

import numpy as np
import pytest
import tensorflow as tf
from builders.eagerly import functions_run_eagerly
from builders.exporting import export_unchecked
from builders.language_models import make_lm

import textrnn
from textrnn.serving.saved_model import load_signatures
from textrnn.tasks.registry import python_functions
from textrnn.text_generation import signatures
from textrnn.text_generation.prompts import without_cut_character
from textrnn.text_generation.signatures import MAX_NEW_TOKENS, text_completer, text_signatures

PROMPTS = ["the cat", "", "the dog ate the cat's hat, and"]


@pytest.fixture(scope="module")
def lm():
    return make_lm(temperature=0.9, top_k=40)


@pytest.fixture(scope="module")
def served(lm, tmp_path_factory):
    return load_signatures(
        export_unchecked(lm, tmp_path_factory.mktemp("models") / "cats", max_new_tokens=12)
    )


def request(texts, **given):
    """A `generate` request. Parameters that are not given are -1, which stands for the model's own."""
    kinds = {"max_new_tokens": tf.int32, "temperature": tf.float32, "top_k": tf.int32, "top_p": tf.float32}
    rows = {name: given.get(name, -1) for name in (*kinds, "seed")}
    tensors = {
        name: tf.cast(tf.broadcast_to(value, [len(texts)]), kinds.get(name, tf.int64))
        for name, value in rows.items()
    }
    return {"text": tf.constant(texts), **tensors}


def strings(tensor):
    return [text.decode("utf-8") for text in tensor.numpy()]


def test_serving_default_takes_text_alone_and_is_deterministic(served):
    serve = served["serving_default"]
    assert list(serve.structured_input_signature[1]) == ["text"]
    assert list(serve.structured_outputs) == ["text"]
    answers = strings(serve(text=tf.constant(PROMPTS))["text"])
    assert answers == strings(serve(text=tf.constant(PROMPTS))["text"])
    assert all(answer.startswith(prompt) for answer, prompt in zip(answers, PROMPTS, strict=True))


@pytest.mark.parametrize(
    "sampler", [pytest.param(textrnn.BeamSearchSampler(3), marks=pytest.mark.slow), "greedy"]
)
def test_serving_default_uses_the_sampler_of_the_model(lm, sampler):
    other = textrnn.CausalLM(lm.backbone, lm.preprocessor, sampler)
    other.compile(run_eagerly=True)
    answer = python_functions(other, max_new_tokens=6)["serving_default"]
    for prompt in PROMPTS[:2]:
        length = 7 + len(lm.preprocessor.tokenizer.tokenize(prompt))
        made = strings(answer(text=tf.constant([prompt]))["text"])
        assert made == other.generate([prompt], max_length=length)
    assert answer(text=tf.constant([], tf.string))["text"].shape == (0,)


def test_an_answer_does_not_depend_on_the_other_rows(served):
    serve = served["serving_default"]
    together = strings(serve(text=tf.constant(PROMPTS))["text"])
    assert together == [strings(serve(text=tf.constant([p]))["text"])[0] for p in PROMPTS]
    # Nor on their parameters.
    mixed = served["generate"](
        **request(PROMPTS, max_new_tokens=[12, 3, 30], temperature=[-1, 0, 5.0], top_k=[-1, 1, 0])
    )
    assert strings(mixed["text"])[0] == together[0]


def test_python_and_the_export_agree(lm, served):
    answers = strings(served["generate"](**request(PROMPTS, max_new_tokens=15))["text"])
    complete = text_completer(lm)
    assert answers == [complete(prompt, max_new_tokens=15) for prompt in PROMPTS]
    tokenizer = lm.preprocessor.tokenizer
    lm.compile(run_eagerly=True)
    for prompt, text in zip(PROMPTS, answers, strict=True):
        length = 1 + len(tokenizer.tokenize([prompt])[0]) + 15
        assert lm.generate(prompt, max_length=length) == text


def test_generate_returns_the_text_the_completion_and_its_length(served):
    answer = served["generate"](**request(PROMPTS, max_new_tokens=[0, 5, 9]))
    assert (answer["tokens"].numpy() <= [0, 5, 9]).all()
    for text, completion, prompt in zip(
        strings(answer["text"]), strings(answer["completion"]), PROMPTS, strict=True
    ):
        assert text == prompt + completion
    assert strings(answer["completion"])[0] == ""


def test_generate_tells_which_prompts_are_unfamiliar(lm, served):
    prompts = ["Привет, мир", PROMPTS[0]]
    found = served["generate"](**request(prompts, max_new_tokens=0))["unfamiliar"].numpy()
    assert found.tolist() == lm.preprocessor.tokenizer.is_unfamiliar(prompts).numpy().tolist()


def test_seeds_choose_the_answer(served):
    texts = [PROMPTS[0]] * 4
    first = strings(served["generate"](**request(texts, seed=[1, 2, 3, 1]))["text"])
    assert len(set(first)) == 3 and first[0] == first[3]


def test_impossible_parameters_are_clipped(served):
    """A batch may hold other clients' requests, so no row may raise an error."""
    texts = ["the cat"] * 3
    wild = request(
        texts, max_new_tokens=8, top_k=[10**6, 0, -7], top_p=[7.0, 0.0, 0.5], temperature=[1e-9, 0, 1e9]
    )
    assert len(strings(served["generate"](**wild)["text"])) == 3


def test_nan_stands_for_the_settings_of_the_model(served):
    nan = request(["the cat"], temperature=float("nan"), top_p=float("nan"))
    own = request(["the cat"])
    assert strings(served["generate"](**nan)["text"]) == strings(served["generate"](**own)["text"])


@pytest.mark.parametrize("wild", [-1, 300_000])
def test_unknown_ids_do_not_fail_the_other_rows(lm, served, wild):
    ids = lm.preprocessor.tokenizer("the cat").numpy().tolist()
    shown = served["detokenize"](token_ids=tf.constant([[wild, *ids, 0], [wild] * (len(ids) + 2)]))
    assert strings(shown["text"]) == ["the cat", ""]

    def rows(row):
        carried = served["start"](text=tf.constant(["the", "the"]))
        del carried["logits"]
        return served["step"](token_ids=tf.constant([ids[0], row]), **carried)["logits"]

    assert rows(wild)[0].numpy().tolist() == rows(ids[0])[0].numpy().tolist()
    read = served["read"](text=tf.constant(["the", "the"]), seed=tf.constant([1, 1], tf.int64))
    del read["prompt_tokens"]
    settings = request(["", ""])
    sent = {"index": tf.zeros(2, tf.int32), "steps": tf.fill([2], 4)} | {
        name: settings[name] for name in ("temperature", "top_k", "top_p")
    }
    unknown = tf.stack([read["token_ids"][0], wild])
    expected, found = (
        served["advance"](**sent | read | {"token_ids": token_ids})
        for token_ids in (read["token_ids"], unknown)
    )
    assert found["count"][0] == expected["count"][0]
    assert found["token_ids"][0] == expected["token_ids"][0]


def test_the_number_of_new_tokens_is_limited(lm):
    function, specs = text_signatures(lm)["generate"]
    sent = request([""], max_new_tokens=10**9, temperature=0)
    answer = tf.function(function, autograph=False)(*(sent[spec.name] for spec in specs))
    assert answer["tokens"].numpy()[0] <= MAX_NEW_TOKENS


def test_an_empty_batch_has_an_empty_answer(served):
    assert served["serving_default"](text=tf.constant([], tf.string))["text"].shape == (0,)


def test_a_client_can_stream_with_start_step_and_detokenize(lm, served):
    answer = served["generate"](**request(["the cat"], max_new_tokens=6, temperature=0))
    carried = served["start"](text=tf.constant(["the cat"]))
    pieces = []
    for _ in range(int(answer["tokens"][0])):
        token = tf.argmax(carried.pop("logits"), axis=-1, output_type=tf.int32)
        pieces.append(int(token[0]))
        carried = served["step"](token_ids=token, **carried)
    shown = served["detokenize"](token_ids=tf.constant([[*pieces, 0]]))
    # A client may leave out a character that the limit cuts, as `generate` does.
    assert re.sub("\ufffd{1,3}$", "", strings(shown["text"])[0]) == strings(answer["completion"])[0]
    assert {f"states_{i}" for i in range(4)} < set(carried)
    assert carried["logits"].dtype == tf.float32
    assert carried["logits"].shape == (1, lm.backbone.vocabulary_size)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        pytest.param("character", "simple", marks=pytest.mark.slow),
        pytest.param("byte", "gru", marks=pytest.mark.slow),
        ("word", "lstm"),
    ],
)
def test_every_tokenizer_exports(kind, cell, tmp_path):
    lm = make_lm(kind, cell, temperature=0)
    only = ("serving_default", "detokenize")
    signatures = load_signatures(export_unchecked(lm, tmp_path / "m", only, max_new_tokens=5))
    answers = strings(signatures["serving_default"](text=tf.constant(PROMPTS))["text"])
    with functions_run_eagerly():
        complete = text_completer(lm)
        assert answers == [complete(prompt, max_new_tokens=5) for prompt in PROMPTS]


def test_answers_are_valid_utf8():
    lm = make_lm("byte", temperature=3.0)
    function, _ = text_signatures(lm)["generate"]
    answer = function(*request(["é"] * 8, max_new_tokens=40, seed=list(range(8))).values())
    assert all(text.startswith("é") for text in strings(answer["text"]))


def test_a_character_that_the_limit_cuts_is_left_out(monkeypatch):
    written = "né漢😀"
    budgets = range(len(written.encode()) + 1)

    def complete(sampler, decoder, token_ids, padding_mask, max_new_tokens, **options):
        """Write the bytes of a text after each prompt, as many as it may have."""
        places = (
            tf.range(tf.shape(token_ids)[1])[None]
            - tf.reduce_sum(tf.cast(padding_mask, tf.int32), 1)[:, None]
        )
        new = tf.gather(tf.constant([*written.encode()]) + 2, tf.clip_by_value(places, 0, budgets[-1] - 1))
        return tf.where(padding_mask, token_ids, new), padding_mask | (places < max_new_tokens[:, None])

    monkeypatch.setattr(signatures, "complete", complete)
    generate, _ = text_signatures(make_lm("byte"))["generate"]
    whole = [written.encode()[:budget].decode("utf-8", "ignore") for budget in budgets]
    answer = generate(*request(["für "] * len(budgets), max_new_tokens=[*budgets]).values())
    assert strings(answer["completion"]) == whole
    assert strings(answer["text"]) == ["für " + text for text in whole]
    answer = generate(*request([b"f\xc3", "\ufffd"], max_new_tokens=[0, 2]).values())  # a prompt is kept
    assert strings(answer["text"]) == ["f\ufffd", "\ufffdn"]


def test_python_leaves_out_a_character_that_the_limit_cuts(monkeypatch):
    lm = make_lm("byte")
    rows = lm.preprocessor.generate_preprocess(["né漢"], sequence_length=20)
    for budget, whole in enumerate(["", "n", "n", "né", "né", "né", "né漢"]):
        mask = rows["padding_mask"].numpy() & (np.arange(20) < 1 + budget)  # the start token is first
        made = {**rows, "padding_mask": mask}
        monkeypatch.setattr(lm, "make_generate_function", lambda made=made: lambda *_, **__: made)
        assert lm.generate([""], max_length=20) == [whole]
        assert lm.generate("", max_length=20) == whole
    assert without_cut_character("f\ufffd\ufffd", start=2) == "f\ufffd"  # a prompt is kept
