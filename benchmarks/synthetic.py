"""The copy problem, the adding problem and Dyck words, which test the memory of recurrent cells.

Hochreiter & Schmidhuber 1997, Long short-term memory, introduced the first two. Sizes and baselines follow
Arjovsky, Shah & Bengio 2016, Unitary evolution recurrent neural networks, section 5. Dyck words of bounded
depth are from Hewitt et al. 2020, RNNs can generate bounded hierarchical languages with optimal memory.
Examples are independent, so every example is new to a model in its first epoch.
"""

import math

import numpy as np

from textrnn.errors import InputError

ADDING_BASELINE = 1 / 6
"""The mean squared error of always predicting 1, which is the variance of the sum of two uniform numbers."""


def copy_problem(
    examples: int, blanks: int, seed: int | np.random.Generator, *, symbols: int = 8, length: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Make examples of the copy problem: remember symbols over a delay.

    An input has `length` random symbols, `blanks - 1` blanks, a signal, and `length` blanks. The target is
    blank up to and including the signal, followed by the symbols in their order.

    Args:
        examples: The number of examples.
        blanks: The delay T between the last symbol and the first one to recall.
        seed: An int, or a NumPy generator, which is advanced.
        symbols: The number of different symbols, with ids from 0. The next ids are the blank and the signal.
        length: The number of symbols to remember.

    Returns:
        Inputs and targets, int32 `(examples, blanks + 2 * length)`.

    Raises:
        InputError: If a size is below 1.

    Example:

    >>> from synthetic import copy_problem
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
    """The cross-entropy in nats per step of a model that guesses the symbols at the right time.

    Args:
        blanks, symbols, length: As for `copy_problem`.

    Example:

    >>> from synthetic import copy_baseline
    >>> round(copy_baseline(100), 4)
    0.1733
    """
    _check(blanks=blanks, symbols=symbols, length=length)
    return length * math.log(symbols) / (blanks + 2 * length)


def adding_problem(
    examples: int, steps: int, seed: int | np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Make examples of the adding problem: add the two marked numbers of a list.

    Each step has a number, uniform in [0, 1), and a mark, which is 1 at one step of each half and 0
    elsewhere. `ADDING_BASELINE` is the score without memory.

    Args:
        examples: The number of examples.
        steps: The length T of the lists, at least 2.
        seed: An int, or a NumPy generator, which is advanced.

    Returns:
        Inputs, float32 `(examples, steps, 2)`, and targets, float32 `(examples, 1)`.

    Raises:
        InputError: If there are no examples or fewer than two steps.

    Example:

    >>> from synthetic import adding_problem
    >>> inputs, targets = adding_problem(3, steps=100, seed=0)
    >>> numbers, marks = inputs[..., 0], inputs[..., 1]
    >>> bool((targets[:, 0] == (numbers * marks).sum(axis=1)).all()), marks.sum(axis=1).tolist()
    (True, [2.0, 2.0, 2.0])
    """
    _check(examples=examples)
    if steps < 2:
        raise InputError(f"steps is {steps}: expected at least 2, since two steps are marked")
    random = np.random.default_rng(seed)
    rows = np.arange(examples)
    inputs = np.zeros((examples, steps, 2), np.float32)
    inputs[..., 0] = random.random((examples, steps), np.float32)
    first = random.integers(steps // 2, size=examples)
    second = random.integers(steps // 2, steps, size=examples)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1
    return inputs, (inputs[rows, first, 0] + inputs[rows, second, 0])[:, None]


def dyck_problem(
    examples: int, length: int, seed: int | np.random.Generator, *, kinds: int = 8, depth: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make words of nested brackets of several kinds: tell the kind of each closing bracket.

    An input shows the kind of an opening bracket, but not of a closing one, which closes the last bracket
    that is open. So its kind has to be remembered since then, together with those of the brackets around it.
    Where a word may both open and close a bracket, it does either with probability 1/2. Kinds are random.

    Args:
        examples: The number of words.
        length: The length of a word, an even number.
        seed: An int, or a NumPy generator, which is advanced.
        kinds: The number of kinds, with ids from 0. The next id is a closing bracket. The accuracy without
            memory is `1 / kinds`.
        depth: The maximum number of open brackets.

    Returns:
        Inputs, targets and distances, int32 `(examples, length)`. A target is the kind of a closing bracket.
        A distance is the number of steps since its opening bracket. Both are 0 at opening brackets.

    Raises:
        InputError: If a size is below 1, or the length is odd.

    Example:

    >>> from synthetic import dyck_problem
    >>> [word], [kinds], [distances] = dyck_problem(1, 8, seed=4, kinds=3)
    >>> "".join("([{|"[i] for i in word)
    '{|{[||{|'
    >>> kinds.tolist(), distances.tolist()
    ([0, 2, 0, 0, 1, 2, 0, 2], [0, 1, 0, 0, 1, 3, 0, 1])
    """
    _check(examples=examples, length=length, kinds=kinds, depth=depth)
    if length % 2:
        raise InputError(f"length is {length}: expected an even number, since each bracket is closed")
    random = np.random.default_rng(seed)
    inputs = random.integers(kinds, size=(examples, length), dtype=np.int32)
    wants_to_open = random.random((examples, length), np.float32) < 0.5
    targets, distances = np.zeros_like(inputs), np.zeros_like(inputs)
    opened = np.zeros((examples, depth), np.int32)  # the steps of the brackets that are open
    height, rows = np.zeros(examples, np.int32), np.arange(examples)
    for step in range(length):
        can_open = (height < depth) & (height < length - step)
        opens = can_open & ((height == 0) | wants_to_open[:, step])
        opened[rows[opens], height[opens]] = step
        height += np.where(opens, 1, -1)
        closing = rows[~opens]
        since = opened[closing, height[closing]]
        targets[closing, step], distances[closing, step] = inputs[closing, since], step - since
        inputs[closing, step] = kinds
    return inputs, targets, distances


def _check(**sizes):
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} is {size}: expected at least 1")
