"""How sure is a rate that was measured over one stretch of time? Batch means over consecutive windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from hexgate.stats.distributions import miss_probability, student_t_quantile
from hexgate.stats.interval import Family, Interval

__all__ = ["FEWEST_WINDOWS", "batch_means", "lag1_autocorrelation"]

FEWEST_WINDOWS = 3
"""With fewer there is no interval."""


def batch_means(
    window_values: Sequence[float], *, level: float = 0.95, what: str, floor: float | None = None
) -> Interval:
    """Student's t interval of the mean over windows of equal length, in the unit of the values.

    Assumes windows long enough for their means to be about normal. Where neighbours resemble each other
    (lag-1 autocorrelation r above zero) n windows say less than n independent ones: they are counted as n (1
    - r) / (1 + r), and as 2 at the least, both in the standard error and in the degrees of freedom. A
    negative r changes nothing. The interval's n is that number, rounded down. With fewer than three windows
    there are no bounds.

    Source: Law (2015), Simulation Modeling and Analysis, section 9.5.3; the effective number is that of a
    first-order autoregressive process.

    Args:
        window_values: one number per window, in the order of time.
        level: confidence, above 0.5 and below 1.
        what: the name of the rate, for the method text.
        floor: what no value can be below by its nature, such as 0 for a rate: bounds below it are set to it, and
            the method says so. None where there is no such number.

    Raises:
        ValueError: if a value is not finite or below the floor, or the level is out of range.
    """
    n = len(window_values)
    miss = miss_probability(level)
    if not all(math.isfinite(value) for value in window_values):
        raise ValueError("the mean of windows needs finite values")
    if floor is not None and min(window_values, default=floor) < floor:
        raise ValueError(f"a window is below {floor:g}, which was said to be the least possible")
    method = f"batch means of {what}, Student's t over {n} windows"
    if n < FEWEST_WINDOWS:
        method += f"; no bounds from fewer than {FEWEST_WINDOWS}"
        return Interval(None, None, None, None, level, Family.BATCH_MEANS, method, n)
    mean = math.fsum(window_values) / n
    variance = math.fsum((value - mean) ** 2 for value in window_values) / (n - 1)
    effective = float(n)
    correlation = lag1_autocorrelation(window_values)
    if correlation is None:
        method += ", which are all equal: the interval has no width"
    elif correlation > 0.0:
        effective = max(2.0, n * (1.0 - correlation) / (1.0 + correlation))
        method += f", counted as {effective:.4g} for their lag-1 autocorrelation of {correlation:.4g}"
    error = math.sqrt(variance / effective)
    two_sided = error * student_t_quantile(1.0 - miss / 2.0, effective - 1.0)
    one_sided = error * student_t_quantile(1.0 - miss, effective - 1.0)
    low, lower_bound = mean - two_sided, mean - one_sided
    if floor is not None and low < floor:
        low, lower_bound = floor, max(lower_bound, floor)
        method += f"; bounds below {floor:g} are set to {floor:g}"
    return Interval(
        low=low,
        high=mean + two_sided,
        lower_bound=lower_bound,
        upper_bound=mean + one_sided,
        level=level,
        family=Family.BATCH_MEANS,
        method=method,
        n=math.floor(effective),
    )


def lag1_autocorrelation(values: Sequence[float]) -> float | None:
    """How much each value resembles the one before it, -1 to 1; None for fewer than 3 or equal values.

    The usual estimate: the sum of products of neighbouring deviations from the mean, over the sum of squares.
    """
    n = len(values)
    if n < FEWEST_WINDOWS or min(values) == max(values):
        return None
    mean = math.fsum(values) / n
    deviations = [value - mean for value in values]
    squares = math.fsum(d * d for d in deviations)
    return math.fsum(a * b for a, b in pairwise(deviations)) / squares
