"""What a `TextClassifier` answers."""

import tensorflow as tf

from textrnn.classification.attribution import as_written, token_attributions, words_of
from textrnn.classification.preprocessor import padded

GROUP_TEXTS, GROUP_TOKENS, FIXED_COST = 256, 2**15, 64
"""How many texts are read side by side at the most; how many tokens, padding included; and how many texts
a step of time costs beside those that it reads."""


def classification_signatures(classifier):
    """The serving functions of a `TextClassifier`, as TensorFlow functions of strings.

    | name | inputs, each `[None]` | outputs |
    |---|---|---|
    | `serving_default` | `text` | `label`, `scores` and `labels`, both `[None, classes]` |
    | `classify` | `inputs`: `tf.Example`s, serialised | `classes`, `scores`, both `[None, classes]` |
    | `explain` | `text` | `label`, `total`, `words` and `weights`, both `[None, words]` |

    `scores` are probabilities in the order of `labels`. `classify` is what TF Serving's classification API
    asks for; the text of an example is its feature `text`. In `explain` a weight is what a word added to the
    log-odds of the label, beside those of no text, which all of them together moved by `total`; rows with
    fewer words end with empty ones. Words are spelt as in the text. A classifier that pools by attention
    also answers `attention`, `[None, words]`: the part of its attention that a word got. Texts are read up to
    the preprocessor's `sequence_length`, and those of like length side by side, however many are given.

    Args:
        classifier: a `textrnn.TextClassifier` with a preprocessor.

    Returns:
        A dict of name to `(function, input specs)`. Every function returns a dict of named tensors.

    Example:
    >>> from textrnn.classification.backbone import RecurrentEncoder
    >>> from textrnn.classification.preprocessor import TextClassifierPreprocessor
    >>> from textrnn.classification.text_classifier import TextClassifier
    >>> from textrnn.classification.signatures import classification_signatures
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> classifier = TextClassifier(
    ...     RecurrentEncoder(258, units=4), ["bad", "good"], TextClassifierPreprocessor(ByteTokenizer())
    ... )
    >>> explain, _ = classification_signatures(classifier)["explain"]
    >>> explain(tf.constant(["so dull"]))["words"].numpy().tolist()
    [[b'so', b'dull']]
    """
    names = tf.constant(classifier.labels)

    def logits_of(tokens):
        return tf.cast(classifier(padded(tokens), training=False), tf.float32)

    def labels(scores):
        return tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1])

    def serving_default(text):
        tokens = classifier.preprocessor.tokens(text)
        scores = classifier.probabilities(in_groups_of_like_length(logits_of, tokens, len(classifier.labels)))
        return {
            "label": tf.gather(names, tf.argmax(scores, axis=1)),
            "scores": scores,
            "labels": labels(scores),
        }

    def classify(inputs):
        # Shape (1,): TF Serving writes what it gets as JSON into a list of one.
        features = tf.io.parse_example(inputs, {"text": tf.io.FixedLenFeature([1], tf.string)})
        answer = serving_default(tf.reshape(features["text"], [-1]))
        return {"classes": answer["labels"], "scores": answer["scores"]}

    def explain(text):
        preprocessor = classifier.preprocessor
        tokens = preprocessor.tokens(text)
        inputs = padded(tokens)
        token_ids, mask = inputs["token_ids"], inputs["padding_mask"]
        chosen = tf.argmax(logits_of(tokens), axis=1, output_type=tf.int32)
        attributions, total = token_attributions(classifier, token_ids, mask, chosen)
        words, positions = words_of(preprocessor.tokenizer, tokens)
        places = positions.values + tf.cast(tf.gather(words.row_starts(), positions.value_rowids()), tf.int32)

        def of_words(of_tokens):
            of_tokens = tf.cast(tf.boolean_mask(of_tokens, mask), tf.float32)
            summed = tf.math.unsorted_segment_sum(of_tokens, places, tf.size(words.values))
            return words.with_values(summed).to_tensor(0.0)

        answer = {
            "label": tf.gather(names, chosen),
            "words": as_written(text, words, preprocessor.tokenizer, preprocessor.lowercase).to_tensor(""),
            "weights": of_words(attributions),
            "total": total,
        }
        if classifier.pooling.mode == "attention":
            hidden = classifier.backbone(inputs, training=False)
            answer["attention"] = of_words(classifier.pooling.attention(hidden, mask))
        return answer

    text = tf.TensorSpec([None], tf.string, name="text")
    return {
        "serving_default": (serving_default, [text]),
        "classify": (classify, [tf.TensorSpec([None], tf.string, name="inputs")]),
        "explain": (explain, [text]),
    }


def in_groups_of_like_length(function, tokens, width):
    """A function of texts, computed for groups of about one length, so that long ones do not slow short ones.

    Sorted by length, a group goes on as long as the next text costs less in it than on its own. All of it is
    TensorFlow, so that a server that batches requests gains as well.

    Args:
        function: of ragged tokens `(texts, (time))`, returning float32 `(texts, width)`, row by row.
        tokens: a `tf.RaggedTensor` `(texts, (time))`.
        width: int.

    Returns:
        `(texts, width)`, in the order of the texts.

    Example:
    >>> import tensorflow as tf
    >>> from textrnn.classification.signatures import in_groups_of_like_length
    >>> def widths(tokens):
    ...     width = tf.cast(tokens.bounding_shape()[1], tf.float32)
    ...     return tf.fill([tokens.nrows(), 1], width)
    >>> tokens = tf.RaggedTensor.from_row_lengths(tf.zeros([507], tf.int32), [3] * 100 + [200, 3] + [2] * 2)
    >>> sorted(set(in_groups_of_like_length(widths, tokens, 1).numpy()[:, 0].tolist()))
    [3.0, 200.0]
    """
    lengths = tf.maximum(tf.cast(tokens.row_lengths(), tf.int32), 1)
    order = tf.argsort(lengths, stable=True)
    tokens, lengths = tf.gather(tokens, order), tf.gather(lengths, order)

    def group(start, answers):
        longest, following = lengths[start:-1], lengths[start + 1 :]
        texts = tf.range(1, tf.size(longest) + 1)  # how many the group has before the following one
        # In the group, it makes all the steps of time cost more that are new; alone, every one of its own.
        cheaper = (following - longest) * (texts + FIXED_COST) <= following * FIXED_COST
        fits = (texts < GROUP_TEXTS) & ((texts + 1) * following <= GROUP_TOKENS)
        end = start + 1 + tf.reduce_sum(tf.math.cumprod(tf.cast(cheaper & fits, tf.int32)))
        return end, tf.concat([answers, function(tokens[start:end])], axis=0)

    _, answers = tf.while_loop(
        lambda start, _: start < tf.size(lengths),
        group,
        (tf.constant(0), tf.zeros([0, width])),
        (tf.TensorShape([]), tf.TensorShape([None, width])),
        parallel_iterations=1,  # one group at a time in memory
    )
    return tf.gather(answers, tf.math.invert_permutation(order))
