"""Adapting a trained language model to a text: unfamiliar text, and whether it helped."""

import functools
import math
import time
from typing import NamedTuple

import keras

from textrnn import training
from textrnn.data.stored_texts import count_characters
from textrnn.presets import starter_advice
from textrnn.text_generation.causal_lm import CausalLM
from textrnn.text_generation.defaults import LITTLE_TEXT, defaults_for, sampled_softmax
from textrnn.text_generation.evaluation import LanguageModelEvaluator
from textrnn.text_generation.text_windows import text_windows
from textrnn.tokenizers.familiarity import unfamiliar_text_warnings
from textrnn.tokenizers.text import beginnings_of


def vocabulary_warnings(tokenizer, documents, name):
    r"""Return a warning if a text is unlike those that a tokenizer was trained on.

    The warning names the starter model that fits, if there is one.

    Args:
        tokenizer: The tokenizer of a trained model.
        documents: The training text.
        name: The name of the model.

    Example:

    >>> from textrnn.data.documents import Document
    >>> from textrnn.text_generation.adaptation import vocabulary_warnings
    >>> from textrnn.tokenizers import SentencePieceTokenizer
    >>> english = SentencePieceTokenizer.train(["The cat sat on the mat, and the dog beside it.\n"] * 9)
    >>> greek = [Document("a.txt", "Η γάτα κάθεται στο χαλί, και ο σκύλος δίπλα της.\n" * 9)]
    >>> [warning] = vocabulary_warnings(english, greek, "english")
    >>> warning[:69]
    'the text fits the vocabulary of english badly: most lines take 4.5 ti'
    """
    otherwise = (
        "If the text is in another language, start from a model of that language, or leave out "
        "--from_preset. If it has many words of its own, give --extend_vocabulary 1000"
    )
    advice = functools.partial(starter_advice, task=CausalLM, option="--from_preset", otherwise=otherwise)
    return unfamiliar_text_warnings(tokenizer, beginnings_of(documents), name, advice)


class Adaptation(NamedTuple):
    """Bits per character of the validation text.

    Attributes:
        before: Of the trained model.
        after: Of the adapted model.
        scratch: Of a model that was trained from random weights for the same time, or None.
    """

    before: float
    after: float
    scratch: float | None = None

    def metrics(self):
        """The numbers for `metrics.json`."""
        found = {"before_adaptation": self.before, "from_scratch": self.scratch}
        return {f"held_out_bits_per_character_{name}": v for name, v in found.items() if v is not None}

    def __str__(self):
        parts = [f"{self.before:.3f} before", f"{self.after:.3f} after"]
        if self.scratch is not None:
            parts.append(f"{self.scratch:.3f} from scratch in the same time")
        return f"bits per character: {', '.join(parts)}"


def advice(adaptation, history, best_epoch, characters=math.inf):
    """Say whether adapting helped, whether it overfitted, and whether the text was too small for more.

    Args:
        adaptation: An `Adaptation`.
        history: The history of the training run; see `textrnn.training.TrainingResult`.
        best_epoch: The epoch of the best weights.
        characters: The size of the training text.

    Returns:
        A list of sentences.

    Example:

    >>> from textrnn.text_generation.adaptation import Adaptation, advice
    >>> history = {"epoch": [0, 1, 2, 3], "val_bits_per_character": [2.0, 1.8, 1.9, 2.0]}
    >>> advice(Adaptation(2.0, 1.8), history, best_epoch=1)
    ['adapting helped: 10% fewer bits per character', 'from epoch 1 on it overfitted: ...']
    """
    gain = 1 - adaptation.after / adaptation.before
    found, small = [], characters < LITTLE_TEXT
    if best_epoch == 0 or gain <= 0:
        reason = (
            f"{characters:,} characters are too few"
            if small
            else "the text is unlike its validation part, or what the model knows already"
        )
        found.append(
            f"adapting did not help, and the model is as before: {reason}. Give more text, or a lower "
            "--learning_rate"
        )
    else:
        found.append(f"adapting helped: {gain:.0%} fewer bits per character")
        if small:
            found.append(f"it was adapted to {characters:,} characters, which are few: more text would help")
    scores = [value for value in history.get("val_bits_per_character", []) if value is not None]
    if best_epoch and scores and scores[-1] > 1.01 * min(scores):
        found.append(
            f"from epoch {best_epoch:g} on it overfitted: the best weights are kept. More text would help"
        )
    if adaptation.scratch is not None and adaptation.scratch < adaptation.after:
        found.append("a model from scratch is better on this text: leave out --from_preset")
    return found


def compare(result, score, scratch=None, characters=math.inf):
    """Compare an adapted model with what it was before; print the figures and whether adapting helped.

    Args:
        result: The `TrainingResult` of adapting, with an evaluation before training.
        score: The `LanguageModelScore` of the adapted model on the validation text.
        scratch: That of a model from random weights, or None.
        characters: The size of the training text.

    Returns:
        An `Adaptation`.

    Example:

    >>> from textrnn.text_generation.adaptation import compare
    >>> from textrnn.text_generation.score import LanguageModelScore
    >>> from textrnn.training import TrainingResult
    >>> history = {"epoch": [0, 1], "val_bits_per_character": [2.5, 2.0]}
    >>> result = TrainingResult(history, None, 1, seconds=60.0, items_per_second=1e4)
    >>> found = compare(result, LanguageModelScore(1.4, 4.0, 2.0, tokens=100))
    bits per character: 2.500 before, 2.000 after
    adapting helped: 20% fewer bits per character
    """
    # Ctrl-C may come before the first evaluation.
    measured = result.history.get("val_bits_per_character") or [score.bits_per_character]
    found = Adaptation(measured[0], score.bits_per_character, scratch and scratch.bits_per_character)
    print(found)
    for sentence in advice(found, result.history, result.best_epoch, characters):
        print(sentence)
    return found


def score_from_scratch(make_model, texts, seconds, sequence_length, seed):
    """Train a new model for a time, and score it.

    The batches, the rate and the vocabulary are those that the recipe chooses by the size of the text.

    Args:
        make_model: A function of the `Defaults` and the training text that makes a `CausalLM`.
        texts: `textrnn.data.sources.Splits` of text.
        seconds: Duration of the training run.
        sequence_length, seed: As for the recipe.

    Returns:
        A `LanguageModelScore` of the validation text, at the best of ten evaluations.
    """
    defaults = defaults_for(count_characters(texts.train))
    keras.utils.set_random_seed(seed)
    lm = make_model(defaults, texts.train)
    return min(train_for(lm, texts, seconds, defaults, sequence_length, seed), key=lambda score: score.loss)


def train_for(lm, texts, seconds, defaults, sequence_length=64, seed=0, max_epochs=math.inf, evaluations=10):
    """Train a language model for a time, with evaluations in between and at the end.

    The number of steps follows from the speed of the first ones, so that the rate falls to zero at the end.

    Args:
        lm: A `textrnn.CausalLM`, which is trained in place.
        texts: `textrnn.data.sources.Splits` of text.
        seconds: Duration of the training run.
        defaults: The `Defaults` to train with.
        sequence_length, seed: As for the recipe.
        max_epochs: Number of epochs after which training ends in any case.
        evaluations: Number of evaluations.

    Returns:
        A list of the `LanguageModelScore` of each evaluation.
    """
    windows = text_windows(lm, texts, defaults.batch_size, sequence_length, seed=seed)
    data = windows.train.repeat()
    initial = [variable.numpy() for variable in lm.trainable_variables]
    sampled = sampled_softmax(lm.backbone.vocabulary_size)
    lm.compile(keras.optimizers.Adam(defaults.learning_rate, global_clipnorm=1.0), sampled_softmax=sampled)
    durations = []
    for steps in (5, 20):  # the first call compiles
        begin = time.perf_counter()
        lm.fit(data, steps_per_epoch=steps, verbose=0)
        durations.append((time.perf_counter() - begin) / steps)
    steps = max(10, int(min(seconds / durations[-1], max_epochs * len(windows.train))))
    for variable, value in zip(lm.trainable_variables, initial, strict=True):
        variable.assign(value)
    rate = training.warmup_cosine(defaults.learning_rate, steps=steps)
    lm.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), sampled_softmax=sampled)
    score, scores = LanguageModelEvaluator(lm), []
    score.prepare(windows.validation)

    def evaluate(epoch, logs):
        scores.append(score(windows.validation, windows.characters))

    lm.fit(
        data,
        steps_per_epoch=math.ceil(steps / evaluations),
        epochs=evaluations,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=evaluate)],
    )
    return scores
