"""The tasks by name."""

from architecture_comparison.classification import prepare_classification
from architecture_comparison.jobs import Task
from architecture_comparison.text import prepare_text
from architecture_comparison.translation import prepare_translation

TASKS = {
    "text": Task("bits per character", "{:.3f}", True, prepare_text, one_shape=True, unit="tokens"),
    "classification": Task("accuracy", "{:.1%}", False, prepare_classification),
    "translation": Task("BLEU", "{:.1f}", False, prepare_translation, unit="pairs"),
}
