"""The classifier as a KerasHub task."""

import math

import keras
import keras_hub
from keras import ops

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.linear import LinearTextLogits  # noqa: F401  registers it with Keras
from textrnn.classification.ngrams import NGramLogits
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.errors import InputError, expect, is_number
from textrnn.layers.pooling import SequencePooling
from textrnn.tasks.arguments import stored_arguments
from textrnn.tasks.backbone import layer_groups
from textrnn.tasks.recurrent_task import RecurrentTask
from textrnn.tensors import at_least_float32
from textrnn.tokenizers.text import string_tensor
from textrnn.training.losses import TokenCrossentropy


@keras.saving.register_keras_serializable(package="textrnn")
class TextClassifier(RecurrentTask, keras_hub.models.TextClassifier):
    """A recurrent text classifier: strings in, a score per label out.

    It has the interface of every KerasHub `TextClassifier`: `fit` and `predict` on raw strings,
    `save_to_preset` and `from_preset`. Targets are indices of `labels`.

    Args:
        backbone: A `RecurrentEncoder`.
        labels: A list of str, the names of the classes.
        preprocessor: A `TextClassifierPreprocessor`, or None for a model of token ids.
        pooling: One of `textrnn.layers.pooling.POOLINGS`.
        dropout: float. Dropout rate of the pooled features.
        temperature: float. Logits are divided by it before the softmax, to calibrate probabilities.
        linear: A `LinearTextLogits` that is ensembled with the network, or None. It is an attribute, which
            can be set later.
        network_weight: float. With a linear part, logits are the sum of its logits and the network's times
            this weight.
        ngrams, ngram_buckets: Maximum length and number of hash buckets of the n-grams of tokens in models
            that were written before `linear` existed (`NGramLogits`); 0 for none.
        **kwargs: `name`, and `compile=False` to leave the model uncompiled.

    Call arguments: see `RecurrentEncoder`. Returns logits, `(batch, len(labels))`: those of the network for
    tokens, and those of the whole ensemble for strings that are given to `predict` and `evaluate`.

    Raises:
        InputError: For fewer than two different labels and for an unknown argument.

    Example:

    >>> from textrnn.classification.preprocessor import TextClassifierPreprocessor
    >>> from textrnn.classification.text_classifier import TextClassifier
    >>> from textrnn.classification.backbone import RecurrentEncoder
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> classifier = TextClassifier(
    ...     RecurrentEncoder(258, units=8), ["bad", "good"], TextClassifierPreprocessor(ByteTokenizer())
    ... )
    >>> history = classifier.fit(["dull", "a joy"], np.array([0, 1]), verbose=0)
    >>> classifier.predict(["a bore"], verbose=0).shape
    (1, 2)
    """

    backbone_cls = RecurrentEncoder
    preprocessor_cls = TextClassifierPreprocessor
    trained_arguments = ("labels", "pooling", "ngrams", "ngram_buckets")
    retraining = ", or use textrnn.classification.relabel to train a classifier of other labels"

    def __init__(
        self,
        backbone,
        labels,
        preprocessor=None,
        pooling="mean",
        dropout=0.0,
        temperature=1.0,
        ngrams=0,
        ngram_buckets=2**18,
        linear=None,
        network_weight=1.0,
        **kwargs,
    ):
        expect(not isinstance(labels, (str, bytes)), f"labels is {labels!r}: give a list of names")
        labels = [str(label) for label in labels]
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise InputError(f"labels are {labels}: expected the names of two or more different classes")
        expect(
            is_number(temperature) and 0 < temperature < math.inf,
            f"temperature is {temperature!r}: give a number above 0",
        )
        expect(
            is_number(network_weight) and 0 <= network_weight < math.inf,
            f"network_weight is {network_weight!r}: give a number of at least 0",
        )
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.pooling = SequencePooling(
            pooling, bidirectional=backbone.bidirectional, dtype=backbone.dtype_policy, name="pooling"
        )
        self.output_dropout = keras.layers.Dropout(
            dropout, dtype=backbone.dtype_policy, name="output_dropout"
        )
        # Its weights have the dtype of the others: optimizers do not clip gradients of several dtypes.
        self.output_dense = keras.layers.Dense(
            len(labels), dtype=backbone.dtype_policy.variable_dtype, name="logits"
        )
        self.ngram_logits = None
        if ngrams:
            self.ngram_logits = NGramLogits(len(labels), ngrams, ngram_buckets, name="ngram_logits")

        # === Functional model ===
        inputs = backbone.input
        outputs = self.score(backbone(inputs), inputs["padding_mask"])
        if self.ngram_logits is not None:
            outputs = outputs + self.ngram_logits(inputs["token_ids"], inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.labels = labels
        self.num_classes = len(labels)
        self.dropout = dropout
        self.temperature = temperature
        self.ngrams = ngrams
        self.ngram_buckets = ngram_buckets
        self.linear = linear
        self.network_weight = network_weight

    def __setattr__(self, name, value):
        if name == "linear":  # set after the model is built, when Keras tracks no more layers
            self.__dict__["linear"] = value
        else:
            super().__setattr__(name, value)

    @property
    def weights(self):
        """All weights, those of the linear part included."""
        return super().weights + (self.linear.weights if self.linear is not None else [])

    def call(self, inputs, training=None, mask=None):
        """Return the logits of the network, or of the ensemble if the linear part's are given.

        In training they are those of the network: its loss is its own, whatever its weight.
        """
        tokens = {name: inputs[name] for name in ("token_ids", "padding_mask")}
        logits = super().call(tokens, training=training, mask=mask)
        if training or "linear_logits" not in inputs:
            return logits
        return self.combine(logits, inputs["linear_logits"])

    def combine(self, network_logits, linear_logits):
        """Return the logits of the ensemble from those of its parts, each `(batch, len(labels))`."""
        return self.network_weight * network_logits + linear_logits

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Convert strings to tokens and, with a linear part, to its logits; see `call`."""
        samples = super().preprocess_samples(x, y=y, sample_weight=sample_weight)
        if self.linear is None or isinstance(x, dict):
            return samples
        inputs, y, sample_weight = keras.utils.unpack_x_y_sample_weight(samples)
        inputs = inputs | {"linear_logits": self.linear(string_tensor(x))}
        return keras.utils.pack_x_y_sample_weight(inputs, y, sample_weight)

    @property
    def layer_groups(self):
        """Layers from the input to the output, for rates and unfreezing by depth.

        Example:

        >>> encoder = textrnn.RecurrentEncoder(9, units=4, num_layers=2)
        >>> groups = textrnn.TextClassifier(encoder, ["bad", "good"]).layer_groups
        >>> [[layer.name for layer in group] for group in groups]
        [['token_embedding'], ['bidirectional_0'], ['bidirectional_1'], ['pooling', 'logits']]
        """
        return layer_groups(self.backbone, [self.pooling, self.output_dense])

    def score(self, hidden, padding_mask, training=None):
        """The logits of the network, without those of n-grams.

        Args:
            hidden: `(batch, time, features)`, the outputs of the backbone.
            padding_mask: Booleans, `(batch, time)`.
            training: bool, whether to apply dropout.

        Returns:
            `(batch, len(labels))`, in float32 or higher.
        """
        pooled = self.pooling(hidden, mask=padding_mask)
        logits = self.output_dense(self.output_dropout(pooled, training=training))
        dtype = at_least_float32(logits)
        return logits if logits.dtype == dtype else ops.cast(logits, dtype)

    def probabilities(self, logits):
        """The calibrated probabilities of logits, such as those that `predict` returns: they sum to 1."""
        return ops.softmax(ops.convert_to_tensor(logits) / self.temperature, axis=-1)

    def compile(self, optimizer="auto", loss="auto", *, metrics="auto", **kwargs):
        """Configure training, as `keras_hub.models.TextClassifier.compile` does.

        Args:
            optimizer: `"auto"` is Adam with learning rate 1e-3 and gradients clipped to a global norm of 1.
            loss: `"auto"` is the cross-entropy in nats; `TokenCrossentropy` can smooth labels.
            metrics: `"auto"` is the accuracy.
            **kwargs: See `RecurrentTask.compile`.
        """
        super().compile(
            optimizer=optimizer,
            loss=TokenCrossentropy() if loss == "auto" else loss,
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")] if metrics == "auto" else metrics,
            **kwargs,
        )

    def get_config(self):
        """Return the arguments of the constructor."""
        config = stored_arguments(TextClassifier, self) | super().get_config()
        linear = None if self.linear is None else keras.layers.serialize(self.linear)
        return config | {"pooling": self.pooling.mode, "linear": linear}

    @classmethod
    def from_config(cls, config):
        """Make a classifier from what `get_config` returns."""
        linear = config.get("linear")
        if isinstance(linear, dict):
            config = config | {"linear": keras.layers.deserialize(linear)}
        return super().from_config(config)
