"""What a classifier starts from: a starter model, a preset of one's own, or random weights."""

import functools
import json

from textrnn.cells.options import make_cell
from textrnn.classification.defaults import FEW_TEXTS
from textrnn.classification.from_language_model import expect_equal_layers
from textrnn.classification.text_classifier import TextClassifier
from textrnn.errors import expect, warn
from textrnn.presets import closest_starter, find_preset, preset_task, starter_advice
from textrnn.tokenizers.familiarity import sample_lines, unfamiliar_text_warnings


def starting_point(texts, labels, classifiers=True, parts=()):
    """Choose what a classifier starts from.

    Few texts start from a starter model of their language: from a classifier that has just these labels, or
    else from a language model.

    Args:
        texts: The training texts, a list of str.
        labels: The labels that they have.
        classifiers: Whether it may be a classifier.
        parts: Names of the parts of a new model that were asked for, which a starter model has already.

    Returns:
        The name of a starter model, None for random weights, and the reason, one clause.

    Example:

    >>> from textrnn.classification.start import starting_point
    >>> starting_point(["so dull", "a joy"] * 20_000, ["bad", "good"] * 20_000)
    (None, 'random weights, as 40,000 texts are enough to learn from')
    """
    import textrnn  # a task imports no other one

    if len(texts) >= FEW_TEXTS:
        return None, f"random weights, as {len(texts):,} texts are enough to learn from"
    if parts:
        return None, f"random weights, as a starter model has its own {', '.join(parts)}"
    few = f"as {len(texts):,} labelled texts are few"
    name, surprisal = closest_starter(texts, TextClassifier) if classifiers else (None, None)
    fits = "whose vocabulary fits the texts ({:.1f} times the bits per character of its own)"
    if name is not None and {*labels} == {*known_labels(name)}:
        return name, f"the classifier {name}, which has these labels, and {fits.format(surprisal)}, {few}"
    name, surprisal = closest_starter(texts, textrnn.CausalLM)
    if name is None and not sample_lines(texts):
        return None, "random weights, as the texts are too short to tell their language"
    if name is None:
        return None, "random weights, as no starter model has the language of the texts"
    return name, f"the language model {name}, {fits.format(surprisal)}, {few}"


def known_labels(preset):
    """Return the labels of a classifier from its preset, without loading it.

    Example:

    >>> from textrnn.classification.start import known_labels
    >>> known_labels("sentiment")
    ['negative', 'positive']
    """
    return _config_of(preset)["labels"]


def start_task(preset):
    """Return the class of a preset that a classifier is to start from.

    Raises:
        InputError: If there is no such preset, one of neither a classifier nor a language model, or one of a
            language model whose layers differ in width.

    Example:

    >>> from textrnn.classification.start import start_task
    >>> start_task("english").__name__
    'CausalLM'
    """
    import textrnn  # a task imports no other one

    task = preset_task(preset)
    expect(
        issubclass(task, (TextClassifier, textrnn.CausalLM)),
        f"{preset} is a preset of a {task.__name__}: give that of a classifier or language model",
    )
    if issubclass(task, textrnn.CausalLM):
        expect_equal_layers(_config_of(preset)["backbone"]["config"]["units"])
    return task


def starts_from_classifier(preset):
    """Whether a preset is a classifier; otherwise it is a language model. Raises the errors of `start_task`.

    Example:

    >>> from textrnn.classification.start import starts_from_classifier
    >>> starts_from_classifier("sentiment"), starts_from_classifier("english")
    (True, False)
    """
    return issubclass(start_task(preset), TextClassifier)


def cell_of(preset):
    """Make the cell of a preset from its config, without its weights.

    Example:

    >>> from textrnn.classification.start import cell_of
    >>> cell_of("english").units
    1024
    """
    config = _config_of(preset)["backbone"]["config"]
    return make_cell(config["cell"], config["units"], None)


def find_start(texts, labels, preset=None, from_scratch=False, classifiers=True, parts=()):
    """Find what a classifier starts from. Without a preset, print what is chosen and why.

    Texts in another language than that of a given preset are warned about.

    Args:
        texts: The training texts, a list of str.
        labels: The labels that they have.
        preset: A classifier or a language model to start from; None to choose by the texts.
        from_scratch: Whether to start from random weights in any case.
        classifiers, parts: As for `starting_point`.

    Returns:
        The preset and the class of its task; None and None for random weights.

    Raises:
        InputError: If the preset is of another task.

    Example:

    >>> from textrnn.classification.start import find_start
    >>> find_start(["so dull", "a joy"] * 20_000, ["bad", "good"] * 20_000)
    starting from random weights, as 40,000 texts are enough to learn from
    (None, None)
    """
    given = preset is not None
    if not given and not from_scratch:
        preset, reason = starting_point(texts, labels, classifiers, parts)
        print(f"starting from {reason}")
    if preset is None:
        return None, None
    task = start_task(preset)
    if given:
        preprocessor = task.preprocessor_cls.from_preset(str(find_preset(preset)))
        if getattr(preprocessor, "lowercase", False):
            texts = [text.lower() for text in texts]
        warn_if_unfamiliar(preprocessor.tokenizer, texts, preset, "--from_preset")
    return preset, task


def warn_if_unfamiliar(tokenizer, texts, name, option):
    """Warn of texts in another language than that of the model that was asked for.

    Args:
        tokenizer: Its tokenizer.
        texts: The training texts, a list of str.
        name: The model.
        option: What names the model, and is left out to start from other weights.

    Example:

    >>> from textrnn.classification.start import warn_if_unfamiliar
    >>> from textrnn.tokenizers import ByteTokenizer
    >>> warn_if_unfamiliar(ByteTokenizer(), ["bytes know every language"], "bytes", "--from_preset")
    """
    import textrnn  # a task imports no other one

    otherwise = f"Start from a model of the language of the texts, or leave out {option}"
    advice = functools.partial(starter_advice, task=textrnn.CausalLM, option=option, otherwise=otherwise)
    for warning in unfamiliar_text_warnings(tokenizer, texts, name, advice):
        warn(warning)


def _config_of(preset):
    """Return the config of a task from its preset, without loading it."""
    return json.loads((find_preset(preset) / "task.json").read_text(encoding="utf-8"))["config"]
