"""Language models with the weights of another one, and other dropout or more subwords."""

import numpy as np

from textrnn.errors import expect
from textrnn.text_generation.backbone import RecurrentBackbone
from textrnn.text_generation.causal_lm import CausalLM
from textrnn.text_generation.preprocessor import CausalLMPreprocessor
from textrnn.tokenizers.sentencepiece import SPACE


def extend_vocabulary(lm, documents, pieces):
    r"""Make a language model that has more subwords: those of other texts that now take several tokens.

    The vector of a new subword is the mean of those of the tokens that it took before. All other weights are
    those of the model.

    Args:
        lm: A `textrnn.CausalLM` with a SentencePiece vocabulary.
        documents: The other texts.
        pieces: Number of subwords to add, at most; 0 for none.

    Returns:
        A `textrnn.CausalLM`; the same if no subword of the texts is missing.

    Raises:
        InputError: If the vocabulary of the model is of another kind.

    Example:

    >>> import textrnn
    >>> from textrnn.text_generation.variants import extend_vocabulary
    >>> from textrnn.tokenizers import SentencePieceTokenizer
    >>> tokenizer = SentencePieceTokenizer.train(["the cat sat on the mat\n"] * 9)
    >>> backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), units=4)
    >>> lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    >>> extended = extend_vocabulary(lm, ["the zebra saw the zebra\n"] * 9, pieces=3)
    >>> extended.backbone.vocabulary_size - lm.backbone.vocabulary_size
    3
    """
    if not pieces:
        return lm
    old = lm.preprocessor.tokenizer
    expect(
        hasattr(old, "extended"),
        f"the vocabulary of a {type(old).__name__} cannot be extended: start from a model with SentencePiece",
    )
    new = old.extended(documents, pieces)
    if new is old:
        return lm
    added = range(old.vocabulary_size(), new.vocabulary_size())
    parts = [old.tokenize(new.id_to_token(id).replace(SPACE, " ")).numpy() for id in added]
    options = lm.preprocessor.get_config()
    preprocessor = CausalLMPreprocessor(
        new, options["sequence_length"], options["add_start_token"], options["add_end_token"]
    )
    return _variant(lm, preprocessor, parts, vocabulary_size=new.vocabulary_size())


def with_dropout(lm, **rates):
    """Make a language model with the same weights and other rates of dropout.

    Args:
        lm: A `textrnn.CausalLM`.
        **rates: Arguments of `textrnn.RecurrentBackbone`, such as `dropout` and `weight_drop`.

    Returns:
        A `textrnn.CausalLM`.

    Example:

    >>> import textrnn
    >>> from textrnn.text_generation.variants import with_dropout
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=4))
    >>> with_dropout(lm, dropout=0.3).backbone.dropout
    0.3
    """
    return _variant(lm, lm.preprocessor, **rates)


def _variant(lm, preprocessor, added=(), **arguments):
    """A language model with other arguments of the backbone; `added` has the old tokens of each new one."""
    backbone = RecurrentBackbone.from_config(lm.backbone.get_config() | arguments)
    for target, source in zip(backbone.weights, lm.backbone.weights, strict=True):
        value = source.numpy()
        if target.shape != source.shape:
            axis = [a == b for a, b in zip(target.shape, source.shape, strict=True)].index(False)
            rows = [np.take(value, ids, axis).mean(axis) for ids in added]
            value = np.concatenate([value, np.stack(rows, axis)], axis)
        target.assign(value)
    return CausalLM(backbone, preprocessor, lm.default_sampler, lm.neural_cache)
