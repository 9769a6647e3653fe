"""Saving, finding and loading presets: folders that `from_preset` reads."""

from textrnn.presets.closest import closest_starter, starter_advice
from textrnn.presets.loading import find_preset, load_preset, preset_task
from textrnn.presets.precision import in_weight_precision
from textrnn.presets.saving import replace_start, save_preset

__all__ = [
    "closest_starter",
    "find_preset",
    "in_weight_precision",
    "load_preset",
    "preset_task",
    "replace_start",
    "save_preset",
    "starter_advice",
]
