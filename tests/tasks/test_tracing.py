"""Graphs are traced once for all that run them, and again where they would read other weights."""

import keras
import tensorflow as tf

from textrnn.cells.weights import blocks, weights_split_by
from textrnn.tasks.tracing import graph_of_model, shared_graph


def value(tensor):
    return tensor.numpy().item()


def test_a_shared_graph_is_traced_once_and_read_with_other_weights_where_these_are_given():
    layer, traced = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"), []
    layer.build((None, 1))

    def twice(x):
        traced.append(x)
        return 2 * layer(x)

    shared = shared_graph(twice, [tf.TensorSpec([None, 1])])
    first, second = (tf.function(lambda x, by=by: by * shared(x), autograph=False) for by in (1.0, 10.0))
    x = tf.constant([[3.0]])
    assert (value(first(x)), value(second(x)), len(traced)) == (6.0, 60.0, 1)
    layer.kernel.assign([[5.0]])
    assert value(first(x)) == 30.0

    def with_another_weight(x):
        with keras.StatelessScope([(layer.kernel, tf.constant([[7.0]]))]):
            return shared(x)

    assert value(tf.function(with_another_weight, autograph=False)(x)) == 42.0
    assert value(first(x)) == 30.0


def test_a_graph_of_a_model_reads_its_present_weights_and_is_made_anew_for_other_variables():
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    layer.build((None, 1))
    x = tf.constant([[3.0]])
    graph = graph_of_model(layer, layer.call)
    assert value(graph(x)) == 3.0
    layer.kernel.assign([[5.0]])
    assert graph_of_model(layer, layer.call) is graph and value(graph(x)) == 15.0
    layer.enable_lora(1)
    layer.lora_kernel_a.assign([[1.0]])
    layer.lora_kernel_b.assign([[2.0]])
    assert value(graph_of_model(layer, layer.call)(x)) == 21.0


def test_graphs_of_an_export_read_its_blocks_and_no_others_do():
    weight, model = keras.Variable([[1.0, 2.0]]), keras.layers.Dense(1)
    model.build((None, 1))

    def second_block(x):
        return x + blocks(weight, ["input", "forget"], "float32")["forget"]

    shared = shared_graph(second_block, [tf.TensorSpec([1, 1])])
    x = tf.constant([[0.0]])
    assert value(shared(x)) == value(graph_of_model(model, second_block)(x)) == 2.0
    for stored in (5.0, 7.0):
        with weights_split_by(lambda weight, count, stored=stored: [tf.constant([[stored]])] * count):
            assert value(shared(x)) == value(graph_of_model(model, second_block)(x)) == stored
    with weights_split_by(lambda weight, count: None):
        assert value(shared(x)) == 2.0
    assert value(shared(x)) == value(graph_of_model(model, second_block)(x)) == 2.0
