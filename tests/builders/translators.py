"""Small translators and pairs that they learn in seconds."""

import keras
from builders.seeds import set_seed

import textrnn
from textrnn.tokenizers import train_tokenizer

SOURCES = ["one", "two", "three", "one two", "three one"]
TARGETS = ["un", "deux", "trois", "un deux", "trois un"]
PAIRS = {"encoder_text": SOURCES, "decoder_text": TARGETS}


def word_tokenizers():
    """A vocabulary of words for each side of `PAIRS`."""
    return [train_tokenizer("word", texts) for texts in (SOURCES, TARGETS)]


def make_translator(tokenizers, cell="gru", units=24, sampler=None, **options):
    """An untrained translator.

    Args:
        tokenizers: A list of one tokenizer for both sides, or of one per side.
        cell, units, **options: Arguments of `RecurrentSeq2Seq`.
        sampler: The default sampler.
    """
    sizes = [tokenizer.vocabulary_size() for tokenizer in tokenizers]
    backbone = textrnn.RecurrentSeq2Seq(*sizes, cell=cell, units=units, **options)
    preprocessor = textrnn.Seq2SeqLMPreprocessor(*tokenizers, decoder_sequence_length=16)
    return textrnn.Seq2SeqLM(backbone, preprocessor, sampler)


def trained(translator, epochs=25):
    """The translator after it has learned `PAIRS`."""
    set_seed(0)
    translator.compile(keras.optimizers.Adam(0.02, global_clipnorm=1.0))
    translator.fit({name: texts * 8 for name, texts in PAIRS.items()}, epochs=epochs, verbose=0)
    return translator
