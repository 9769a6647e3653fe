"""Graphs that are traced once for all that run them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textrnn.cells.weights import splitter
from textrnn.private import in_stateless_scope


def shared_graph(function: Callable, specs: list) -> Callable:
    """Let several signatures call a function as one graph, so that it is traced and stored once.

    Args:
        function: A function of tensors.
        specs: Their `tf.TensorSpec`s.

    Returns:
        The function, to be called by others or eagerly.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.tasks.tracing import shared_graph
    >>> traces = []
    >>> double = shared_graph(lambda x: traces.append(x) or 2 * x, [tf.TensorSpec([None])])
    >>> double(tf.constant([1.0])).numpy().tolist(), double(tf.constant([2.0, 3.0])).numpy().tolist()
    ([2.0], [4.0, 6.0])
    >>> len(traces)
    1
    """
    import tensorflow as tf

    graphs: dict[Callable | None, Any] = {}  # one for each export, which has weights of its own

    def run(*inputs):
        # In this scope, each graph reads weights of its own, such as those stored in half precision.
        if in_stateless_scope():
            return function(*inputs)
        if splitter() not in graphs:
            graphs[splitter()] = tf.function(function, input_signature=specs, autograph=False)
        return graphs[splitter()](*inputs)

    return run


def graph_of_model(model, function: Callable, reduce_retracing: bool = False) -> Any:
    """Return a function that reads a model as a `tf.function`, the same one as long as its variables are.

    Args:
        model: A Keras model or layer, with which the graph is kept. There is one for each model. An export
            gets the function itself.
        function: A function of tensors that reads the weights of the model.
        reduce_retracing: As for `tf.function`, for inputs of many shapes.

    Example:

    >>> import keras
    >>> from textrnn.tasks.tracing import graph_of_model
    >>> layer = keras.layers.Dense(1)
    >>> layer.build((None, 1))
    >>> graph_of_model(layer, layer.call) is graph_of_model(layer, layer.call)
    True
    """
    import tensorflow as tf

    if splitter() is not None:  # an export, which has weights of its own
        return function
    variables = [id(weight) for weight in model.weights]
    known = getattr(model, "_kept_graph", None)
    if known is None or known.variables != variables:
        model._kept_graph = known = _Graph(
            variables, tf.function(function, autograph=False, reduce_retracing=reduce_retracing)
        )
    return known.run


@dataclass(frozen=True)
class _Graph:
    """Kept with a model. Keras would track a tuple or a dict."""

    variables: list
    run: Any
