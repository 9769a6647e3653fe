"""Which cells differ from `lstm` by more than their seeds explain."""

import math
import statistics

from cell_comparison.settings import CONTROL
from cell_comparison.tasks import TASKS

LEVEL = 0.05
BETTER, WORSE = "▲", "▼"


def compared(task, results):
    """Compare the cells with `lstm` in a task by Dunnett's test (1955), at 5 % for all comparisons together.

    It assumes that the scores of all cells vary equally between seeds, and normally. Squared errors are
    compared by their logarithms. Cells of which a seed has no score take no part.

    Args:
        task: A name in `TASKS`.
        results: A dict of cells to `Result`.

    Returns:
        A dict of the cells that differ to `BETTER` or `WORSE`. It is empty without a complete `lstm`.
    """
    from scipy.stats import dunnett

    values = {
        cell: [math.log(value) if TASKS[task].log else value for value in result.values]
        for cell, result in results.items()
        if len(result.values) > 1 and not result.problems
    }
    control, others = values.pop(CONTROL, None), values
    spread = any(len({*scores}) > 1 for scores in [*others.values(), control or []])
    if control is None or not others or not spread:
        return {}
    p_values = dunnett(*others.values(), control=control, random_state=0).pvalue
    return {
        cell: direction(task, scores, control)
        for (cell, scores), p in zip(others.items(), p_values, strict=True)
        if p < LEVEL
    }


def direction(task, scores, control):
    """Whether the mean of some scores is better or worse than that of others."""
    higher = statistics.fmean(scores) > statistics.fmean(control)
    return WORSE if higher == TASKS[task].lower_is_better else BETTER
