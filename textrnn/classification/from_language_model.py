"""Classifiers that start from a language model (ULMFiT, Howard & Ruder 2018, arXiv 1801.06146)."""

from pathlib import Path

import keras

from textrnn import training
from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.data.documents import read_documents
from textrnn.data.tables import is_table
from textrnn.data.token_streams import token_stream
from textrnn.errors import expect
from textrnn.serving.texts import given_texts

LEAST_STEPS = 20
"""Fewer updates than these are not worth the time of compiling them."""


def unlabelled_texts(path, encoding=None, include=None, text_column="text", no_header=False):
    r"""Read texts without labels, to which a language model is adapted.

    Args:
        path: A folder of texts, a file with a text per line, a table, or None.
        encoding, include, text_column, no_header: As for `textrnn.data.sources.load_labelled_texts`.

    Returns:
        A list of str; empty for None.

    Raises:
        InputError: If the file or the folder cannot be read.

    Example:

    >>> import pathlib, tempfile
    >>> from textrnn.classification.from_language_model import unlabelled_texts
    >>> path = pathlib.Path(tempfile.mkdtemp(), "more.txt")
    >>> _ = path.write_text("So dull.\nA joy.\n")
    >>> unlabelled_texts(path)
    ['So dull.', 'A joy.']
    """
    if path is None:
        return []
    if Path(path).is_dir():
        return [text for _, text in read_documents(path, encoding, include)]
    table = is_table(path)  # of lines, there is no column to choose
    column = text_column if table and text_column != "text" else None
    return list(
        given_texts(file=path, text_column=column, no_header=table and no_header, encoding=encoding).texts
    )


def expect_equal_layers(units):
    """Raise an InputError if the layers of a language model, of these units, are not equally wide."""
    expect(
        isinstance(units, int),
        f"the layers of the language model have {units} units: a classifier starts from one whose layers "
        "have the same number",
    )


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
        *("recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout", "residual"),
    )
    expect_equal_layers(config["units"])
    arguments = {name: config[name] for name in names} | {"dtype": backbone.dtype_policy}
    encoder = RecurrentEncoder(**arguments | regularization, bidirectional=False)
    scale = backbone.embedding_dim**0.5
    encoder.token_embedding.embeddings.assign(backbone.token_embedding.embeddings * scale)
    for new, old in zip(encoder.stack.weights, backbone.stack.weights, strict=True):
        new.assign(old)
    return encoder


def classifier_from(lm, labels, max_tokens=512, dropout=0.4, **regularization):
    """Make a classifier from a language model: its tokenizer and layers, and concat pooling.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.
        labels: A list of str.
        max_tokens: int. Texts are truncated to this many tokens.
        dropout: float. Dropout rate of the inputs of each layer and of the pooled features.
        **regularization: Others of `encoder_from`.

    Returns:
        A `textrnn.TextClassifier`, whose output layer is random.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.from_language_model import classifier_from
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> lm = textrnn.CausalLM(
    ...     textrnn.RecurrentBackbone(258, units=4), textrnn.CausalLMPreprocessor(ByteTokenizer()))
    >>> classifier_from(lm, ["bad", "good"]).predict(["dull"], verbose=0).shape
    (1, 2)
    """
    return TextClassifier(
        encoder_from(lm, dropout=dropout, **regularization),
        labels,
        TextClassifierPreprocessor(lm.preprocessor.tokenizer, max_tokens),
        "concat",
        dropout,
    )


def adapt_to_texts(
    lm, texts, epochs, learning_rate=0.001, batch_size=32, sequence_length=64, seed=0, **options
):
    """Train a language model on the texts of a task, whose labels it does not need.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor, which is trained in place.
        texts: A list of str.
        epochs: Number of epochs.
        learning_rate: The peak of a slanted triangular schedule.
        batch_size, sequence_length: The windows; fewer rows are taken for few texts.
        seed: Seed of the windows.
        **options: Others of `textrnn.training.fit`, such as `checkpoint`.

    Returns:
        The number of updates. With too few texts it is 0, and the model stays as it is.

    Raises:
        KeyboardInterrupt: After Ctrl-C.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.from_language_model import adapt_to_texts
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> lm = textrnn.CausalLM(
    ...     textrnn.RecurrentBackbone(258, units=4), textrnn.CausalLMPreprocessor(ByteTokenizer()))
    >>> adapt_to_texts(lm, ["too short"], epochs=1)
    0
    """
    tokens = token_stream(lm.preprocessor.tokenizer, texts)
    rows = min(batch_size, (len(tokens) - 1) * epochs // (LEAST_STEPS * sequence_length))
    if rows < 1:
        return 0
    data = lm.preprocessor.windows(tokens, rows, sequence_length, seed=seed)
    steps = len(data) * epochs
    rate = training.SlantedTriangular(learning_rate, steps)
    lm.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0))
    result = training.fit(
        lm, data, epochs=epochs, **{"progress": training.ProgressBar("tok", rows * sequence_length)} | options
    )
    if result.stopped == "interrupted":
        raise KeyboardInterrupt  # the model is not adapted
    return steps
