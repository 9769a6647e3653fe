"""Sampling from the `generate` signature of a model."""

from collections.abc import Callable
from typing import NamedTuple

from textrnn.data.records import shortened
from textrnn.errors import warn
from textrnn.serving.text_warnings import UNFAMILIAR
from textrnn.text_generation.prompts import cut_at


class Settings(NamedTuple):
    """Settings of samples. None stands for the model's own.

    Attributes:
        samples: Number of continuations of a prompt.
        max_new_tokens: Maximum number of new tokens.
        temperature: Sampling temperature; 0 is greedy.
        top_k: Sample from this many tokens; 0 for all.
        top_p: Nucleus sampling probability.
        stop: Texts before which a continuation ends.
        seed: Seed of the first continuation; the others count up. None derives it from the prompt.
    """

    samples: int = 1
    max_new_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


def make_sampler(function) -> Callable[[str, Settings], list[str]]:
    """Make a function `(prompt, settings) -> texts` from the signature `generate` of a model.

    Args:
        function: The signature, of a SavedModel or from Python; see `text_signatures`.

    Returns:
        A function whose texts are the prompt with each of its continuations. It warns of words of the prompt
        that the model does not know, and once of a prompt that is unlike its training text.
    """
    import tensorflow as tf

    warned_of: set[str] = set()

    def sample(prompt: str, settings: Settings) -> list[str]:
        count, seed = settings.samples, settings.seed

        def repeat(value, dtype):
            return tf.fill([count], tf.constant(-1 if value is None else value, dtype))

        seeds = [-1 if seed is None and i == 0 else ((seed or 0) + i) % 2**63 for i in range(count)]
        made = function(
            text=repeat(prompt, tf.string),
            max_new_tokens=repeat(settings.max_new_tokens, tf.int32),
            temperature=repeat(settings.temperature, tf.float32),
            top_k=repeat(settings.top_k, tf.int32),
            top_p=repeat(settings.top_p, tf.float32),
            seed=tf.constant(seeds, tf.int64),
        )
        texts, completions = (
            [text.decode("utf-8") for text in made[name].numpy()] for name in ("text", "completion")
        )
        echo = texts[0].removesuffix(completions[0])
        if unknown := echo.count("<unk>") - prompt.count("<unk>"):
            warn(f"prompt {prompt!r}: the model does not know {unknown} of its words, read as <unk>")
        elif "unfamiliar" in made and made["unfamiliar"][0] and prompt not in warned_of:
            warned_of.add(prompt)
            warn(f"prompt {shortened(prompt)!r} {UNFAMILIAR}")
        # A tokenizer of words joins prompt and completion by a space, which is no part of the prompt.
        joint = int(echo.endswith(" ") and not prompt.endswith(" "))
        return [
            cut_at(text, settings.stop, len(text) - len(completion) - joint)
            for text, completion in zip(texts, completions, strict=True)
        ]

    return sample
