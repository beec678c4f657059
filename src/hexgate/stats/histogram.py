"""Many values in little memory: a mergeable histogram with a bounded error, and bins for charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.stats.exact import ExactSum
from hexgate.stats.percentile import nearest_rank

__all__ = ["DisplayBins", "LogHistogram", "display_bins"]

_SPLIT = 7
"""Every power of two is split into 2^7 equal buckets; a bucket's middle is within 1/256 of all its values."""
_SCHEME = f"log-linear-{1 << _SPLIT}"


class LogHistogram:
    """Counts of values of zero and above, in buckets of at most 0.4 % relative error.

    Count, sum, least and greatest value are exact, the sum too: it is kept as a fraction. So histograms of
    the parts of a run, merged in any order, equal the histogram of the whole.
    """

    def __init__(self) -> None:
        self.count = 0
        """How many values were recorded."""
        self.minimum: float | None = None
        """The least value; None where there is none."""
        self.maximum: float | None = None
        """The greatest value; None where there is none."""
        self._sum = Fraction(0)
        self._zeros = 0
        self._buckets: dict[int, int] = {}

    @property
    def sum(self) -> float:
        """The sum of all values, rounded once."""
        return float(self._sum)

    @property
    def mean(self) -> float | None:
        """The mean of all values, rounded once; None where there is none."""
        return float(self._sum / self.count) if self.count else None

    def record_many(self, values: Sequence[float] | NDArray[Any]) -> None:
        """Add values, in any order.

        Raises:
            ValueError: if a value is negative or not finite; none is recorded then.
        """
        given = np.asarray(values, dtype=np.float64).ravel()
        if not len(given):
            return
        if not np.isfinite(given).all() or given.min() < 0.0:
            raise ValueError("a histogram takes finite values of zero and above")
        positive = given[given > 0.0]
        mantissas, exponents = np.frexp(positive)
        whole = np.ldexp(mantissas, 53).astype(np.int64)
        # In [2^52, 2^53): the leading bits name the bucket inside of its power of two.
        places = (exponents.astype(np.int64) << _SPLIT) + (whole >> (52 - _SPLIT)) - (1 << _SPLIT)
        added = ExactSum()
        added.add(positive)
        if len(positive):
            least = int(places.min())
            counts = np.bincount(places - least)
            for place in np.flatnonzero(counts).tolist():
                self._buckets[least + place] = self._buckets.get(least + place, 0) + int(counts[place])
        self._sum += added.total
        self._zeros += len(given) - len(positive)
        self._extend(len(given), float(given.min()), float(given.max()))

    def merge(self, other: LogHistogram) -> None:
        """Add all values of another histogram, which stays as it is."""
        if other.minimum is None or other.maximum is None:
            return
        for place, count in list(other._buckets.items()):
            self._buckets[place] = self._buckets.get(place, 0) + count
        self._sum += other._sum
        self._zeros += other._zeros
        self._extend(other.count, other.minimum, other.maximum)

    def percentile(self, p: float) -> float:
        """The nearest-rank percentile, to 0.4 % of its value; the first and the last rank are exact.

        Raises:
            ValueError: if nothing was recorded, or p is not 0 to 1.
        """
        if self.minimum is None or self.maximum is None:
            raise ValueError("no values have no percentile")
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"a percentile is asked for by a share from 0 to 1, not {p}")
        rank = max(math.ceil(self.count * p), 1)
        if rank in (1, self.count):
            return self.minimum if rank == 1 else self.maximum
        passed = self._zeros
        if rank <= passed:
            return 0.0
        for place in sorted(self._buckets):
            passed += self._buckets[place]
            if rank <= passed:
                return min(max(_middle(place), self.minimum), self.maximum)
        raise AssertionError("the buckets hold fewer values than were counted")

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON values. `sum_exact` is a fraction in lowest terms."""
        return {
            "scheme": _SCHEME,
            "count": self.count,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "sum_exact": str(self._sum),
            "zeros": self._zeros,
            "buckets": [[place, self._buckets[place]] for place in sorted(self._buckets)],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LogHistogram:
        """The histogram that `to_json` wrote.

        Raises:
            ValueError: if the buckets are of another scheme, or the counts do not add up.
        """
        if value["scheme"] != _SCHEME:
            raise ValueError(f"histogram of the scheme {value['scheme']!r}, expected {_SCHEME!r}")
        made = cls()
        made.count, made._zeros = value["count"], value["zeros"]
        made.minimum, made.maximum = value["minimum"], value["maximum"]
        made._sum = Fraction(value["sum_exact"])
        made._buckets = dict(value["buckets"])
        if made._zeros + sum(made._buckets.values()) != made.count:
            raise ValueError(f"the buckets of a histogram do not add up to its count of {made.count}")
        return made

    def _extend(self, count: int, least: float, greatest: float) -> None:
        self.count += count
        self.minimum = least if self.minimum is None else min(self.minimum, least)
        self.maximum = greatest if self.maximum is None else max(self.maximum, greatest)


def _middle(place: int) -> float:
    """The middle of a bucket."""
    exponent, part = place >> _SPLIT, place & ((1 << _SPLIT) - 1)
    return math.ldexp((1 << _SPLIT) + part + 0.5, exponent - 1 - _SPLIT)


class DisplayBins:
    """Bins for a chart: `bins` of equal width from the least value to the 99.9th percentile, and one beyond.

    The last bin reaches from the 99.9th percentile to the greatest value and takes what lies above that
    percentile, so that a few stragglers do not flatten the picture. It is wider than the rest, or has no
    width and no counts where nothing lies above. Every other bin includes its left edge only, but the one
    before the last also its right. Where the least value is the 99.9th percentile, or so close to it that no
    numbers lie between, a single bin stands for all.

    Args:
        count: how many values there will be.
        least: the least of them.
        top: their 99.9th percentile.
        greatest: the greatest; None, as the other two, where there is none.
        bins: how many bins there are before the last.
    """

    def __init__(
        self, count: int, least: float | None, top: float | None, greatest: float | None, *, bins: int = 40
    ) -> None:
        self._count = count
        self._greatest = greatest
        self._range = (least or 0.0, top or 0.0)
        edges = np.linspace(*self._range, bins + 1)
        self._one = bool((np.diff(edges) <= 0.0).any())
        self._edges: list[float] = list(self._range) if self._one else edges.tolist()
        self._counts = np.zeros(len(self._edges) - 1, dtype=np.int64)

    def add(self, values: NDArray[np.float64]) -> None:
        """Count some values."""
        inside = values[values <= self._range[1]]
        if self._one:
            self._counts[0] += len(inside)
        else:
            self._counts += np.histogram(inside, bins=len(self._counts), range=self._range)[0]

    def to_json(self) -> dict[str, list[Any]]:
        """``edges``, one more than ``counts``, in the unit of the values, and ``counts``; both empty for no values."""
        if not self._count:
            return {"edges": [], "counts": []}
        beyond = self._count - int(self._counts.sum())
        return {"edges": [*self._edges, self._greatest], "counts": [*self._counts.tolist(), beyond]}


def display_bins(values: Sequence[float] | NDArray[Any], *, bins: int = 40) -> dict[str, list[Any]]:
    """`DisplayBins` of values that are at hand, as JSON.

    Raises:
        ValueError: if a value is not finite, or there are no bins.
    """
    given = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if bins < 1 or not np.isfinite(given).all():
        raise ValueError("a chart needs finite values and at least one bin")
    if not len(given):
        return {"edges": [], "counts": []}
    made = DisplayBins(len(given), float(given[0]), nearest_rank(given, 0.999), float(given[-1]), bins=bins)
    made.add(given)
    return made.to_json()
