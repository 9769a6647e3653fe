"""Constructors refuse arguments that they do not have, and name the nearest one."""

import pytest

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
