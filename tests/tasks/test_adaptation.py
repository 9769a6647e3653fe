"""Models are quantized and adapted by LoRA, and saved so."""

import numpy as np
import pytest
from builders.tasks import TASKS, texts, tokens

import textrnn
from textrnn.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")


def outputs(model):
    return np.asarray(model(tokens(model)))


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=pytest.mark.slow if task == "translator" else []) for task in TASKS]
)
def test_a_quantized_model_answers_nearly_as_before_and_its_preset_does_the_same(task, tmp_path):
    model = TASKS[task]()
    before = outputs(model)
    model.quantize("int8")
    after = outputs(model)
    assert (after != before).any()
    np.testing.assert_allclose(after, before, atol=0.05 * np.abs(before).max())
    model.save_to_preset(str(tmp_path))
    np.testing.assert_array_equal(outputs(type(model).from_preset(str(tmp_path))), after)


ADAPTED = {
    "language model": {"token_embedding", "output_projection"},
    "classifier": {"token_embedding", "pooling", "logits"},  # two are no part of the backbone
    "translator": {"target_embedding", "combine", "bridge_0_0", "bridge_0_1"},
}


@pytest.mark.parametrize("task", TASKS)
def test_lora_trains_adapters_of_embeddings_and_projections_alone(task, tmp_path):
    model = TASKS[task]()
    frozen = {w.path: np.array(w) for w in model.trainable_variables}
    model.backbone.enable_lora(2)
    assert {w.path.split("/")[-2] for w in model.trainable_variables} == ADAPTED[task]
    before = outputs(model)
    model.compile(run_eagerly=True)
    model.fit(*texts(model), batch_size=2, epochs=2, verbose=0)
    assert (outputs(model) != before).any()
    unchanged = [w for w in model.non_trainable_variables if w.path in frozen]
    assert len(unchanged) >= 4
    assert all((np.array(w) == frozen[w.path]).all() for w in unchanged)
    model.save_to_preset(str(tmp_path))
    loaded = type(model).from_preset(str(tmp_path))
    np.testing.assert_allclose(outputs(loaded), outputs(model), atol=1e-6)


def test_layers_that_lora_cannot_adapt_are_refused(tmp_path):
    backbone = textrnn.RecurrentBackbone(9, units=4, embedding_dim=3)
    for names, message in (
        ("stack", r"is \['stack'\]: choose among"),
        (["stack"], "choose among the layers that Keras can adapt, .*token_embedding.* cannot adapt stack"),
        ([], r"target_layer_names is \[\]: choose among"),
    ):
        with pytest.raises(InputError, match=message):
            backbone.enable_lora(2, target_layer_names=names)
    assert backbone.trainable_variables
    backbone.enable_lora(2)
    with pytest.raises(InputError, match=r"adapts token_embedding.*use save_to_preset"):
        backbone.save_lora_weights(str(tmp_path / "model.lora.h5"))


def test_adapters_of_projections_are_saved_by_kerashub(tmp_path):
    file = str(tmp_path / "model.lora.h5")
    first, second = (textrnn.RecurrentBackbone(9, units=4, embedding_dim=3) for _ in range(2))
    for backbone in (first, second):
        backbone.enable_lora(2, "output_projection")  # one name stands for a list of it
    first.output_projection.lora_kernel_b.assign(first.output_projection.lora_kernel_b + 1)
    first.save_lora_weights(file)
    second.load_lora_weights(file)
    np.testing.assert_array_equal(
        second.output_projection.lora_kernel_b, first.output_projection.lora_kernel_b
    )
