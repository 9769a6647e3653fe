"""Classifiers that start from a language model (ULMFiT, Howard & Ruder 2018, arXiv 1801.06146)."""

import functools
from pathlib import Path

import keras

from textrnn import training
from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.defaults import FEW_TEXTS
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.data.documents import read_documents
from textrnn.data.token_streams import token_stream
from textrnn.errors import InputError, expect, warn
from textrnn.presets import closest_starter, find_preset, preset_task, starter_advice
from textrnn.serving.texts import given_texts
from textrnn.tokenizers.familiarity import unfamiliar_text_warnings

LEAST_STEPS = 20
"""Fewer updates than these are not worth the time of compiling them."""


def starting_point(texts, task):
    """Choose what a classifier starts from: a starter model of the texts' language if there are few texts.

    Args:
        texts: The training texts, a list of str.
        task: The class of language models, `textrnn.CausalLM`.

    Returns:
        The name of a starter model, None for random weights, and the reason, one clause.

    Example:

    >>> import textrnn
    >>> from textrnn.classification.from_language_model import starting_point
    >>> starting_point(["so dull", "a joy"] * 20_000, textrnn.CausalLM)
    (None, 'random weights, as 40,000 texts are enough to learn from')
    """
    if len(texts) >= FEW_TEXTS:
        return None, f"random weights, as {len(texts):,} texts are enough to learn from"
    name, surprisal = closest_starter(texts, task)
    if name is None:
        return None, "random weights, as no starter model has the language of the texts"
    return name, (
        f"the language model {name}, whose vocabulary fits the texts ({surprisal:.1f} times the bits per "
        f"character of its own), as {len(texts):,} labelled texts are few"
    )


def start_task(preset):
    """Return the class of a preset that a classifier is to start from.

    Raises:
        InputError: If there is no such preset, or one of neither a classifier nor a language model.

    Example:

    >>> from textrnn.classification.from_language_model import start_task
    >>> start_task("english").__name__
    'CausalLM'
    """
    import textrnn  # a task imports no other one

    task = preset_task(preset)
    expect(
        issubclass(task, (TextClassifier, textrnn.CausalLM)),
        f"{preset} is a preset of a {task.__name__}: give that of a classifier or language model",
    )
    return task


def find_start(texts, preset=None, from_scratch=False):
    """Find what a classifier starts from. Without a preset, print what is chosen and why.

    Texts in another language than that of a given preset are warned about.

    Args:
        texts: The training texts, a list of str.
        preset: A classifier or a language model to start from; None to choose by the texts.
        from_scratch: Whether to start from random weights in any case.

    Returns:
        The preset and the class of its task; None and None for random weights.

    Raises:
        InputError: If the preset is of another task.

    Example:

    >>> from textrnn.classification.from_language_model import find_start
    >>> find_start(["so dull", "a joy"] * 20_000)
    starting from random weights, as 40,000 texts are enough to learn from
    (None, None)
    """
    import textrnn  # a task imports no other one

    given = preset is not None
    if not given and not from_scratch:
        preset, reason = starting_point(texts, textrnn.CausalLM)
        print(f"starting from {reason}")
    if preset is None:
        return None, None
    task = start_task(preset)
    if given:
        preprocessor = task.preprocessor_cls.from_preset(str(find_preset(preset)))
        if getattr(preprocessor, "lowercase", False):
            texts = [text.lower() for text in texts]
        warn_if_unfamiliar(preprocessor.tokenizer, texts, preset, "--from_preset")
    return preset, task


def warn_if_unfamiliar(tokenizer, texts, name, option):
    """Warn of texts in another language than that of the model that was asked for.

    Args:
        tokenizer: Its tokenizer.
        texts: The training texts, a list of str.
        name: The model.
        option: What names the model, and is left out to start from other weights.

    Example:

    >>> from textrnn.classification.from_language_model import warn_if_unfamiliar
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> warn_if_unfamiliar(ByteTokenizer(), ["bytes know every language"], "bytes", "--from_preset")
    """
    import textrnn  # a task imports no other one

    otherwise = f"Start from a model of the language of the texts, or leave out {option}"
    advice = functools.partial(starter_advice, task=textrnn.CausalLM, option=option, otherwise=otherwise)
    for warning in unfamiliar_text_warnings(tokenizer, texts, name, advice):
        warn(warning)


def unlabelled_texts(path, encoding=None, include=None):
    r"""Read texts without labels, to which a language model is adapted.

    Args:
        path: A folder of texts, a file with a text per line, a table with a column `text`, or None.
        encoding, include: As for `textrnn.data.sources.load_labelled_texts`.

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
    return list(given_texts(file=path, encoding=encoding).texts)


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
    training.fit(
        lm, data, epochs=epochs, **{"progress": training.ProgressBar("tok", rows * sequence_length)} | options
    )
    return steps
