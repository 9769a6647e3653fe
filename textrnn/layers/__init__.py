"""Layers that run cells over time, stacks of them, attention, pooling and regularizers."""

from textrnn.cells import gated as _gated  # noqa: F401  Keras then knows the cells, so saved models load.
from textrnn.layers.activation_regularization import (
    ActivationRegularization,
    TemporalActivationRegularization,
)
from textrnn.layers.attention import GlobalAttention
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.pooling import SequencePooling
from textrnn.layers.recurrent import Recurrent
from textrnn.layers.stack import BidirectionalStack, RecurrentStack

__all__ = [
    "ActivationRegularization",
    "BidirectionalStack",
    "EmbeddingDropout",
    "GlobalAttention",
    "Recurrent",
    "RecurrentStack",
    "SequencePooling",
    "TemporalActivationRegularization",
]
