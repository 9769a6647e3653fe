"""Cells over time: one layer, stacks of it, how a recurrence runs, and what regularises it."""

from textrnn.layers.activation_regularization import (
    ActivationRegularization,
    TemporalActivationRegularization,
)
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.pooling import SequencePooling
from textrnn.layers.recurrent import Recurrent
from textrnn.layers.stack import RecurrentStack

__all__ = [
    "ActivationRegularization",
    "EmbeddingDropout",
    "Recurrent",
    "RecurrentStack",
    "SequencePooling",
    "TemporalActivationRegularization",
]
