"""The interval of a figure of energy: what its own spread gives, and what the meter says of itself."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

from hexgate.stats.interval import Interval

__all__ = ["widened"]


def widened(
    drawn: Interval, point: float, error: float | None, of: str, *, at_least_zero: bool = True
) -> Interval:
    """The interval around a ratio of sums, with a standard uncertainty that its spread does not show in it.

    Args:
        drawn: the interval that the spread gives.
        point: the ratio itself, which it is widened to hold where needed.
        error: relative standard uncertainty, taken as normal and added in quadrature; None where it is not known, and
            the method says that it is not in the interval.
        of: whose it is, such as ``the sensor's``.
        at_least_zero: whether no value can be below 0: what costs energy cannot give it back. Net energy can.
    """
    normal, miss = NormalDist(), 1.0 - drawn.level
    known = error or 0.0
    two_sided, one_sided = (normal.inv_cdf(1.0 - share) * known * abs(point) for share in (miss / 2.0, miss))

    def below(bound: float | None, far: float) -> float | None:
        if bound is None:
            return None
        end = point - math.hypot(max(0.0, point - bound), far)
        return max(0.0, end) if at_least_zero else end

    def above(bound: float | None, far: float) -> float | None:
        return None if bound is None else point + math.hypot(max(0.0, bound - point), far)

    method = f"{drawn.method}; widened to hold the ratio of the sums where needed"
    if error is None:
        method += f"; without {of} standard uncertainty, which is not stated"
    elif error:
        method += f"; in quadrature with {of} relative standard uncertainty of {error:.4g}, taken as normal"
    return replace(
        drawn,
        low=below(drawn.low, two_sided),
        high=above(drawn.high, two_sided),
        lower_bound=below(drawn.lower_bound, one_sided),
        upper_bound=above(drawn.upper_bound, one_sided),
        method=method,
    )
