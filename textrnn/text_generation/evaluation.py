"""How good a model is, in numbers that can be compared.

Perplexity depends on how the text was cut into tokens; bits per character do not, so that models with
different tokenizers can be compared on the same held-out text.
"""

import math
from dataclasses import dataclass

import keras
import tensorflow as tf

from textrnn.errors import InputError


@dataclass(frozen=True)
class LanguageModelScore:
    """The score of a language model on a held-out text.

    Attributes:
        loss: Mean negative log-likelihood, in nats per token.
        perplexity: `exp(loss)`, per token.
        bits_per_character: Nats of the whole text / ln 2 / its characters.
        tokens: The number (total weight) of the tokens that were predicted.

    Example:

    >>> from textrnn.text_generation.evaluation import LanguageModelScore
    >>> print(LanguageModelScore(loss=1.25, perplexity=3.49, bits_per_character=0.58, tokens=1200))
    loss 1.2500, perplexity 3.49, 0.580 bits per character over 1,200 tokens
    """

    loss: float
    perplexity: float
    bits_per_character: float
    tokens: float

    def __str__(self):
        return (
            f"loss {self.loss:.4f}, perplexity {self.perplexity:,.2f}, "
            f"{self.bits_per_character:.3f} bits per character over {self.tokens:,.0f} tokens"
        )


def language_model(model, dataset, characters):
    """Scores a language model on held-out text; see `LanguageModelEvaluator`, which this calls once.

    Args:
        model: A Keras model that maps `x` to logits `(batch, time, vocabulary)`.
        dataset: Batches `(x, targets, sample_weight)` or `(x, targets)`; targets and weights are
            `(batch, time)`, and weight 0 marks padding, whose target may be anything.
        characters: The number of characters of the held-out text.

    Returns:
        A `LanguageModelScore`.

    Raises:
        InputError: The dataset has no token with weight, or `characters` is below one.

    Example: a model that knows nothing gives every one of 8 tokens 3 bits.

    >>> import keras, numpy as np
    >>> from textrnn.text_generation import evaluation
    >>> model = keras.Sequential([keras.Input((None,), dtype="int32"),
    ...                           keras.layers.Embedding(8, 8, embeddings_initializer="zeros")])
    >>> token_ids = np.zeros((2, 5), "int32")
    >>> score = evaluation.language_model(model, [(token_ids, token_ids)], characters=10)
    >>> round(score.perplexity, 3), round(score.bits_per_character, 3), score.tokens
    (8.0, 3.0, 10.0)
    """
    return LanguageModelEvaluator(model)(dataset, characters)


class LanguageModelEvaluator:
    """Scores one model many times, tracing its graph once: `score = evaluator(dataset, characters)`.

    The sums are exact over the whole dataset (each batch is summed in float64, the batches on the host):
    a mean of batch means would weigh a short last batch too much. Scoring leaves every variable of the
    model as it was. A language model that carries states from window to window keeps those of training,
    so it can be scored in the middle of an epoch.

    The arguments of the call, what it returns and the errors are those of `language_model`.

    Args:
        model: A Keras model that maps `x` to logits `(batch, time, vocabulary)`.

    Example:

    >>> import keras, numpy as np
    >>> from textrnn.text_generation.evaluation import LanguageModelEvaluator
    >>> model = keras.Sequential([keras.Input((None,), dtype="int32"),
    ...                           keras.layers.Embedding(2, 2, embeddings_initializer="zeros")])
    >>> evaluate = LanguageModelEvaluator(model)
    >>> batch = np.zeros((1, 4), "int32")
    >>> round(evaluate([(batch, batch)], characters=4).bits_per_character, 3)
    1.0
    """

    def __init__(self, model):
        self.model = model
        self._batch_sums = _compile_batch_sums(model)
        self._states = None

    def prepare(self, dataset):
        """Has a model that carries states make room for those of the dataset's rows.

        Calling the evaluator does this. It is there for callbacks, which must do it before `fit` traces
        the training step: making room adds variables to the model.

        Args:
            dataset: The windows of a stream as a `tf.data.Dataset`; anything else needs no room.
        """
        spec = getattr(dataset, "element_spec", None)
        inputs = spec[0] if isinstance(spec, tuple) else None
        if not (hasattr(self.model, "carry_states") and isinstance(inputs, dict) and "restart" in inputs):
            return
        self.model.carry_states(inputs["restart"].shape[0], "evaluation_states")
        if self.model.evaluation_states is not self._states:  # what was traced refers to other variables
            self._states = self.model.evaluation_states
            self._batch_sums = _compile_batch_sums(self.model)

    def __call__(self, dataset, characters):
        if characters < 1:
            raise InputError(f"characters is {characters}: give the number of characters of the text")
        self.prepare(dataset)
        before = [(variable, tf.identity(variable.value)) for variable in self.model.non_trainable_variables]
        nats = tokens = 0.0
        try:
            for batch in dataset:
                batch_nats, batch_tokens = self._batch_sums(
                    *_as_tensors(*keras.utils.unpack_x_y_sample_weight(batch))
                )
                nats += float(batch_nats)
                tokens += float(batch_tokens)
        finally:
            for variable, value in before:
                variable.assign(value)
        if tokens == 0:
            raise InputError("there is nothing to evaluate: the held-out data has no token, give more text")
        loss = nats / tokens
        return LanguageModelScore(
            loss=loss,
            perplexity=_exp(loss),
            bits_per_character=nats / math.log(2) / characters,
            tokens=tokens,
        )


def held_out_metrics(model, dataset, characters):
    """A function without arguments that scores a model, for `textrnn.training.Evaluate`.

    Make it before `fit` traces the training step: a model that carries states gets variables for them.

    Args:
        model, dataset, characters: as for `language_model`.

    Returns:
        A function that returns a dict with `val_loss`, `val_perplexity` and `val_bits_per_character`.
    """
    evaluator = LanguageModelEvaluator(model)
    evaluator.prepare(dataset)

    def evaluate():
        score = evaluator(dataset, characters)
        return {
            "val_loss": score.loss,
            "val_perplexity": score.perplexity,
            "val_bits_per_character": score.bits_per_character,
        }

    return evaluate


def _compile_batch_sums(model):
    """Returns a compiled `(x, targets, weights) -> nats, tokens` of one batch.

    It lives outside the model: TensorFlow tracks functions that are attributes of a Keras model and would
    write this one into every SavedModel.
    """

    @tf.function(reduce_retracing=True)
    def batch_sums(x, targets, weights):
        logits = tf.cast(model(x, training=False), tf.float32)  # (batch, time, vocabulary)
        counts = weights > 0
        # Padding may hold any id; TensorFlow refuses some on a CPU and returns NaN on a GPU.
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counts, targets, 0), logits)
        nats = tf.where(counts, tf.cast(nats, tf.float64) * weights, 0.0)  # (batch, time)
        return tf.reduce_sum(nats), tf.reduce_sum(weights)

    return batch_sums


def _as_tensors(x, targets, weights):
    """The batch as tensors, so that NumPy batches do not trace one graph each."""
    x = tf.nest.map_structure(tf.convert_to_tensor, x)
    targets = tf.cast(targets, tf.int32)
    weights = tf.ones(tf.shape(targets), tf.float64) if weights is None else tf.cast(weights, tf.float64)
    return x, targets, weights


def _exp(loss):
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
