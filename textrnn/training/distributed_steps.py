# mypy: disable-error-code="misc, attr-defined, has-type"
"""Training steps of which each worker computes its rows."""

from contextlib import contextmanager

import keras

from textrnn.errors import InputError, expect
from textrnn.training.distribution import workers


class DistributedSteps:
    """Mixin of models that train on several workers; it stands before `keras.Model` among the bases.

    In a process that trains alone it changes nothing. With `textrnn.training.distributed`, every worker calls
    `fit` and `evaluate` with the same data, in the same batches. Losses and metrics are those of the whole
    batch, and so is the gradient, which is clipped after the sum. `predict` runs on each worker alone.

    Noise, such as dropout, differs between workers. A penalty that a layer adds to the loss is averaged over
    workers by their share of the loss.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn import training
    >>> class Regression(training.DistributedSteps, keras.Sequential):
    ...     pass
    >>> model = Regression([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> with training.distributed("none"):
    ...     history = model.fit(np.ones((4, 1)), np.ones((4, 1)), verbose=0)
    """

    _stepped_with = None  # the workers with which steps were compiled

    @property
    def row_variables(self):
        """Variables of which each worker has its own rows: pairs with the number of rows of all workers."""
        return []

    @property
    def common_variables(self):
        """Variables that have the same value on all workers."""
        own = {id(variable) for variable, _ in self.row_variables}
        return [variable for variable in self.variables if id(variable) not in own]

    def fit(self, *args, **kwargs):
        """Train; see `keras.Model.fit`."""
        self._meet()
        if workers().size > 1:
            self.optimizer.build(self.trainable_variables)
            workers().broadcast([*self.common_variables, *self.optimizer.variables])
        return super().fit(*args, **kwargs)

    def evaluate(self, *args, **kwargs):
        """Evaluate; see `keras.Model.evaluate`."""
        self._meet()
        return super().evaluate(*args, **kwargs)

    def _meet(self):
        """Forget steps that were compiled with other workers."""
        if self._stepped_with is not workers():
            self._stepped_with = workers()
            self.train_function = self.test_function = None

    def make_train_function(self, force=False):
        """Compile the training step; see `keras.Model.make_train_function`."""
        with self._exchange_without_xla():
            return super().make_train_function(force)

    def make_test_function(self, force=False):
        """Compile the evaluation of a batch; see `keras.Model.make_test_function`."""
        with self._exchange_without_xla():
            return super().make_test_function(force)

    @contextmanager
    def _exchange_without_xla(self):
        """Within it, XLA is off for several workers: it compiles each worker's part, not the exchange."""
        jit_compile = self.jit_compile
        self.jit_compile = jit_compile and workers().size == 1
        try:
            yield
        finally:
            self.jit_compile = jit_compile

    def train_step(self, *args):
        """Update the weights once; see `keras.Model.train_step`."""
        return super().train_step(*args) if workers().size == 1 else _train_step(self, *args)

    def test_step(self, *args):
        """Evaluate a batch; see `keras.Model.test_step`."""
        return super().test_step(*args) if workers().size == 1 else _test_step(self, *args)


def check_model(model):
    """Refuse a model whose steps are not distributed, if there are several workers.

    Raises:
        InputError: If each worker would train the model alone.

    Example:

    >>> import keras
    >>> from textrnn.training.distributed_steps import check_model
    >>> check_model(keras.Sequential())
    """
    expect(
        workers().size == 1 or isinstance(model, DistributedSteps),
        f"{type(model).__name__} does not train on several workers: make it a subclass of "
        "textrnn.training.DistributedSteps and keras.Model",
    )


def _train_step(model, batch):
    import tensorflow as tf

    variables = model.trainable_variables
    with_gradient: list = []

    def compute(batch):
        with tf.GradientTape() as tape, _noise_of_this_worker(model):
            loss, befores, changes = _loss_and_metrics(model, batch, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, variables)
        with_gradient[:] = [v for g, v in zip(gradients, variables, strict=True) if g is not None]
        # Those of embeddings, which have a row for each token, become dense.
        return loss, befores, changes, [tf.convert_to_tensor(g) for g in gradients if g is not None]

    summed = _exchange(model, batch, *_compiled(model, compute)(batch))
    model.optimizer.apply_gradients(zip(summed, with_gradient, strict=True))
    return model.get_metrics_result()


def _test_step(model, batch):
    def compute(batch):
        return *_loss_and_metrics(model, batch, training=False), []

    _exchange(model, batch, *_compiled(model, compute)(batch))
    return model.get_metrics_result()


def _compiled(model, function):
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False) if model.jit_compile is True else function


def _loss_and_metrics(model, batch, training):
    """Return this worker's part of the loss, the values of the metrics' variables, and their changes."""
    import tensorflow as tf

    part, own = workers().take(batch)
    x, y, weights = keras.utils.unpack_x_y_sample_weight(part)
    y_pred = model(x, training=training)
    loss = model.compute_loss(x, y, y_pred, weights, training=training)
    share = own * tf.math.divide_no_nan(_mass(model.loss, part), _mass(model.loss, batch))

    def measure(y, y_pred, weights):
        return model.compute_metrics(None, y, y_pred, weights)

    # Metrics get their variables when they are first called. This call is traced, and never runs.
    specs = keras.tree.map_structure(_spec, (y, y_pred, weights))
    tf.function(measure, autograph=False).get_concrete_function(*specs)
    variables = _metric_variables(model)
    before = [tf.identity(v.value) for v in variables]
    measure(y, y_pred, weights)
    changes = [(v.value - old) * tf.cast(own, v.dtype) for v, old in zip(variables, before, strict=True)]
    return loss * tf.cast(share, loss.dtype), before, changes


def _exchange(model, batch, loss, befores, changes, gradients):
    """Update loss and metrics with the sums over all workers; return those of the gradients."""
    import tensorflow as tf

    values = [loss, *changes, *gradients]
    wide = tf.float64 if any(value.dtype == tf.float64 for value in values) else tf.float32
    sums = workers().sum([tf.cast(value, wide) for value in values])
    loss, *others = [tf.cast(total, value.dtype) for total, value in zip(sums, values, strict=True)]
    rows = tf.shape(next(x for x in keras.tree.flatten(batch) if x is not None))[0]
    _tracker(model).update_state(loss, sample_weight=rows)
    for variable, before, change in zip(_metric_variables(model), befores, others, strict=False):
        variable.assign(before + change)
    return others[len(changes) :]


def _metric_variables(model):
    """The variables of all metrics but the loss."""
    return [v for metric in model.metrics if metric is not _tracker(model) for v in metric.variables]


def _tracker(model):
    """The metric that is the mean loss."""
    return next(metric for metric in model.metrics if metric.name == "loss")


def _mass(loss, batch):
    """What the mean of a loss over a batch is divided by, up to a factor of the batch."""
    import tensorflow as tf

    _, _, weights = keras.utils.unpack_x_y_sample_weight(batch)
    reduction = getattr(loss, "reduction", "sum_over_batch_size")  # a loss by its name, such as "mse"
    if reduction == "mean_with_sample_weight" and weights is not None:
        return tf.reduce_sum(tf.cast(weights, "float32"))
    if reduction not in ("sum_over_batch_size", "mean", "mean_with_sample_weight"):
        raise InputError(f"the loss has reduction={reduction!r}: several workers take a mean; leave it out")
    return tf.cast(tf.shape(keras.tree.flatten(batch)[0])[0], "float32")


@contextmanager
def _noise_of_this_worker(model):
    """Within it, the model's seeds are this worker's own. After it, they are again the same on all."""
    import tensorflow as tf

    states = [v for v in model.variables if v.name == "seed_generator_state"]  # (seed, number of draws)
    seeds = [tf.identity(state.value[0]) for state in states]
    offset = workers().rank * 0x9E3779B1 % 2**31  # a large odd number, so that no two seeds are near
    for state, seed in zip(states, seeds, strict=True):
        state.assign(tf.stack([seed + tf.constant(offset, seed.dtype), state.value[1]]))
    yield
    for state, seed in zip(states, seeds, strict=True):
        state.assign(tf.stack([seed, state.value[1]]))


def _spec(x):
    import tensorflow as tf

    return x if x is None else tf.TensorSpec(x.shape, x.dtype)
