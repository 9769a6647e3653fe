"""Text classification: the preprocessor and the task that say of which class a text is."""

import keras
import keras_hub
from keras import ops

from textrnn.classification.backbone import RecurrentEncoder
from textrnn.classification.ngrams import NGramLogits
from textrnn.classification.preprocessor import TextClassifierPreprocessor
from textrnn.errors import InputError
from textrnn.layers.pooling import SequencePooling
from textrnn.training.losses import TokenCrossentropy


@keras.saving.register_keras_serializable(package="textrnn")
class TextClassifier(keras_hub.models.TextClassifier):
    """A recurrent text classifier: strings in, a score for each label out.

    Behaves as every KerasHub `TextClassifier`: `fit` and `predict` on raw strings, `save_to_preset` and
    `from_preset`. Targets are the positions of labels in `labels`.

    Args:
        backbone: a `RecurrentEncoder`.
        labels: a list of str, the names of the classes.
        preprocessor: a `TextClassifierPreprocessor`, or None for a model of token ids.
        pooling: one of `textrnn.layers.pooling.POOLINGS`.
        dropout: float. Fraction of the pooled features to drop while training.
        temperature: float. What logits are divided by before they become probabilities: calibration.
        ngrams: int. The length of the longest n-grams that a linear classifier beside the network reads; 0
            for none. It says nothing until `ngram_logits.adapt` has taught it; see `NGramLogits`.
        ngram_buckets: int. How many n-grams it tells apart.

    Call arguments: as `RecurrentEncoder`'s; returns logits, `(batch, len(labels))`.

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
        **kwargs,
    ):
        labels = [str(label) for label in labels]
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise InputError(f"labels are {labels}: give the names of two or more different classes")
        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.pooling = SequencePooling(
            pooling, bidirectional=True, dtype=backbone.dtype_policy, name="pooling"
        )
        self.output_dropout = keras.layers.Dropout(
            dropout, dtype=backbone.dtype_policy, name="output_dropout"
        )
        self.output_dense = keras.layers.Dense(len(labels), dtype="float32", name="logits")
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

    def score(self, hidden, padding_mask, training=None):
        """The network's logits, from what the backbone made of texts: without those of the n-grams.

        Args:
            hidden: `(batch, time, features)`.
            padding_mask: booleans `(batch, time)`.
            training: bool, whether to drop.

        Returns:
            `(batch, len(labels))`.
        """
        pooled = self.pooling(hidden, mask=padding_mask)
        return self.output_dense(self.output_dropout(pooled, training=training))

    def probabilities(self, logits):
        """What `predict` gives as probabilities, which add up to 1; the temperature calibrates them."""
        return ops.softmax(ops.convert_to_tensor(logits) / self.temperature, axis=-1)

    def compile(self, optimizer="auto", loss="auto", *, metrics="auto", jit_compile="auto", **kwargs):
        """Configures training, as `keras_hub.models.TextClassifier.compile` does.

        Args:
            optimizer: `"auto"` is Adam with a learning rate of 1e-3 and the gradients clipped to a global
                norm of 1.
            loss: `"auto"` is the cross-entropy in nats; `TokenCrossentropy` can smooth labels.
            metrics: `"auto"` is the accuracy.
            jit_compile: bool. Whether to compile with XLA; `"auto"` does not on TensorFlow, where every
                length of a batch would be compiled anew.
            **kwargs: see `keras.Model.compile`.
        """
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = False
        super().compile(
            optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0) if optimizer == "auto" else optimizer,
            loss=TokenCrossentropy() if loss == "auto" else loss,
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")] if metrics == "auto" else metrics,
            jit_compile=jit_compile,
            **kwargs,
        )

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Passes tokens through, and gives strings to the preprocessor."""
        if isinstance(x, dict) and "token_ids" in x:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return super().preprocess_samples(x, y=y, sample_weight=sample_weight)

    def fit(self, x=None, *args, **kwargs):
        """Trains on strings or on tokens; see `keras.Model.fit`."""
        # KerasHub turns whatever it gets into a dataset, which Keras cannot shuffle and warns about.
        kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)

    def save_to_preset(self, preset_dir, **kwargs):
        """Saves the model and its preprocessor; see `keras_hub.models.Task.save_to_preset`."""
        # Not what the optimizer has gathered: a model that is loaded has a new one, and would warn of it.
        optimizer = getattr(self, "optimizer", None)
        self.optimizer = keras.optimizers.Adam()
        try:
            super().save_to_preset(preset_dir, **kwargs)
        finally:
            self.optimizer = optimizer

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        config.update(
            labels=self.labels,
            pooling=self.pooling.mode,
            dropout=self.dropout,
            temperature=self.temperature,
            ngrams=self.ngrams,
            ngram_buckets=self.ngram_buckets,
        )
        return config
