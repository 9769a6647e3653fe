"""From logits to tokens: sampling, the generation loop, beam search. Pure functions of tensors."""

from textrnn.decoding.beam_search import BeamSearchSampler, Hypotheses, beam_search
from textrnn.decoding.loop import generate
from textrnn.decoding.samplers import RowSampler
from textrnn.decoding.sampling import filter_logits, row_seeds, row_uniforms, sample

__all__ = [
    "BeamSearchSampler",
    "Hypotheses",
    "RowSampler",
    "beam_search",
    "filter_logits",
    "generate",
    "row_seeds",
    "row_uniforms",
    "sample",
]
