"""A histogram of any number of values as a few bins for a chart with a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexgate.stats.histogram import LogHistogram

__all__ = ["log_bins"]

_FEWEST = 10
_LEAST_RATIO = 1.02
"""Where all values lie closer together than this, the bins span so much all the same."""


_BUCKET_RATIO = 1.0 + 1.0 / 128.0
"""A bin is not narrower than a bucket."""


def log_bins(
    histogram: LogHistogram,
    *,
    values: Callable[[], Iterator[NDArray[np.float64]]] | None = None,
    most: int = 64,
) -> dict[str, list[float]] | None:
    """Bins of equal width on a logarithmic axis, from the least value above zero to the greatest: fewer of few values.

    Zeros are left out, as such an axis has no place for them.

    Args:
        histogram: all values.
        values: gives the same values once more, in chunks: then counts are exact. Without them a bucket of the
            histogram that several bins share is split between them by width, so that the bins do not beat against the
            buckets: counts need not be whole.
        most: the most bins.

    Returns:
        ``edges``, in the unit of the values and one more than ``counts``; None where no value is above zero.
    """
    spans = [_span(place, count) for place, count in histogram.to_json()["buckets"]]
    if not spans or histogram.minimum is None or histogram.maximum is None:
        return None
    least = max(histogram.minimum, spans[0][0])
    greatest = max(histogram.maximum, least * _LEAST_RATIO)
    narrowest = math.floor((math.log(greatest) - math.log(least)) / math.log(_BUCKET_RATIO))
    bins = max(min(most, narrowest, max(_FEWEST, round(3.0 * math.sqrt(histogram.count)))), 1)
    edges = np.geomspace(least, greatest, bins + 1)
    if values is not None:
        exact = np.zeros(bins, dtype=np.int64)
        for some in values():
            exact += np.histogram(some[some > 0.0], bins=edges)[0]
        return {"edges": edges.tolist(), "counts": exact.tolist()}
    counts = np.zeros(bins)
    for begin, end, count in spans:
        low, high = max(begin, least), min(end, greatest)
        if high <= low:
            counts[min(int(np.searchsorted(edges, low, side="right")) - 1, bins - 1)] += count
            continue
        first = max(int(np.searchsorted(edges, low, side="right")) - 1, 0)
        last = min(int(np.searchsorted(edges, high, side="left")), bins)
        for place in range(first, last):
            shared = min(high, edges[place + 1]) - max(low, edges[place])
            counts[place] += count * max(shared, 0.0) / (high - low)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _span(place: int, count: int) -> tuple[float, float, int]:
    """The edges of a bucket of `LogHistogram`, which has 128 of them in each power of two."""
    exponent, part = place >> 7, place & 127
    return math.ldexp(128 + part, exponent - 8), math.ldexp(129 + part, exponent - 8), count
