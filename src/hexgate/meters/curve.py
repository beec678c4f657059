"""Joules over time: what every trace of power or energy becomes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from hexgate.meters.base import Domain, Kind
from hexgate.meters.latch import Latches

__all__ = ["Curve", "Joined", "Trace", "Window"]

Trace = Sequence[tuple[int, float]]
"""Readings of one domain in order of time: (t_ns, value)."""

_LATCH_SLACK_S = 0.2
"""A counter that is refreshed rarely may show at once what was drawn over so long."""
_LATCH_SLACK_UPDATES = 2
_FRESH_RATIO = 0.95
"""Readings at least this share of an update apart show different samples; the rest is jitter."""
_MOST_WRAP_RATIO = 0.5
"""Where nobody knows what a device can draw, a fall that would be more of the range than this is a reset."""


@dataclass(frozen=True)
class Window:
    """A span of time, in `time.monotonic_ns`."""

    start_ns: int
    """Its begin."""
    end_ns: int
    """Its end, after the begin."""

    def __post_init__(self) -> None:
        if self.end_ns <= self.start_ns:
            raise ValueError(f"a window ends after it begins: {self.start_ns} to {self.end_ns}")

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / 1e9


class Joined(str, Enum):
    """Between what the straight lines of a curve run."""

    UPDATES = "updates"
    """The instants when a counter was refreshed, which its readings gave away."""
    READINGS = "readings"
    """The readings of a counter: too rare to tell when it was refreshed, or as frequent as its refreshes."""
    POWERS = "powers"
    """The readings of a gauge, in watts: joules by the trapezoid rule."""


@dataclass(frozen=True)
class Curve:
    """Joules since the first reading, over time."""

    stamps: Sequence[int]
    """When the domain was read, in `time.monotonic_ns`."""
    shown: Sequence[float]
    """Joules since the first reading that each reading shows."""
    times: Sequence[int]
    """The knots that straight lines join: the stamps, or the instants when a counter was refreshed."""
    joules: Sequence[float]
    """Joules at each knot."""
    half_ns: Sequence[int]
    """By how much each knot may be earlier or later than it says."""
    watts: Sequence[float] | None
    """The readings of a gauge; None for a counter."""
    joined: Joined
    """What the knots are."""
    update_s: float | None
    """How often the sensor is refreshed: as detected, else as declared, else None."""
    until_ns: int
    """The last knot that was read; what lies after it is carried on."""

    @classmethod
    def of(cls, readings: Trace, domain: Domain, window: Window) -> Curve | str:
        """The curve of some readings that cover a window, or why there is none."""
        if domain.kind is Kind.COUNTER:
            return cls.of_counter(readings, domain, window.start_ns, window.end_ns)
        return cls.of_gauge(readings, domain)

    @classmethod
    def of_gauge(cls, readings: Trace, domain: Domain) -> Curve:
        """The integral of power, by the trapezoid rule over the real stamps."""
        joules = [0.0]
        for (t0, p0), (t1, p1) in pairwise(readings):
            joules.append(joules[-1] + (p0 + p1) / 2 * (t1 - t0) / 1e9)
        return cls._through(
            [t for t, _ in readings], joules, [p for _, p in readings], Joined.POWERS, domain.update_s
        )

    @classmethod
    def of_counter(cls, readings: Trace, domain: Domain, start_ns: int, end_ns: int) -> Curve | str:
        """The part without resets that holds the span, or why there is none.

        Between the instants of its refreshes where the readings give them away, else between its readings.
        """
        first = 0
        joules = [0.0]
        for index, ((t0, e0), (t1, e1)) in enumerate(pairwise(readings), start=1):
            step = _step_j(domain, e0, e1, (t1 - t0) / 1e9)
            if step is not None:
                joules.append(joules[-1] + step)
            elif t1 <= start_ns:
                first, joules = index, [0.0]
            elif t0 >= end_ns:
                break
            else:
                return (
                    f"the counter was reset or set: from {e0:.3f} J to {e1:.3f} J in {(t1 - t0) / 1e9:.3f} s"
                )
        stamps = [t for t, _ in readings[first : first + len(joules)]]
        latches = Latches.of(stamps, joules)
        if latches is None:
            return cls._through(stamps, joules, None, Joined.READINGS, domain.update_s)
        return cls(
            stamps=stamps,
            shown=joules,
            times=latches.times,
            joules=latches.joules,
            half_ns=latches.half_ns,
            watts=None,
            joined=Joined.UPDATES,
            update_s=latches.update_s,
            until_ns=latches.until_ns,
        )

    @classmethod
    def _through(
        cls,
        stamps: Sequence[int],
        joules: Sequence[float],
        watts: Sequence[float] | None,
        joined: Joined,
        update_s: float | None,
    ) -> Curve:
        """The curve whose knots are the readings: each shows what was true up to one update before."""
        half_ns = [round((update_s or 0.0) / 2 * 1e9)] * len(stamps)
        return cls(stamps, joules, stamps, joules, half_ns, watts, joined, update_s, stamps[-1])

    def at(self, t_ns: int) -> float:
        """Joules at a moment between the first knot and the last."""
        index = self._segment(t_ns)
        t0, t1 = self.times[index], self.times[index + 1]
        ratio = (t_ns - t0) / (t1 - t0)
        if self.watts is None:
            return self.joules[index] + ratio * (self.joules[index + 1] - self.joules[index])
        p0 = self.watts[index]
        p = p0 + ratio * (self.watts[index + 1] - p0)
        return self.joules[index] + (p0 + p) / 2 * (t_ns - t0) / 1e9

    def half_s(self, t_ns: int) -> float:
        """By how much the knots around a moment may be earlier or later than they say."""
        index = self._segment(t_ns)
        return max(self.half_ns[index], self.half_ns[index + 1]) / 1e9

    def segment_s(self, t_ns: int) -> float:
        """Length of the straight line that holds a moment."""
        index = self._segment(t_ns)
        return (self.times[index + 1] - self.times[index]) / 1e9

    def _segment(self, t_ns: int) -> int:
        return max(0, min(bisect_right(self.times, t_ns), len(self.times) - 1) - 1)

    def readings(self, start_ns: int, end_ns: int) -> int:
        """How many readings lie in a span, its ends included."""
        return bisect_right(self.stamps, end_ns) - bisect_left(self.stamps, start_ns)

    def knots(self, start_ns: int, end_ns: int) -> int:
        """How many knots lie in a span, its ends included."""
        return bisect_right(self.times, end_ns) - bisect_left(self.times, start_ns)

    def mean_power_w(self, start_ns: int, end_ns: int, least_s: float) -> float | None:
        """Mean power of a span, cut to the curve; None where less than `least_s` of it is left."""
        start_ns, end_ns = max(start_ns, self.times[0]), min(end_ns, self.times[-1])
        seconds = (end_ns - start_ns) / 1e9
        if seconds < least_s:
            return None
        return (self.at(end_ns) - self.at(start_ns)) / seconds

    def sampling_j(self, start_ns: int, end_ns: int) -> float:
        """What may have happened between the samples of a gauge, if it is noise without memory.

        A sample that is read again before the sensor is refreshed is no other one.
        """
        if self.watts is None:
            return 0.0
        low = max(0, bisect_right(self.times, start_ns) - 1)
        high = min(len(self.times), bisect_left(self.times, end_ns) + 1)
        apart_ns = _FRESH_RATIO * (self.update_s or 0.0) * 1e9
        fresh: list[tuple[int, float]] = []
        for t_ns, watts in zip(self.times[low:high], self.watts[low:high], strict=True):
            if not fresh or t_ns - fresh[-1][0] >= apart_ns:
                fresh.append((t_ns, watts))
        steps = pairwise(fresh)
        return math.sqrt(math.fsum(((p1 - p0) * (t1 - t0) / 1e9) ** 2 / 2 for (t0, p0), (t1, p1) in steps))


def _step_j(domain: Domain, before_j: float, after_j: float, seconds: float) -> float | None:
    """Joules between two readings of a counter, across a wrap if need be; None if that cannot be what happened."""
    step = after_j - before_j
    most = math.inf
    if domain.max_power_w is not None:
        slack_s = max(_LATCH_SLACK_S, _LATCH_SLACK_UPDATES * (domain.update_s or 0.0))
        most = domain.max_power_w * (seconds + slack_s) + (domain.resolution or 0.0)
    if step < 0:
        wrap_range_j = domain.wrap_range_j or 0.0
        step += wrap_range_j
        if domain.max_power_w is None:
            most = _MOST_WRAP_RATIO * wrap_range_j
    return step if 0 <= step <= most else None
