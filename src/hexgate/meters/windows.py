"""Energy of a window of time, computed from the readings of one domain.

Every trace becomes one curve of joules over time: a counter unwrapped, with straight lines between its
readings; a gauge integrated by the trapezoid rule over the real stamps. A window's energy is the difference
of the curve at its two ends, so windows may nest and overlap, and are chosen after the fact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import ClassVar

from hexgate.errors import InputError
from hexgate.meters.base import Basis, Domain, Kind, Scope, Unit
from hexgate.meters.curve import Curve, Trace

__all__ = ["Energy", "NotMeasured", "Window", "energy_j", "total"]

_GAP_PERIODS = 3
_MOST_UNSEEN_RATIO = 0.1
_AVERAGES_PER_WINDOW = 30
_STILL_S = 1.0
_STILL_UPDATES = 10
_CONTAINS: Mapping[Scope, frozenset[Scope]] = {
    Scope.HOST: frozenset({Scope.BOARD, Scope.MODULE, Scope.PACKAGE, Scope.DRAM, Scope.RAIL, Scope.PSYS}),
    Scope.PSYS: frozenset({Scope.PACKAGE, Scope.DRAM}),
    Scope.MODULE: frozenset({Scope.BOARD, Scope.PACKAGE, Scope.RAIL}),
}


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


@dataclass(frozen=True)
class Energy:
    """Measured energy of one window, with its standard uncertainty by cause."""

    basis: ClassVar[Basis] = Basis.MEASURED
    domain: str
    """Id of the domain, or of several, joined by ``+``."""
    energy_j: float
    """Joules, nothing subtracted."""
    seconds: float
    """Length of the window."""
    readings: int
    """Readings inside the window; of several domains, the fewest."""
    edge_j: float
    """Uncertainty of what belongs to the window at its two ends."""
    sampling_j: float
    """Uncertainty of what a gauge did between its samples; 0 for a counter, which misses nothing."""
    sensor_j: float
    """Uncertainty that the sensor declares of itself; 0 where it declares none."""
    degraded: tuple[str, ...] = ()
    """Why the figure is worse than it should be; empty where it is good."""

    @property
    def uncertainty_j(self) -> float:
        """Standard uncertainty of all causes together."""
        return math.hypot(self.edge_j, self.sampling_j, self.sensor_j)

    @property
    def mean_power_w(self) -> float:
        """Energy over length."""
        return self.energy_j / self.seconds


@dataclass(frozen=True)
class NotMeasured:
    """There is no energy for this window."""

    basis: ClassVar[Basis] = Basis.NOT_MEASURED
    domain: str
    """Id of the domain, or of several, joined by ``+``."""
    reasons: tuple[str, ...]
    """Why, at least one."""


def energy_j(
    readings: Trace, domain: Domain, window: Window, *, period_s: float | None = None
) -> Energy | NotMeasured:
    """Energy of one domain in one window.

    Edge uncertainty: half a period of the power's difference before and after each end, as the half width of
    a uniform distribution; and, for a sensor that refreshes itself every `update_s`, that time at the power
    there, as the full width of one. Sampling uncertainty of a gauge: from the successive differences of its
    values.

    Args:
        readings: the trace, readings outside the window included: those next to it are needed.
        domain: what was read; its unit is joule or watt.
        window: the span.
        period_s: nominal period of the readings; the median of the trace where not given.

    Raises:
        ValueError: if the domain is not one of energy or power, or a value is not finite.
    """
    if domain.unit not in {Unit.JOULE, Unit.WATT}:
        raise ValueError(f"{domain.id} has the unit {domain.unit.value}, not J or W")
    if not all(math.isfinite(value) for _, value in readings):
        raise ValueError(f"a reading of {domain.id} is not a finite number")
    # A coarse clock may give two readings one stamp: the later one counts.
    readings = list(dict(readings).items())
    reasons = _uncovered(readings, window)
    if reasons:
        return NotMeasured(domain.id, reasons)
    period = period_s or median(later[0] - sooner[0] for sooner, later in pairwise(readings)) / 1e9
    if domain.kind is Kind.COUNTER:
        curve = Curve.of_counter(readings, domain, window.start_ns, window.end_ns)
    else:
        curve = Curve.of_gauge(readings)
    if isinstance(curve, str):
        return NotMeasured(domain.id, (curve,))
    energy = curve.at(window.end_ns) - curve.at(window.start_ns)
    mean_power_w = energy / window.seconds
    inside = curve.count(window.start_ns, window.end_ns)
    unseen = _gaps(curve, window, period)
    reasons = _useless(domain, window, energy, inside, unseen) or _stuck(curve, domain, window, period)
    if reasons:
        return NotMeasured(domain.id, reasons)
    return Energy(
        domain=domain.id,
        energy_j=energy,
        seconds=window.seconds,
        readings=inside,
        edge_j=math.hypot(
            _edge_j(curve, window.start_ns, domain, period, mean_power_w),
            _edge_j(curve, window.end_ns, domain, period, mean_power_w),
        ),
        sampling_j=curve.sampling_j(window.start_ns, window.end_ns),
        sensor_j=energy * (domain.systematic_ratio or 0.0),
        degraded=_degraded(domain, window, inside, unseen, period),
    )


def total(domains: Sequence[Domain], energies: Mapping[str, Energy | NotMeasured]) -> Energy | NotMeasured:
    """The sum over domains that do not overlap; not measured if one of them is not.

    The sensors' own errors are added up, because those of like sensors go the same way; the others are
    independent.

    Raises:
        InputError: if one domain contains another, or two are of the same device.
        ValueError: if there is no domain, or their windows are not equally long.
    """
    if not domains:
        raise ValueError("a total needs at least one domain")
    _refuse_overlap(domains)
    name = "+".join(domain.id for domain in domains)
    parts: list[Energy] = []
    lacking: list[str] = []
    for domain in domains:
        energy = energies.get(domain.id, NotMeasured(domain.id, ("no reading of it",)))
        if isinstance(energy, NotMeasured):
            lacking += [f"{domain.id}: {reason}" for reason in energy.reasons]
        else:
            parts.append(energy)
    if lacking:
        return NotMeasured(name, tuple(lacking))
    if len({part.seconds for part in parts}) != 1:
        raise ValueError(f"the windows of {name} are not equally long")
    return replace(
        parts[0],
        domain=name,
        energy_j=math.fsum(part.energy_j for part in parts),
        readings=min(part.readings for part in parts),
        edge_j=math.hypot(*(part.edge_j for part in parts)),
        sampling_j=math.hypot(*(part.sampling_j for part in parts)),
        sensor_j=math.fsum(part.sensor_j for part in parts),
        degraded=tuple(f"{part.domain}: {reason}" for part in parts for reason in part.degraded),
    )


def _refuse_overlap(domains: Sequence[Domain]) -> None:
    for index, one in enumerate(domains):
        for other in domains[index + 1 :]:
            for outer, inner in ((one, other), (other, one)):
                if inner.scope in _CONTAINS.get(outer.scope, frozenset()):
                    raise InputError(
                        f"{outer.id} ({outer.scope.value}) contains {inner.id} ({inner.scope.value})",
                        hint="add up only domains that lie side by side, or take the outer one alone",
                    )
            if (one.device, one.scope) == (other.device, other.scope):
                raise InputError(
                    f"{one.id} and {other.id} are both of {one.device}", hint="take one of the two"
                )


def _uncovered(readings: Trace, window: Window) -> tuple[str, ...]:
    if len(readings) < 2:
        return (f"{len(readings)} readings are too few",)
    if any(later[0] < sooner[0] for sooner, later in pairwise(readings)):
        return ("the stamps of the readings do not rise",)
    reasons: list[str] = []
    late_s = (readings[0][0] - window.start_ns) / 1e9
    early_s = (window.end_ns - readings[-1][0]) / 1e9
    if late_s > 0:
        reasons.append(f"the first reading is {late_s:.3f} s after the window's begin")
    if early_s > 0:
        reasons.append(f"the last reading is {early_s:.3f} s before the window's end")
    return tuple(reasons)


def _gaps(curve: Curve, window: Window, period_s: float) -> list[float]:
    """How long, in seconds, each stretch without reading was that touches the window."""
    return [
        (t1 - t0) / 1e9
        for t0, t1 in pairwise(curve.times)
        if (t1 - t0) / 1e9 > _GAP_PERIODS * period_s and t0 < window.end_ns and t1 > window.start_ns
    ]


def _useless(
    domain: Domain,
    window: Window,
    energy: float,
    inside: int,
    unseen: Sequence[float],
) -> tuple[str, ...]:
    if inside == 0:
        return (f"no reading lies inside the window of {window.seconds:.3f} s",)
    if energy <= 0:
        what = "the counter did not move" if domain.kind is Kind.COUNTER else "the sensor showed no power"
        return (f"{what} in {window.seconds:.3f} s",)
    if domain.kind is Kind.GAUGE and sum(unseen) > _MOST_UNSEEN_RATIO * window.seconds:
        return (f"the sensor was not read for {sum(unseen):.3f} s in a window of {window.seconds:.3f} s",)
    if unseen and domain.wrap_range_j is not None and domain.max_power_w is not None:
        longest_s = max(unseen)
        if longest_s * domain.max_power_w > domain.wrap_range_j:
            return (f"the counter was not read for {longest_s:.3f} s and may have wrapped more than once",)
    return ()


def _stuck(curve: Curve, domain: Domain, window: Window, period_s: float) -> tuple[str, ...]:
    """A counter that otherwise moves stood still for much longer than it takes to be refreshed."""
    if domain.kind is not Kind.COUNTER:
        return ()
    moved = [later for later in range(1, len(curve.times)) if curve.joules[later] != curve.joules[later - 1]]
    spacings = [(curve.times[later] - curve.times[sooner]) / 1e9 for sooner, later in pairwise(moved)]
    refresh_s = max(period_s, domain.update_s or 0.0, median(spacings) if spacings else 0.0)
    most_s = max(_STILL_S, _STILL_UPDATES * refresh_s)
    # From a value to the last reading that still shows it; the first and the last reading close the row.
    for since, until in pairwise([0, *moved, len(curve.times)]):
        start_ns, end_ns = curve.times[since], curve.times[until - 1]
        within_s = (min(end_ns, window.end_ns) - max(start_ns, window.start_ns)) / 1e9
        still_s = (end_ns - start_ns) / 1e9
        if still_s > most_s and within_s > refresh_s:
            return (f"the counter stood still for {still_s:.3f} s, of which {within_s:.3f} s in the window",)
    return ()


def _degraded(
    domain: Domain, window: Window, inside: int, unseen: Sequence[float], period_s: float
) -> tuple[str, ...]:
    reasons: list[str] = []
    if inside < 3:
        reasons.append(f"only {inside} readings lie inside the window of {window.seconds:.3f} s")
    if unseen:
        reasons.append(f"no reading for {max(unseen):.3f} s, where one is due every {period_s:.3f} s")
    if domain.averaging_s and window.seconds < _AVERAGES_PER_WINDOW * domain.averaging_s:
        reasons.append(
            f"the sensor averages over {domain.averaging_s:g} s, which blurs {window.seconds:.3f} s"
        )
    return tuple(reasons)


def _edge_j(curve: Curve, at_ns: int, domain: Domain, period_s: float, mean_power_w: float) -> float:
    update_s = domain.update_s or 0.0
    reach_s = max(period_s, update_s, domain.averaging_s)
    # Two periods on either side: over one, a counter that is refreshed as often as it is read may show 0.
    reach_ns = round(2 * reach_s * 1e9)
    before = curve.mean_power_w(at_ns - reach_ns, at_ns, reach_s)
    after = curve.mean_power_w(at_ns, at_ns + reach_ns, reach_s)
    known = [power for power in (before, after) if power is not None] or [mean_power_w]
    # Where one side was not watched for a whole period, it may have been at rest.
    difference = abs(known[0] - known[1]) if len(known) == 2 else known[0]
    mean = math.fsum(known) / len(known)
    return math.hypot(reach_s * difference / 2 / math.sqrt(3), update_s * mean / math.sqrt(12))
