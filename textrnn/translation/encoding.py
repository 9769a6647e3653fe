"""From pairs of texts to token ids for training."""

from textrnn.errors import InputError, warn


def encode_pairs(preprocessor, pairs, max_tokens=None, split="training"):
    """Tokenize pairs, and leave out those that are too long: a truncated target teaches a wrong ending.

    Args:
        preprocessor: A `textrnn.Seq2SeqLMPreprocessor`.
        pairs: A list of `Pair`.
        max_tokens: The limit of each side; that of the preprocessor for this side, if it is lower or this
            is None.
        split: What the pairs are for, in messages.

    Returns:
        The token ids of the sources, and those of the targets. What is left out is a warning on stderr.

    Raises:
        InputError: If no pair is short enough.

    Example:

    >>> import textrnn
    >>> from textrnn.data.parallel import Pair
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> from textrnn.translation.encoding import encode_pairs
    >>> preprocessor = textrnn.Seq2SeqLMPreprocessor(ByteTokenizer())
    >>> pairs = [Pair("a.tsv, line 1", "Go.", "Va !"), Pair("a.tsv, line 2", "Wait.", "Attends.")]
    >>> sources, targets = encode_pairs(preprocessor, pairs, max_tokens=6)
    >>> len(sources)
    1
    """
    lengths = preprocessor.encoder_sequence_length, preprocessor.decoder_sequence_length
    limits = [min(max_tokens or length, length) for length in lengths]
    sides = preprocessor.encode([pair.source for pair in pairs], [pair.target for pair in pairs])
    fits = [
        len(source) < limits[0] and len(target) < limits[1] for source, target in zip(*sides, strict=True)
    ]
    limit = limits[0] if limits[0] == limits[1] else f"{limits[0]} source tokens or {limits[1]} target"
    if not any(fits):
        raise InputError(f"all {split} pairs have {limit} tokens or more: give a higher --max_tokens")
    long = [pair.origin for pair, fit in zip(pairs, fits, strict=True) if not fit]
    if long:
        has, is_left, first = ("has", "is", "") if len(long) == 1 else ("have", "are", "first ")
        warn(
            f"{len(long):,} of the {split} pairs {has} {limit} tokens or more and {is_left} left out "
            f"(--max_tokens): {first}{long[0]}"
        )
    sources, targets = ([ids for ids, fit in zip(side, fits, strict=True) if fit] for side in sides)
    return sources, targets
