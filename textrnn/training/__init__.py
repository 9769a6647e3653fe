"""Training: schedules, callbacks, and a `fit` that survives Ctrl-C and a loss that is not finite."""

from textrnn.training.averaging import AverageWeights
from textrnn.training.best_weights import BestWeights
from textrnn.training.evaluate import Evaluate
from textrnn.training.fitting import TrainingResult, fit
from textrnn.training.progress_bar import ProgressBar
from textrnn.training.sample_text import SampleText
from textrnn.training.schedules import warmup_cosine

__all__ = [
    "AverageWeights",
    "BestWeights",
    "Evaluate",
    "ProgressBar",
    "SampleText",
    "TrainingResult",
    "fit",
    "warmup_cosine",
]
