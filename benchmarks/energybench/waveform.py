"""The power of one synthetic request, known to the millisecond, and sensors that show it late.

Idle, a burst of prefill, a rippling decode, a device that cools down for a moment. Nothing of it was measured on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hexgate.meters.base import Domain, Kind, Scope, Unit

__all__ = ["AVERAGED", "COUNTER", "GAUGE", "REFRESH_S", "Request", "Sensor"]

Floats = NDArray[np.float64]

IDLE_W = 65.0
PREFILL_W = 320.0
DECODE_W = 210.0
RIPPLE_W = 40.0
COOLING_W = 60.0
"""Above idle at the end of the work, falling to 0."""
PREFILL_S = 0.15
COOLING_S = 0.4
REFRESH_S = 0.1
"""The sensor shows something new so often."""
LEAD_S = 5.0
"""Idle before the work, and after it."""
_STEP_S = 0.001

COUNTER = Domain(
    "counter",
    "synthetic",
    "board",
    "board",
    Scope.BOARD,
    Kind.COUNTER,
    Unit.JOULE,
    resolution=1e-3,
    update_s=REFRESH_S,
)
GAUGE = replace(COUNTER, id="gauge", kind=Kind.GAUGE, unit=Unit.WATT)
AVERAGED = replace(GAUGE, id="averaged", averaging_s=1.0)


@dataclass(frozen=True)
class Request:
    """What one request draws; seconds count from the begin of the recording."""

    start_s: float
    """When the work begins."""
    seconds: float
    """How long it lasts."""
    watts: Floats
    """(n,) power in each millisecond."""
    joules: Floats
    """(n + 1,) joules at the begin of each millisecond, and at the end of the last."""

    @classmethod
    def of(cls, seconds: float, draw: np.random.Generator) -> Request:
        """A request of such a length; the phase of the ripple and the begin are drawn."""
        steps = round((2 * LEAD_S + seconds) / _STEP_S)
        at_s = (np.arange(steps) + 0.5) * _STEP_S
        start_s = LEAD_S - 1 + round(draw.uniform(0, 1), 3)
        since = at_s - start_s
        ripple = RIPPLE_W * np.sin(2 * np.pi * draw.uniform(9, 17) * since + draw.uniform(0, 2 * np.pi))
        working = np.where(since < min(PREFILL_S, seconds / 3), PREFILL_W, DECODE_W + ripple)
        after = np.clip(1 - (since - seconds) / COOLING_S, 0, 1)
        watts = np.where(since < 0, IDLE_W, np.where(since < seconds, working, IDLE_W + COOLING_W * after))
        return cls(start_s, seconds, watts, np.concatenate([[0.0], np.cumsum(watts) * _STEP_S]))

    @property
    def end_s(self) -> float:
        """When the work ends."""
        return self.start_s + self.seconds

    @property
    def whole_s(self) -> float:
        """Length of the recording."""
        return len(self.watts) * _STEP_S

    def joules_at(self, at_s: Floats) -> Floats:
        """The truth at some instants."""
        return np.interp(at_s, np.arange(len(self.joules)) * _STEP_S, self.joules)

    def energy_j(self, begin_s: float, end_s: float) -> float:
        """The truth between two instants."""
        begin, end = self.joules_at(np.array([begin_s, end_s]))
        return float(end - begin)


@dataclass(frozen=True)
class Sensor:
    """A sensor that shows what was true at its last refresh."""

    request: Request
    """What it sits on."""
    phase_s: float
    """When the first refresh was; one follows every `REFRESH_S`."""

    def _refreshed_s(self, at_s: Floats) -> Floats:
        return np.floor((at_s - self.phase_s) / REFRESH_S) * REFRESH_S + self.phase_s

    def shows(self, domain: Domain, at_s: Floats) -> Floats:
        """What is read at some instants, in whole millijoules or milliwatts."""
        true_s = self._refreshed_s(at_s)
        if domain is COUNTER:
            values = self.request.joules_at(true_s)
        elif domain is GAUGE:
            values = self.request.watts[(true_s / _STEP_S).astype(int)]
        else:
            # Idle went on before the recording.
            back_s = true_s - domain.averaging_s
            before = np.where(back_s < 0, back_s * IDLE_W, self.request.joules_at(np.maximum(back_s, 0)))
            values = (self.request.joules_at(true_s) - before) / domain.averaging_s
        return np.floor(values * 1e3) / 1e3

    def trace(self, domain: Domain, hz: float, draw: np.random.Generator) -> list[tuple[int, float]]:
        """Readings on absolute deadlines, each late by a fraction of a millisecond and a few by more."""
        due_s = np.arange(draw.uniform(0.2, 0.3), self.request.whole_s - 0.1, 1 / hz)
        late_s = draw.exponential(0.0003, len(due_s)) + (draw.random(len(due_s)) < 0.01) * 0.003
        at_s = due_s + late_s
        return [
            (round(t * 1e9), float(value)) for t, value in zip(at_s, self.shows(domain, at_s), strict=True)
        ]
