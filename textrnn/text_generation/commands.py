"""The command `textrnn generate`."""

import sys

from textrnn.errors import expect


def generate(
    model: str,
    prompt: str = "",
    interactive: bool = False,
    samples: int = 1,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    cell: str | None = None,
):
    """Continue a prompt with a trained model, from its SavedModel or its preset.

    Args:
        model: A model's folder (saved_models/NAME, the newest version is used), one version, or a preset.
        prompt: The text to continue.
        interactive: Ask for prompts until Ctrl-D.
        samples: How many different continuations to show.
        max_new_tokens: How many tokens to add at the most, up to 4096. Default: the model's own.
        temperature: Higher is more surprising; 0 takes the likeliest token. Default: the model's own.
        top_k: Choose among this many tokens; 0 for all. Default: the model's own.
        top_p: Choose among the likeliest tokens that reach this probability. Default: the model's own.
        seed: Give another one for another answer. Default: derived from the prompt.
        cell: For a preset whose cell is a class of your own: module:attribute, as for the recipe.
    """
    expect(samples >= 1, f"--samples {samples}: expected 1 or more")
    expect(
        max_new_tokens is None or max_new_tokens >= 0,
        f"--max_new_tokens {max_new_tokens}: expected 0 or more",
    )
    expect(temperature is None or temperature >= 0, f"--temperature {temperature}: expected 0 or more")
    expect(top_k is None or top_k >= 0, f"--top_k {top_k}: expected 0 or more (0 keeps all tokens)")
    expect(top_p is None or 0 < top_p <= 1, f"--top_p {top_p}: expected more than 0 and at most 1")
    expect(seed is None or 0 <= seed < 2**63, f"--seed {seed}: expected 0 or more")
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
