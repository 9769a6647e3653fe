"""The sampler that seeds by row."""

import keras
from keras_hub.samplers import Sampler

from textrnn.errors import InputError


@keras.saving.register_keras_serializable(package="textrnn")
class RowSampler(Sampler):
    """Samples each row from its own stream of random numbers.

    A row's text depends on its prompt, its seed and these settings, and on nothing else in the batch. It
    is the sampler that is exported, and `textrnn.CausalLM`'s default.

    Args:
        temperature: float; 0 takes the likeliest token.
        top_k: int; sample among the `top_k` likeliest tokens; 0 for all.
        top_p: float; sample among the likeliest tokens that reach this probability; 1 for all.
        seed: int, or None to derive a row's seed from its prompt.

    Example:

    >>> textrnn.RowSampler(temperature=0.8, top_k=40).get_config()
    {'temperature': 0.8, 'top_k': 40, 'top_p': 1.0, 'seed': None}
    """

    def __init__(self, temperature=1.0, top_k=0, top_p=1.0, seed=None):
        super().__init__(temperature=temperature)
        if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
            raise InputError(
                "Expected temperature >= 0, top_k >= 0 and 0 < top_p <= 1. "
                f"Received: temperature={temperature}, top_k={top_k}, top_p={top_p}"
            )
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed

    def get_next_token(self, probabilities):
        """KerasHub's interface hands over no seeds, so the model has to run this sampler's own loop."""
        raise NotImplementedError(
            "RowSampler needs the row seeds that textrnn.CausalLM passes it; with other models use one of "
            "keras_hub.samplers."
        )

    def get_config(self):
        """Returns the arguments of the constructor."""
        return {
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "seed": self.seed,
        }
