"""A tokenizer with one token per character."""

import keras

from textrnn.tokenizers.sentencepiece import SentencePieceTokenizer


@keras.saving.register_keras_serializable(package="textrnn")
class CharacterTokenizer(SentencePieceTokenizer):
    """One token per character of the training text. Other characters are encoded as UTF-8 bytes.

    The same as `SentencePieceTokenizer` otherwise. `vocabulary_size` keeps the most frequent characters.

    Example:

    >>> from textrnn.tokenizers import CharacterTokenizer
    >>> tokenizer = CharacterTokenizer.train(["to be or not to be"])
    >>> [tokenizer.id_to_token(id) for id in tokenizer("not é").numpy()]
    ['n', 'o', 't', '▁', '<0xC3>', '<0xA9>']
    """

    _model_type = "char"
    _character_coverage = 1.0
