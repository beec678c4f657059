"""Do two measurements of the same items differ?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.stats.bootstrap import mean_bootstrap
from hexgate.stats.distributions import binomial_cdf
from hexgate.stats.interval import Interval

__all__ = ["mcnemar_exact", "paired_difference_bootstrap"]


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided p-value of the exact McNemar test: are items as often lost as won?

    Assumes independent items. Under the hypothesis each item that changed did so in either direction with
    equal chance, so the smaller count is Binomial(b + c, 1/2). With no item changed the p-value is 1.

    Source: McNemar (1947), in the exact form.

    Args:
        b: items right before and wrong after.
        c: items wrong before and right after.

    Raises:
        ValueError: if a count is negative.
    """
    if b < 0 or c < 0:
        raise ValueError(f"counts of items cannot be {b} and {c}")
    return min(1.0, 2.0 * binomial_cdf(min(b, c), b + c, 0.5))


def paired_difference_bootstrap(
    a: Sequence[float] | NDArray[Any],
    b: Sequence[float] | NDArray[Any],
    *,
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    what: str,
    span: tuple[float, float] | None = None,
) -> Interval:
    """Item bootstrap of the mean of a - b, each item taken with both of its values.

    Args:
        a: one number per item.
        b: one number per item, in the same order.
        resamples: how many times to draw the items again.
        seed: seed of PCG64.
        level: confidence, above 0.5 and below 1.
        what: the name of the difference, for the method text.
        span: the least and the greatest value that a single number of `a` or `b` can have, or None; see
            `hexgate.stats.bootstrap`.

    Raises:
        ValueError: if the two differ in length, or as `mean_bootstrap` does.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} values cannot be paired with {len(second)}")
    interval = mean_bootstrap(
        first - second,
        resamples=resamples,
        seed=seed,
        level=level,
        what=what,
        span=None if span is None else (span[0] - span[1], span[1] - span[0]),
    )
    return replace(interval, method=f"paired {interval.method}")
