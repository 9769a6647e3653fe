"""A small model of each task, with the options of layers that matter, over bytes."""

import numpy as np

import textrnn
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.tokenizers import ByteTokenizer

VOCABULARY = 258
NOISE = {
    "dropout": 0.1,
    "recurrent_dropout": 0.1,
    "weight_drop": 0.1,
    "zoneout": 0.1,
    "embedding_dropout": 0.1,
}


def language_model(dtype=None, **options):
    options = {
        **NOISE,
        "activation_regularization": 0.1,
        "temporal_activation_regularization": 0.1,
        **options,
    }
    backbone = textrnn.RecurrentBackbone(VOCABULARY, units=4, embedding_dim=3, dtype=dtype, **options)
    return textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer(), sequence_length=8))


def classifier(dtype=None, pooling="attention", ngrams=2, **options):
    backbone = textrnn.RecurrentEncoder(VOCABULARY, units=4, dtype=dtype, **{**NOISE, **options})
    return textrnn.TextClassifier(
        backbone, ["bad", "good"], TextClassifierPreprocessor(ByteTokenizer(), sequence_length=8),
        pooling=pooling, ngrams=ngrams, ngram_buckets=64,
    )  # fmt: skip


def translator(dtype=None, **options):
    options = options if options.get("input_feeding") else {**NOISE, **options}
    backbone = textrnn.RecurrentSeq2Seq(VOCABULARY, units=4, dtype=dtype, **options)
    preprocessor = textrnn.Seq2SeqLMPreprocessor(
        ByteTokenizer(), encoder_sequence_length=6, decoder_sequence_length=6
    )
    return textrnn.Seq2SeqLM(backbone, preprocessor)


MODELS = {
    "language model": language_model,
    "language model of a linear cell": lambda dtype=None: language_model(
        dtype, cell="rg_lru", recurrent_dropout=0.0, weight_drop=0.0
    ),
    "classifier with attention and n-grams": classifier,
    "classifier with the mean": lambda dtype=None: classifier(dtype, "mean", 0),
    "classifier with the maximum": lambda dtype=None: classifier(dtype, "max", 0),
    "classifier with the last state": lambda dtype=None: classifier(dtype, "last", 0),
    "translator": translator,
    "translator with input feeding": lambda dtype=None: translator(
        dtype, input_feeding=True, attention="additive"
    ),
}
"""Name -> function of a dtype policy."""

TASKS = {"language model": language_model, "classifier": classifier, "translator": translator}


def texts(model, rows=2):
    """Arguments of `fit` for a model of `MODELS`: texts, and the classes of a classifier."""
    if isinstance(model, textrnn.CausalLM):
        return (["to be or", "not to"] * (rows // 2),)
    if isinstance(model, textrnn.TextClassifier):
        return ["good", "not bad"] * (rows // 2), np.tile([0, 1], rows // 2)
    pairs = {"encoder_text": ["one", "two"], "decoder_text": ["un", "deux"]}
    return ({name: column * (rows // 2) for name, column in pairs.items()},)


def tokens(model):
    """Call arguments of a model of `MODELS`: two rows of tokens, with padding."""
    ids = np.array([[3, 70, 80, 90], [4, 75, 85, 0]], "int32")
    inputs = {"token_ids": ids, "padding_mask": ids > 0}
    if isinstance(model, textrnn.Seq2SeqLM):
        return {side + name: x for side in ("encoder_", "decoder_") for name, x in inputs.items()}
    return inputs
