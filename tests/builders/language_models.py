"""Small language models with a tokenizer."""

import textrnn
from textrnn.tokenizers import train_tokenizer

TEXT = "the cat sat on the mat.\nthe dog ate the cat's hat, and that was that.\n" * 20


def make_lm(tokenizer="sentencepiece", cell="lstm", num_layers=2, **sampler):
    """An untrained language model with large weights, so that its logits differ.

    Args:
        tokenizer: A kind of tokenizer, trained on `TEXT`.
        cell, num_layers: Arguments of `RecurrentBackbone`.
        **sampler: Arguments of `RowSampler`.
    """
    trained = train_tokenizer(tokenizer, [TEXT], 280 if tokenizer == "sentencepiece" else None)
    backbone = textrnn.RecurrentBackbone(trained.vocabulary_size(), cell=cell, units=8, num_layers=num_layers)
    for weight in backbone.trainable_variables:
        weight.assign(weight * 3)
    preprocessor = textrnn.CausalLMPreprocessor(trained)
    return textrnn.CausalLM(backbone, preprocessor, sampler=textrnn.RowSampler(**sampler))
