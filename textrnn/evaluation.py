"""How good a model is, in numbers that can be compared.

Perplexity depends on how the text was cut into tokens; bits per character do not, so that models with
different tokenizers can be compared on the same held-out text.
"""

import functools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from textrnn.data.batching import batches_of_like_length
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

    >>> from textrnn.evaluation import LanguageModelScore
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
    >>> from textrnn import evaluation
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
    >>> from textrnn.evaluation import LanguageModelEvaluator
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


@dataclass(frozen=True)
class ClassificationScore:
    """How well a classifier names the classes of texts, and how well it knows how sure it may be.

    Attributes:
        accuracy: The share of the texts whose most probable class is theirs.
        macro_f1: The mean of F1 over the classes that are right or were said of some text, which counts a
            rare class as much as a frequent one.
        log_loss: Mean negative log-probability of the right class, in nats.
        calibration_error: The mean distance between how sure it is and how often it is right, over ten bins
            of how sure it is, weighted by their texts (expected calibration error, Guo et al. 2017).
        texts: How many texts.

    Example:

    >>> from textrnn.evaluation import classification
    >>> print(classification(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])))
    accuracy 0.667, macro F1 0.667, log loss 0.511, calibration error 0.333 over 3 texts
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    texts: int

    def __str__(self):
        return (
            f"accuracy {self.accuracy:.3f}, macro F1 {self.macro_f1:.3f}, log loss {self.log_loss:.3f}, "
            f"calibration error {self.calibration_error:.3f} over {self.texts:,} texts"
        )


def classification(targets, probabilities):
    """Scores the probabilities that a classifier gives to classes.

    Args:
        targets: The right class of each text, ints `(texts,)`.
        probabilities: `(texts, classes)`; each row sums to 1.

    Returns:
        A `ClassificationScore`.
    """
    from sklearn import metrics

    targets, probabilities = np.asarray(targets), np.asarray(probabilities, "float64")
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 adds up to nearly 1
    classes = range(probabilities.shape[1])
    chosen = probabilities.argmax(axis=1)
    return ClassificationScore(
        accuracy=float(metrics.accuracy_score(targets, chosen)),
        macro_f1=float(metrics.f1_score(targets, chosen, average="macro", zero_division=0)),
        log_loss=float(metrics.log_loss(targets, probabilities, labels=classes)),
        calibration_error=_calibration_error(chosen == targets, probabilities.max(axis=1)),
        texts=len(targets),
    )


def _calibration_error(right, confidence, bins=10):
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    distances = [abs(right[which == b].sum() - confidence[which == b].sum()) for b in range(bins)]
    return float(sum(distances) / len(right))


@dataclass(frozen=True)
class TranslationScore:
    """How near translations are to those of people.

    Attributes:
        bleu: BLEU of the corpus, 0 to 100 (Papineni et al. 2002), cased and detokenised.
        chrf: chrF of the corpus, 0 to 100 (Popović 2015).
        exact_match: The share of translations that are the reference, letter for letter.
        length_ratio: The words of the translations / those of the references.
        sentences: How many.
        bleu_signature, chrf_signature: How sacrebleu counted (Post 2018), without which the figures mean
            little.

    Example:

    >>> from textrnn.evaluation import translation
    >>> score = translation(["Ein Hund läuft schnell .", "Ja"], ["Ein Hund läuft schnell .", "Nein"])
    >>> round(score.exact_match, 2), score.sentences
    (0.5, 2)
    """

    bleu: float
    chrf: float
    exact_match: float
    length_ratio: float
    sentences: int
    bleu_signature: str
    chrf_signature: str

    def __str__(self):
        return (
            f"BLEU {self.bleu:.2f}, chrF {self.chrf:.2f}, exact match {self.exact_match:.3f}, length ratio "
            f"{self.length_ratio:.3f} over {self.sentences:,} sentences ({self.bleu_signature})"
        )


def translation(translations, references):
    """Scores translations with sacrebleu.

    BLEU is of sacrebleu's usual words (`tok:13a` in its signature); of characters (`tok:char`) for references
    that are written without spaces, which would be one word each.

    Args:
        translations: A list of str.
        references: What a person wrote for each, a list of str.

    Returns:
        A `TranslationScore`.

    Raises:
        InputError: If there are not as many of both, or none.
    """
    from sacrebleu.metrics import BLEU, CHRF

    if len(translations) != len(references) or not references:
        raise InputError(
            f"{len(translations)} translations and {len(references)} references: give one for each, and some"
        )
    # BLEU is of words. Where texts are written without spaces, each character counts as one.
    words = sum(len(reference.split()) for reference in references)
    spaced = sum(map(len, references)) < 20 * words
    bleu, chrf = BLEU(tokenize="13a" if spaced else "char"), CHRF()
    score = bleu.corpus_score(translations, [references])
    return TranslationScore(
        bleu=score.score,
        chrf=chrf.corpus_score(translations, [references]).score,
        exact_match=float(np.mean([a == b for a, b in zip(translations, references, strict=True)])),
        length_ratio=score.sys_len / max(score.ref_len, 1),
        sentences=len(references),
        bleu_signature=bleu.get_signature().format(),
        chrf_signature=chrf.get_signature().format(),
    )


@dataclass(frozen=True)
class Translations:
    """What a model made of texts, in their order.

    Attributes:
        best: The best translation of each, a list of str.
        scores: Its score, float32 `(texts,)`.
        source_tokens, tokens: Lists of the tokens of each text and of its translation, as str.
        attention: For each text an array `(tokens, source tokens)`, what each token attended to.
        remarks: For each text a list of what one should know about its translation.
        seconds: How long the search took, compiling it not included.
    """

    best: list[str]
    scores: np.ndarray
    source_tokens: list[list[str]]
    tokens: list[list[str]]
    attention: list[np.ndarray]
    remarks: list[list[str]]
    seconds: float


def translate(lm, texts, num_beams=-1, length_penalty=-1.0, max_new_tokens=-1, batch_size=64):
    """Translates texts, those of like length side by side.

    Args:
        lm: A `textrnn.Seq2SeqLM` with a preprocessor, or the signatures of one.
        texts: A list of str.
        num_beams, length_penalty, max_new_tokens: As in `translation_signatures`; negative ones are the
            model's own.
        batch_size: How many texts are searched at once.

    Returns:
        `Translations`.
    """
    from textrnn.serving.translate import translated
    from textrnn.signatures import python_functions

    search = (lm if isinstance(lm, Mapping) else python_functions(lm))["translate"]
    answers = functools.partial(
        translated, search, batch_size=batch_size, batches_at_once=-(-len(texts) // batch_size),
        num_beams=num_beams, length_penalty=length_penalty, max_new_tokens=max_new_tokens,
    )  # fmt: skip
    list(answers(texts[:1]))  # traces the graph
    start = time.perf_counter()
    found = list(answers(texts))
    seconds = time.perf_counter() - start
    best, scores = zip(*(answer.n_best[0] for answer in found), strict=True)
    return Translations(
        list(best), np.array(scores, np.float32), [answer.source_tokens for answer in found],
        [answer.tokens for answer in found], [answer.attention for answer in found],
        [answer.remarks for answer in found], seconds,
    )  # fmt: skip


def sentence_chrf(translations, references):
    """The chrF of each translation on its own, 0 to 100: to find the worst ones, `(sentences,)`.

    Args:
        translations, references: As for `translation`.

    Example:

    >>> from textrnn.evaluation import sentence_chrf
    >>> sentence_chrf(["ja", "nein"], ["ja", "vielleicht"]).round().tolist()[0]
    100.0
    """
    from sacrebleu.metrics import CHRF

    chrf = CHRF()
    return np.array([
        chrf.sentence_score(made, [reference]).score
        for made, reference in zip(translations, references, strict=True)
    ])  # fmt: skip


def logits_of_texts(classifier, texts, batch_size=64):
    """What a classifier gives for texts, in their order, those of like length side by side.

    Args:
        classifier: A `textrnn.TextClassifier` with a preprocessor.
        texts: A list of str.
        batch_size: How many texts are read at once.

    Returns:
        Float32 `(texts, classes)`.
    """
    tokens = classifier.preprocessor.encode(texts)
    rows = np.arange(len(tokens), dtype="int32")
    logits = np.zeros((len(tokens), len(classifier.labels)), "float32")
    for inputs, places in batches_of_like_length(tokens, rows, batch_size, shuffle=False):
        logits[places.numpy()] = classifier.predict_on_batch(inputs)
    return logits


def fit_scales(parts, targets):
    """What to multiply the logits of several classifiers by, so that their sum gives honest probabilities.

    The factors of least log loss; fit them on texts that were not trained on. Of a single classifier the
    factor changes no decision, only how sure it is: it is 1 / temperature (temperature scaling, Guo et al.
    2017). That a factor is about 1 is believed beforehand, as much as a few texts would say it: ten texts
    that all happen to be right are no reason to be sure of everything.

    Args:
        parts: A list of logits `(texts, classes)`.
        targets: The right class of each text, ints `(texts,)`.

    Returns:
        An array of floats, one for each part, between 0.01 and 20.

    Example: a classifier that is right three times of four may be sure by 3/4, that is by log 3.

    >>> from textrnn.evaluation import fit_scales
    >>> logits, targets = np.array([[4.0, 0.0]] * 4000), np.array([0, 0, 0, 1] * 1000)
    >>> round(float(4 * fit_scales([logits], targets)[0]), 2), round(float(np.log(3)), 2)
    (1.1, 1.1)
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    stacked, targets = np.stack(parts).astype("float64"), np.asarray(targets)
    right = np.eye(stacked.shape[-1])[targets]

    def log_loss(logs):
        scales = np.exp(logs)
        log_p = log_softmax(np.tensordot(scales, stacked, 1), axis=-1)
        slope = scales * (stacked * (np.exp(log_p) - right)).sum(axis=(1, 2))
        return logs @ logs - (log_p * right).sum(), 2 * logs + slope

    bounds = [(np.log(0.01), np.log(20.0))] * len(stacked)
    found = minimize(log_loss, np.zeros(len(stacked)), jac=True, bounds=bounds, method="L-BFGS-B")
    return np.exp(found.x)


def tfidf_baseline(texts, targets, seed=0):
    """The classifier to beat: logistic regression on the weighted words and pairs of words of a text.

    Args:
        texts: A list of str to train on.
        targets: The class of each.
        seed: Of the solver.

    Returns:
        A fitted scikit-learn pipeline of `TfidfVectorizer` and `LogisticRegression`.

    Example:

    >>> from textrnn.evaluation import tfidf_baseline
    >>> tfidf_baseline(["dull", "a joy", "so dull", "joy"], [0, 1, 0, 1]).predict(["what a joy"]).tolist()
    [1]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Tokens of one letter count too, and so does punctuation: "!" and "?" say something about a feeling.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000, random_state=seed)).fit(
        texts, targets
    )
