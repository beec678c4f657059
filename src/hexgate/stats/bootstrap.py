"""How sure is a statistic that has no formula for its interval? Seeded bootstraps of items and of clusters.

All of them share three rules, which `Interval.method` names.

* **Expanded percentiles.** The plain percentile interval of n items is too narrow by sqrt((n - 1) / n) and by
  the difference between the normal and Student's t. The percentiles are moved outwards to make up for it:
  Hesterberg (2015), "What teachers should know about the bootstrap", section 5.3. With very few items the
  percentile asked for lies beyond the last resample, and there is no bound. At n in the hundreds nothing
  changes that one would see.
* **The point is inside.** An interval is widened to include the value itself where it would not.
* **Unseen items.** Resampling cannot show what was not seen: where no item failed, no resample fails, and the
  interval would have no width. But kinds of items that never came up in n may have a share of up to d, the
  exact binomial upper bound of 0 in n. So where the statistic has a `span`, no bound is closer to its value v
  than v + d (end - v), for the end of the span on that side. For a perfect score of 1.0 that is the exact
  binomial lower bound of n in n. The rule is for statistics that behave like proportions, as means of scores
  and F1 do. A table is looked at class by class as well (`hexgate.stats.unseen`), because a mean over classes
  is no surer than its rarest class. Without a span, resamples that are all equal give no bounds at all.

The same seed gives the same bits, whatever the chunk: all resamples come from one random stream, in order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.stats.distributions import miss_probability, student_t_quantile
from hexgate.stats.interval import Family, Interval
from hexgate.stats.unseen import UnseenItems

__all__ = [
    "Statistic",
    "cluster_bootstrap",
    "confusion_bootstrap",
    "mean_bootstrap",
    "paired_confusion_bootstrap",
    "sums_bootstrap",
]

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""A statistic of many tables: (resamples, *table) counts to (resamples,) values, NaN where undefined."""

_CHUNK = 2_000_000
"""Numbers held at a time, about 16 MB."""
_SAME = 1e-12
"""Resamples within this share of the value are equal to it but for rounding."""


def confusion_bootstrap(
    confusion: NDArray[np.int64],
    statistic: Statistic,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    point: float,
    what: str,
) -> Interval:
    """Item bootstrap of a statistic in 0 to 1 that depends on the items through a table of counts alone.

    Drawing n items with replacement and counting them is drawing the table from a multinomial distribution,
    which costs by the cell and not by the item. Assumes independent items.

    Args:
        confusion: counts of any shape whose first axis is the true class, such as (classes, classes + 1).
        statistic: the statistic of many tables at once; a resample in which it is NaN counts as the worst on
            either side.
        resamples: how many tables to draw.
        seed: seed of PCG64.
        level: confidence, above 0.5 and below 1.
        point: the statistic of `confusion` itself.
        what: the name of the statistic, for the method text.

    Raises:
        ValueError: if the table is empty, the point is not finite, or a parameter is out of range.
    """
    estimates = _table_resamples(confusion, statistic, resamples, seed)
    return _interval(
        estimates,
        point,
        n=int(confusion.sum()),
        level=level,
        span=(0.0, 1.0),
        unseen=UnseenItems(confusion, statistic),
        family=Family.BOOTSTRAP,
        method=f"item bootstrap of {what}, {_stream(resamples, seed)}",
    )


def paired_confusion_bootstrap(
    joint: NDArray[np.int64],
    statistic: Statistic,
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    point: float,
    what: str,
) -> Interval:
    """As `confusion_bootstrap`, for a difference in -1 to 1 between two predictions for the same items.

    Args:
        joint: counts over (label, clean prediction, attacked prediction), or any other joint table whose
            first axis is the true class, so that an item takes both of its predictions with it.
        statistic: the difference, of many joint tables at once.
        resamples: how many tables to draw.
        seed: seed of PCG64.
        level: confidence, above 0.5 and below 1.
        point: the statistic of `joint` itself.
        what: the name of the statistic, for the method text.

    Raises:
        ValueError: if the table is empty, the point is not finite, or a parameter is out of range.
    """
    estimates = _table_resamples(joint, statistic, resamples, seed)
    return _interval(
        estimates,
        point,
        n=int(joint.sum()),
        level=level,
        span=(-1.0, 1.0),
        unseen=UnseenItems(joint, statistic),
        family=Family.BOOTSTRAP,
        method=f"paired item bootstrap of {what}, {_stream(resamples, seed)}",
    )


def mean_bootstrap(
    values: Sequence[float] | NDArray[Any],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    what: str,
    span: tuple[float, float] | None = None,
) -> Interval:
    """Item bootstrap of a mean, in the unit of the values. Assumes independent items.

    Args:
        values: one number per item.
        resamples: how many times to draw the items again.
        seed: seed of PCG64.
        level: confidence, above 0.5 and below 1.
        what: the name of the mean, for the method text.
        span: the least and the greatest value that an item can have, such as (0, 1) for a score per item;
            None where there is no such limit, and then items that are all equal give no bounds.

    Raises:
        ValueError: if there are no values, one is not finite or not in the span, or a parameter is out of
            range.
    """
    items = np.asarray(values, dtype=np.float64)
    if items.ndim != 1 or not len(items) or not np.isfinite(items).all():
        raise ValueError("a mean needs a row of finite values")
    if span is not None and not (span[0] <= items.min() and items.max() <= span[1]):
        raise ValueError(f"values from {items.min()} to {items.max()} do not lie in the span {span}")
    estimates = np.concatenate([items[drawn].mean(axis=1) for drawn in _redrawn(len(items), resamples, seed)])
    return _interval(
        estimates,
        float(items.mean()),
        n=len(items),
        level=level,
        span=span,
        family=Family.BOOTSTRAP,
        method=f"item bootstrap of {what}, {_stream(resamples, seed)}",
    )


def cluster_bootstrap(
    numerators: Sequence[float] | NDArray[Any],
    denominators: Sequence[float] | NDArray[Any],
    clusters: Sequence[Hashable],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    what: str,
) -> Interval:
    """Bootstrap of a ratio of sums, such as joules per token, that resamples whole clusters, such as prompts.

    Assumes independent clusters; inside of one, observations may depend on each other in any way. The
    interval's n is the number of clusters.

    Args:
        numerators: one number per observation.
        denominators: one number per observation, none below zero.
        clusters: what each observation belongs to.
        resamples: how many times to draw the clusters again.
        seed: seed of PCG64.
        level: confidence, above 0.5 and below 1.
        what: the name of the ratio, for the method text.

    Raises:
        ValueError: if the three differ in length or are empty, a number is not finite, a denominator is
            negative, all are zero, or a parameter is out of range.
    """
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if not len(above) == len(below) == len(clusters):
        raise ValueError(f"{len(above)} numerators, {len(below)} denominators, {len(clusters)} clusters")
    if not (np.isfinite(above).all() and np.isfinite(below).all() and (below >= 0).all() and below.any()):
        raise ValueError(
            "a ratio of sums needs finite numbers and denominators that add up to more than zero"
        )
    places: dict[Hashable, int] = {}
    member = np.array([places.setdefault(cluster, len(places)) for cluster in clusters])
    tops = np.bincount(member, weights=above, minlength=len(places))
    bottoms = np.bincount(member, weights=below, minlength=len(places))
    parts = []
    for drawn in _redrawn(len(places), resamples, seed):
        bottom = bottoms[drawn].sum(axis=1)
        parts.append(
            np.divide(tops[drawn].sum(axis=1), bottom, out=np.full(len(drawn), np.nan), where=bottom > 0)
        )
    return _interval(
        np.concatenate(parts),
        float(above.sum() / below.sum()),
        n=len(places),
        level=level,
        span=None,
        family=Family.CLUSTER_BOOTSTRAP,
        method=f"cluster bootstrap of {what} over {len(places)} clusters, {_stream(resamples, seed)}",
    )


def sums_bootstrap(
    sums: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    point: float,
    what: str,
) -> Interval:
    """Bootstrap of a statistic of several sums over clusters; a cluster is drawn with all of its sums.

    For two measurements of the same clusters, such as the energies of two models for the same questions: what a cluster
    has in both stays together. Assumes independent clusters. The interval's n is their number.

    Args:
        sums: (clusters, columns) what each cluster adds to each sum.
        statistic: (resamples, columns) sums to (resamples,) values, NaN where undefined.
        resamples: how many times to draw the clusters again.
        seed: seed of PCG64.
        level: confidence, above 0.5 and below 1.
        point: the statistic of the sums themselves.
        what: the name of the statistic, for the method text.

    Raises:
        ValueError: if there is no cluster, a number is not finite, or a parameter is out of range.
    """
    if sums.ndim != 2 or not len(sums) or not np.isfinite(sums).all():
        raise ValueError("sums over clusters need a table of finite numbers")
    parts = [statistic(sums[drawn].sum(axis=1)) for drawn in _redrawn(len(sums), resamples, seed)]
    return _interval(
        np.concatenate(parts),
        point,
        n=len(sums),
        level=level,
        span=None,
        family=Family.CLUSTER_BOOTSTRAP,
        method=f"paired cluster bootstrap of {what} over {len(sums)} clusters, {_stream(resamples, seed)}",
    )


def _table_resamples(
    table: NDArray[np.int64], statistic: Statistic, resamples: int, seed: int
) -> NDArray[np.float64]:
    """The statistic of each redrawn table."""
    n = int(table.sum())
    if n < 1 or (table < 0).any():
        raise ValueError("a table of counts needs at least one item, and no count below zero")
    cells = np.flatnonzero(table)
    shares = table.ravel()[cells] / n
    stream = np.random.Generator(np.random.PCG64(seed))
    parts = []
    for rows in _chunks(resamples, table.size):
        drawn = np.zeros((rows, table.size), dtype=np.int64)
        drawn[:, cells] = stream.multinomial(n, shares, size=rows)
        parts.append(statistic(drawn.reshape(rows, *table.shape)))
    return np.concatenate(parts)


def _stream(resamples: int, seed: int) -> str:
    return f"{resamples} resamples, PCG64 seed {seed}, expanded percentiles"


def _chunks(resamples: int, width: int) -> Iterator[int]:
    """How many rows of this width to draw at a time."""
    if resamples < 1:
        raise ValueError(f"a bootstrap needs resamples, not {resamples}")
    step = max(1, _CHUNK // width)
    for done in range(0, resamples, step):
        yield min(step, resamples - done)


def _redrawn(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Row after row of n item numbers, drawn with replacement."""
    stream = np.random.Generator(np.random.PCG64(seed))
    for rows in _chunks(resamples, n):
        yield stream.integers(0, n, size=(rows, n))


def _interval(
    estimates: NDArray[np.float64],
    point: float,
    *,
    n: int,
    level: float,
    span: tuple[float, float] | None,
    family: Family,
    method: str,
    unseen: UnseenItems | None = None,
) -> Interval:
    """The interval of a value whose resamples gave these estimates (NaN where they are undefined)."""
    if not math.isfinite(point):
        raise ValueError(f"a value of {point} has no interval")
    miss = miss_probability(level)
    defined = np.sort(estimates[np.isfinite(estimates)])
    undefined = len(estimates) - len(defined)
    equal = undefined == 0 and bool(np.all(np.abs(defined - point) <= _SAME * abs(point)))
    if equal and span is None:
        method += "; all resamples are equal, which bounds nothing"
        return Interval(None, None, None, None, level, family, method, n)

    def bounds(share: float) -> tuple[float | None, float | None]:
        # The k-th smallest and the k-th greatest resample; an undefined one lies beyond all, on both sides.
        skip = _expanded(share, n) * len(estimates)
        place = math.floor(skip + 1e-9) - undefined
        if not equal and place < 1:
            return None, None
        low, high = (point, point) if equal else (float(defined[place - 1]), float(defined[-place]))
        if span is None:
            return min(low, point), max(high, point)
        share_unseen = -math.expm1(math.log(share) / n)
        below, above = (share_unseen * abs(end - point) for end in span)
        fall, rise = (0.0, 0.0) if unseen is None else unseen.reach(share)
        low, high = min(low, point), max(high, point)
        # What the classes add to the rule for all items is independent of what the resamples show.
        if -fall > below:
            low = max(span[0], point - max(-fall, math.hypot(point - low, -fall - below)))
        if rise > above:
            high = min(span[1], point + max(rise, math.hypot(high - point, rise - above)))
        return min(low, point - below), max(high, point + above)

    low, high = bounds(miss / 2.0)
    lower_bound, upper_bound = bounds(miss)
    if span is not None:
        by_class = "" if unseen is None else ", and class by class"
        method += f"; not closer than the rule for unseen items (exact binomial bound of 0 in n{by_class})"
    if equal:
        method += ", which alone sets the bounds: all resamples are equal"
    return Interval(low, high, lower_bound, upper_bound, level, family, method, n)


def _expanded(share: float, n: int) -> float:
    """The share of resamples to leave outside on one side, so that a mean of n items is covered as stated."""
    if n < 2:
        return 0.0
    return NormalDist().cdf(math.sqrt(n / (n - 1)) * student_t_quantile(share, n - 1))
