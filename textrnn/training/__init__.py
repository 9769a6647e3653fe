"""Training: `fit`, callbacks, losses and learning rate schedules.

The callbacks are `async_safe`. Keras converts the logs of every batch to numbers before it calls other
callbacks, which waits for the device. It calls `on_train_batch_end` of an async-safe callback on another
thread, where these callbacks only store numbers. Whatever prints or touches weights happens in
`on_train_batch_begin`, on the main thread. Messages go to stderr, and stdout is for results.
"""

from textrnn.training.averaging import AverageSteps, AverageWeights, step_average
from textrnn.training.best_weights import BestWeights
from textrnn.training.checkpoint import Checkpoint
from textrnn.training.discriminative import (
    Discriminative,
    DiscriminativeAdam,
    DiscriminativeSGD,
    discriminative_optimizer,
    discriminative_rates,
)
from textrnn.training.distributed_steps import DistributedSteps
from textrnn.training.distribution import Workers, disband, distributed, workers
from textrnn.training.evaluate import Evaluate
from textrnn.training.fitting import TrainingResult, fit
from textrnn.training.log_file import LogFile
from textrnn.training.progress_bar import ProgressBar
from textrnn.training.sample_text import SampleText
from textrnn.training.sampled_softmax import sampled_crossentropy
from textrnn.training.schedules import ScaledByStep, SlantedTriangular, schedule, warmup_cosine
from textrnn.training.tensorboard import TensorBoard
from textrnn.training.unfreezing import GradualUnfreezing

__all__ = [
    "AverageSteps",
    "AverageWeights",
    "BestWeights",
    "Checkpoint",
    "Discriminative",
    "DiscriminativeAdam",
    "DiscriminativeSGD",
    "DistributedSteps",
    "Evaluate",
    "GradualUnfreezing",
    "LogFile",
    "ProgressBar",
    "SampleText",
    "ScaledByStep",
    "SlantedTriangular",
    "TensorBoard",
    "TrainingResult",
    "Workers",
    "disband",
    "discriminative_optimizer",
    "discriminative_rates",
    "distributed",
    "fit",
    "sampled_crossentropy",
    "schedule",
    "step_average",
    "warmup_cosine",
    "workers",
]
