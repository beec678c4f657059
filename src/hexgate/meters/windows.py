"""Energy of a window of time, computed from the readings of one domain.

Every trace becomes one curve of joules over time: a counter unwrapped, with straight lines between the instants of
its refreshes where the readings tell them, else between its readings; a gauge integrated by the trapezoid rule over
the real stamps. A window's energy is the difference of the curve at its two ends, so windows may nest and overlap,
and are chosen after the fact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import ClassVar

from hexgate.errors import InputError
from hexgate.meters.base import Basis, Domain, Kind, Unit
from hexgate.meters.countable import contains
from hexgate.meters.curve import Curve, Joined, Trace, Window
from hexgate.meters.validity import Validity, gaps, uncovered, useless, worse

__all__ = [
    "Energy",
    "NotMeasured",
    "Tail",
    "Watched",
    "Window",
    "energy_j",
    "explained",
    "sensor_j",
    "sum_known",
    "total",
    "watch",
]


@dataclass(frozen=True)
class Tail:
    """What a device drew after its work, until it was at rest again: a part of the energy that it stands beside."""

    seconds: float
    """Length, from the end of the work."""
    energy_j: float
    """Joules in that time, a part of `Energy.energy_j`."""
    before_w: float
    """Power at rest before the work."""
    after_w: float
    """Power at rest after it, at the end of the tail."""

    @property
    def above_idle_j(self) -> float:
        """Joules of the tail above what it draws at rest, the mean of the two sides: the cooling down alone."""
        return self.energy_j - (self.before_w + self.after_w) / 2 * self.seconds


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
    sensor_j: float | None
    """Uncertainty that the sensor declares of itself; None where it declares none, which is not an error of 0."""
    degraded: tuple[str, ...] = ()
    """Why the figure is worse than it should be; empty where it is good."""
    window: Window | None = None
    """The span itself; None where whoever made the figure did not say."""
    joined: str = ""
    """Between what the curve's straight lines run, by `curve.Joined`; of several domains, all of them, joined by
    ``+``; empty where whoever made the figure did not say."""
    update_s: float | None = None
    """How often the sensor is refreshed: as detected, else as declared; of several domains, the slowest."""
    tail: Tail | None = None
    """With quiet edges, the settling after the work, which is a part of the window; else None."""

    @property
    def reading_j(self) -> float:
        """Standard uncertainty of edges and sampling alone, without the sensor's own error."""
        return math.hypot(self.edge_j, self.sampling_j)

    @property
    def uncertainty_j(self) -> float | None:
        """Standard uncertainty of all causes together; None where one of them is not known."""
        return None if self.sensor_j is None else math.hypot(self.reading_j, self.sensor_j)

    @property
    def mean_power_w(self) -> float:
        """Energy over length."""
        return self.energy_j / self.seconds

    @property
    def validity(self) -> Validity:
        """What the figure is worth."""
        return Validity.DEGRADED if self.degraded else Validity.OK


@dataclass(frozen=True)
class NotMeasured:
    """There is no energy for this window."""

    basis: ClassVar[Basis] = Basis.NOT_MEASURED
    validity: ClassVar[Validity] = Validity.INVALID
    domain: str
    """Id of the domain, or of several, joined by ``+``."""
    reasons: tuple[str, ...]
    """Why, at least one."""


@dataclass(frozen=True)
class Watched:
    """The curve of one domain, where it says something of a window."""

    curve: Curve
    """Joules over time, the window inside."""
    period_s: float
    """Nominal period of the readings."""
    unseen: Sequence[float]
    """Seconds of each stretch without reading in the window."""


def watch(
    readings: Trace, domain: Domain, window: Window, *, period_s: float | None = None
) -> Watched | NotMeasured:
    """The curve of one domain over one window; arguments and errors as for `energy_j`."""
    if domain.unit not in {Unit.JOULE, Unit.WATT}:
        raise ValueError(f"{domain.id} has the unit {domain.unit.value}, not J or W")
    if not all(math.isfinite(value) for _, value in readings):
        raise ValueError(f"a reading of {domain.id} is not a finite number")
    # A coarse clock may give two readings one stamp: the later one counts.
    readings = list(dict(readings).items())
    reasons = uncovered(readings, window)
    if reasons:
        return NotMeasured(domain.id, reasons)
    period = period_s or median(later[0] - sooner[0] for sooner, later in pairwise(readings)) / 1e9
    curve = Curve.of(readings, domain, window)
    if isinstance(curve, str):
        return NotMeasured(domain.id, (curve,))
    unseen = gaps(curve, window, period)
    reasons = useless(curve, domain, window, period, unseen)
    return NotMeasured(domain.id, reasons) if reasons else Watched(curve, period, unseen)


def energy_j(
    readings: Trace, domain: Domain, window: Window, *, period_s: float | None = None
) -> Energy | NotMeasured:
    """Energy of one domain in one window.

    Edge uncertainty: half a period of the power's difference before and after each end (half the length of the
    straight line that holds the end, where that is longer; of a sensor that averages the whole), as the half width
    of a uniform distribution; the time by which the curve's knots there may be late or early (half a poll where
    refreshes were detected, else all of `update_s`) at the higher power there, as the half width of one; and the last
    digit of a counter, as the full width of one at either end. Sampling uncertainty of a gauge: from the successive
    differences of its values, those of one refresh taken once.

    Args:
        readings: the trace, readings outside the window included: those next to it are needed.
        domain: what was read; its unit is joule or watt.
        window: the span.
        period_s: nominal period of the readings; the median of the trace where not given.

    Raises:
        ValueError: if the domain is not one of energy or power, or a value is not finite.
    """
    watched = watch(readings, domain, window, period_s=period_s)
    if isinstance(watched, NotMeasured):
        return watched
    curve, period = watched.curve, watched.period_s
    energy = curve.at(window.end_ns) - curve.at(window.start_ns)
    mean_power_w = energy / window.seconds
    return Energy(
        domain=domain.id,
        energy_j=energy,
        seconds=window.seconds,
        readings=curve.readings(window.start_ns, window.end_ns),
        edge_j=math.hypot(
            _edge_j(curve, window.start_ns, domain, period, mean_power_w),
            _edge_j(curve, window.end_ns, domain, period, mean_power_w),
            _digit_j(domain),
        ),
        sampling_j=curve.sampling_j(window.start_ns, window.end_ns),
        sensor_j=sensor_j(energy, domain),
        degraded=worse(curve, domain, window, period, watched.unseen),
        window=window,
        joined=curve.joined.value,
        update_s=curve.update_s,
    )


def explained(
    energy: Energy | NotMeasured, failed: Sequence[tuple[int, str]], window: Window
) -> Energy | NotMeasured:
    """The same; where there is no energy, with what the sensor last answered in the window instead of a value.

    Args:
        energy: of one domain.
        failed: its failed reads, as `rows.failed_reads` gives them.
        window: the span.
    """
    answers = [reason for at_ns, reason in failed if window.start_ns <= at_ns <= window.end_ns]
    if isinstance(energy, Energy) or not answers:
        return energy
    return NotMeasured(energy.domain, (*energy.reasons, f"it could not be read ({answers[-1]})"))


def total(domains: Sequence[Domain], energies: Mapping[str, Energy | NotMeasured]) -> Energy | NotMeasured:
    """The sum over domains that do not overlap; not measured if one of them is not.

    The sensors' own errors are added up, because those of like sensors go the same way, and where one of them is not
    known their sum is not; the others are independent.

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
        sensor_j=sum_known(part.sensor_j for part in parts),
        degraded=tuple(f"{part.domain}: {reason}" for part in parts for reason in part.degraded),
        joined="+".join(sorted({part.joined for part in parts})),
        update_s=max((part.update_s for part in parts if part.update_s is not None), default=None),
        tail=_tail(parts),
    )


def sensor_j(energy_j: float, domain: Domain) -> float | None:
    """What a sensor declares of its own error in some joules; None where it declares none."""
    return None if domain.systematic_ratio is None else energy_j * domain.systematic_ratio


def sum_known(values: Iterable[float | None]) -> float | None:
    """The sum of some values; None where one of them is not known."""
    found = list(values)
    known = [value for value in found if value is not None]
    return math.fsum(known) if len(known) == len(found) else None


def _tail(parts: Sequence[Energy]) -> Tail | None:
    tails = [part.tail for part in parts if part.tail is not None]
    if len(tails) < len(parts):
        return None
    return Tail(
        seconds=tails[0].seconds,
        energy_j=math.fsum(tail.energy_j for tail in tails),
        before_w=math.fsum(tail.before_w for tail in tails),
        after_w=math.fsum(tail.after_w for tail in tails),
    )


def _refuse_overlap(domains: Sequence[Domain]) -> None:
    for index, one in enumerate(domains):
        for other in domains[index + 1 :]:
            for outer, inner in ((one, other), (other, one)):
                if contains(outer, inner):
                    raise InputError(
                        f"{outer.id} ({outer.scope.value}) contains {inner.id} ({inner.scope.value})",
                        hint="add up only domains that lie side by side, or take the outer one alone",
                    )
            if (one.device, one.scope) == (other.device, other.scope):
                raise InputError(
                    f"{one.id} and {other.id} are both of {one.device}", hint="take one of the two"
                )


def _edge_j(curve: Curve, at_ns: int, domain: Domain, period_s: float, mean_power_w: float) -> float:
    # In a stretch without reading nobody knows when the power changed: the reach is all of it.
    reach_s = max(period_s, curve.update_s or 0.0, domain.averaging_s, curve.segment_s(at_ns))
    # Two periods on either side: over one, a counter that is refreshed as often as it is read may show 0.
    reach_ns = round(2 * reach_s * 1e9)
    before = curve.mean_power_w(at_ns - reach_ns, at_ns, reach_s)
    after = curve.mean_power_w(at_ns, at_ns + reach_ns, reach_s)
    known = [power for power in (before, after) if power is not None] or [mean_power_w]
    # Where one side was not watched for a whole period, it may have been at rest.
    difference = abs(known[0] - known[1]) if len(known) == 2 else known[0]
    share = 1.0 if domain.averaging_s else 0.5
    late_s = curve.half_s(at_ns) if curve.joined is Joined.UPDATES else curve.update_s or 0.0
    return math.hypot(share * reach_s * difference, late_s * max(known)) / math.sqrt(3)


def _digit_j(domain: Domain) -> float:
    """What a counter had not yet shown at the one end, less what it had not at the other."""
    return (domain.resolution or 0.0) / math.sqrt(6) if domain.kind is Kind.COUNTER else 0.0
