"""When a counter was refreshed, seen from readings that come more often than its refreshes.

A counter that is refreshed every tenth of a second shows, at any reading, what had been drawn at its last refresh and
not what has been drawn by now. Where it is read at least about twice as often as it is refreshed, each refresh lies
between two readings, the last that shows the old value and the first that shows the new one; at that instant, and at
no other, the value was true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

__all__ = ["Latches"]

_FEWEST = 5
"""Fewer changes say nothing of a period."""
_FASTER = 1.8
"""Readings this many times as frequent as the refreshes bracket them: twice, less what jitter takes away."""
_MOST_AHEAD = 2.0
"""Updates for which the power of the last one is taken to go on; a counter silent for longer stands still."""


@dataclass(frozen=True)
class Latches:
    """Joules at the instants when a counter was refreshed; straight lines join them."""

    times: Sequence[int]
    """The instants, in `time.monotonic_ns`: each is the middle between the two readings around it. The first is one
    update before the first change seen, or the first reading; the last is the last reading."""
    joules: Sequence[float]
    """Joules at each; the one of a last reading after the last change goes on at the power before it."""
    half_ns: Sequence[int]
    """By how much each instant may be earlier or later than it says."""
    update_s: float
    """The update period that was detected: the median time between two changes."""
    until_ns: int
    """The last change; what comes after it is carried on, not read."""

    @classmethod
    def of(cls, stamps: Sequence[int], joules: Sequence[float]) -> Latches | None:
        """The refreshes in readings whose stamps rise and whose joules do not fall.

        None where there are fewer than five, or where the readings are too rare to tell when they were.
        """
        changes = [place for place in range(1, len(stamps)) if joules[place] != joules[place - 1]]
        if len(changes) < _FEWEST:
            return None
        update_ns = median(stamps[later] - stamps[sooner] for sooner, later in pairwise(changes))
        between_ns = median(stamps[place] - stamps[place - 1] for place in changes)
        if update_ns < _FASTER * between_ns:
            return None
        times: list[int] = []
        halves: list[int] = []
        for place in changes:
            # After a gap, the value shown is that of the last refresh in it.
            since_ns = max(stamps[place - 1], stamps[place] - round(update_ns))
            times.append((since_ns + stamps[place]) // 2)
            halves.append((stamps[place] - since_ns + 1) // 2)
        values = [joules[place] for place in changes]
        until_ns = times[-1]
        before_ns = times[0] - round(update_ns)
        head_ns = min(before_ns, stamps[0])
        times.insert(0, head_ns)
        halves.insert(0, halves[0] if head_ns == before_ns else round(update_ns / 2))
        values.insert(0, joules[0])
        silent_ns = stamps[-1] - until_ns
        if silent_ns > 0:
            power = (values[-1] - values[-2]) / (times[-1] - times[-2])
            ahead = power * silent_ns if silent_ns <= _MOST_AHEAD * update_ns else 0.0
            times.append(stamps[-1])
            halves.append(silent_ns)
            values.append(values[-1] + ahead)
        return cls(times, values, halves, update_ns / 1e9, until_ns)
