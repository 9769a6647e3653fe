"""Generation with a neural cache has the mixture of the paper, in Python and in an exported model."""

import numpy as np
import pytest
import tensorflow as tf
from builders.eagerly import functions_run_eagerly
from builders.exporting import export_unchecked
from builders.language_models import make_lm
from references.adaptive import cached_distribution

import textrnn
from textrnn.decoding import NeuralCache
from textrnn.errors import InputError
from textrnn.export import checks
from textrnn.serving.saved_model import load_signatures
from textrnn.tasks.registry import python_functions

PROMPTS = ["the cat sat on the mat the cat", "", "the dog ate the cat's hat, and"]
CACHE = NeuralCache(window=5, theta=0.4, share=0.6)
NEW = 9


def cached(lm, cache=CACHE):
    return textrnn.CausalLM(lm.backbone, lm.preprocessor, lm.default_sampler, neural_cache=cache)


@pytest.fixture(scope="module", params=["lstm", pytest.param("gru", marks=pytest.mark.slow)])
def lm(request):
    """A greedy model of words, so that `<unk>` is never generated."""
    return cached(make_lm("word", cell=request.param, temperature=0.0))


@pytest.fixture(scope="module")
def plain(lm):
    return textrnn.CausalLM(lm.backbone, lm.preprocessor, lm.default_sampler)


def greedy(lm, prompt, cache=CACHE):
    """The most likely continuation by NumPy, which reads the whole text for each token."""
    tokenizer = lm.preprocessor.tokenizer
    tokens = [tokenizer.start_token_id, *tokenizer.tokenize(prompt).numpy().tolist()]
    length = len(tokens)
    for _ in range(NEW):
        x = {"token_ids": np.array([tokens]), "padding_mask": np.ones((1, len(tokens)), bool)}
        hidden = np.array(lm.backbone(x)[0], "float64")
        logits = hidden[-1] @ np.array(lm.backbone.token_embedding.embeddings, "float64").T
        logits[list(tokenizer.suppressed_token_ids)] = -np.inf
        distribution = cached_distribution(
            hidden, tokens, logits, cache.window, cache.theta, cache.share, tokenizer.suppressed_token_ids
        )
        tokens.append(int(distribution.argmax()))
        if tokens[-1] == tokenizer.end_token_id:
            break
    return tokenizer.detokenize(
        tokens[length:] if tokens[-1] != tokenizer.end_token_id else tokens[length:-1]
    )


def continuations(lm, prompts):
    with functions_run_eagerly():
        return completions(python_functions(lm)["generate"], prompts)


def completions(generate, prompts):
    rows = len(prompts)
    answer = generate(
        text=tf.constant(prompts),
        max_new_tokens=tf.fill([rows], NEW),
        temperature=tf.fill([rows], -1.0),
        top_k=tf.fill([rows], -1),
        top_p=tf.fill([rows], -1.0),
        seed=tf.fill([rows], tf.constant(-1, tf.int64)),
    )
    return [text.decode() for text in answer["completion"].numpy()]


def test_generation_follows_the_mixture_of_the_paper_alone_and_in_a_batch(lm, plain):
    """With prompts longer and shorter than the window, and steps beyond it."""
    expected = [greedy(lm, prompt).numpy().decode() for prompt in PROMPTS]
    assert continuations(lm, PROMPTS) == expected
    assert [continuations(lm, [prompt])[0] for prompt in PROMPTS] == expected
    assert continuations(plain, PROMPTS) != expected


def test_a_preset_has_the_cache_and_an_export_runs_it_with_ops_that_every_server_has(lm, tmp_path):
    lm.save_to_preset(str(tmp_path / "preset"))
    again = textrnn.CausalLM.from_preset(str(tmp_path / "preset"))
    assert again.neural_cache == CACHE
    export_unchecked(again, tmp_path / "models" / "cats", only=("generate", "start"), max_new_tokens=NEW)
    checks.refuse_unservable_ops(tmp_path / "models" / "cats" / "1")
    served = load_signatures(tmp_path / "models" / "cats" / "1")
    assert completions(served["generate"], PROMPTS) == continuations(lm, PROMPTS)
    assert set(served["start"].structured_outputs) >= {"logits", "states_0"}


@pytest.mark.parametrize("sampler", [textrnn.BeamSearchSampler(2), "greedy"])
def test_other_samplers_read_the_cache_too(lm, sampler):
    other = textrnn.CausalLM(lm.backbone, lm.preprocessor, sampler, neural_cache=CACHE)
    other.compile(run_eagerly=True)  # tracing a beam search takes seconds
    texts = other.generate(PROMPTS[:1], max_length=14)
    if sampler == "greedy":
        assert texts == lm.generate(PROMPTS[:1], max_length=14)
    assert texts[0].startswith("the cat")


def test_a_share_of_0_changes_nothing(lm, plain):
    assert continuations(cached(lm, NeuralCache(4, 0.3, 0.0)), PROMPTS) == continuations(plain, PROMPTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window is 0: give the number of vectors"),
        ({"window": 5, "theta": -1}, "theta is -1: give a number of at least 0"),
        ({"window": 5, "share": 1.0}, r"share is 1\.0: give the share"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        NeuralCache(**options)
    with pytest.raises(InputError, match=message):
        textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=3), neural_cache=options)
