"""Translators that start from language models (Ramachandran et al. 2017, arXiv 1611.02683)."""

import functools

import numpy as np

from textrnn.cells.base import output_size_of
from textrnn.errors import expect, warn
from textrnn.presets import load_preset, starter_advice
from textrnn.tokenizers.familiarity import unfamiliar_text_warnings
from textrnn.translation.backbone import RecurrentSeq2Seq


def load_language_models(presets, sides, dtype=None):
    """Load the language models of both sides, and warn of texts in another language than that of their model.

    Args:
        presets: Those of the source and of the target model; None for a side without one.
        sides: The training texts of both sides, lists of str.
        dtype: The precision; see `textrnn.presets.load_preset`.

    Returns:
        A list of two `textrnn.CausalLM` or None.

    Raises:
        InputError: If there is no such preset, or if it is not of a language model.

    Example:

    >>> from textrnn.translation.from_language_models import load_language_models
    >>> load_language_models((None, None), (["a cat"], ["eine Katze"]))
    [None, None]
    """
    import textrnn  # a task imports no other one

    found = [preset and load_preset(preset, textrnn.CausalLM, dtype=dtype) for preset in presets]
    options = ("--encoder_from", "--decoder_from")
    for lm, preset, texts, option in zip(found, presets, sides, options, strict=True):
        otherwise = f"Give {option} a model of the language of these texts, or leave it out"
        advice = functools.partial(starter_advice, task=textrnn.CausalLM, option=option, otherwise=otherwise)
        tokenizer = lm and lm.preprocessor.tokenizer
        for warning in unfamiliar_text_warnings(tokenizer, texts, preset, advice) if lm else []:
            warn(warning)
    return found


def backbone_from(source_lm=None, target_lm=None, vocabulary_sizes=(None, None), **arguments):
    """Make the network of a translator with the weights of language models.

    The encoder gets the source vectors, and the forward direction of its first layer is that of the source
    model. The decoder gets the target vectors and the layers of the target model, and attention adds to what
    the model would predict. Everything else is random: the backward direction, higher layers of the encoder,
    the map of its states to those of the decoder, and attention.

    Args:
        source_lm, target_lm: `textrnn.CausalLM` of both languages; None for a side that starts from random
            weights.
        vocabulary_sizes: For such a side, the size of its vocabulary.
        **arguments: Of `RecurrentSeq2Seq`; those that the models determine are replaced.

    Returns:
        A `RecurrentSeq2Seq`.

    Raises:
        InputError: If the models differ in the number of layers, if the layers of a model differ in width,
            or with `input_feeding`.

    Example:

    >>> import textrnn
    >>> from textrnn.translation.from_language_models import backbone_from
    >>> german = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=6, embedding_dim=4))
    >>> backbone = backbone_from(target_lm=german, vocabulary_sizes=(12, None), units=5)
    >>> backbone.units, backbone.decoder_units, backbone.vocabulary_size, backbone.target_vocabulary_size
    (5, 6, 12, 9)
    """
    expect(
        not arguments.get("input_feeding"),
        "input_feeding: the layers of a language model do not read the output of attention; leave it out",
    )
    sizes = list(vocabulary_sizes)
    for side, lm in enumerate((source_lm, target_lm)):
        if lm is not None:
            config = lm.backbone.get_config()
            expect(
                isinstance(config["units"], int),
                f"the layers of the language model have {config['units']} units: give one whose layers have "
                "the same number",
            )
            sizes[side] = config["vocabulary_size"]
            names = ("decoder_cell", "decoder_units") if side else ("cell", "units")
            arguments |= dict(zip(names, (config["cell"], config["units"]), strict=True))
            arguments["num_layers"] = config["num_layers"]
            if side:
                arguments |= {name: config[name] for name in ("residual", "tie_embeddings")}
            shared = not side and target_lm is None and sizes[1] is None
            name = "embedding_dim" if side or shared else "source_embedding_dim"
            arguments[name] = config["embedding_dim"]
    if source_lm is not None and target_lm is not None:
        found = [lm.backbone.num_layers for lm in (source_lm, target_lm)]
        expect(
            found[0] == found[1],
            f"the language models have {found[0]} and {found[1]} layers: give two that have the same number",
        )
    backbone = RecurrentSeq2Seq(*sizes, **arguments)
    if source_lm is not None:
        backbone.source_embedding.embeddings.assign(source_lm.backbone.token_embedding.embeddings)
        first = source_lm.backbone.stack.recurrent_layers[0]
        _copy(first, backbone.encoder.recurrent_layers[0].forward_layer)
    if target_lm is not None:
        _copy(target_lm.backbone.token_embedding, backbone.target_embedding)
        _copy(target_lm.backbone.stack, backbone.decoder.stack)
        _keep_predictions(target_lm.backbone, backbone.decoder)
    return backbone


def _copy(source, target):
    for new, old in zip(target.weights, source.weights, strict=True):
        new.assign(old)


def _keep_predictions(backbone, decoder):
    """Let the output of the decoder begin as the projection of the language model, apart from its tanh."""
    projection = backbone.output_projection
    width = output_size_of(decoder.stack.cells[-1])
    kernel = decoder.combine.kernel.numpy()
    kernel[:width] = np.eye(width) if projection is None else projection.kernel.numpy()
    decoder.combine.kernel.assign(kernel)
