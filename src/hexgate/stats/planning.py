"""How much evidence does a rule need before it can be decided?"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from hexgate.stats.distributions import beta_cdf, binomial_cdf, miss_probability
from hexgate.stats.interval import Family, Interval
from hexgate.stats.percentile import minimum_n, percentile_of
from hexgate.stats.windows import FEWEST_WINDOWS

__all__ = [
    "more_needed",
    "n_for_paired_drop",
    "n_for_percentile",
    "n_for_proportion_margin",
    "n_for_ratio_above",
    "n_for_ratio_below",
]

_BEYOND_REACH = 100_000_000
"""A rule that needs more observations than this is not going to be decided."""
_TIE = 1.0 + 1e-12
"""Relative slack of comparisons with 1 - level, so that a tie in decimals counts as reached."""


def n_for_ratio_below(limit: float, *, level: float = 0.95, observed_events: int = 0) -> int:
    """The smallest n at which a ratio with so many events is shown to be at most `limit`.

    That is, its one-sided Clopper-Pearson upper bound is at most `limit`.

    Args:
        limit: the ratio that must not be exceeded, above 0.
        level: confidence, above 0.5 and below 1.
        observed_events: how many events are expected to turn up.

    Raises:
        ValueError: if no number of items suffices (a limit of 0 or less), or an argument is out of range.
    """
    miss = miss_probability(level)
    if limit <= 0.0 or observed_events < 0:
        raise ValueError(f"no number of items shows a ratio of at most {limit} with {observed_events} events")
    if limit >= 1.0:
        return max(1, observed_events)
    return _first(lambda n: binomial_cdf(observed_events, n, limit) <= miss * _TIE, observed_events + 1)


def n_for_ratio_above(limit: float, *, level: float = 0.95, observed_events: int = 0) -> int:
    """The smallest n at which a ratio is shown to be at least `limit`: the mirror of `n_for_ratio_below`.

    Args:
        limit: the ratio that must be reached, below 1.
        level: confidence, above 0.5 and below 1.
        observed_events: how many items are expected to count against the ratio (failures, misses).

    Raises:
        ValueError: if no number of items suffices (a limit of 1 or more), or an argument is out of range.
    """
    return n_for_ratio_below(1.0 - limit, level=level, observed_events=observed_events)


def n_for_percentile(p: float, *, level: float = 0.95, over_limit: int = 0) -> int:
    """The smallest n at which the p percentile is shown to be at most a limit that so many values exceed.

    Args:
        p: the share, above 0 and below 1.
        level: confidence, above 0.5 and below 1.
        over_limit: how many values are expected to lie above the limit.

    Raises:
        ValueError: if an argument is out of range.
    """
    if not 0.0 < p < 1.0:
        raise ValueError(f"the bounds of a percentile need a share above 0 and below 1, not {p}")
    return n_for_ratio_below(1.0 - p, level=level, observed_events=over_limit)


def n_for_proportion_margin(limit: float, expected: float, *, level: float = 0.95) -> int:
    """About how many items it takes until an expected ratio clears its limit, on either side.

    An approximation: the n at which the one-sided Wilson bound of `expected` reaches `limit`. F1 is treated
    as a proportion. As the measured ratio falls on either side of the expected one, this n gives an even
    chance; plan for more.

    Raises:
        ValueError: if the expected ratio is the limit, which no n tells apart, or one is not 0 to 1.
    """
    if not (0.0 <= limit <= 1.0 and 0.0 <= expected <= 1.0) or limit == expected:
        raise ValueError(f"no number of items tells a ratio of {expected} from the limit {limit}")
    z = _normal(level)
    return max(1, math.ceil(z * z * limit * (1.0 - limit) / (expected - limit) ** 2))


def n_for_paired_drop(limit: float, *, discordant: float = 0.1, level: float = 0.95) -> int:
    """About how many paired items it takes to show that a drop is at most `limit`, if there is none.

    An approximation: the difference of two ratios over the same items is taken as normal, with the variance
    discordant / n; but never fewer items than show that a kind of item never met is rarer than `limit`.

    Args:
        limit: the greatest drop that is allowed, above 0.
        discordant: the expected share of items that come out differently, 0 to 1.
        level: confidence, above 0.5 and below 1.

    Raises:
        ValueError: if no number of items suffices (a limit of 0 or less), or an argument is out of range.
    """
    if not 0.0 <= discordant <= 1.0:
        raise ValueError(f"a share of items lies between 0 and 1, not at {discordant}")
    unseen = n_for_ratio_below(limit, level=level)
    return max(unseen, math.ceil(discordant * (_normal(level) / limit) ** 2))


def more_needed(interval: Interval, value: float, limit: float, *, n: int, below: bool) -> int | None:
    """How many more observations would decide a rule, if the value stayed as it is.

    A value on the good side of its limit needs its harmful bound to reach that side; a value on the bad side
    needs the other bound to show it.

    * Binomial: the exact bound at `value` times n events, n taken on until it decides.
    * Percentile without a bound on the side that is asked for: what is missing to the n at which it exists.
    * All else: the distance from value to bound shrinks with the square root of n. An approximation.

    Args:
        interval: the interval of the value.
        value: the measured value.
        limit: the limit of the rule, in the same unit.
        n: how many observations were made.
        below: whether the rule is value <= limit; else it is value >= limit.

    Returns:
        How many more, 0 where the rule is decided; None where value and limit are equal, where it would take
        more than 100 million, or where an interval without bounds does not tell.
    """
    if value == limit:
        return None
    upwards = value < limit
    bound = interval.upper_bound if upwards else interval.lower_bound
    if bound is None:
        return _until_bound(interval, n, upwards=upwards)
    reached = bound <= limit if upwards else bound >= limit
    holds = upwards == below
    if reached and (holds or bound != limit):
        return 0
    if interval.family is Family.BINOMIAL:
        needed = _binomial_n(value, limit, n, miss_probability(interval.level))
    else:
        growth = (bound - value) / (limit - value)
        needed = n * growth * growth
    return None if needed > _BEYOND_REACH else max(math.ceil(needed) - n, 1)


def _until_bound(interval: Interval, n: int, *, upwards: bool) -> int | None:
    """How many more observations until a bound exists at all."""
    if interval.family is Family.BATCH_MEANS:
        return max(FEWEST_WINDOWS - n, 1)
    p = percentile_of(interval)
    if p is None:
        return None
    return max(minimum_n(p if upwards else 1.0 - p, level=interval.level) - n, 1)


def _binomial_n(value: float, limit: float, n: int, miss: float) -> float:
    """The smallest n from here on whose exact bound decides; infinite where it is out of reach."""
    if value > limit:
        value, limit = 1.0 - value, 1.0 - limit
    if limit <= 0.0 or limit >= 1.0:
        return math.inf

    def decided(m: int) -> bool:
        # P(Binom(m, limit) <= events) for events that need not be whole: it falls without their steps.
        return beta_cdf(1.0 - limit, m - value * m, value * m + 1.0) <= miss * _TIE

    return _first(decided, n) if decided(n + _BEYOND_REACH) else math.inf


def _first(enough: Callable[[int], bool], start: int) -> int:
    """The smallest n from `start` on that is enough, for a condition that stays true once it is."""
    low, high = start - 1, max(start, 1)
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _normal(level: float) -> float:
    return NormalDist().inv_cdf(1.0 - miss_probability(level))
