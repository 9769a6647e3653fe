"""Recurrent text classifiers: train on labelled texts, calibrate, explain, serve."""

from textrnn.tasks.kind import TaskKind

TASK = TaskKind(
    name="sentiment",
    task="textrnn.classification.text_classifier:TextClassifier",
    signatures="textrnn.classification.signatures:classification_signatures",
    commands=(
        "textrnn.classification.commands:classify",
        "textrnn.classification.commands:explain",
    ),
    methods={"classify": "tensorflow/serving/classify"},
)
