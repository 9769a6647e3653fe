"""Problems made by rule, on which recurrent cells are compared: they need memory, and nothing else.

Hochreiter & Schmidhuber 1997, Long short-term memory, posed them; sizes and baselines are those of Arjovsky,
Shah & Bengio 2016, Unitary evolution recurrent neural networks, section 5. Every example is drawn on its own,
so all that a model sees in one pass is new to it.
"""

import math

import numpy as np

from textrnn.errors import InputError

ADDING_BASELINE = 1 / 6
"""The mean squared error of always answering 1: the variance of a sum of two uniform numbers."""


def copy_problem(
    examples: int, blanks: int, seed: int | np.random.Generator, *, symbols: int = 8, length: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """The copy problem: read some symbols, wait, and write them down when asked.

    An input is `length` symbols, each one of `symbols`; `blanks - 1` blanks; the signal to answer; and
    `length` blanks, in which the symbols are expected in their order. Before that the answer is blank.

    Args:
        examples: the number of examples.
        blanks: the time T between the last symbol and the first answer.
        seed: an int, or a NumPy generator that goes on from where it is.
        symbols: the number of different symbols: 0, 1, ... The blank comes after them, then the signal.
        length: the number of symbols to remember.

    Returns:
        Inputs and targets, int32 `(examples, blanks + 2 * length)`.

    Raises:
        InputError: a size below 1.

    Example:
    >>> from benchmarks.synthetic import copy_problem
    >>> inputs, targets = copy_problem(1, blanks=4, seed=0, length=2)
    >>> inputs.tolist(), targets.tolist()
    ([[6, 5, 8, 8, 8, 9, 8, 8]], [[8, 8, 8, 8, 8, 8, 6, 5]])
    """
    _check(examples=examples, blanks=blanks, symbols=symbols, length=length)
    remembered = np.random.default_rng(seed).integers(symbols, size=(examples, length), dtype=np.int32)
    blank, signal = symbols, symbols + 1
    inputs = np.full((examples, blanks + 2 * length), blank, np.int32)
    targets = inputs.copy()
    inputs[:, :length] = remembered
    inputs[:, length + blanks - 1] = signal
    targets[:, -length:] = remembered
    return inputs, targets


def copy_baseline(blanks: int, *, symbols: int = 8, length: int = 10) -> float:
    """The cross-entropy, in nats a step, of knowing when to answer and guessing what.

    Example:
    >>> from benchmarks.synthetic import copy_baseline
    >>> round(copy_baseline(100), 4)
    0.1733
    """
    _check(blanks=blanks, symbols=symbols, length=length)
    return length * math.log(symbols) / (blanks + 2 * length)


def adding_problem(
    examples: int, steps: int, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The adding problem: the sum of the two numbers of a long list that are marked.

    Every step has a number, uniform in [0, 1), and a mark, 1 at two steps and 0 elsewhere: one in the first
    half, one in the second. See `ADDING_BASELINE` for what an answer without memory reaches.

    Args:
        examples: the number of examples.
        steps: the length T of the lists, at least 2.
        seed: an int, or a NumPy generator that goes on from where it is.

    Returns:
        Inputs, float32 `(examples, steps, 2)`, and targets, float32 `(examples, 1)`.

    Raises:
        InputError: no examples, or fewer than two steps.

    Example:
    >>> from benchmarks.synthetic import adding_problem
    >>> inputs, targets = adding_problem(3, steps=100, seed=0)
    >>> numbers, marks = inputs[..., 0], inputs[..., 1]
    >>> bool((targets[:, 0] == (numbers * marks).sum(axis=1)).all()), marks.sum(axis=1).tolist()
    (True, [2.0, 2.0, 2.0])
    """
    _check(examples=examples)
    if steps < 2:
        raise InputError(f"steps is {steps}: two of them are marked, so give 2 or more")
    random = np.random.default_rng(seed)
    rows = np.arange(examples)
    inputs = np.zeros((examples, steps, 2), np.float32)
    inputs[..., 0] = random.random((examples, steps), np.float32)
    first = random.integers(steps // 2, size=examples)
    second = random.integers(steps // 2, steps, size=examples)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1
    return inputs, (inputs[rows, first, 0] + inputs[rows, second, 0])[:, None]


def _check(**sizes):
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} is {size}: give 1 or more")
