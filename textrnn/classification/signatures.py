"""Serving functions of a `TextClassifier`."""

import tensorflow as tf

from textrnn.classification.attribution import as_written, attributions_of, words_of
from textrnn.classification.examples import texts_of_examples
from textrnn.tasks.preprocessor import padded
from textrnn.tasks.tracing import shared_graph

GROUP_TEXTS, GROUP_TOKENS, FIXED_COST = 256, 2**15, 64
"""Maximum number of texts and of tokens, padding included, in a group; and the fixed cost of a time step, in
texts."""


def classification_signatures(classifier):
    """Return the serving functions of a `TextClassifier`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `label`, `scores` and `labels`, both `[None, classes]`; `unfamiliar` |
    | `classify` | `inputs`: serialised `tf.Example`s | `classes`, `scores`, both `[None, classes]` |
    | `explain` | `text` | `label`, `total`, `words` and `weights`, both `[None, words]` |

    `scores` are probabilities in the order of `labels`. `unfamiliar` tells whether a text is unlike those
    that the vocabulary was learned from, as one in another language is. `classify` serves TF Serving's
    classification API, with the text in the feature `text` of an example; see `texts_of_examples`. In
    `explain`, the weight of a word is what it added to the log-odds of the label; the weights sum to `total`,
    the difference to the log-odds of zero vectors. Words are spelled as in the text; in scripts without
    spaces they are tokens. Shorter rows are padded with empty words. With attention pooling, `explain` also
    returns `attention`, `[None, words]`, the share of the attention of each word. The network reads the first
    `sequence_length` tokens of a text, in groups of texts of similar length; the linear part reads all of it.
    A network of weight 0 does not run, apart from its attention.

    Args:
        classifier: A `textrnn.TextClassifier` with a preprocessor.

    Returns:
        A dict from names to `(function, input specs)`. Each function returns a dict of named tensors.

    Example:

    >>> from textrnn.classification.backbone import RecurrentEncoder
    >>> from textrnn.classification.preprocessor import TextClassifierPreprocessor
    >>> from textrnn.classification.text_classifier import TextClassifier
    >>> from textrnn.classification.signatures import classification_signatures
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> classifier = TextClassifier(
    ...     RecurrentEncoder(258, units=4), ["bad", "good"], TextClassifierPreprocessor(ByteTokenizer())
    ... )
    >>> answer, _ = classification_signatures(classifier)["serving_default"]
    >>> answer(tf.constant(["so dull"]))["labels"].numpy().tolist()
    [[b'bad', b'good']]
    """
    names = tf.constant(classifier.labels)

    def network_logits(tokens):
        return tf.cast(classifier(padded(tokens), training=False), tf.float32)

    def all_logits(text):
        """The logits, and those of the linear part if there is one. A network of weight 0 does not run."""
        linear = None if classifier.linear is None else classifier.linear(text)
        if linear is not None and not classifier.network_weight:
            return linear, linear
        tokens = classifier.preprocessor.tokens(text)
        logits = in_groups_of_similar_length(network_logits, tokens, len(classifier.labels))
        return logits if linear is None else classifier.combine(logits, linear), linear

    text = tf.TensorSpec([None], tf.string, name="text")
    logits_of = shared_graph(all_logits, [text])

    def labels(scores):
        return tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1])

    def serving_default(text):
        scores = classifier.probabilities(logits_of(text)[0])
        return {
            "label": tf.gather(names, tf.argmax(scores, axis=1)),
            "scores": scores,
            "labels": labels(scores),
            "unfamiliar": classifier.preprocessor.is_unfamiliar(text),
        }

    def classify(inputs):
        answer = serving_default(texts_of_examples(inputs))
        return {"classes": answer["labels"], "scores": answer["scores"]}

    def explain(text):
        preprocessor = classifier.preprocessor
        # The linear part reads the whole text, the network its first tokens.
        all_tokens = preprocessor.all_tokens(text)
        tokens = all_tokens[:, : preprocessor.sequence_length]
        inputs = padded(tokens)
        token_ids, mask = inputs["token_ids"], inputs["padding_mask"]
        logits, linear_logits = logits_of(text)
        chosen = tf.argmax(logits, axis=1, output_type=tf.int32)
        found = attributions_of(classifier, token_ids, mask, chosen, linear_logits)
        words, positions = words_of(
            preprocessor.tokenizer, tokens if classifier.linear is None else all_tokens
        )
        positions = positions[:, : preprocessor.sequence_length]
        places = positions.values + tf.cast(tf.gather(words.row_starts(), positions.value_rowids()), tf.int32)
        words = as_written(text, words, preprocessor.tokenizer, preprocessor.lowercase)

        def of_words(of_tokens):
            of_tokens = tf.cast(tf.boolean_mask(of_tokens, mask), tf.float32)
            return words.with_values(tf.math.unsorted_segment_sum(of_tokens, places, tf.size(words.values)))

        weights = of_words(found.of_tokens)
        if classifier.linear is not None:
            weights = weights + classifier.linear.attributions(text, found.directions, words)
        answer = {
            "label": tf.gather(names, chosen),
            "words": words.to_tensor(""),
            "weights": weights.to_tensor(0.0),
            "total": found.difference,
        }
        if classifier.pooling.mode == "attention":
            hidden = classifier.backbone(inputs, training=False)
            answer["attention"] = of_words(classifier.pooling.attention(hidden, mask)).to_tensor(0.0)
        return answer

    return {
        "serving_default": (serving_default, [text]),
        "classify": (classify, [tf.TensorSpec([None], tf.string, name="inputs")]),
        "explain": (explain, [text]),
    }


def in_groups_of_similar_length(function, tokens, width):
    """Apply a function to groups of texts of similar length, so that short texts need little padding.

    The texts are sorted by length. A group grows as long as the next text costs less in it than on its own.
    The grouping is part of the graph, so that servers which batch requests benefit too.

    Args:
        function: A function of ragged tokens `(texts, (time))` that returns float32 `(texts, width)` and
            treats rows independently.
        tokens: A `tf.RaggedTensor` `(texts, (time))`.
        width: int. Number of columns of the result.

    Returns:
        `(texts, width)`, in the order of the texts.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.classification.signatures import in_groups_of_similar_length
    >>> def widths(tokens):
    ...     width = tf.cast(tokens.bounding_shape()[1], tf.float32)
    ...     return tf.fill([tokens.nrows(), 1], width)
    >>> tokens = tf.RaggedTensor.from_row_lengths(tf.zeros([507], tf.int32), [3] * 100 + [200, 3] + [2] * 2)
    >>> sorted(set(in_groups_of_similar_length(widths, tokens, 1).numpy()[:, 0].tolist()))
    [3.0, 200.0]
    """
    lengths = tf.maximum(tf.cast(tokens.row_lengths(), tf.int32), 1)
    order = tf.argsort(lengths, stable=True)
    tokens, lengths = tf.gather(tokens, order), tf.gather(lengths, order)

    def group(start, answers):
        longest, following = lengths[start:-1], lengths[start + 1 :]
        texts = tf.range(1, tf.size(longest) + 1)  # size of the group before the following text
        # In the group it adds the cost of the extra time steps; alone, the fixed cost of all its steps.
        cheaper = (following - longest) * (texts + FIXED_COST) <= following * FIXED_COST
        fits = (texts < GROUP_TEXTS) & ((texts + 1) * following <= GROUP_TOKENS)
        end = start + 1 + tf.reduce_sum(tf.math.cumprod(tf.cast(cheaper & fits, tf.int32)))
        return end, tf.concat([answers, function(tokens[start:end])], axis=0)

    _, answers = tf.while_loop(
        lambda start, _: start < tf.size(lengths),
        group,
        (tf.constant(0), tf.zeros([0, width])),
        (tf.TensorShape([]), tf.TensorShape([None, width])),
        parallel_iterations=1,  # keeps one group at a time in memory
    )
    return tf.gather(answers, tf.math.invert_permutation(order))
