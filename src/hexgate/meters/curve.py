"""Joules over time: what every trace of power or energy becomes."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hexgate.meters.base import Domain

__all__ = ["Curve", "Trace"]

Trace = Sequence[tuple[int, float]]
"""Readings of one domain in order of time: (t_ns, value)."""

_LATCH_SLACK_S = 0.2
"""A counter that is refreshed rarely may show at once what was drawn over so long."""


@dataclass(frozen=True)
class Curve:
    """Joules since the first reading, over time."""

    times: Sequence[int]
    """Stamps of the readings, in `time.monotonic_ns`."""
    joules: Sequence[float]
    """Joules at each stamp."""
    watts: Sequence[float] | None
    """The readings of a gauge, in watts; None for a counter."""

    @classmethod
    def of_gauge(cls, readings: Trace) -> Curve:
        """The integral of power, by the trapezoid rule over the real stamps."""
        joules = [0.0]
        for (t0, p0), (t1, p1) in pairwise(readings):
            joules.append(joules[-1] + (p0 + p1) / 2 * (t1 - t0) / 1e9)
        return cls([t for t, _ in readings], joules, [p for _, p in readings])

    @classmethod
    def of_counter(cls, readings: Trace, domain: Domain, start_ns: int, end_ns: int) -> Curve | str:
        """The part without resets that holds the span, or why there is none."""
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
        return cls([t for t, _ in readings[first : first + len(joules)]], joules, None)

    def at(self, t_ns: int) -> float:
        """Joules at a moment between the first reading and the last."""
        index = min(bisect_right(self.times, t_ns), len(self.times) - 1) - 1
        t0, t1 = self.times[index], self.times[index + 1]
        ratio = (t_ns - t0) / (t1 - t0)
        if self.watts is None:
            return self.joules[index] + ratio * (self.joules[index + 1] - self.joules[index])
        p0 = self.watts[index]
        p = p0 + ratio * (self.watts[index + 1] - p0)
        return self.joules[index] + (p0 + p) / 2 * (t_ns - t0) / 1e9

    def count(self, start_ns: int, end_ns: int) -> int:
        """How many readings lie in a span, its ends included."""
        return bisect_right(self.times, end_ns) - bisect_left(self.times, start_ns)

    def mean_power_w(self, start_ns: int, end_ns: int, least_s: float) -> float | None:
        """Mean power of a span, cut to the curve; None where less than `least_s` of it is left."""
        start_ns, end_ns = max(start_ns, self.times[0]), min(end_ns, self.times[-1])
        seconds = (end_ns - start_ns) / 1e9
        if seconds < least_s:
            return None
        return (self.at(end_ns) - self.at(start_ns)) / seconds

    def sampling_j(self, start_ns: int, end_ns: int) -> float:
        """What may have happened between the samples of a gauge, if it is noise without memory."""
        if self.watts is None:
            return 0.0
        low = max(0, bisect_right(self.times, start_ns) - 1)
        high = min(len(self.times), bisect_left(self.times, end_ns) + 1)
        steps = pairwise(list(zip(self.times, self.watts, strict=True))[low:high])
        return math.sqrt(math.fsum(((p1 - p0) * (t1 - t0) / 1e9) ** 2 / 2 for (t0, p0), (t1, p1) in steps))


def _step_j(domain: Domain, before_j: float, after_j: float, seconds: float) -> float | None:
    """Joules between two readings of a counter, across a wrap if need be; None if that cannot be what happened."""
    step = after_j - before_j
    if step < 0:
        step += domain.wrap_range_j or 0.0
    most = math.inf if domain.max_power_w is None else domain.max_power_w * (seconds + _LATCH_SLACK_S)
    return step if 0 <= step <= most else None
