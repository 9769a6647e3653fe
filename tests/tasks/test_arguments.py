"""Constructors refuse arguments that they do not have, and name the nearest one."""

import keras_hub
import numpy as np
import pytest
from builders.tasks import TASKS

import textrnn
from textrnn.errors import InputError
from textrnn.tokenizers import ByteTokenizer


def backbone():
    return textrnn.RecurrentBackbone(258, units=4)


@pytest.mark.parametrize(
    ("make", "unknown", "near"),
    [
        (lambda **options: textrnn.RecurrentBackbone(9, **options), "recurent_dropout", "recurrent_dropout"),
        (lambda **options: textrnn.RecurrentEncoder(9, **options), "unit", "units"),
        (lambda **options: textrnn.RecurrentSeq2Seq(9, **options), "atention", "attention"),
        (lambda **options: textrnn.CausalLM(backbone(), **options), "prepocessor", "preprocessor"),
        (lambda **options: textrnn.Seq2SeqLM(textrnn.RecurrentSeq2Seq(9), **options), "smapler", "sampler"),
        (
            lambda **options: textrnn.TextClassifier(textrnn.RecurrentEncoder(9), ["a", "b"], **options),
            "ngram",
            "ngrams",
        ),
        (
            lambda **options: textrnn.CausalLMPreprocessor(ByteTokenizer(), **options),
            "sequence_lenght",
            "sequence_length",
        ),
        (
            lambda **options: textrnn.Seq2SeqLMPreprocessor(ByteTokenizer(), **options),
            "sequence_length",
            "encoder_sequence_length",
        ),
        (
            lambda **options: textrnn.TextClassifierPreprocessor(ByteTokenizer(), **options),
            "lower_case",
            "lowercase",
        ),
    ],
)
def test_an_unknown_argument_is_refused_with_the_nearest_name(make, unknown, near):
    with pytest.raises(InputError, match=f"has no argument '{unknown}': did you mean '{near}'"):
        make(**{unknown: 1})


def test_without_a_near_name_all_arguments_are_listed():
    with pytest.raises(
        InputError, match=r"TextClassifier has no argument 'num_classes': .* backbone, labels"
    ):
        textrnn.TextClassifier(textrnn.RecurrentEncoder(9), ["a", "b"], num_classes=2)


def test_arguments_of_keras_are_known():
    made = textrnn.RecurrentBackbone(9, units=4, name="mine", trainable=False, dtype="float64")
    assert (made.name, made.trainable, made.compute_dtype) == ("mine", False, "float64")
    lm = textrnn.CausalLM(made, name="lm", compile=False)
    assert lm.name == "lm" and not lm.compiled
    preprocessor = textrnn.CausalLMPreprocessor(ByteTokenizer(), name="strings", dtype="int32")
    assert preprocessor.name == "strings"


class Renamed(textrnn.RecurrentBackbone):
    """A subclass with an argument of its own."""

    def __init__(self, *args, extra=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.extra = extra


def test_a_subclass_has_its_own_arguments_and_those_of_its_base():
    assert Renamed(9, units=4, extra=3).extra == 3
    with pytest.raises(InputError, match="Renamed has no argument 'extras': did you mean 'extra'"):
        Renamed(9, units=4, extras=3)


def test_from_preset_passes_arguments_and_refuses_unknown_ones(tmp_path):
    lm = textrnn.CausalLM(backbone(), textrnn.CausalLMPreprocessor(ByteTokenizer()))
    lm.save_to_preset(str(tmp_path))
    assert textrnn.RecurrentBackbone.from_preset(str(tmp_path), dropout=0.25).dropout == 0.25
    assert textrnn.CausalLM.from_preset(str(tmp_path), sampler="greedy").default_sampler.temperature == 1
    with pytest.raises(InputError, match="did you mean 'dropout'"):
        textrnn.RecurrentBackbone.from_preset(str(tmp_path), dropuot=0.25)
    with pytest.raises(InputError, match="CausalLM has no argument 'dropout'"):
        textrnn.CausalLM.from_preset(str(tmp_path), dropout=0.25)


@pytest.fixture(scope="module")
def classifier_preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier")
    textrnn.TextClassifier(
        textrnn.RecurrentEncoder(258, units=4), ["bad", "good"],
        textrnn.TextClassifierPreprocessor(ByteTokenizer()), ngrams=2, ngram_buckets=64,
    ).save_to_preset(str(folder))  # fmt: skip
    return str(folder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_classes": 2}, "has no argument 'num_classes'"),
        ({"labels": ["a", "b", "c"]}, r"labels=\['bad', 'good'\], not with .* leave .*relabel"),
        ({"labels": ("good", "bad")}, r"trained with labels=\['bad', 'good'\], not with \('good', 'bad'\)"),
        ({"pooling": "attention"}, "trained with pooling='mean', not with 'attention': leave it out"),
        ({"ngrams": 3}, "trained with ngrams=2, not with 3"),
        ({"ngram_buckets": 32}, "trained with ngram_buckets=64, not with 32"),
        ({"backbone": textrnn.RecurrentEncoder(258, units=5)}, "do not fit the backbone"),
    ],
)  # fmt: skip
def test_from_preset_refuses_arguments_that_the_weights_do_not_fit(classifier_preset, given, message):
    with pytest.raises(InputError, match=message):
        textrnn.TextClassifier.from_preset(classifier_preset, **given)


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_every_part_of_a_preset_is_loaded_from_a_path(make, tmp_path):
    task = make()
    task.save_to_preset(tmp_path)
    for part in (task, task.backbone, task.preprocessor, task.preprocessor.tokenizer):
        assert isinstance(type(part).from_preset(tmp_path), type(part))


def test_keras_hubs_from_preset_gives_no_untrained_classes(classifier_preset):
    with pytest.raises(InputError, match="has no argument 'num_classes'"):
        keras_hub.models.TextClassifier.from_preset(classifier_preset, num_classes=2)


def test_from_preset_takes_arguments_that_the_weights_fit(classifier_preset):
    load = textrnn.TextClassifier.from_preset
    expected = load(classifier_preset).predict(["so dull"], verbose=0)
    regularized = textrnn.RecurrentEncoder(258, units=4, dropout=0.5)
    for given in ({"labels": ["bad", "good"], "ngrams": 2}, {"dropout": 0.5}, {"backbone": regularized}):
        np.testing.assert_array_equal(
            load(classifier_preset, **given).predict(["so dull"], verbose=0), expected
        )
    untrained = load(classifier_preset, load_weights=False, labels=["a", "b", "c"])
    assert untrained.predict(["so dull"], verbose=0).shape == (1, 3)
