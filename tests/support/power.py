"""Power that is known exactly, and what sensors show of it: synthetic, none of it was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hexgate.meters.base import Domain, Kind, Scope, Unit

S = 1_000_000_000
COUNTER = Domain("counter", "test", "board", "Board", Scope.BOARD, Kind.COUNTER, Unit.JOULE, update_s=0.1)
GAUGE = replace(COUNTER, id="gauge", kind=Kind.GAUGE, unit=Unit.WATT)
AVERAGED = replace(GAUGE, id="averaged", averaging_s=1.0)


@dataclass(frozen=True)
class Steps:
    """Power that changes in steps."""

    begins_s: tuple[float, ...]
    """When each level begins, the first at minus infinity in effect."""
    watts: tuple[float, ...]

    @classmethod
    def of(cls, *levels: tuple[float, float]) -> Steps:
        return cls(tuple(begin for begin, _ in levels), tuple(watts for _, watts in levels))

    def power_w(self, t_s: float) -> float:
        return self.watts[max(0, int(np.searchsorted(self.begins_s, t_s, side="right")) - 1)]

    def joules(self, t_s: float) -> float:
        """Since 0 s, exactly; before, at the first level."""
        if t_s <= self.begins_s[0]:
            return self.watts[0] * t_s
        ends = (*self.begins_s[1:], math.inf)
        found = self.watts[0] * self.begins_s[0]
        for begin, end, watts in zip(self.begins_s, ends, self.watts, strict=True):
            found += watts * max(0.0, min(t_s, end) - begin)
        return found

    def energy_j(self, begin_s: float, end_s: float) -> float:
        return self.joules(end_s) - self.joules(begin_s)


def polls(end_s: float, period_s: float, *, begin_s: float = 0.0, seed: int | None = None) -> list[float]:
    """Instants on absolute deadlines; with a seed each is late by up to a tenth of the period."""
    due = np.arange(begin_s, end_s, period_s)
    if seed is not None:
        due = due + np.random.default_rng(seed).uniform(0, period_s / 10, len(due))
    return [float(t) for t in due]


def refreshed(t_s: float, update_s: float, phase_s: float) -> float:
    """The last refresh at or before an instant."""
    return math.floor((t_s - phase_s) / update_s) * update_s + phase_s


def seen(
    at_s: Sequence[float], shows: Callable[[float], float], *, update_s: float = 0.1, phase_s: float = 0.0
) -> list[tuple[int, float]]:
    """Readings of a sensor that shows what was true at its last refresh."""
    return [(round(t * S), shows(refreshed(t, update_s, phase_s))) for t in at_s]


def averaged(power: Steps, seconds: float) -> Callable[[float], float]:
    """A sensor that shows the mean of the last `seconds`."""
    return lambda t: power.energy_j(t - seconds, t) / seconds
