"""What a `TextClassifier` answers."""

import tensorflow as tf

from textrnn.attribution import token_attributions, words_of
from textrnn.models.text_classifier import padded


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
    fewer words end with empty ones. Texts are read up to the preprocessor's `sequence_length`.

    Args:
        classifier: a `textrnn.TextClassifier` with a preprocessor.

    Returns:
        A dict of name to `(function, input specs)`. Every function returns a dict of named tensors.

    Example:
    >>> from textrnn.models.encoder import RecurrentEncoder
    >>> from textrnn.models.text_classifier import TextClassifier, TextClassifierPreprocessor
    >>> from textrnn.signatures import classification_signatures
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
        inputs = padded(tokens)
        return inputs, tf.cast(classifier(inputs, training=False), tf.float32)

    def labels(scores):
        return tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1])

    def serving_default(text):
        _, logits = logits_of(classifier.preprocessor.tokens(text))
        scores = classifier.probabilities(logits)
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
        tokens = classifier.preprocessor.tokens(text)
        inputs, logits = logits_of(tokens)
        chosen = tf.argmax(logits, axis=1, output_type=tf.int32)
        attributions, total = token_attributions(
            classifier, inputs["token_ids"], inputs["padding_mask"], chosen
        )
        words, positions = words_of(classifier.preprocessor.tokenizer, tokens)
        of_tokens = tf.boolean_mask(attributions, inputs["padding_mask"])
        places = positions.values + tf.cast(tf.gather(words.row_starts(), positions.value_rowids()), tf.int32)
        weights = words.with_values(tf.math.unsorted_segment_sum(of_tokens, places, tf.size(words.values)))
        return {
            "label": tf.gather(names, chosen),
            "words": words.to_tensor(""),
            "weights": weights.to_tensor(0.0),
            "total": total,
        }

    text = tf.TensorSpec([None], tf.string, name="text")
    return {
        "serving_default": (serving_default, [text]),
        "classify": (classify, [tf.TensorSpec([None], tf.string, name="inputs")]),
        "explain": (explain, [text]),
    }
