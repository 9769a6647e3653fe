"""The strategy of a backbone reaches its recurrent layers, and is saved."""

import keras
import pytest
from builders.tasks import TASKS

from textrnn.errors import InputError
from textrnn.layers import Recurrent


def recurrent_layers(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, Recurrent)]


@pytest.mark.parametrize("task", TASKS)
def test_the_strategy_of_a_backbone_is_that_of_its_layers_and_is_saved(task):
    backbone = TASKS[task](strategy="loop").backbone
    assert {layer.strategy for layer in recurrent_layers(backbone)} == {"loop"}
    config = keras.saving.serialize_keras_object(backbone)
    copy = keras.saving.deserialize_keras_object(config)
    assert {layer.strategy for layer in recurrent_layers(copy)} == {"loop"}
    del config["config"]["strategy"]  # as an earlier version wrote it
    earlier = keras.saving.deserialize_keras_object(config)
    assert {layer.strategy for layer in recurrent_layers(earlier)} == {"auto"}


@pytest.mark.parametrize("task", TASKS)
def test_an_unknown_strategy_is_refused(task):
    with pytest.raises(InputError, match="strategy is 'fast': use auto, loop, recompute, scan or fused"):
        TASKS[task](strategy="fast")
