"""Percentiles by nearest rank, and their distribution-free bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from hexgate.stats.distributions import binomial_cdf, binomial_pmf, miss_probability
from hexgate.stats.interval import Family, Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "interval_of_ranks",
    "interval_ranks",
    "minimum_n",
    "nearest_rank",
    "percentile_interval",
    "percentile_of",
    "rank_of",
]

_TIE = 1e-12
"""Relative slack of every comparison with 1 - level, so that what is a tie in decimals counts as reached."""


def nearest_rank(sorted_values: Sequence[float] | NDArray[Any], p: float) -> float:
    """The smallest value x with share(values <= x) >= p: a value that was measured, never one between two.

    This is the inverse of the empirical distribution, type 1 of Hyndman and Fan (1996), numpy's
    ``inverted_cdf``. It is the only definition of a percentile in hexgate.

    Args:
        sorted_values: the values in rising order, in any unit.
        p: the share, 0 to 1.

    Raises:
        ValueError: if there are no values, or p is out of range.
    """
    return float(sorted_values[rank_of(len(sorted_values), p) - 1])


def rank_of(n: int, p: float) -> int:
    """The rank, from 1, of the value that `nearest_rank` gives of n values.

    Raises:
        ValueError: if there are no values, or p is out of range.
    """
    if n == 0:
        raise ValueError("no values have no percentile")
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"a percentile is asked for by a share from 0 to 1, not {p}")
    return max(math.ceil(n * p), 1)


def percentile_interval(
    sorted_values: Sequence[float] | NDArray[Any], p: float, *, level: float = 0.95
) -> Interval:
    """Bounds of the p percentile that hold for every distribution, each bound itself a measured value.

    Assumes independent values from one distribution. Let q be its p percentile and r a rank (from 1).

    * Upper bound, the r-th smallest value x(r). It falls short of q only if at least r values lie below q.
      How many do is at most Binomial(n, p), so P(x(r) >= q) >= P(Binom(n, p) <= r - 1). The smallest r for
      which that reaches `level` is taken; there is none where even r = n falls short, which is p^n > 1 -
      level.
    * Lower bound, x(r). It exceeds q only if at most r - 1 values are q or less, and how many are is at least
      Binomial(n, p), so P(x(r) <= q) >= P(Binom(n, p) >= r). The largest r for which that reaches `level` is
      taken, that is P(Binom(n, p) <= r - 1) <= 1 - level; there is none where even r = 1 falls short.

    The two-sided interval takes half of 1 - level on each side. Coverage is exact or above for ties and
    steps. A bound that does not exist at this n is None: the largest value measured is no bound then.

    Source: David and Nagaraja (2003), Order Statistics, section 7.1.

    Args:
        sorted_values: the values in rising order, in any unit; the bounds have the same.
        p: the share, above 0 and below 1.
        level: confidence, above 0.5 and below 1.

    Raises:
        ValueError: if there are no values, or p or the level is out of range.
    """
    return interval_of_ranks(len(sorted_values), lambda rank: sorted_values[rank - 1], p, level=level)


def interval_of_ranks(n: int, value: Callable[[int], float], p: float, *, level: float = 0.95) -> Interval:
    """The bounds of `percentile_interval` where the values are not at hand in order.

    Args:
        n: how many values there are.
        value: gives the value of a rank, from 1; asked for those of `interval_ranks` alone.
        p: the share, above 0 and below 1.
        level: confidence, above 0.5 and below 1.

    Raises:
        ValueError: if there are no values, or p or the level is out of range.
    """
    low, high, below, above = _bound_ranks(n, p, level)
    found = [None if rank is None else float(value(rank)) for rank in (low, high, below, above)]
    return Interval(
        low=found[0],
        high=found[1],
        lower_bound=found[2],
        upper_bound=found[3],
        level=level,
        family=Family.ORDER_STATISTIC,
        method=(
            f"order statistics of {n} values by the exact binomial, percentile p = {float(p)!r} by nearest rank; "
            f"ranks {low or 'none'} to {high or 'none'}, one-sided {below or 'none'} and {above or 'none'}"
        ),
        n=n,
    )


def interval_ranks(n: int, p: float, *, level: float = 0.95) -> tuple[int, ...]:
    """The ranks, from 1, of the bounds that `interval_of_ranks` gives of n values.

    Raises:
        ValueError: if there are no values, or p or the level is out of range.
    """
    return tuple(rank for rank in _bound_ranks(n, p, level) if rank is not None)


def minimum_n(p: float, *, level: float) -> int:
    """The smallest n at which the one-sided upper bound of the p percentile exists: p^n <= 1 - level.

    Raises:
        ValueError: if p or the level is out of range.
    """
    return max(math.ceil((math.log(miss_probability(level)) + _TIE) / math.log(_inner_share(p))), 1)


def percentile_of(interval: Interval) -> float | None:
    """The share p that an interval of `percentile_interval` states in its method, or None for any other."""
    stated = re.search(r"percentile p = (\S+) by nearest rank", interval.method)
    return float(stated[1]) if stated and interval.family is Family.ORDER_STATISTIC else None


def _inner_share(p: float) -> float:
    if not 0.0 < p < 1.0:
        raise ValueError(f"the bounds of a percentile need a share above 0 and below 1, not {p}")
    return float(p)


def _bound_ranks(n: int, p: float, level: float) -> tuple[int | None, ...]:
    """The ranks of the two-sided bounds and of the one-sided ones, each lower first; None where there is no bound."""
    if n == 0:
        raise ValueError("no values have no percentile")
    p = _inner_share(p)
    miss = miss_probability(level)
    # The rank of an upper bound, counted from the top, is that of a lower bound for the values turned round.
    return tuple(
        rank
        for share in (miss / 2.0, miss)
        for rank in (_rank(n, p, share) or None, _from_top(n, _rank(n, 1.0 - p, share)))
    )


def _from_top(n: int, rank: int) -> int | None:
    return n + 1 - rank if rank else None


def _rank(n: int, p: float, miss: float) -> int:
    """The largest r with P(Binom(n, p) <= r - 1) <= miss, or 0."""
    most = miss * (1.0 + _TIE)
    # The normal quantile with its correction for skewness is off by a rank or two, at any n.
    z, spread = NormalDist().inv_cdf(miss), math.sqrt(n * p * (1.0 - p))
    start = n * p + z * spread + (1.0 - 2.0 * p) * (z * z - 1.0) / 6.0 - 0.5
    r = min(max(round(start), 0), n)
    reached = binomial_cdf(r - 1, n, p)
    while reached > most:
        r -= 1
        reached = binomial_cdf(r - 1, n, p)
    while r < n and reached + binomial_pmf(r, n, p) <= most:
        reached += binomial_pmf(r, n, p)
        r += 1
    return r
