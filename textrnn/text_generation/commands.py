"""The command `textrnn generate`."""

import sys
from pathlib import Path

from textrnn.types import LongSeed, NonNegativeInt, NonNegativeNumber, PositiveInt, Probability


def generate(
    model: Path,
    prompt: str = "",
    interactive: bool = False,
    samples: PositiveInt = 1,
    max_new_tokens: NonNegativeInt | None = None,
    temperature: NonNegativeNumber | None = None,
    top_k: NonNegativeInt | None = None,
    top_p: Probability | None = None,
    seed: LongSeed | None = None,
    cell: str | None = None,
):
    """Continue a prompt.

    Args:
        model: Folder of a model (saved_models/NAME), of one version, or of a preset
        prompt: Text to continue
        interactive: Read prompts until Ctrl-D
        samples: Number of different continuations
        max_new_tokens: Maximum number of new tokens, up to 4096 (default: the model's)
        temperature: Sampling temperature; 0 is greedy (default: the model's)
        top_k: Sample from this many tokens; 0 for all (default: the model's)
        top_p: Nucleus sampling probability; 1 for all tokens (default: the model's)
        seed: Seed of the samples (default: derived from the prompt)
        cell: MODULE:ATTRIBUTE of your own cell class, if the preset has one
    """
    from textrnn.presets.functions import load_functions

    function = load_functions(model, "generate", "text", "does not generate text", cell)["generate"]

    import tensorflow as tf

    def answer(prompt):
        seeds = [-1 if seed is None and i == 0 else (seed or 0) + i for i in range(samples)]
        repeat = lambda value, dtype: tf.fill([samples], tf.constant(-1 if value is None else value, dtype))  # noqa: E731
        texts = function(
            text=repeat(prompt, tf.string),
            max_new_tokens=repeat(max_new_tokens, tf.int32),
            temperature=repeat(temperature, tf.float32),
            top_k=repeat(top_k, tf.int32),
            top_p=repeat(top_p, tf.float32),
            seed=tf.constant(seeds, tf.int64),
        )["text"]
        for i, text in enumerate(texts.numpy()):
            if samples > 1:
                print(f"--- {i + 1} of {samples}")
            print(text.decode("utf-8"))

    if not interactive:
        answer(prompt)
        return
    print("Type a prompt, Enter for an answer, Ctrl-D to end.", file=sys.stderr)
    if prompt:
        answer(prompt)
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return
        answer(line)
