"""Samplers honour KerasHub's interface, and generate the same text there as in the tasks of this package."""

import keras
import keras_hub
import numpy as np
import pytest
from builders.seeds import set_seed
from keras import ops
from scipy import stats

import textrnn
from textrnn.decoding import rowwise, samplers
from textrnn.errors import InputError

VOCABULARY = "abcdefgh "
OWN = {
    "rows": textrnn.RowSampler(),
    "rows, top k, seed": textrnn.RowSampler(temperature=0.7, top_k=5, top_p=0.9, seed=3),
    "rows, greedy": textrnn.RowSampler(temperature=0),
    "one beam": textrnn.BeamSearchSampler(1),
    "beams": textrnn.BeamSearchSampler(3, length_penalty=2.0),
    "beams of sums": textrnn.BeamSearchSampler(4, length_penalty=0.0),
}
every_sampler = pytest.mark.parametrize("sampler", OWN.values(), ids=OWN)


def ids_of(text):
    return np.array([VOCABULARY.index(letter) for letter in text], "int32")


def scripted(prompt, cache, index):
    """A model whose logits spell its cache, as in the tests of KerasHub's samplers."""
    return ops.one_hot(ops.take(cache, index, axis=1), len(VOCABULARY)) * 50.0, None, cache


def spell(row):
    return "".join(VOCABULARY[i] for i in ops.convert_to_numpy(row))


@every_sampler
def test_a_scripted_model_spells_its_text(sampler):
    texts = ["head bead", "fade each"]
    made = sampler(scripted, ops.zeros((2, 9), "int32"), cache=ops.convert_to_tensor([*map(ids_of, texts)]))
    assert [spell(row) for row in made] == texts


@every_sampler
def test_prompts_are_kept_and_stop_tokens_end_texts(sampler):
    stop = VOCABULARY.index(" ")
    mask = np.arange(9) < np.array([[2], [6]])
    prompt = np.where(mask, [ids_of("abcdefabc")], 0)
    cache = ops.convert_to_tensor([ids_of("hhcab hhh"), ids_of("hhhhhhgg ")])
    made = sampler(scripted, ops.convert_to_tensor(prompt), cache, index=2, mask=mask, stop_token_ids=[stop])
    assert spell(made[0])[:6] == "abcab "
    assert spell(made[1]) == "abcdefgg "


@pytest.fixture(scope="module")
def lm():
    set_seed(0)
    model = textrnn.CausalLM(textrnn.RecurrentBackbone(12, cell="gru", units=8))
    for weight in model.backbone.trainable_variables:
        weight.assign(weight * 2)  # less uniform predictions
    return model


def prompts():
    mask = np.arange(14) < np.array([[3], [7], [1]])
    return np.where(mask, np.random.default_rng(0).integers(3, 12, mask.shape), 0).astype("int32"), mask


@every_sampler
def test_kerashub_s_interface_gives_the_text_of_the_task(lm, sampler):
    token_ids, mask = prompts()
    decoder = lm.decoder({"token_ids": token_ids, "padding_mask": mask})
    expected, inside = samplers.complete(sampler, decoder, token_ids, mask, stop_token_ids=[1, 2])
    made, made_inside = samplers._complete_in_step(sampler, decoder, token_ids, mask, stop_token_ids=[1, 2])
    np.testing.assert_array_equal(made_inside, inside)
    np.testing.assert_array_equal(np.where(inside, made, 0), np.where(inside, expected, 0))


@pytest.mark.parametrize("name", ["rows", pytest.param("beams", marks=pytest.mark.slow)])
def test_a_stock_model_with_a_cache_generates_each_row_alone(name):
    backbone = keras_hub.models.GPT2Backbone(12, 1, 2, 8, 8, max_sequence_length=14)
    for weight in backbone.trainable_variables:
        weight.assign(weight * 15)
    stock = keras_hub.models.GPT2CausalLM(backbone)
    stock.compile(sampler=OWN[name], jit_compile=False)
    token_ids, mask = prompts()

    def generate(rows):
        inputs = {"token_ids": token_ids[rows], "padding_mask": mask[rows]}
        made = stock.generate(inputs, stop_token_ids=[1, 2])
        texts = zip(made["token_ids"], made["padding_mask"], strict=True)
        return [ids[inside].tolist() for ids, inside in texts]

    together = generate(slice(None))
    assert together == [generate(slice(row, row + 1))[0] for row in range(3)]
    for row in range(3):
        assert together[row][: mask[row].sum()] == token_ids[row, mask[row]].tolist()


def test_next_tokens_follow_the_probabilities():
    expected = np.array([0.5, 0.3, 0.15, 0.05])
    logits = np.tile(np.log(expected).astype("float32"), (20_000, 1))
    sampler = textrnn.RowSampler(seed=4)
    probabilities = sampler.compute_probabilities(logits)
    np.testing.assert_allclose(probabilities, np.exp(logits), rtol=1e-5)
    drawn = ops.convert_to_numpy(sampler.get_next_token(probabilities, index=np.arange(20_000)))
    assert stats.chisquare(np.bincount(drawn, minlength=4), 20_000 * expected).pvalue > 0.01
    np.testing.assert_array_equal(sampler.get_next_token(probabilities[:3], index=np.arange(3)), drawn[:3])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 0.5}, [16 / 21, 4 / 21, 1 / 21]),
        ({"top_k": 2}, [2 / 3, 1 / 3, 0]),
        ({"top_p": 0.5}, [1, 0, 0]),
        ({"temperature": 0}, [1, 0, 0]),
    ],
    ids=str,
)
def test_probabilities_include_the_settings(settings, expected):
    logits = np.log(np.array([[4, 2, 1]], "float32"))
    np.testing.assert_allclose(
        textrnn.RowSampler(**settings).compute_probabilities(logits)[0], expected, rtol=1e-5
    )


def test_the_next_token_of_a_beam_is_the_most_probable():
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    np.testing.assert_array_equal(textrnn.BeamSearchSampler().get_next_token(probabilities), [1, 0])


def test_a_sampler_takes_the_settings_that_it_shares_with_another():
    top_p = textrnn.RowSampler.like(keras_hub.samplers.TopPSampler(p=0.5, temperature=0.7, seed=2))
    assert top_p.get_config() == {"temperature": 0.7, "top_k": 0, "top_p": 0.5, "seed": 2}
    beams = textrnn.BeamSearchSampler.like(keras_hub.samplers.BeamSampler(num_beams=3))
    assert beams.num_beams == 3
    kept = textrnn.BeamSearchSampler.like(beams, length_penalty=2.0, num_beams=None)
    assert (kept.num_beams, kept.length_penalty) == (3, 2.0)
    assert textrnn.BeamSearchSampler.like(textrnn.RowSampler()).get_config() == (
        textrnn.BeamSearchSampler().get_config()
    )


@every_sampler
def test_a_config_restores_a_sampler(sampler):
    again = keras_hub.samplers.get(keras.saving.serialize_keras_object(sampler))
    assert type(again) is type(sampler) and again.get_config() == sampler.get_config()


@pytest.mark.parametrize(
    ("sampler", "name", "value"),
    [
        (textrnn.RowSampler, "temperature", -1),
        (textrnn.RowSampler, "temperature", float("nan")),
        (textrnn.RowSampler, "temperature", float("inf")),
        (textrnn.RowSampler, "temperature", "1"),
        (textrnn.RowSampler, "top_k", -1),
        (textrnn.RowSampler, "top_k", 2.5),
        (textrnn.RowSampler, "top_k", True),
        (textrnn.RowSampler, "top_k", 2**31),
        (textrnn.RowSampler, "top_k", None),
        (textrnn.RowSampler, "top_p", "0.5"),
        (textrnn.RowSampler, "seed", 1.5),
        (textrnn.RowSampler, "seed", 2**40),
        (textrnn.RowSampler, "seed", -(2**31) - 1),
        (textrnn.RowSampler, "seed", True),
        (textrnn.RowSampler, "top_p", 0),
        (textrnn.RowSampler, "top_p", 1.5),
        (textrnn.BeamSearchSampler, "num_beams", 0),
        (textrnn.BeamSearchSampler, "num_beams", 2.5),
        (textrnn.BeamSearchSampler, "num_beams", True),
        (textrnn.BeamSearchSampler, "num_beams", "2"),
        (textrnn.BeamSearchSampler, "length_penalty", "1"),
        (textrnn.BeamSearchSampler, "coverage_penalty", None),
        (textrnn.BeamSearchSampler, "length_penalty", -1.0),
        (textrnn.BeamSearchSampler, "length_penalty", 10.5),
        (textrnn.BeamSearchSampler, "coverage_penalty", -0.1),
        (textrnn.BeamSearchSampler, "coverage_penalty", float("nan")),
    ],
)
def test_a_sampler_refuses_values_out_of_range_and_of_other_types(sampler, name, value):
    with pytest.raises(InputError, match=rf"^{name}={value!r}: give an? (number|integer) "):
        sampler(**{name: value})


def test_a_sampler_takes_numbers_of_numpy():
    rows = textrnn.RowSampler(np.float64(0.5), np.int64(5), np.float64(0.5), np.int32(7))
    beams = textrnn.BeamSearchSampler(np.uint8(3), np.float64(0.5), 1)
    for sampler, expected in ((rows, (0.5, 5, 0.5, 7)), (beams, (3, 0.5, 1.0))):
        assert tuple(sampler.get_config().values()) == expected
        assert {type(value) for value in sampler.get_config().values()} == {int, float}


@pytest.mark.parametrize(
    "theirs",
    [
        keras_hub.samplers.GreedySampler(),
        keras_hub.samplers.RandomSampler(seed=1, temperature=0.7),
        keras_hub.samplers.TopKSampler(k=2, seed=1, temperature=1.5),
        keras_hub.samplers.TopPSampler(p=0.7, seed=1),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_the_equivalents_of_kerashub_s_samplers_have_their_probabilities(theirs):
    logits = np.tile(np.log([0.5, 0.3, 0.15, 0.05]).astype("float32"), (5000, 1))
    drawn = ops.convert_to_numpy(theirs.get_next_token(theirs.compute_probabilities(logits)))
    expected = ops.convert_to_numpy(rowwise(theirs).compute_probabilities(logits[:1]))[0].astype("float64")
    expected *= len(drawn) / expected.sum()
    found, likely = np.bincount(drawn, minlength=4), expected > 1e-3
    assert (found[~likely] == 0).all()
    assert likely.sum() == 1 or stats.chisquare(found[likely], expected[likely]).pvalue > 0.01


def test_beam_search_has_an_equivalent_and_other_samplers_stay_as_they_are():
    beams = rowwise(keras_hub.samplers.BeamSampler(num_beams=3))
    assert beams.get_config() == {"num_beams": 3, "length_penalty": 0.0, "coverage_penalty": 0.0}
    for sampler in (textrnn.RowSampler(), keras_hub.samplers.ContrastiveSampler(k=2, alpha=0.1)):
        assert rowwise(sampler) is sampler


@pytest.mark.parametrize(
    ("sampler", "settings"),
    [
        (keras_hub.samplers.GreedySampler(), {"temperature": 0.0}),
        (keras_hub.samplers.TopKSampler(k=5, temperature=0.5), {"temperature": 0.5, "top_k": 5}),
        (keras_hub.samplers.TopPSampler(p=0.9), {"top_p": 0.9}),
        (textrnn.BeamSearchSampler(3), {"temperature": 0.0}),
    ],
)
def test_settings_of_other_samplers_are_kept(sampler, settings):
    expected = textrnn.RowSampler().get_config() | settings
    assert textrnn.RowSampler.like(sampler).get_config() == expected


def test_greedy_decoding_is_beam_search_with_one_beam():
    assert textrnn.BeamSearchSampler.like(keras_hub.samplers.GreedySampler()).num_beams == 1
    assert textrnn.BeamSearchSampler.like(textrnn.RowSampler(temperature=0)).num_beams == 1
    assert (
        textrnn.BeamSearchSampler.like(textrnn.RowSampler()).num_beams
        == textrnn.BeamSearchSampler().num_beams
    )
