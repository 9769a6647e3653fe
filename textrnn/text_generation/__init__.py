"""Recurrent language models: train on a text, generate, serve."""

from textrnn.tasks.kind import TaskKind

TASK = TaskKind(
    name="text_generation",
    task="textrnn.text_generation.causal_lm:CausalLM",
    signatures="textrnn.text_generation.signatures:text_signatures",
    commands=("textrnn.text_generation.commands:generate",),
    examples={"max_new_tokens": 8, "token_ids": 2, "index": 0, "steps": 8},
)
