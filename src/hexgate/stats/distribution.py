"""Exact figures of many values in little memory: values are read in several passes, and none is kept for long.

The bit pattern of a floating-point number of zero and above, read as a whole number, keeps the order. The first pass
counts the leading bits, which are those of `LogHistogram`. Of the ranks that are asked for, that says in which
bucket each lies; further passes narrow those buckets alone, until a rank's value is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.stats.exact import ExactSum
from hexgate.stats.histogram import DisplayBins, LogHistogram
from hexgate.stats.interval import Interval
from hexgate.stats.log_bins import log_bins
from hexgate.stats.percentile import interval_of_ranks, interval_ranks, rank_of

__all__ = ["Distribution", "distributions"]

_FIRST_SHIFT = 45
"""Bits below those that the first pass counts: of 52 bits of the mantissa, 7 are left."""
_STEP = 9
"""Bits by which a pass narrows a bucket that holds too many values."""
_HELD = 16_384
"""Values of the asked buckets of one distribution that are held at once."""

_Values = NDArray[np.float64]
_Bits = NDArray[np.int64]
_Chunks = Callable[[], Iterator[Mapping[str, _Values]]]


class Distribution:
    """Exact figures of values of zero and above. Made by `Distribution.of` and `distributions`.

    No figure depends on the order of the values, or on the chunks they come in. Every figure but `count` is None
    where there is no value.
    """

    def __init__(self, chunks: Callable[[], Iterator[_Values]], first: _First) -> None:
        self._chunks = chunks
        self._first = first
        self.histogram = first.histogram
        """The same values in buckets, for charts and for merging."""

    @classmethod
    def of(cls, chunks: Callable[[], Iterator[_Values]]) -> Distribution:
        """The distribution of values that come in chunks.

        Args:
            chunks: gives all values, in the same unit; it is called for every pass, and gives the same ones.

        Raises:
            ValueError: if a value is negative or not finite.
        """
        first = _First()
        for values in chunks():
            first.take(values)
        return cls(chunks, first)

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.histogram.count

    @property
    def minimum(self) -> float | None:
        """The least."""
        return self.histogram.minimum

    @property
    def maximum(self) -> float | None:
        """The greatest."""
        return self.histogram.maximum

    @property
    def sum(self) -> float:
        """The sum, rounded once."""
        return float(self._first.sums.total)

    @property
    def mean(self) -> float | None:
        """The mean, rounded once."""
        return float(self._first.sums.total / self.count) if self.count else None

    @property
    def std(self) -> float | None:
        """The population standard deviation, sqrt(mean of squares - square of mean).

        Both come from exact sums, so nothing is lost where the values lie close together.
        """
        return self._spread(self.count)

    @property
    def sample_std(self) -> float | None:
        """The sample standard deviation, over n - 1; None below two values."""
        return self._spread(self.count - 1) if self.count > 1 else None

    def ranks(self, wanted: Iterable[int]) -> list[float]:
        """The values of ranks, from 1: the k-th smallest each.

        Those that are not known yet cost passes over the values.

        Raises:
            IndexError: if there is no such rank.
        """
        asked = list(wanted)
        _resolve(lambda: ({"": values} for values in self._chunks()), {"": (self._first, asked)})
        return [self._first.known[rank] for rank in asked]

    def percentile(self, p: float) -> float | None:
        """The nearest-rank percentile; see `percentile.nearest_rank`."""
        return self.ranks([rank_of(self.count, p)])[0] if self.count else None

    def interval(self, p: float, *, level: float = 0.95) -> Interval | None:
        """Its bounds; see `percentile.percentile_interval`."""
        if not self.count:
            return None
        self.ranks(interval_ranks(self.count, p, level=level))
        return interval_of_ranks(self.count, lambda rank: self._first.known[rank], p, level=level)

    def display_bins(self, *, bins: int = 40) -> DisplayBins:
        """Bins for a chart of the values, still without any count: add the values to them."""
        return DisplayBins(self.count, self.minimum, self.percentile(0.999), self.maximum, bins=bins)

    def log_bins(self) -> dict[str, list[float]] | None:
        """Bins for a chart with a logarithmic axis, with exact counts; see `log_bins.log_bins`."""
        return log_bins(self.histogram, values=self._chunks)

    def _spread(self, over: int) -> float | None:
        if not self.count:
            return None
        total = self._first.sums.total
        return math.sqrt((self._first.sums.total_of_squares - total * total / self.count) / over)


def distributions(
    chunks: _Chunks, names: Iterable[str], *, shares: Iterable[float] = (), level: float | None = None
) -> dict[str, Distribution]:
    """Several distributions whose values are read together.

    Args:
        chunks: gives the values of each name, some at a time; it is called for every pass.
        names: the names.
        shares: the percentiles that will be asked for: they are found now, in the passes of all.
        level: finds the bounds of those percentiles at this confidence too.

    Raises:
        ValueError: if a value is negative or not finite.
    """
    firsts = {name: _First() for name in names}
    for chunk in chunks():
        for name, first in firsts.items():
            first.take(chunk[name])
    found = tuple(shares)
    _resolve(
        chunks,
        {name: (one, sorted(_asked(one.histogram.count, found, level))) for name, one in firsts.items()},
    )
    return {name: Distribution(_one(chunks, name), first) for name, first in firsts.items()}


def _one(chunks: _Chunks, name: str) -> Callable[[], Iterator[_Values]]:
    return lambda: (chunk[name] for chunk in chunks())


def _asked(n: int, shares: tuple[float, ...], level: float | None) -> set[int]:
    ranks = {rank_of(n, share) for share in shares} if n else set()
    if n and level is not None:
        ranks.update(rank for share in shares for rank in interval_ranks(n, share, level=level))
    return ranks


class _First:
    """What the first pass shows, and the values of ranks as they become known."""

    def __init__(self) -> None:
        self.histogram = LogHistogram()
        self.sums = ExactSum(squares=True)
        self.zeros = 0
        self.tops: dict[int, int] = {}
        """How many values above zero have these leading bits."""
        self.known: dict[int, float] = {}

    def take(self, values: _Values) -> None:
        self.histogram.record_many(values)
        self.sums.add(values)
        positive = values[values > 0.0]
        self.zeros += len(values) - len(positive)
        if len(positive):
            tops = positive.view(np.int64) >> _FIRST_SHIFT
            least = int(tops.min())
            counts = np.bincount(tops - least)
            for place in np.flatnonzero(counts).tolist():
                self.tops[least + place] = self.tops.get(least + place, 0) + int(counts[place])


@dataclass
class _Span:
    """Values whose bits are `low` and above, below `low` + 2^`shift`."""

    low: int
    shift: int
    passed: int
    """How many values lie below it."""
    count: int
    """How many lie in it."""


def _resolve(chunks: _Chunks, wanted: Mapping[str, tuple[_First, list[int]]]) -> None:
    """Find the values of ranks, all distributions in the same passes."""
    searches = {name: _Search(one, ranks) for name, (one, ranks) in wanted.items()}
    while open_ones := {name: search for name, search in searches.items() if search.begin()}:
        for chunk in chunks():
            for name, search in open_ones.items():
                search.take(chunk[name])
        for search in open_ones.values():
            search.end()


class _Search:
    """The ranks of one distribution that are not known yet, and the spans they lie in."""

    def __init__(self, first: _First, ranks: list[int]) -> None:
        self._known = first.known
        n = first.histogram.count
        if ranks and not 1 <= min(ranks) <= max(ranks) <= n:
            raise IndexError(f"ranks from {min(ranks)} to {max(ranks)} of {n} values")
        least, greatest = first.histogram.minimum, first.histogram.maximum
        for rank in ranks:
            # The ends are known, and with them everything where all values are equal.
            if rank <= first.zeros:
                self._known[rank] = 0.0
            elif rank == 1 or least == greatest:
                self._known[rank] = float(least or 0.0)
            elif rank == n:
                self._known[rank] = float(greatest or 0.0)
        self._left = sorted({rank for rank in ranks if rank not in self._known})
        tops = sorted(first.tops)
        self._spans = self._holding(
            np.array(tops, dtype=np.int64) << _FIRST_SHIFT,
            np.array([first.tops[top] for top in tops], dtype=np.int64),
            first.zeros,
            _FIRST_SHIFT,
        )

    def begin(self) -> bool:
        """Make ready for a pass; False where no rank is left."""
        if not self._left:
            return False
        self._edges = np.array(
            [edge for span in self._spans for edge in (span.low, span.low + (1 << span.shift))]
        )
        self._lows = self._edges[::2]
        held = np.zeros(len(self._spans), dtype=bool)
        room = _HELD
        for place in sorted(range(len(self._spans)), key=lambda place: self._spans[place].count):
            room -= self._spans[place].count
            held[place] = room >= 0
        self._held = held
        self._parts: list[_Bits] = []
        shift = self._spans[0].shift
        self._narrow = max(shift - _STEP, 0)
        self._width = 1 << (shift - self._narrow)
        self._counts = np.zeros(len(self._spans) * self._width, dtype=np.int64)
        return True

    def take(self, values: _Values) -> None:
        """Look at some values: hold those of small spans, and count those of large ones more finely."""
        # Zeros are counted apart: one of them may be negative, with the bits of a negative number.
        bits = values[values > 0.0].view(np.int64)
        place = np.searchsorted(self._edges, bits, side="right")
        inside = (place & 1).astype(bool)
        bits, span = bits[inside], place[inside] >> 1
        held = self._held[span]
        self._parts.append(bits[held])
        bits, span = bits[~held], span[~held]
        if len(bits):
            finer = span * self._width + ((bits - self._lows[span]) >> self._narrow)
            self._counts += np.bincount(finer, minlength=len(self._counts))

    def end(self) -> None:
        """Read off what the pass has shown."""
        values = np.sort(np.concatenate(self._parts))
        spans: list[_Span] = []
        for place, span in enumerate(self._spans):
            if self._held[place]:
                begin = int(np.searchsorted(values, span.low))
                for rank in self._inside(span):
                    self._know(rank, int(values[begin + rank - span.passed - 1]))
                continue
            counts = self._counts[place * self._width : (place + 1) * self._width]
            there = np.flatnonzero(counts)
            lows = span.low + (there << self._narrow)
            for finer in self._holding(lows, counts[there], span.passed, self._narrow):
                if finer.shift == 0:
                    for rank in self._inside(finer):
                        self._know(rank, finer.low)
                else:
                    spans.append(finer)
        self._left = [rank for rank in self._left if rank not in self._known]
        self._spans = spans

    def _know(self, rank: int, bits: int) -> None:
        self._known[rank] = float(np.array(bits, dtype=np.int64).view(np.float64))

    def _inside(self, span: _Span) -> list[int]:
        return [rank for rank in self._left if span.passed < rank <= span.passed + span.count]

    def _holding(self, lows: _Bits, counts: _Bits, passed: int, shift: int) -> list[_Span]:
        """Those of some neighbouring spans that hold a rank that is left."""
        ends = passed + np.cumsum(counts)
        ranks = np.array(
            [rank for rank in self._left if passed < rank <= (int(ends[-1]) if len(ends) else 0)]
        )
        found = np.unique(np.searchsorted(ends, ranks))
        return [
            _Span(int(lows[place]), shift, int(ends[place] - counts[place]), int(counts[place]))
            for place in found.tolist()
        ]
