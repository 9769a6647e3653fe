"""A task that generates text has one sampler: that of `generate`, of exports and of presets."""

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from builders.eagerly import functions_run_eagerly
from builders.language_models import make_lm
from builders.translators import make_translator

import textrnn
from textrnn.tasks.registry import python_functions, signatures_of
from textrnn.tokenizers import ByteTokenizer

TASKS = {
    "lm": lambda: make_lm("byte"),
    "translator": lambda: make_translator((ByteTokenizer(),) * 2, units=4),
}
SAMPLERS = [
    "greedy",
    keras_hub.samplers.TopKSampler(k=3, seed=5, temperature=0.5),
    textrnn.RowSampler(temperature=0.3, seed=4),
    textrnn.BeamSearchSampler(num_beams=2, length_penalty=0.5),
]


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    return TASKS[request.param]()


def set_in_compile(task, sampler):
    task.compile(sampler=sampler)


def set_as_default(task, sampler):
    task.default_sampler = sampler


@pytest.mark.parametrize("set_sampler", [set_in_compile, set_as_default])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=["greedy", "top_k", "rows", "beams"])
def test_a_preset_keeps_the_sampler_that_was_set(task, sampler, set_sampler, tmp_path):
    set_sampler(task, sampler)
    expected = keras_hub.samplers.get(sampler)
    assert task.sampler is task.default_sampler
    task.save_to_preset(str(tmp_path))
    loaded = type(task).from_preset(str(tmp_path))
    for found in (loaded.sampler, loaded.default_sampler):
        assert type(found) is type(expected)
        assert found.get_config() == expected.get_config()


def test_compiling_again_keeps_the_sampler(task):
    sampler = textrnn.RowSampler(temperature=0.25)
    task.compile(sampler=sampler)
    task.compile()
    assert task.sampler is sampler


def test_from_preset_takes_another_sampler_for_an_uncompiled_task(task, tmp_path):
    task.save_to_preset(str(tmp_path))
    loaded = type(task).from_preset(str(tmp_path), sampler="greedy", compile=False)
    assert isinstance(loaded.default_sampler, keras_hub.samplers.GreedySampler)


def test_exports_sample_as_a_sampler_of_kerashub_does_without_its_ops(task):
    task.compile(sampler="greedy")
    function, specs = signatures_of(task)["serving_default"]
    traced = tf.function(function, specs, autograph=False).get_concrete_function()
    functions = traced.graph.as_graph_def().library.function
    assert not [node.op for f in functions for node in f.node_def if node.op.startswith("Xla")]
    text = tf.constant(["abc", "d"])
    task.compile(sampler=textrnn.RowSampler(temperature=0))
    with functions_run_eagerly():
        expected = python_functions(task)["serving_default"](text=text)["text"]
    assert traced(text)["text"].numpy().tolist() == expected.numpy().tolist()


NO_TEXTS = tf.constant([], tf.string)
EMPTY = {
    "list": [],
    "tuple": (),
    "tensor": NO_TEXTS,
    "array": np.array([], "U1"),
    "data set": tf.data.Dataset.from_tensor_slices(["a"]).take(0).batch(2),
    "data set with an empty batch": tf.data.Dataset.from_tensors(NO_TEXTS),
}


@pytest.mark.parametrize("prompts", EMPTY.values(), ids=EMPTY)
def test_no_prompts_give_no_texts(task, prompts):
    assert task.generate(prompts) == []
    assert task.generate(prompts, max_length=5) == []
    if isinstance(task, textrnn.CausalLM):
        assert task.generate(prompts, stop="end") == []


def test_no_texts_in_a_dict_give_no_translations():
    translator = TASKS["translator"]()
    assert translator.generate({"encoder_text": []}) == []
    assert translator.generate({"encoder_text": NO_TEXTS, "decoder_text": NO_TEXTS}) == []


def test_every_form_of_prompts_gives_the_same_texts(task):
    task.compile(run_eagerly=True, sampler=textrnn.RowSampler(temperature=0))
    texts = [task.generate(prompt, max_length=7) for prompt in ("abc", "d")]
    for single in (b"abc", np.array("abc"), np.array(b"abc", object), tf.constant("abc")):
        assert task.generate(single, max_length=7) == texts[0]
    tensor = tf.constant(["abc", "d"])
    rows = tf.data.Dataset.from_tensor_slices(tensor)
    for several in ([b"abc", b"d"], ("abc", b"d"), np.array(["abc", "d"]), tensor, rows, rows.batch(1)):
        assert task.generate(several, max_length=7) == texts
    assert task.generate("a\ud83d", max_length=7) == task.generate("a\ufffd", max_length=7)
    if isinstance(task, textrnn.CausalLM):
        made = [task.generate(prompt, max_length=7, stop="x") for prompt in ("abc", b"abc")]
        for stop in ("x", ()):
            assert task.generate("a\ud83d", max_length=7, stop=stop).startswith("a\ufffd")
    else:
        made = [
            task.generate({"encoder_text": source, "decoder_text": target}, max_length=7)
            for source, target in (("abc", "d"), (b"abc", b"d"))
        ]
    assert made[0] == made[1]
