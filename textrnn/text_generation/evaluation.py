"""Evaluation of language models on a validation text."""

import keras
import tensorflow as tf

from textrnn.data.stored_texts import count_characters
from textrnn.data.token_streams import token_stream
from textrnn.data.windows import evaluation_windows
from textrnn.errors import InputError
from textrnn.text_generation.score import score_of
from textrnn.training.distribution import workers

ROWS, STEPS = 8, 256
"""The windows in which recipes evaluate. More rows are faster, and fewer have more context."""


def score_language_model(model, dataset, characters):
    """Scores a language model on a validation text. To score it repeatedly, use `LanguageModelEvaluator`.

    Args:
        model: A Keras model that maps `x` to logits `(batch, time, vocabulary)`.
        dataset: Batches `(x, targets, sample_weight)` or `(x, targets)`. Targets and weights are
            `(batch, time)`. Targets of weight 0 are ignored.
        characters: The number of characters of the text.

    Returns:
        A `LanguageModelScore`.

    Raises:
        InputError: If no target has a positive weight, or if `characters` is below 1.

    Example: a uniform distribution over 8 tokens has 3 bits per token.

    >>> import keras, numpy as np
    >>> from textrnn.text_generation import evaluation
    >>> model = keras.Sequential([keras.Input((None,), dtype="int32"),
    ...                           keras.layers.Embedding(8, 8, embeddings_initializer="zeros")])
    >>> token_ids = np.zeros((2, 5), "int32")
    >>> score = evaluation.score_language_model(model, [(token_ids, token_ids)], characters=10)
    >>> round(score.perplexity, 3), round(score.bits_per_character, 3), score.tokens
    (8.0, 3.0, 10.0)
    """
    return LanguageModelEvaluator(model)(dataset, characters)


def score_parts(lm, mixture):
    """Score a language model on each source of a mixture by itself.

    Args:
        lm: A `textrnn.CausalLM` with a preprocessor.
        mixture: The validation texts, a `textrnn.data.mixtures.Mixture`.

    Returns:
        A dict from names of sources to `LanguageModelScore`.

    Example:

    >>> import textrnn
    >>> from textrnn.data.documents import Document
    >>> from textrnn.data.mixtures import Mixture, Part
    >>> from textrnn.text_generation.evaluation import score_parts
    >>> lm = textrnn.CausalLM(
    ...     textrnn.RecurrentBackbone(258, units=4),
    ...     textrnn.CausalLMPreprocessor(textrnn.tokenizers.ByteTokenizer()))
    >>> texts = [Document("a.txt", "ok then")], [Document("b.txt", "so be it")]
    >>> texts = Mixture((Part("mail", texts[0]), Part("verse", texts[1])))
    >>> {name: score.tokens for name, score in score_parts(lm, texts).items()}
    {'mail': 8.0, 'verse': 9.0}
    """
    evaluate = LanguageModelEvaluator(lm)
    return {
        part.name: evaluate(
            evaluation_windows(
                token_stream(lm.preprocessor.tokenizer, part.documents), ROWS, STEPS, part.name
            ),
            count_characters(part.documents),
        )
        for part in mixture.parts
    }


class LanguageModelEvaluator:
    """Scores a language model repeatedly, and traces its graph only once.

    The score is the weighted mean over all tokens, not a mean over batches. Sums are in float64. Scoring
    restores all variables of the model, including the states that a `CausalLM` carries from window to window,
    so it can run in the middle of an epoch.

    Args:
        model: A Keras model that maps `x` to logits `(batch, time, vocabulary)`.

    Call arguments, results and errors are those of `score_language_model` without `model`.

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
        """Create the variables in which a model carries states, if the dataset consists of windows.

        A call does this too. Call `prepare` before `fit` traces the training step, since it adds variables to
        the model.

        Args:
            dataset: A `tf.data.Dataset` of windows. Other data sets need no variables.
        """
        spec = getattr(dataset, "element_spec", None)
        inputs = spec[0] if isinstance(spec, tuple) else None
        if not (hasattr(self.model, "carry_states") and isinstance(inputs, dict) and "restart" in inputs):
            return
        self.model.carry_states(inputs["restart"].shape[0], "evaluation_states")
        if self.model.evaluation_states is not self._states:  # the traced graph has the old variables
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
        nats, tokens = map(
            float, workers().sum([tf.constant(nats, tf.float64), tf.constant(tokens, tf.float64)])
        )
        if tokens == 0:
            raise InputError("the validation text has no tokens: give more text")
        return score_of(nats, tokens, characters)


def validation_metrics(model, dataset, characters):
    """Return a function that scores a model, for `textrnn.training.Evaluate`.

    Call this before `fit` traces the training step, since it may add variables to the model.

    Args:
        model, dataset, characters: As for `score_language_model`.

    Returns:
        A function without arguments that returns a dict with `val_loss`, `val_perplexity` and
        `val_bits_per_character`.
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
    """Return a compiled `(x, targets, weights) -> nats, tokens` of this worker's rows of a batch.

    It is not an attribute of the model, since TensorFlow would then write it into every SavedModel.
    """

    @tf.function(reduce_retracing=True, autograph=False)
    def batch_sums(*batch):
        (x, targets, weights), own = workers().take(batch)
        logits = tf.cast(model(x, training=False), tf.float32)  # (batch, time, vocabulary)
        counts = weights > 0
        # Padding may hold any id; TensorFlow refuses some on a CPU and returns NaN on a GPU.
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counts, targets, 0), logits)
        nats = tf.where(counts, tf.cast(nats, tf.float64) * weights, 0.0)  # (batch, time)
        own = tf.cast(own, tf.float64)
        return own * tf.reduce_sum(nats), own * tf.reduce_sum(weights)

    return batch_sums


def _as_tensors(x, targets, weights):
    """Convert a batch to tensors, since a graph is traced again for each NumPy array."""
    x = tf.nest.map_structure(tf.convert_to_tensor, x)
    targets = tf.cast(targets, tf.int32)
    weights = tf.ones(tf.shape(targets), tf.float64) if weights is None else tf.cast(weights, tf.float64)
    return x, targets, weights
