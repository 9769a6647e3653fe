"""From logits to tokens: sampling, the generation loop, beam search.

The functions are pure, in `keras.ops`, so that `generate` in Python and an exported SavedModel run the same
code. None of them looks across rows: the result of a row is the same alone and in any batch.
"""

from textrnn.decoding.beam_search import Hypotheses, beam_search
from textrnn.decoding.beam_search_sampler import BeamSearchSampler
from textrnn.decoding.decoder import Decoder
from textrnn.decoding.loop import generate
from textrnn.decoding.neural_cache import NeuralCache
from textrnn.decoding.row_sampler import RowSampler
from textrnn.decoding.rowwise import rowwise
from textrnn.decoding.samplers import RowwiseSampler, complete
from textrnn.decoding.sampling import filter_logits, row_seeds, row_uniforms, sample

__all__ = [
    "BeamSearchSampler",
    "Decoder",
    "Hypotheses",
    "NeuralCache",
    "RowSampler",
    "RowwiseSampler",
    "beam_search",
    "complete",
    "filter_logits",
    "generate",
    "row_seeds",
    "row_uniforms",
    "rowwise",
    "sample",
]
