"""How sure is a ratio of observations that are not independent: repeated items, and items made from one template?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.interval import Interval

__all__ = ["Observation", "clustered_proportion", "intraclass_correlation"]

_ROUNDING = 1e-9


class Observation(NamedTuple):
    """One yes or no, and what it depends on."""

    item: Hashable
    """What was observed; observations of the same item count as one."""
    cluster: Hashable | None
    """What the item was made from; None for an item that stands alone."""
    success: bool
    """Whether it counts."""


def clustered_proportion(
    observations: Iterable[Observation],
    *,
    level: float = 0.95,
    items: str = "items",
    clusters: str = "clusters",
) -> Interval:
    """The interval of a proportion, in which dependent observations do not pass for independent ones.

    Observations of one item are one, with their mean. Where items share clusters, both counts are divided by the
    design effect 1 + (m - 1) icc, not below 1: m is the mean cluster size, weighted by size, and icc the intraclass
    correlation. Then Clopper and Pearson's interval, with counts rounded away from certainty, and widened to hold the
    plain ratio where repeats pull that elsewhere. If all items agree, icc is unknown; the method then says so.

    Source: Kish (1965), Survey Sampling, section 5.4, for the design effect.

    Args:
        observations: what was seen.
        level: confidence, above 0.5 and below 1.
        items: what the items are called in the method, in the plural.
        clusters: what the clusters are called there, in the plural.

    Raises:
        ValueError: if there is no observation, or if the level is out of range.
    """
    found = list(observations)
    if not found:
        raise ValueError("a proportion of no observations has no interval")
    outcomes: dict[Hashable, list[bool]] = {}
    cluster_of: dict[Hashable, Hashable | None] = {}
    for item, cluster, success in found:
        outcomes.setdefault(item, []).append(success)
        cluster_of.setdefault(item, cluster)
    means = {item: Fraction(sum(seen), len(seen)) for item, seen in outcomes.items()}
    n, successes = len(means), sum(means.values(), Fraction())
    members: dict[Hashable, list[float]] = {}
    for item, mean in means.items():
        cluster = cluster_of[item]
        key = ("alone", item) if cluster is None else ("cluster", cluster)
        members.setdefault(key, []).append(float(mean))
    effect, why = _design_effect(list(members.values()))
    few = math.floor(float(successes) / effect + _ROUNDING)
    many = math.ceil(float(successes) / effect - _ROUNDING)
    least, greatest = max(1, math.floor(n / effect + _ROUNDING)), math.ceil(n / effect - _ROUNDING)
    below = clopper_pearson(min(few, greatest), greatest, level=level)
    above = clopper_pearson(min(many, least), least, level=level)
    ratio = sum(success for _, _, success in found) / len(found)
    repeats = "" if len(found) == n else f"; repeats among {len(found)} observations count once"
    framed = sum(cluster is not None for cluster in cluster_of.values())
    frames = len({cluster for cluster in cluster_of.values() if cluster is not None})
    within = f"; {framed} {items} from {frames} {clusters}: {why}" if framed else ""
    return replace(
        above,
        low=min(ratio, below.low or 0.0),
        lower_bound=min(ratio, below.lower_bound or 0.0),
        high=max(ratio, 1.0 if above.high is None else above.high),
        upper_bound=max(ratio, 1.0 if above.upper_bound is None else above.upper_bound),
        method=f"exact binomial (Clopper-Pearson), {float(successes):.6g} of {n} distinct {items}{repeats}{within}",
    )


def intraclass_correlation(clusters: Sequence[Sequence[float]]) -> float | None:
    """How alike values of one cluster are, by one-way analysis of variance; None where that cannot be told.

    Source: Donner (1986), International Statistical Review 54, equation for unequal clusters.
    """
    sizes = [len(values) for values in clusters]
    n, k = sum(sizes), len(clusters)
    if k < 2 or n == k:
        return None
    grand = math.fsum(value for values in clusters for value in values) / n
    means = [math.fsum(values) / len(values) for values in clusters]
    pairs = list(zip(clusters, means, strict=True))
    between = math.fsum(len(values) * (mean - grand) ** 2 for values, mean in pairs) / (k - 1)
    within = math.fsum((value - mean) ** 2 for values, mean in pairs for value in values) / (n - k)
    typical = (n - sum(size * size for size in sizes) / n) / (k - 1)
    spread = between + (typical - 1.0) * within
    return None if spread <= 0.0 else (between - within) / spread


def _design_effect(clusters: Sequence[Sequence[float]]) -> tuple[float, str]:
    if all(len(values) == 1 for values in clusters):
        return 1.0, "one of each"
    icc = intraclass_correlation(clusters)
    if icc is None:
        return 1.0, (
            "how alike those from one are cannot be estimated from these outcomes, so they are taken as independent"
        )
    n = sum(map(len, clusters))
    size = sum(len(values) ** 2 for values in clusters) / n
    effect = max(1.0, 1.0 + (size - 1.0) * icc)
    return (
        effect,
        f"counts divided by the design effect {effect:.4g} (Kish; intraclass correlation {icc:.4g})",
    )
