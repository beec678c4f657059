"""Durations counted in log-linear buckets without NumPy: what a worker keeps, in the form of `stats.histogram`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from math import frexp
from typing import Any

__all__ = ["Tally"]

_NS_PER_MS = 1_000_000


class Tally:
    """Counts of durations in nanoseconds, told in milliseconds as `LogHistogram.from_json` reads them."""

    def __init__(self) -> None:
        self.count = 0
        """How many there are."""
        self.maximum_ns = 0
        """The longest."""
        self._minimum_ns: int | None = None
        self._sum_ns = 0
        self._zeros = 0
        self._buckets: defaultdict[int, int] = defaultdict(int)

    def add(self, durations_ns: Iterable[int]) -> None:
        """Count durations of zero and above."""
        buckets = self._buckets
        for duration in durations_ns:
            self.count += 1
            self._sum_ns += duration
            self.maximum_ns = max(self.maximum_ns, duration)
            if self._minimum_ns is None or duration < self._minimum_ns:
                self._minimum_ns = duration
            if duration <= 0:
                self._zeros += 1
                continue
            mantissa, exponent = frexp(duration / _NS_PER_MS)
            buckets[(exponent << 7) + int(mantissa * 256.0) - 128] += 1

    def to_json(self) -> dict[str, Any]:
        """All of it in milliseconds. The sum is exact."""
        least = self._minimum_ns
        return {
            "scheme": "log-linear-128",
            "count": self.count,
            "minimum": None if least is None else least / _NS_PER_MS,
            "maximum": None if least is None else self.maximum_ns / _NS_PER_MS,
            "sum_exact": str(Fraction(self._sum_ns, _NS_PER_MS)),
            "zeros": self._zeros,
            "buckets": [[place, self._buckets[place]] for place in sorted(self._buckets)],
        }
