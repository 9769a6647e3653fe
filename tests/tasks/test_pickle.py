"""Tasks survive pickling, as Keras's models do, with their sampler and the state of their optimizer."""

import copy
import pickle

import keras
import numpy as np
from builders.language_models import make_lm

import textrnn
from textrnn.tokenizers import ByteTokenizer


def test_a_copy_predicts_and_trains_on_as_the_task_does():
    encoder = textrnn.RecurrentEncoder(258, "min_gru", units=2)
    task = textrnn.TextClassifier(encoder, ["a", "b"], textrnn.TextClassifierPreprocessor(ByteTokenizer()))
    task.compile(keras.optimizers.Adam(0.05))
    data = ["a", "b"], np.array([0, 1])
    task.fit(*data, verbose=0)
    again = pickle.loads(pickle.dumps(task))
    inputs = task.preprocessor(["ab"])
    np.testing.assert_allclose(again(inputs), task(inputs), rtol=1e-6)
    for one in (task, again):
        one.fit(*data, verbose=0)
    np.testing.assert_allclose(again(inputs), task(inputs), rtol=1e-5)


def test_a_copy_of_an_untrained_task_has_its_sampler():
    lm = make_lm("byte")
    lm.compile(sampler=textrnn.RowSampler(temperature=0.5))
    assert copy.deepcopy(lm).sampler.temperature == 0.5


def test_a_model_of_the_config_is_a_new_task():
    lm = make_lm("byte", temperature=0.5)
    new = textrnn.CausalLM.from_config(lm.get_config())
    assert new.sampler.temperature == 0.5
    assert not {id(weight) for weight in new.weights} & {id(weight) for weight in lm.weights}
    assert new.generate("to", max_length=5).startswith("to")
