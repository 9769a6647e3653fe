"""Log-probabilities of the tokens of texts under a language model."""

import re
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from textrnn.errors import expect, is_integer
from textrnn.tasks.tracing import graph_of_model
from textrnn.tokenizers import encode_documents
from textrnn.tokenizers.text import text_of

LOGITS = 2**24
"""Maximum number of logits in memory at once."""

STEPS = 256
"""Maximum number of tokens of a text that are read at once."""


@dataclass(frozen=True, eq=False)
class LogProbs:
    """The log-probability of each token of a text.

    Attributes:
        text: The text.
        token_ids: Its tokens and, if it was scored, the end token, int32 `(tokens,)`.
        log_probs: The natural logarithms of their probabilities, each given all tokens before, float64
            `(tokens,)`.
        spans: The characters of the text that each token stands for, integers `(tokens, 2)`; see
            `Tokenizer.spans`. The end token stands for none.

    Example:

    >>> from textrnn.text_generation.log_probs import LogProbs
    >>> spans = np.array([[0, 3], [3, 4], [4, 7], [7, 7]])
    >>> found = LogProbs("one two", np.array([5, 6, 7, 1]), np.array([-2.0, -0.5, -1.0, -3.0]), spans)
    >>> found.words()
    [('one', -2.0), ('two', -1.5)]
    """

    text: str
    token_ids: np.ndarray
    log_probs: np.ndarray
    spans: np.ndarray

    def words(self):
        """Return the words between whitespace, each with its log-probability, the sum over its tokens.

        Whitespace counts for the word that follows, and a token of several words for the first. Whitespace
        at the end of the text, and the end token, count for none.

        Returns:
            A list of `(word, log_prob)`.
        """
        found = list(re.finditer(r"\S+", self.text))
        ends = np.array([word.end() for word in found], int)
        owners = np.searchsorted(ends, self.spans[:, 0], side="right")
        sums = np.bincount(owners, self.log_probs, minlength=len(found) + 1)
        return [(word.group(), float(log_prob)) for word, log_prob in zip(found, sums[:-1], strict=False)]


def log_probs(lm, texts, prompts=None, end=True, batch_size=32):
    """Return the log-probabilities of the tokens of texts; see `textrnn.CausalLM.log_probs`.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.
        texts, prompts, end, batch_size: As there.

    Returns:
        A `LogProbs`, or a list of them.
    """
    expect(lm.preprocessor is not None, "log_probs reads texts, but the model has no preprocessor")
    one_prompt = prompts is None or isinstance(prompts, (str, bytes))
    expect(
        is_integer(batch_size) and batch_size >= 1, f"batch_size is {batch_size!r}: give a positive integer"
    )
    if isinstance(texts, (str, bytes)):
        expect(one_prompt, f"log_probs got one text and prompts={prompts!r}: give one prompt, a str")
        return log_probs(lm, [texts], prompts, end, batch_size)[0]
    texts = list(texts)
    prompts = [prompts or ""] * len(texts) if one_prompt else list(prompts)
    expect(
        len(prompts) == len(texts),
        f"log_probs got {len(prompts)} prompts for {len(texts)} texts: give one for each",
    )
    texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text_of(text) for text in texts]
    tokenizer = lm.preprocessor.tokenizer
    start = [tokenizer.start_token_id] * bool(lm.preprocessor.add_start_token)
    contexts = [np.array([*start, *ids], np.int32) for ids in encode_documents(tokenizer, prompts)]
    expect(
        all(map(len, contexts)),
        "the model reads no start token (add_start_token=False), so that nothing precedes the first token "
        "of a text: give prompts of at least one token",
    )
    ids = encode_documents(tokenizer, texts)
    ending = np.array([tokenizer.end_token_id] * bool(end), np.int32)
    scored = [np.concatenate([tokens, ending]) for tokens in ids]
    rows = [np.concatenate([context, tokens]) for context, tokens in zip(contexts, scored, strict=True)]
    found = _next_log_probs(lm, rows, batch_size)
    return [
        LogProbs(
            text,
            tokens,
            of_row[len(of_row) - len(tokens) :],
            np.concatenate([tokenizer.spans(text, known), np.full((len(ending), 2), len(text))]),
        )
        for text, known, tokens, of_row in zip(texts, ids, scored, found, strict=True)
    ]


def _next_log_probs(lm, rows, batch_size):
    """The log-probability of each token of a row but the first, float64 `(tokens - 1,)`, for each row."""
    found = [np.zeros(len(row) - 1) for row in rows]
    at_once = max(1, min(batch_size, len(rows))) * lm.backbone.vocabulary_size
    steps = max(1, min(STEPS, LOGITS // at_once))
    read = _reader(lm)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        states = lm.backbone.get_initial_states(len(batch))
        for start in range(0, max(len(found[index]) for index in batch), steps):
            parts = [rows[index][start : start + steps + 1] for index in batch]
            lengths = np.array([max(len(part) - 1, 0) for part in parts])
            tokens = np.zeros((len(batch), lengths.max() + 1), np.int32)
            for row, part in enumerate(parts):
                tokens[row, : len(part)] = part
            mask = np.arange(lengths.max()) < lengths[:, None]
            values, states = read(tf.constant(tokens), tf.constant(mask), states)
            for index, length, of_row in zip(batch, lengths, values.numpy(), strict=True):
                found[index][start : start + length] = of_row[:length]
    return found


def _reader(lm):
    """Return a compiled `(tokens, mask, states) -> log_probs, states`."""

    def read(tokens, mask, states):
        hidden, states = lm.backbone.run(tokens[:, :-1], states, mask)
        # As evaluation has it: of all tokens, also those that generation never chooses.
        logits = tf.cast(lm.backbone.token_embedding(hidden, reverse=True), tf.float32)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits)
        return -tf.cast(nats, tf.float64), states

    return graph_of_model(lm, read, reduce_retracing=True)
