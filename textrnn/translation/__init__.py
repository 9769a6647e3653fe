"""Recurrent sequence-to-sequence models with attention: train on pairs of texts, translate, serve."""

from textrnn.tasks.kind import TaskKind

TASK = TaskKind(
    name="translation",
    task="textrnn.translation.seq2seq_lm:Seq2SeqLM",
    signatures="textrnn.translation.signatures:translation_signatures",
    commands=("textrnn.translation.commands:translate",),
)
