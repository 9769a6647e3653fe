"""Shortlists: the target tokens that a source may be translated with, so that others need no logits."""

import dataclasses

import keras
import numpy as np
from keras import ops

from textrnn.errors import expect

MOST_LINKS = 10_000_000
"""Pairs of a source token and a target token in a sentence pair, that `lexicon` learns from: about 2 GB."""


@keras.saving.register_keras_serializable("textrnn")
class Shortlist(keras.layers.Layer):
    """The tokens that may translate the tokens of a source, and those that any translation may have.

    A translator that has one computes logits for these tokens alone, as the decoders of Jean et al. 2015 (On
    using very large target vocabulary) and of Marian do. A row has its own shortlist, so its translation does
    not depend on the batch.

    Args:
        source_size: int. Size of the source vocabulary.
        target_size: int. Size of the target vocabulary.
        per_token: int. Number of tokens that may translate a source token.
        common: int. Number of tokens that any translation may have.
        **kwargs: See `keras.layers.Layer`.

    Call arguments:
        token_ids: Integers `(batch, time)`, sources.
        padding_mask: Booleans `(batch, time)`.

    Returns:
        `(tokens, allowed)`: the tokens of all rows in ascending order, int32 `(n,)`, and which of them a row
        may have, booleans `(batch, n)`. On JAX, where shapes are static, they are all tokens.

    Raises:
        InputError: If a number is below 1, or above the target vocabulary.

    Example:

    >>> import numpy as np
    >>> from textrnn.translation.shortlist import Shortlist
    >>> shortlist = Shortlist(source_size=3, target_size=8, per_token=1, common=2)
    >>> shortlist.set_weights([np.array([[0], [7], [5]]), np.array([0, 1])])
    >>> tokens, allowed = shortlist(np.array([[1, 0], [2, 1]]), np.ones((2, 2), bool))
    >>> tokens.numpy().tolist(), allowed.numpy().astype(int).tolist()
    ([0, 1, 5, 7], [[1, 1, 0, 1], [1, 1, 1, 1]])
    """

    def __init__(self, source_size, target_size, per_token, common, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        for name, value in {"per_token": per_token, "common": common}.items():
            expect(
                1 <= value <= target_size,
                f"{name} is {value}: give a number of tokens, 1 to {target_size}, the target vocabulary",
            )
        self.source_size, self.target_size = source_size, target_size
        self.per_token, self.common = per_token, common
        self.build()

    def build(self, *shapes):
        """Create the weights: the tokens for each source token, and the common ones."""
        zeros = {"initializer": "zeros", "dtype": "int32", "trainable": False}
        self.table = self.add_weight(shape=(self.source_size, self.per_token), name="table", **zeros)
        self.common_tokens = self.add_weight(shape=(self.common,), name="common_tokens", **zeros)
        self.built = True

    def call(self, token_ids, padding_mask):
        """Return the tokens and which of them rows may have; see the class."""
        allowed = self._allowed(token_ids, padding_mask)
        if keras.backend.backend() != "tensorflow":
            return ops.arange(self.target_size, dtype="int32"), allowed
        import tensorflow as tf

        tokens = tf.cast(tf.where(tf.reduce_any(allowed, axis=0))[:, 0], tf.int32)
        return tokens, tf.gather(allowed, tokens, axis=1)

    def check(self, source_size, target_size):
        """Check that it is for vocabularies of these sizes.

        Raises:
            InputError: If it is for others.
        """
        for name, own, size in (
            ("source", self.source_size, source_size),
            ("target", self.target_size, target_size),
        ):
            expect(
                own == size,
                f"the shortlist is for a {name} vocabulary of {own:,} tokens, and the model has {size:,}: "
                "make one with textrnn.translation.shortlist.shortlist_of",
            )

    def _allowed(self, token_ids, padding_mask):
        """Which target tokens a row may have, booleans `(batch, target_size)`."""
        rows = ops.shape(token_ids)[0]
        common = ops.broadcast_to(self.common_tokens[None], (rows, self.common))
        found = ops.take(self.table, ops.cast(token_ids, "int32"), axis=0)  # (batch, time, per_token)
        found = ops.where(padding_mask[..., None], found, common[:, :1, None])
        found = ops.concatenate([ops.reshape(found, (rows, -1)), common], axis=1)
        row = ops.broadcast_to(ops.arange(rows, dtype="int32")[:, None], ops.shape(found))
        places = ops.reshape(ops.stack([row, found], axis=-1), (-1, 2))
        counts = ops.scatter(places, ops.ones_like(places[:, 0]), (rows, self.target_size))
        return counts > 0

    def decoder(self, decoder, project, token_ids, padding_mask, excluded=()):
        """Return a decoder with logits for the tokens of the shortlist alone.

        Args:
            decoder: A `textrnn.decoding.Decoder`.
            project: A function of the tokens that returns the projection of hidden vectors to their logits.
            token_ids, padding_mask: The sources, `(batch, time)`.
            excluded: Tokens that are never generated.
        """
        tokens, allowed = self(token_ids, padding_mask)
        for token in excluded:
            allowed = allowed & (tokens != token)
        project = project(tokens)

        def project_allowed(hidden):
            logits = ops.cast(project(hidden), "float32")
            rows, size = ops.shape(allowed)
            # There may be several consecutive rows per source.
            grouped = ops.reshape(logits, (rows, -1, size))
            return ops.reshape(ops.where(allowed[:, None], grouped, -float("inf")), ops.shape(logits))

        return dataclasses.replace(decoder, project=project_allowed, tokens=tokens, whole=decoder)

    def coverage(self, sources, targets):
        """Return the share of the tokens of targets that the shortlists of their sources have.

        Args:
            sources, targets: Lists of sequences of token ids.
        """
        table, common = (np.array(weight) for weight in self.get_weights())
        found = [
            np.isin(target, np.concatenate([table[source].ravel(), common]))
            for source, target in zip(sources, targets, strict=True)
        ]
        return float(np.concatenate(found).mean())

    def compute_output_shape(self, token_ids_shape, padding_mask_shape):
        """Return `(n,)` and `(batch, n)`, where n depends on the sources."""
        return (None,), (token_ids_shape[0], None)

    def get_config(self):
        """Return the arguments of the constructor."""
        names = ("source_size", "target_size", "per_token", "common")
        return super().get_config() | {name: getattr(self, name) for name in names}


def fit_shortlist(sources, targets, source_size, target_size, per_token=50, common=None, special=()):
    """Make a shortlist from sentence pairs: the most probable translations of each token.

    Args:
        sources, targets: Lists of sequences of token ids.
        source_size, target_size: Sizes of the vocabularies.
        per_token: Number of tokens that may translate a source token.
        common: Number of target tokens, the most frequent ones, that any translation may have; None for four
            times `per_token`.
        special: Target tokens that any translation needs, such as the end of a text.

    Returns:
        A `Shortlist`.

    Raises:
        InputError: If there are no pairs, or if a token is outside of its vocabulary.

    Example:

    >>> from textrnn.translation.shortlist import fit_shortlist
    >>> shortlist = fit_shortlist([[3, 4], [3, 5]], [[6, 7], [6, 8]], 6, 9, per_token=1, common=1)
    >>> shortlist.table.numpy()[3:].tolist()
    [[6], [7], [8]]
    """
    expect(len(targets) > 0, "cannot make a shortlist without sentence pairs: give some")
    for name, texts, size in (("source", sources, source_size), ("target", targets, target_size)):
        highest = max((max(text, default=0) for text in texts), default=0)
        expect(
            highest < size,
            f"a {name} has the token {highest}: expected tokens below {size}, the size of the vocabulary",
        )
    per_token = min(per_token, target_size)
    frequency = np.bincount(np.concatenate([*map(np.asarray, targets)]).astype(int), minlength=target_size)
    frequent = np.argsort(-frequency, kind="stable")[: 4 * per_token if common is None else common]
    always = np.union1d(np.array(special, "int64"), frequent)
    shortlist = Shortlist(source_size, target_size, per_token, len(always), name="shortlist")
    table = np.full((source_size, per_token), always[0])
    of_source, of_target, probability = lexicon(sources, targets)
    order = np.lexsort((-probability, of_source))
    of_source, of_target = of_source[order], of_target[order]
    rank = np.arange(len(of_source)) - np.searchsorted(of_source, of_source)
    best = rank < per_token
    table[of_source[best], rank[best]] = of_target[best]
    shortlist.set_weights([table, always])
    return shortlist


def shortlist_of(lm, sources, targets, per_token):
    """Make a shortlist for a translator from the token ids of sentence pairs; see `fit_shortlist`.

    Example:

    >>> import textrnn
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> from textrnn.translation.shortlist import shortlist_of
    >>> backbone = textrnn.RecurrentSeq2Seq(vocabulary_size=258, units=8)
    >>> lm = textrnn.Seq2SeqLM(backbone, textrnn.Seq2SeqLMPreprocessor(ByteTokenizer()))
    >>> lm.shortlist = shortlist_of(lm, *lm.preprocessor.encode(["a b"], ["c d"]), per_token=2)
    >>> type(lm.generate("a", max_length=4))
    <class 'str'>
    """
    backbone, special = lm.backbone, lm.preprocessor.target_tokenizer.special_token_ids
    sizes = backbone.vocabulary_size, backbone.target_vocabulary_size or backbone.vocabulary_size
    return fit_shortlist(sources, targets, *sizes, per_token, special=special)


def lexicon(sources, targets, iterations=5, seed=0):
    """Learn the probabilities of target tokens given a source token: IBM Model 1 (Brown et al. 1993).

    Of large corpora, sentence pairs with `MOST_LINKS` pairs of tokens are drawn.

    Args:
        sources, targets: Lists of sequences of token ids.
        iterations: Number of iterations of expectation maximization.
        seed: Seed of the draw.

    Returns:
        Source tokens, target tokens and the probability of the target token given the source token, arrays
        `(pairs,)`, for all pairs of tokens that occur in a sentence pair.

    Example:

    >>> from textrnn.translation.shortlist import lexicon
    >>> of_source, of_target, probability = lexicon([[0, 1], [0]], [[5, 6], [5]])
    >>> [(int(s), int(t), round(float(p), 1)) for s, t, p in zip(of_source, of_target, probability)]
    [(0, 5, 1.0), (0, 6, 0.0), (1, 5, 0.2), (1, 6, 0.8)]
    """
    pairs = [(np.asarray(s, "int64"), np.asarray(t, "int64")) for s, t in zip(sources, targets, strict=True)]
    links = np.array([len(s) * len(t) for s, t in pairs])
    if links.sum() > MOST_LINKS:
        order = np.random.default_rng(seed).permutation(len(pairs))
        order = order[links[order] <= MOST_LINKS // 10]  # so that no pair is most of the draw
        drawn = order[np.cumsum(links[order]) <= MOST_LINKS]
        drawn = drawn if len(drawn) else np.argsort(links)[:1]  # all are long
        pairs = [pairs[row] for row in drawn]
    size = 1 + max((t.max(initial=0) for _, t in pairs), default=0)
    # Of each link: the key of its pair of tokens, and the place of its target token.
    keys = np.concatenate([(s[:, None] * size + t).ravel() for s, t in pairs])
    starts = np.cumsum([0, *(len(t) for _, t in pairs)])
    places = np.concatenate(
        [np.tile(np.arange(len(t)) + start, len(s)) for (s, t), start in zip(pairs, starts, strict=False)]
    )
    known, pair = np.unique(keys, return_inverse=True)
    of_source = known // size
    probability = np.ones(len(known))
    for _ in range(iterations):
        share = probability[pair]
        share /= np.bincount(places, share)[places]  # which source token a target token comes from
        count = np.bincount(pair, share, len(known))
        probability = count / np.bincount(of_source, count)[of_source]
    return of_source, known % size, probability
