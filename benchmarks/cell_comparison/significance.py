"""Which cells differ from `lstm` by more than their seeds explain."""

import math
import statistics

from cell_comparison.settings import CONTROL
from cell_comparison.tasks import TASKS

LEVEL = 0.05
BETTER, WORSE = "▲", "▼"


def compared(task, results):
    """Compare the cells with `lstm` in a task by Welch's t-test.

    It lets the variance differ between cells, as it does: the seeds of an unstable cell may differ a thousand
    times as much as those of others, and a pooled variance would then hide all other differences. Of the
    cells that differ, at most 5 % are expected not to (Benjamini & Hochberg 1995). Squared errors are
    compared by their logarithms. Cells of which a seed has no score take no part.

    Args:
        task: A name in `TASKS`.
        results: A dict of cells to `Result`.

    Returns:
        A dict of the cells that differ to `BETTER` or `WORSE`. It is empty without a complete `lstm`.
    """
    from scipy.stats import false_discovery_control

    values = {
        cell: [math.log(value) if TASKS[task].log else value for value in result.values]
        for cell, result in results.items()
        if len(result.values) > 1 and not result.problems
    }
    control, others = values.pop(CONTROL, None), values
    if control is None or not others:
        return {}
    adjusted = false_discovery_control([p_value(scores, control) for scores in others.values()])
    return {
        cell: direction(task, scores, control)
        for (cell, scores), p in zip(others.items(), adjusted, strict=True)
        if p < LEVEL
    }


def p_value(scores, control):
    """The probability of as large a difference of means by chance, by Welch's t-test."""
    from scipy.stats import ttest_ind

    if len({*scores}) == len({*control}) == 1:  # the test divides by their variances
        return float(scores[0] == control[0])
    return ttest_ind(scores, control, equal_var=False).pvalue


def direction(task, scores, control):
    """Whether the mean of some scores is better or worse than that of others."""
    higher = statistics.fmean(scores) > statistics.fmean(control)
    return WORSE if higher == TASKS[task].lower_is_better else BETTER
