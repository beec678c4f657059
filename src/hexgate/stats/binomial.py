"""How sure is a ratio? Exact bounds of a binomial proportion."""

from __future__ import annotations

import math

from hexgate.stats.distributions import beta_quantile, miss_probability
from hexgate.stats.interval import Family, Interval

__all__ = ["clopper_pearson"]


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """The exact interval of a proportion: the true one lies below or above a bound no more often than stated.

    Assumes n independent items with one common probability. The bounds are the proportions at which so few,
    or so many, successes become rarer than 1 - level (one-sided) or half of that (two-sided).

    Source: Clopper and Pearson (1934), Biometrika 26, in the form of beta quantiles.

    Args:
        successes: how many of the items were successes, 0 to n.
        n: how many items there were.
        level: confidence, above 0.5 and below 1.

    Raises:
        ValueError: if n is zero, if the successes are not 0 to n, or if the level is out of range.
    """
    if n < 1:
        raise ValueError("a proportion of no items has no interval")
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} items")
    miss = miss_probability(level)
    return Interval(
        low=_lower(successes, n, miss / 2.0),
        high=_upper(successes, n, miss / 2.0),
        lower_bound=_lower(successes, n, miss),
        upper_bound=_upper(successes, n, miss),
        level=level,
        family=Family.BINOMIAL,
        method=f"exact binomial (Clopper-Pearson), {successes} of {n}",
        n=n,
    )


def _lower(successes: int, n: int, miss: float) -> float:
    if successes == 0:
        return 0.0
    if successes == n:
        return math.exp(math.log(miss) / n)
    return beta_quantile(miss, successes, n - successes + 1)


def _upper(successes: int, n: int, miss: float) -> float:
    if successes == n:
        return 1.0
    if successes == 0:
        return -math.expm1(math.log(miss) / n)
    return beta_quantile(1.0 - miss, successes + 1, n - successes)
