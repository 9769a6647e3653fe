"""Which starter model a text is to start from: one of its language."""

from textrnn.starters import starter_names, starter_path
from textrnn.tasks.registry import task_of_preset


def closest_starter(texts, task):
    """Return the starter model whose vocabulary fits texts best.

    Args:
        texts: Strings, of which the first ones are looked at.
        task: The class of the model, such as `textrnn.CausalLM`.

    Returns:
        The name of a starter model, and how many times the bits of its own training text a typical text
        takes; None and infinity if the texts are in another language than all starter models.

    Example:

    >>> import textrnn
    >>> from textrnn.presets.closest import closest_starter
    >>> closest_starter(["Быть или не быть, вот в чём вопрос."], textrnn.CausalLM)
    (None, inf)
    """
    import keras_hub

    from textrnn.tokenizers.familiarity import OTHER_LANGUAGE, sample_lines, typical_surprisal

    lines = sample_lines(texts)
    found = {}
    # Names that a folder with models of one's own has are left out: as options, they would mean these models.
    starters = {name: starter_path(name) for name in starter_names() if lines}
    for name, path in starters.items():
        if path and issubclass(task_of_preset(path), task):
            tokenizer = keras_hub.tokenizers.Tokenizer.from_preset(str(path))
            found[name] = typical_surprisal(tokenizer, lines)
    best = min(found, key=found.__getitem__, default=None)
    return (best, found[best]) if best and found[best] < OTHER_LANGUAGE else (None, float("inf"))


def starter_advice(texts, task, option, otherwise):
    """Return the advice to start from the starter model that fits texts, for a warning.

    Args:
        texts, task: As for `closest_starter`.
        option: What takes the name of a model, such as `"--from_preset"`.
        otherwise: The advice if no starter model fits.

    Example:

    >>> import textrnn
    >>> from textrnn.presets import starter_advice
    >>> texts = ["Les enfants se tenaient à la fenêtre, et personne n'avait vu la vieille quitter la maison."]
    >>> starter_advice(texts, textrnn.CausalLM, "--from_preset", "Leave out --from_preset")
    'The starter model french fits better: give --from_preset french'
    """
    name, _ = closest_starter(texts, task)
    return f"The starter model {name} fits better: give {option} {name}" if name else otherwise
