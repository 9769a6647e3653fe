"""Cells over time: one layer, stacks of it, and the strategies by which a recurrence runs."""

from textrnn.layers.recurrent import Recurrent
from textrnn.layers.stack import RecurrentStack

__all__ = ["Recurrent", "RecurrentStack"]
