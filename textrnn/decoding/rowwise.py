"""Samplers of KerasHub as samplers that treat rows independently."""

from keras_hub import samplers

from textrnn.decoding.beam_search_sampler import BeamSearchSampler
from textrnn.decoding.row_sampler import RowSampler

EQUIVALENTS = {
    samplers.GreedySampler: lambda _: RowSampler(temperature=0),
    samplers.RandomSampler: lambda own: RowSampler(own.temperature),
    samplers.TopKSampler: lambda own: RowSampler(own.temperature, top_k=own.k),
    samplers.TopPSampler: lambda own: RowSampler(own.temperature, top_k=own.k or 0, top_p=own.p),
    samplers.BeamSampler: lambda own: BeamSearchSampler(own.num_beams, length_penalty=0.0),
}
"""For each class of KerasHub, a function of a sampler that returns one of this package."""


def rowwise(sampler):
    """Return the sampler of this package that samples as one of KerasHub does.

    KerasHub's samplers share random numbers between rows, and a stock TF Serving lacks an op of their loops.

    Args:
        sampler: Any sampler.

    Returns:
        A `RowwiseSampler`; the sampler itself if it has no equivalent.

    Example:

    >>> import keras_hub
    >>> from textrnn.decoding.rowwise import rowwise
    >>> rowwise(keras_hub.samplers.TopKSampler(k=5, temperature=0.7)).get_config()
    {'temperature': 0.7, 'top_k': 5, 'top_p': 1.0, 'seed': None}
    """
    equivalent = EQUIVALENTS.get(type(sampler))
    return equivalent(sampler) if equivalent else sampler
