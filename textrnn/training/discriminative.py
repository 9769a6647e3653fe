"""Discriminative fine-tuning: lower learning rates for lower layers (Howard & Ruder 2018)."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from textrnn.errors import expect

FACTOR = 2.6
"""The ratio of the rates of neighbouring layers, from the paper."""


def discriminative_rates(groups: Sequence[Sequence[keras.layers.Layer]], factor: float = FACTOR):
    """Return the rates of layers relative to that of the highest ones.

    Args:
        groups: Layers from the input to the output; those of a group share a rate.
        factor: By how much the rate of a group is below that of the next higher one; 1 for equal rates.

    Returns:
        A dict from paths of variables to numbers, for `Discriminative`.

    Raises:
        InputError: If the factor is below 1.

    Example:

    >>> import keras
    >>> from textrnn.training import discriminative_rates
    >>> low, high = (keras.layers.Dense(1, use_bias=False, name=name) for name in ("low", "high"))
    >>> _ = keras.Sequential([keras.Input((1,)), low, high])
    >>> {path.split("/")[-2]: round(rate, 3) for path, rate in discriminative_rates([[low], [high]]).items()}
    {'high': 1.0, 'low': 0.385}
    """
    expect(
        factor >= 1, f"factor is {factor}: give at least 1, by how much the rate of a lower layer is lower"
    )
    return {
        variable.path: float(factor**-depth)
        for depth, layers in enumerate(reversed(groups))
        for layer in layers
        for variable in layer.trainable_variables
    }


class Discriminative:
    """Mixin of optimizers with a rate for each variable (Howard & Ruder 2018, arXiv 1801.06146, section 3.2).

    It stands before a Keras optimizer among the bases. Updates and weight decay of a variable are those of
    the optimizer with its learning rate times the rate of the variable.

    Args:
        *args: Arguments of the optimizer.
        rates: A dict from paths of variables to their rates; others have the rate 1. Or the rates of all
            trainable variables in their order, which is how they are saved: another process may have other
            paths.
        **kwargs: Arguments of the optimizer.

    Raises:
        InputError: When it is built, if a path is that of no variable, or the number of rates is another one.
    """

    weight_decay: Any

    def __init__(self, *args: Any, rates: Mapping[str, float] | Sequence[float] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rates = dict(rates or {}) if isinstance(rates, Mapping | None) else list(rates)

    def build(self, variables):
        """Create the variables of the optimizer; see `keras.optimizers.Optimizer.build`."""
        if not self.built:  # type: ignore[attr-defined]
            self._of_variables = self._in_order(variables)
        super().build(variables)  # type: ignore[misc]

    def _in_order(self, variables):
        """The rates of variables, in their order."""
        if isinstance(self.rates, dict):
            unknown = self.rates.keys() - {variable.path for variable in variables}
            expect(
                not unknown,
                f"there are rates of {', '.join(sorted(unknown))}, which the optimizer is not to train: "
                "build it before layers are frozen, with the paths of this model",
            )
            return [self.rates.get(variable.path, 1.0) for variable in variables]
        expect(
            len(self.rates) == len(variables),
            f"there are {len(self.rates)} rates for {len(variables)} trainable variables: give a dict of "
            "paths, or the rates of all of them; load a model whose layers were frozen with compile=False",
        )
        return self.rates

    def update_step(self, gradient, variable, learning_rate):
        """Update a variable with its own learning rate."""
        rate = ops.cast(self._rate(variable), learning_rate.dtype)
        super().update_step(gradient, variable, learning_rate * rate)  # type: ignore[misc]

    def _rate(self, variable):
        return self._of_variables[self._get_variable_index(variable)]  # type: ignore[attr-defined]

    def _apply_weight_decay(self, variables):
        # Keras decays by the product of both, and knows one of each for all variables.
        decay = self.weight_decay
        try:
            for variable in variables:
                self.weight_decay = decay and decay * self._rate(variable)
                super()._apply_weight_decay([variable])  # type: ignore[misc]
        finally:
            self.weight_decay = decay

    def get_config(self):
        """Return the arguments of the constructor."""
        rates = self._of_variables if self.built else self.rates  # type: ignore[attr-defined]
        return super().get_config() | {"rates": rates}  # type: ignore[misc]


@keras.saving.register_keras_serializable(package="textrnn")
class DiscriminativeSGD(Discriminative, keras.optimizers.SGD):
    """Stochastic gradient descent with a learning rate for each variable; see `DiscriminativeAdam`."""


@keras.saving.register_keras_serializable(package="textrnn")
class DiscriminativeAdam(Discriminative, keras.optimizers.Adam):
    """Adam with a learning rate for each variable.

    Args:
        *args: As for `keras.optimizers.Adam`.
        rates: As for `Discriminative`; `discriminative_rates` makes them.
        **kwargs: As for `keras.optimizers.Adam`, `weight_decay` among them.

    Example: a rate of 0 leaves a weight as it is.

    >>> import keras, numpy as np
    >>> from textrnn.training import DiscriminativeAdam
    >>> layer = keras.layers.Dense(1)
    >>> model = keras.Sequential([keras.Input((1,)), layer])
    >>> model.compile(DiscriminativeAdam(0.1, rates={layer.kernel.path: 0.0}), "mse")
    >>> before = layer.kernel.numpy()
    >>> _ = model.fit(np.ones((4, 1)), np.full((4, 1), 9.0), verbose=0)
    >>> bool(layer.kernel.numpy() == before), round(float(layer.bias.numpy()[0]), 3)
    (True, 0.1)
    """


def discriminative_optimizer(
    groups, learning_rate, factor=FACTOR, optimizer="adam", weight_decay=0.0, clipnorm=1.0
):
    """Make an optimizer with lower learning rates for lower layers.

    Args:
        groups, factor: As for `discriminative_rates`.
        learning_rate: The rate of the highest layers, a float or a schedule.
        optimizer: `"adam"` or `"sgd"`.
        weight_decay: Weight decay, times the learning rate; 0 for none.
        clipnorm: Maximum global norm of the gradients; 0 for none.

    Returns:
        A `DiscriminativeAdam` or a `DiscriminativeSGD`.

    Example:

    >>> import textrnn
    >>> from textrnn.training import discriminative_optimizer
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=4))
    >>> optimizer = discriminative_optimizer(lm.layer_groups, 0.1, factor=2)
    >>> {path.rpartition("/")[2]: rate for path, rate in optimizer.rates.items()}
    {'embeddings': 1.0, 'kernel': 0.5, 'recurrent_kernel': 0.5, 'bias': 0.5}
    """
    return {"adam": DiscriminativeAdam, "sgd": DiscriminativeSGD}[optimizer](
        learning_rate,
        rates=discriminative_rates(groups, factor),
        weight_decay=weight_decay or None,
        global_clipnorm=clipnorm,
    )
