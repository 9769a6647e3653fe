"""A new classifier, with a tokenizer trained on its texts."""

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.classification.text_classifier import TextClassifier
from textrnn.tokenizers import train_tokenizer


def new_classifier(
    texts,
    labels,
    tokenizer="sentencepiece",
    vocabulary_size=None,
    lowercase=True,
    max_tokens=512,
    pooling="max",
    dropout=0.2,
    **encoder,
):
    """Make a classifier with random weights, and a tokenizer trained on these texts.

    Args:
        texts: The training texts, a list of str.
        labels: A list of str.
        tokenizer, vocabulary_size: See `textrnn.tokenizers.train_tokenizer`.
        lowercase: bool. Whether to ignore case.
        max_tokens: int. Texts are truncated to this many tokens.
        pooling: See `textrnn.TextClassifier`.
        dropout: float. Dropout rate of the inputs of each layer and of the pooled features.
        **encoder: Other arguments of `textrnn.RecurrentEncoder`.

    Returns:
        A `textrnn.TextClassifier`.

    Example:

    >>> from textrnn.classification.new_classifier import new_classifier
    >>> classifier = new_classifier(["Dull", "a joy"], ["bad", "good"], "word", units=4)
    >>> classifier.preprocessor.tokenizer.vocabulary_size(), classifier.predict(["joy"], verbose=0).shape
    (6, (1, 2))
    """
    texts = [text.lower() for text in texts] if lowercase else texts
    trained = train_tokenizer(tokenizer, texts, vocabulary_size)
    return TextClassifier(
        RecurrentEncoder(trained.vocabulary_size(), dropout=dropout, **encoder),
        labels,
        TextClassifierPreprocessor(trained, max_tokens, bool(lowercase)),
        pooling,
        dropout,
    )
