"""The synthetic problems: targets follow from the inputs, and the baselines are correct."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic import ADDING_BASELINE, adding_problem, copy_baseline, copy_problem, dyck_problem
from textrnn import InputError


def answer_by_hand(sequence, length, blank, signal):
    """Solve one input of the copy problem symbol by symbol with a queue."""
    queue, answering, answers = [], False, []
    for symbol in sequence:
        answers.append(queue.pop(0) if answering else blank)
        if symbol == signal:
            answering = True
        elif symbol != blank:
            queue.append(symbol)
    assert not queue
    assert len(answers) == len(sequence) and answering and length >= 1
    return answers


@pytest.mark.parametrize(("blanks", "symbols", "length"), [(1, 8, 10), (30, 8, 10), (5, 2, 3), (1, 1, 1)])
def test_a_queue_solves_the_copy_problem(blanks, symbols, length):
    inputs, targets = copy_problem(20, blanks, seed=3, symbols=symbols, length=length)
    assert inputs.shape == targets.shape == (20, blanks + 2 * length)
    assert inputs.dtype == targets.dtype == np.int32
    for sequence, expected in zip(inputs.tolist(), targets.tolist(), strict=True):
        assert answer_by_hand(sequence, length, symbols, symbols + 1) == expected


def test_the_signal_of_the_copy_problem_follows_the_blanks():
    inputs, _ = copy_problem(5, blanks=7, seed=0)
    signals = np.argwhere(inputs == 9)
    assert signals.tolist() == [[row, 10 + 7 - 1] for row in range(5)]
    assert ((inputs[:, :10] < 8) & (inputs[:, :10] >= 0)).all()
    assert (np.delete(inputs[:, 10:], 6, axis=1) == 8).all()


def test_all_symbols_are_equally_likely():
    inputs, _ = copy_problem(2000, blanks=1, seed=0)
    counts = np.bincount(inputs[:, :10].ravel())
    assert len(counts) == 8
    assert abs(counts / 20_000 - 1 / 8).max() < 0.01


def test_guessing_the_remembered_symbols_scores_the_copy_baseline():
    _, targets = copy_problem(50, blanks=13, seed=1)
    probabilities = np.zeros((33, 10))
    probabilities[:23, 8] = 1  # blank before the answer
    probabilities[23:, :8] = 1 / 8
    chosen = probabilities[np.arange(33), targets]
    assert -np.log(chosen).mean() == pytest.approx(copy_baseline(13))


@pytest.mark.parametrize("steps", [2, 3, 50])
def test_the_sum_of_the_marked_numbers_solves_the_adding_problem(steps):
    inputs, targets = adding_problem(40, steps, seed=2)
    assert inputs.shape == (40, steps, 2) and targets.shape == (40, 1)
    assert inputs.dtype == targets.dtype == np.float32
    for sequence, target in zip(inputs, targets, strict=True):
        marked = [step for step in range(steps) if sequence[step, 1] == 1]
        first, second = marked
        assert first < steps // 2 <= second
        assert (np.delete(sequence[:, 1], marked) == 0).all()
        assert sequence[first, 0] + sequence[second, 0] == target[0]
    assert inputs[..., 0].min() >= 0 and inputs[..., 0].max() < 1


def test_both_marks_reach_every_step_of_their_half():
    inputs, _ = adding_problem(500, 7, seed=0)
    assert (inputs[..., 1].sum(axis=0) > 50).all()


def test_always_predicting_one_scores_the_adding_baseline():
    _, targets = adding_problem(100_000, 2, seed=0)
    assert ((targets - 1) ** 2).mean() == pytest.approx(ADDING_BASELINE, abs=2e-3)


@given(
    pairs=st.integers(1, 30), kinds=st.integers(1, 9), depth=st.integers(1, 9), seed=st.integers(0, 2**32 - 1)
)
def test_a_stack_tells_the_kinds_of_closing_brackets(pairs, kinds, depth, seed):
    inputs, targets, distances = dyck_problem(4, 2 * pairs, seed, kinds=kinds, depth=depth)
    for array in (inputs, targets, distances):
        assert array.shape == (4, 2 * pairs) and array.dtype == np.int32
    for word, expected, far in zip(inputs.tolist(), targets.tolist(), distances.tolist(), strict=True):
        stack, found = [], []
        for step, symbol in enumerate(word):
            assert 0 <= symbol <= kinds
            if symbol == kinds:  # closes a bracket
                kind, begin = stack.pop()
                found.append((kind, step - begin))
            else:
                stack.append((symbol, step))
                found.append((0, 0))
            assert len(stack) <= depth
        assert stack == []
        assert [*zip(expected, far, strict=True)] == found


def test_words_of_brackets_use_all_kinds_and_the_whole_depth():
    inputs, targets, distances = dyck_problem(500, 40, seed=0, kinds=5, depth=3)
    heights = np.where(inputs == 5, -1, 1).cumsum(axis=1)
    assert heights.max() == 3 and distances.max() > 20
    shares = np.bincount(targets[distances > 0], minlength=5) / (distances > 0).sum()
    assert abs(shares - 1 / 5).max() < 0.02
    free = (heights[:, :-1] > 0) & (heights[:, :-1] < 3) & (np.arange(39) < 30)  # far from the end
    assert abs((inputs[:, 1:] < 5)[free].mean() - 1 / 2) < 0.02


@pytest.mark.parametrize(
    "problem", [copy_problem, adding_problem, lambda n, size, seed: dyck_problem(n, 2 * size, seed)]
)
def test_a_seed_determines_the_examples_and_a_generator_advances(problem):
    first, again, other = (problem(3, 9, seed)[0] for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()
    generator = np.random.default_rng(0)
    assert (problem(3, 9, generator)[0] == first).all()
    assert (problem(3, 9, generator)[0] != first).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: copy_problem(0, 5, 0), "examples is 0"),
        (lambda: copy_problem(1, 0, 0), "blanks is 0"),
        (lambda: copy_problem(1, 1, 0, length=0), "length is 0"),
        (lambda: copy_baseline(-1), "blanks is -1"),
        (lambda: adding_problem(0, 5, 0), "examples is 0"),
        (lambda: adding_problem(1, 1, 0), "steps is 1"),
        (lambda: dyck_problem(0, 2, 0), "examples is 0"),
        (lambda: dyck_problem(1, 3, 0), "length is 3: expected an even number"),
        (lambda: dyck_problem(1, 2, 0, depth=0), "depth is 0"),
    ],
)
def test_invalid_sizes_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
