"""Misspelt arguments are errors and not ignored."""

import pytest

import textrnn
from textrnn import layers
from textrnn.training.losses import TokenCrossentropy

CELL = textrnn.GatedCell(4, "gru")


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (layers.Recurrent, [CELL]),
        (layers.RecurrentStack, [[CELL]]),
        (layers.BidirectionalStack, [[CELL]]),
        (layers.GlobalAttention, []),
        (layers.SequencePooling, []),
        (layers.EmbeddingDropout, [0.1, 5]),
        (layers.ActivationRegularization, [1.0]),
        (layers.TemporalActivationRegularization, [1.0]),
        (TokenCrossentropy, []),
    ],
)
def test_unknown_arguments_are_refused(make, arguments):
    make(*arguments)
    with pytest.raises((TypeError, ValueError), match="recurent_dropout"):
        make(*arguments, recurent_dropout=0.5)
