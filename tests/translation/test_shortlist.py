"""A shortlist gives each row its own tokens, and with all tokens changes nothing."""

import collections

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from builders.translators import PAIRS, SOURCES, TARGETS, make_translator, trained, word_tokenizers
from hypothesis import given
from hypothesis import strategies as st

import textrnn
from textrnn.export import export
from textrnn.serving.saved_model import load_signatures
from textrnn.tasks.registry import python_functions
from textrnn.translation import shortlist as module
from textrnn.translation.shortlist import Shortlist, fit_shortlist, lexicon

pytestmark = pytest.mark.usefixtures("without_compilation")

SENTENCES = st.lists(
    st.tuples(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.lists(st.integers(0, 5), min_size=1)),
    min_size=1,
    max_size=6,
)


# === The lexicon ===


def model_1(pairs, iterations):
    """IBM Model 1 as it is written in the literature, with loops over words."""
    known = {(s, t) for source, target in pairs for s in source for t in target}
    table = dict.fromkeys(known, 1.0)
    for _ in range(iterations):
        counts, totals = collections.Counter(), collections.Counter()
        for source, target in pairs:
            for t in target:
                total = sum(table[s, t] for s in source)
                for s in source:
                    counts[s, t] += table[s, t] / total
                    totals[s] += table[s, t] / total
        table = {(s, t): counts[s, t] / totals[s] for s, t in known}
    return table


@given(pairs=SENTENCES)
def test_the_lexicon_is_that_of_ibm_model_1(pairs):
    found = lexicon(*zip(*pairs, strict=True), iterations=3)
    expected = model_1(pairs, 3)
    assert len(found[0]) == len(expected)
    for s, t, probability in zip(*found, strict=True):
        assert probability == pytest.approx(expected[s, t], abs=1e-9)


def test_of_many_pairs_some_are_drawn(monkeypatch):
    monkeypatch.setattr(module, "MOST_LINKS", 10)
    of_source, _, _ = lexicon([[row] for row in range(100)], [[row] for row in range(100)])
    assert len(of_source) == 10
    again, _, _ = lexicon([[row] for row in range(100)], [[row] for row in range(100)])
    np.testing.assert_array_equal(of_source, again)


def test_a_shortlist_has_the_likeliest_translations_and_the_most_frequent_tokens():
    sources, targets = [[5, 6], [5], [6, 7]], [[8, 9], [8], [9, 4]]
    shortlist = fit_shortlist(sources, targets, 10, 12, per_token=1, common=2, special=(0, 2))
    table = shortlist.table.numpy()
    assert table[5:8].tolist() == [[8], [9], [4]]
    assert shortlist.common_tokens.numpy().tolist() == [0, 2, 8, 9]  # special and frequent
    assert {*table[:5].ravel()} == {0}  # source tokens without pairs
    assert shortlist.coverage(sources, targets) == 1.0
    assert shortlist.coverage([[0], [5]], [[8, 11], [10, 8, 9]]) == 0.6


def test_numbers_of_tokens_are_checked():
    with pytest.raises(textrnn.InputError, match="per_token is 0: give a number of tokens, 1 to 4"):
        Shortlist(3, 4, 0, 1)
    with pytest.raises(textrnn.InputError, match="common is 5"):
        Shortlist(3, 4, 2, 5)


# === Rows ===


@given(
    token_ids=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=4),
    lengths=st.lists(st.integers(1, 3), min_size=4, max_size=4),
)
def test_a_row_may_have_the_tokens_of_its_source_and_the_common_ones(token_ids, lengths):
    random = np.random.default_rng(0)
    table, common = random.integers(0, 9, (5, 2)), np.array([0, 4])
    shortlist = Shortlist(5, 9, 2, 2)
    shortlist.set_weights([table, common])
    mask = np.arange(3) < np.array(lengths[: len(token_ids)])[:, None]
    tokens, allowed = shortlist(np.array(token_ids), mask)
    wanted = [
        {*table[ids[:length]].ravel(), *common} for ids, length in zip(token_ids, lengths, strict=False)
    ]
    assert [{*row} for row in (tokens.numpy()[each] for each in allowed.numpy())] == wanted
    assert tokens.numpy().tolist() == sorted(set().union(*wanted))


# === Translations ===


def everything(translator):
    """A shortlist of all tokens."""
    source, target = (
        tokenizer.vocabulary_size()
        for tokenizer in (translator.preprocessor.tokenizer, translator.preprocessor.target_tokenizer)
    )
    shortlist = Shortlist(source, target, target, 1)
    shortlist.set_weights([np.tile(np.arange(target), (source, 1)), np.zeros(1)])
    return shortlist


def own_shortlist(translator, per_token=1):
    """The shortlist of the pairs."""
    sides = translator.preprocessor.encode(SOURCES, TARGETS)
    return fit_shortlist(
        *sides,
        translator.preprocessor.tokenizer.vocabulary_size(),
        translator.preprocessor.target_tokenizer.vocabulary_size(),
        per_token,
        common=1,
        special=translator.preprocessor.target_tokenizer.special_token_ids,
    )


@pytest.fixture(scope="module")
def translator():
    return trained(make_translator(word_tokenizers()))


@pytest.fixture
def lm(translator):
    yield translator
    translator.shortlist = None
    translator.default_sampler = textrnn.BeamSearchSampler()


class Last(keras_hub.samplers.Sampler):
    """A sampler that is none of this package's: the last of the likeliest tokens."""

    def get_next_token(self, probabilities):
        return tf.cast(tf.argmax(probabilities, axis=-1), tf.int32)


@pytest.mark.parametrize(
    "sampler",
    [
        textrnn.BeamSearchSampler(num_beams=3),
        textrnn.RowSampler(temperature=0),
        textrnn.RowSampler(temperature=1.0, top_p=0.9, top_k=3, seed=5),
        Last(),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_a_shortlist_of_all_tokens_changes_no_text(lm, sampler):
    lm.default_sampler = sampler
    expected = lm.generate(SOURCES)
    lm.shortlist = everything(lm)
    assert lm.generate(SOURCES) == expected


def test_scores_are_those_of_the_allowed_tokens(lm):
    ids, mask = (
        lm.preprocessor.generate_preprocess(SOURCES)[f"encoder_{name}"]
        for name in ("token_ids", "padding_mask")
    )
    options = {"max_beams": 2, "num_beams": 2, "max_new_tokens": 4, "limit": 4, "stop_token_ids": (1,)}
    expected = lm.search(ids, mask, **options)
    lm.shortlist = everything(lm)
    found = lm.search(ids, mask, **options)
    np.testing.assert_array_equal(found.token_ids, expected.token_ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)

    lm.shortlist = shortlist = own_shortlist(lm)
    found = lm.search(ids, mask, **options)
    tokens, allowed = shortlist(ids, mask)
    for row in range(len(SOURCES)):
        assert {*found.token_ids.numpy()[row].ravel()} <= {*tokens.numpy()[allowed.numpy()[row]]}
        alone = lm.search(ids[row : row + 1], mask[row : row + 1], **options)
        np.testing.assert_array_equal(alone.token_ids[0], found.token_ids[row])
        np.testing.assert_allclose(alone.scores[0], found.scores[row], rtol=1e-4)


def test_a_trained_shortlist_keeps_the_translations_and_fewer_logits(lm):
    expected = lm.generate(SOURCES)
    lm.shortlist = own_shortlist(lm)
    assert lm.generate(SOURCES) == expected
    assert lm.shortlist.coverage(*lm.preprocessor.encode(SOURCES, TARGETS)) == 1.0
    inputs = lm.preprocessor.generate_preprocess(["one"])
    decoder = lm.decoder(inputs)
    logits, _, _ = decoder.start(np.array([[1]]), np.ones((1, 1), bool))
    assert logits.shape[-1] == len(decoder.tokens) < lm.backbone.target_vocabulary_size


def test_a_beginning_may_have_tokens_outside_of_the_shortlist(lm):
    lm.shortlist = own_shortlist(lm)
    lm.default_sampler = textrnn.RowSampler(temperature=0)
    made = lm.generate({"encoder_text": ["one", "two"], "decoder_text": ["trois", "trois"]})
    assert all(text.startswith("trois") for text in made)


def test_a_preset_a_copy_and_an_export_have_it(lm, tmp_path):
    lm.shortlist = own_shortlist(lm)
    expected = lm.generate(SOURCES)
    lm.save_to_preset(str(tmp_path / "preset"))
    again = textrnn.Seq2SeqLM.from_preset(str(tmp_path / "preset"))
    np.testing.assert_array_equal(again.shortlist.table, lm.shortlist.table)
    assert again.generate(SOURCES) == expected
    answers = python_functions(lm)["serving_default"](text=tf.constant(SOURCES))["text"].numpy()
    assert [text.decode() for text in answers] == expected
    export(lm, tmp_path / "model")
    served = load_signatures(tmp_path / "model")["serving_default"](text=tf.constant(SOURCES))["text"].numpy()
    assert [text.decode() for text in served] == expected
    plain = textrnn.Seq2SeqLM.from_preset(str(tmp_path / "preset"), shortlist=None)
    assert plain.shortlist is None and plain.generate(SOURCES) == lm_without(lm).generate(SOURCES)


def lm_without(lm):
    lm.shortlist = None
    return lm


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
def test_untied_embeddings_and_training_on_work():
    lm = make_translator(word_tokenizers(), tie_embeddings=False, sampler=textrnn.RowSampler(temperature=0))
    lm.shortlist = own_shortlist(lm)
    assert trained(lm).generate(SOURCES) == TARGETS
    lm.fit(PAIRS, verbose=0)
    lm.quantize("int8")
    assert len(lm.generate(SOURCES)) == len(SOURCES)


@pytest.mark.parametrize(
    "sampler",
    [textrnn.RowSampler(temperature=3.0, seed=1), textrnn.BeamSearchSampler(num_beams=2)],
    ids=lambda sampler: type(sampler).__name__,
)
def test_any_token_can_end_a_text(lm, sampler):
    words = lm.preprocessor.target_tokenizer
    lm.default_sampler = sampler
    lm.shortlist = Shortlist(lm.backbone.vocabulary_size, words.vocabulary_size(), 1, 2)
    deux, trois = (words.token_to_id(word) for word in ("deux", "trois"))
    # No special token is on the list, whose places are other numbers than its tokens.
    lm.shortlist.set_weights([np.full((lm.backbone.vocabulary_size, 1), deux), np.array([deux, trois])])
    inputs = lm.preprocessor.generate_preprocess(SOURCES)
    for stop, others in ((deux, {trois}), (trois, {deux})):
        made = lm.generate_step(inputs, stop_token_ids=[stop])
        found = made["decoder_token_ids"].numpy()[made["decoder_padding_mask"].numpy()]
        assert {*found} <= {words.start_token_id, *others}
    whole = lm.generate_step(inputs, stop_token_ids=[0, 1])  # tokens without a logit, and places of others
    if isinstance(sampler, textrnn.RowSampler):  # beam search ends texts that repeat themselves
        assert whole["decoder_padding_mask"].numpy().all()


def test_a_given_shortlist_replaces_that_of_a_preset(lm, tmp_path):
    lm.shortlist = own_shortlist(lm)
    lm.save_to_preset(str(tmp_path))
    other = everything(lm)
    assert textrnn.Seq2SeqLM.from_preset(str(tmp_path), shortlist=other).shortlist is other
    np.testing.assert_array_equal(other.table[0], np.arange(other.target_size))
    assert textrnn.Seq2SeqLM.from_preset(str(tmp_path), load_weights=False).shortlist is None


@pytest.mark.parametrize(
    ("shortlist", "message"),
    [
        (50, "shortlist is 50: give"),
        (Shortlist(3, 6, 1, 1), "source vocabulary of 3"),
        (Shortlist(6, 5, 1, 1), "target vocabulary of 5"),
    ],
)
def test_a_shortlist_of_other_vocabularies_is_refused(lm, shortlist, message):
    assert (lm.backbone.vocabulary_size, lm.backbone.target_vocabulary_size) != (3, 6)
    with pytest.raises(textrnn.InputError, match=message):
        lm.shortlist = shortlist


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([], [], "without sentence pairs"),
        ([[1]], [[9]], "a target has the token 9: expected tokens below 6"),
        ([[9]], [[1]], "a source has the token 9: expected tokens below 5"),
    ],
)
def test_pairs_that_make_no_shortlist_are_refused(sources, targets, message):
    with pytest.raises(textrnn.InputError, match=message):
        fit_shortlist(sources, targets, 5, 6)


def test_a_long_pair_does_not_end_the_draw(monkeypatch):
    monkeypatch.setattr(module, "MOST_LINKS", 20)
    pairs = [[row] for row in range(30)] + [[*range(30)]]
    of_source, _, _ = lexicon(pairs, pairs)
    assert len(of_source) == 20


def test_pairs_that_are_all_long_have_a_lexicon_of_one(monkeypatch):
    monkeypatch.setattr(module, "MOST_LINKS", 10)
    of_source, of_target, probability = lexicon([[0] * 5, [0] * 3], [[5] * 5, [6] * 3])
    assert (of_source.tolist(), of_target.tolist(), probability.tolist()) == ([0], [6], [1.0])
