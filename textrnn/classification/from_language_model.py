"""Classifiers that start from a language model (ULMFiT, Howard & Ruder 2018, arXiv 1801.06146)."""

import keras

from textrnn import training
from textrnn.classification.backbone import RecurrentEncoder
from textrnn.data.token_streams import token_stream
from textrnn.data.windows import windows
from textrnn.errors import InputError

LEAST_STEPS = 20
"""Fewer updates than these are not worth the time of compiling them."""


def encoder_from(lm, **regularization):
    """Make the encoder of a classifier with the weights of a language model.

    It reads forwards, and its outputs are those of the last recurrent layer. The vectors of tokens have the
    scale in which the language model reads them.

    Args:
        lm: A `textrnn.CausalLM`.
        **regularization: Rates of dropout of `RecurrentEncoder` and its `dtype`; those of the language model
            by default.

    Returns:
        A `RecurrentEncoder`.

    Raises:
        InputError: If the layers of the language model differ in width.

    Example:

    >>> import numpy as np
    >>> import textrnn
    >>> from textrnn.classification.from_language_model import encoder_from
    >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=6, embedding_dim=4))
    >>> encoder = encoder_from(lm, dropout=0.4)
    >>> x = {"token_ids": np.array([[5, 6, 7]]), "padding_mask": np.ones((1, 3), bool)}
    >>> encoder(x).shape, encoder.dropout
    (TensorShape([1, 3, 6]), 0.4)
    """
    backbone = lm.backbone
    config = backbone.get_config()
    names = (
        *("vocabulary_size", "cell", "units", "num_layers", "embedding_dim", "strategy", "dropout"),
        *("recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout"),
    )
    if not isinstance(config["units"], int):
        raise InputError(
            f"the layers of the language model have {config['units']} units: a classifier starts from one "
            "whose layers have the same number"
        )
    arguments = {name: config[name] for name in names} | {"dtype": backbone.dtype_policy}
    encoder = RecurrentEncoder(**arguments | regularization, bidirectional=False)
    scale = backbone.embedding_dim**0.5
    encoder.token_embedding.embeddings.assign(backbone.token_embedding.embeddings * scale)
    for new, old in zip(encoder.stack.weights, backbone.stack.weights, strict=True):
        new.assign(old)
    return encoder


def layer_groups(classifier):
    """Return the layers of a classifier, the lowest first, for rates and unfreezing by depth.

    Args:
        classifier: A `textrnn.TextClassifier`.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.from_language_model import layer_groups
    >>> encoder = textrnn.RecurrentEncoder(9, units=4, num_layers=2)
    >>> groups = layer_groups(textrnn.TextClassifier(encoder, ["bad", "good"]))
    >>> [[layer.name for layer in group] for group in groups]
    [['token_embedding'], ['bidirectional_0'], ['bidirectional_1'], ['pooling', 'logits']]
    """
    backbone = classifier.backbone
    return [
        [backbone.token_embedding],
        *([layer] for layer in backbone.stack.recurrent_layers),
        [classifier.pooling, classifier.output_dense],
    ]


def adapt_to_texts(
    lm, texts, epochs, learning_rate=0.001, batch_size=32, sequence_length=64, seed=0, progress=None
):
    """Train a language model on the texts of a task, whose labels it does not need.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor, which is trained in place.
        texts: A list of str.
        epochs: Number of epochs.
        learning_rate: The peak of a slanted triangular schedule.
        batch_size, sequence_length: The windows; fewer rows are taken for few texts.
        seed: Seed of the windows.
        progress: A `textrnn.training.ProgressBar`.

    Returns:
        The number of updates. With too few texts it is 0, and the model stays as it is.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.from_language_model import adapt_to_texts
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> lm = textrnn.CausalLM(
    ...     textrnn.RecurrentBackbone(258, units=4), textrnn.CausalLMPreprocessor(ByteTokenizer()))
    >>> adapt_to_texts(lm, ["too short"], epochs=1)
    0
    """
    tokenizer = lm.preprocessor.tokenizer
    tokens = token_stream(tokenizer, texts)
    rows = min(batch_size, (len(tokens) - 1) * epochs // (LEAST_STEPS * sequence_length))
    if rows < 1:
        return 0
    data = windows(
        tokens,
        rows,
        sequence_length,
        restart_probability=0.05,
        start_token_id=tokenizer.start_token_id,
        boundary_token_ids=tokenizer.boundary_token_ids,
        seed=seed,
    )
    steps = len(data) * epochs
    rate = training.SlantedTriangular(learning_rate, steps)
    lm.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0))
    training.fit(
        lm, data, epochs=epochs, progress=progress or training.ProgressBar("tok", rows * sequence_length)
    )
    return steps
