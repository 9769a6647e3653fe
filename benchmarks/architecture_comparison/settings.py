"""The contestants, what all of a task share, and a run."""

import dataclasses

CELLS = {
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "min_gru": {"cell": "min_gru", "num_layers": 3},
    "min_gru_residual": {"cell": "min_gru", "num_layers": 3, "residual": True},
}
"""Recurrent contestants: a cell of textrnn, and how its layers are stacked, arguments of a backbone."""

BLOCKS = {"convolution": 6, "transformer": 2}
"""The other contestants, and their numbers of residual blocks."""

CONTESTANTS = (*CELLS, *BLOCKS)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all contestants of a task share.

    Attributes:
        data: The data set, see the task.
        vocabulary_size: Tokens of the vocabulary.
        width: Features of token vectors, and of what the blocks of a residual network add to.
        budget: Maximum number of weights besides the token vectors. Sizes are searched to meet it.
        length: Tokens of a training window, or the maximum of a text.
        batch_size: Rows of a batch.
        dropout: Dropout rate.
        heads: Attention heads of the transformer.
        scored: Maximum number of test tokens, or of test texts.
    """

    data: str
    vocabulary_size: int
    width: int
    budget: int
    length: int
    batch_size: int
    dropout: float
    heads: int = 4
    scored: int = 200_000


SETTINGS = {
    "text": Settings("wikitext-2", 256, 128, 400_000, length=128, batch_size=32, dropout=0.1),
    "classification": Settings("sst2", 4000, 64, 120_000, length=256, batch_size=32, dropout=0.3),
    "translation": Settings(
        "multi30k-en-de", 4000, 128, 800_000, length=64, batch_size=64, dropout=0.3, scored=1000
    ),
}
QUICK = {
    "text": Settings("starter", 256, 16, 6000, length=16, batch_size=4, dropout=0.1, scored=300),
    "classification": Settings("starter", 400, 16, 6000, length=64, batch_size=8, dropout=0.1, scored=40),
    "translation": Settings("starter", 400, 16, 12_000, length=40, batch_size=8, dropout=0.1, scored=20),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        task: A name in `SETTINGS`.
        contestant: A name in `CONTESTANTS`.
        learning_rate: The highest rate.
        minutes: Duration of training.
        seed: Of weights, dropout and the order of data.
        purpose: `"search"` scores the validation part on the way. `"test"` scores the test part on the way,
            and the validation part at the end.
        xla: Whether XLA compiles the training step.
    """

    task: str
    contestant: str
    learning_rate: float
    minutes: float
    seed: int
    purpose: str
    xla: bool = False

    def __str__(self):
        rate = f"learning rate {self.learning_rate:g}, {self.minutes:g} minutes, seed {self.seed}"
        return f"{self.task}, {self.contestant}, {rate}, {self.purpose}{', XLA' * self.xla}"
