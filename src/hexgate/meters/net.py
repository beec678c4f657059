"""Net energy: what is left of a window when the idle of the same machine is taken away.

Idle is measured before and after, with the model resident, and taken to run in a straight line from the middle of the
one to the middle of the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from hexgate.meters.base import Basis
from hexgate.meters.curve import Window
from hexgate.meters.validity import Validity
from hexgate.meters.windows import Energy, NotMeasured, sum_known

__all__ = ["MOST_DRIFT", "IdleLine", "Net", "idle_line", "net_energy"]

MOST_DRIFT = 0.03
"""Idle before and after that differ by more, as a ratio of their mean, leave no net energy."""


@dataclass(frozen=True)
class IdleLine:
    """Idle power over time, through the idle before a window and the idle after it."""

    before_w: float
    """Mean power of the idle before."""
    after_w: float
    """Mean power of the idle after."""
    after_share: float
    """How far the middle of the window lies from the middle of the idle before to that of the idle after, 0 to 1."""

    @property
    def mean_w(self) -> float:
        """Idle power in the window."""
        return self.before_w * (1 - self.after_share) + self.after_w * self.after_share

    @property
    def drift_ratio(self) -> float:
        """Difference of the two over their mean."""
        return abs(self.after_w - self.before_w) / ((self.before_w + self.after_w) / 2)


@dataclass(frozen=True)
class Net:
    """Energy of a window less the idle energy of as long, with its standard uncertainty by cause."""

    basis: ClassVar[Basis] = Basis.MEASURED
    domain: str
    """Id of the domain, or of several, joined by ``+``."""
    energy_j: float
    """Joules above idle. Below 0 where idle drew more than the work: a sign of a bad idle, and never clamped."""
    gross_j: float
    """Joules with nothing subtracted."""
    seconds: float
    """Length of the window."""
    idle: IdleLine
    """What was subtracted."""
    edge_j: float
    """Uncertainty of what belongs to the window at its two ends, as in the gross energy."""
    sampling_j: float
    """Uncertainty of what a gauge did between its samples, as in the gross energy."""
    sensor_j: float | None
    """Uncertainty that the sensor declares of itself: it is wrong by the same ratio at work and at rest, so by that
    ratio of the difference; None where it declares none."""
    idle_j: float
    """Uncertainty of the two idle energies from their own edges and samples, carried to the window's length."""
    drift_j: float
    """Uncertainty of the way that idle took from before to after: anywhere between the two, as the full width of a
    uniform distribution."""
    degraded: tuple[str, ...] = ()
    """Why the figure is worse than it should be; empty where it is good."""

    @property
    def reading_j(self) -> float:
        """Standard uncertainty of all causes but the sensor's own error."""
        return math.hypot(self.edge_j, self.sampling_j, self.idle_j, self.drift_j)

    @property
    def uncertainty_j(self) -> float | None:
        """Standard uncertainty of all causes together; None where one of them is not known."""
        return None if self.sensor_j is None else math.hypot(self.reading_j, self.sensor_j)

    @property
    def validity(self) -> Validity:
        """What the figure is worth."""
        return Validity.DEGRADED if self.degraded else Validity.OK


def idle_line(window: Window, before: Energy, after: Energy) -> IdleLine:
    """The line through the idle before a window and the idle after it.

    Raises:
        ValueError: if an idle does not know its window, or they do not lie on either side of this one.
    """
    if before.window is None or after.window is None:
        raise ValueError("an idle energy does not say of which window it is")
    if before.window.end_ns > window.start_ns or after.window.start_ns < window.end_ns:
        raise ValueError("idle is measured before the window and after it")
    first, last = _middle_ns(before.window), _middle_ns(after.window)
    share = (_middle_ns(window) - first) / (last - first)
    return IdleLine(before.mean_power_w, after.mean_power_w, share)


def net_energy(
    gross: Energy | NotMeasured,
    window: Window,
    idle_before: Energy | NotMeasured,
    idle_after: Energy | NotMeasured,
    *,
    most_drift: float = MOST_DRIFT,
) -> Net | NotMeasured:
    """What a window drew above idle.

    Args:
        gross: energy of the window, by `windows.energy_j`, `windows.total` or `quiet.quiet_energy_j`.
        window: its span; for an energy with quiet edges its own `Energy.window`, which the settling belongs to.
        idle_before: energy of a time of idle before it, with the model resident, of the same domains.
        idle_after: the same, after it.
        most_drift: the most by which the two idle powers may differ, as a ratio of their mean.

    Returns:
        NotMeasured, with the reasons, where one of the three was not measured or idle drifted too far.

    Raises:
        ValueError: if the window is not as long as the gross energy says, or an idle does not lie on its side.
    """
    parts = {"gross": gross, "idle before": idle_before, "idle after": idle_after}
    lacking = [
        f"{name}: {reason}"
        for name, part in parts.items()
        if isinstance(part, NotMeasured)
        for reason in part.reasons
    ]
    if (
        isinstance(gross, NotMeasured)
        or isinstance(idle_before, NotMeasured)
        or isinstance(idle_after, NotMeasured)
    ):
        return NotMeasured(gross.domain, tuple(lacking))
    if not math.isclose(gross.seconds, window.seconds, rel_tol=1e-9):
        raise ValueError(f"the energy is of {gross.seconds:.9g} s, the window has {window.seconds:.9g} s")
    idle = idle_line(window, idle_before, idle_after)
    if idle.drift_ratio > most_drift:
        reason = f"idle before and after differ too much ({idle.before_w:.4g} W and {idle.after_w:.4g} W)"
        return NotMeasured(gross.domain, (reason,))
    net_j = gross.energy_j - idle.mean_w * window.seconds
    shares = ((idle_before, 1 - idle.after_share), (idle_after, idle.after_share))
    idle_sensor_j = (
        None if part.sensor_j is None else -share * part.sensor_j / part.seconds * window.seconds
        for part, share in shares
    )
    sensor_j = sum_known([gross.sensor_j, *idle_sensor_j])
    degraded = [
        *gross.degraded,
        *(f"idle before: {reason}" for reason in idle_before.degraded),
        *(f"idle after: {reason}" for reason in idle_after.degraded),
    ]
    if net_j < 0:
        degraded.append(f"the work drew {-net_j:.4g} J less than idle did: the idle was not one")
    return Net(
        domain=gross.domain,
        energy_j=net_j,
        gross_j=gross.energy_j,
        seconds=window.seconds,
        idle=idle,
        edge_j=gross.edge_j,
        sampling_j=gross.sampling_j,
        sensor_j=None if sensor_j is None else abs(sensor_j),
        idle_j=window.seconds
        * math.hypot(
            *(share * math.hypot(part.edge_j, part.sampling_j) / part.seconds for part, share in shares)
        ),
        drift_j=abs(idle.after_w - idle.before_w) * window.seconds / math.sqrt(12),
        degraded=tuple(degraded),
    )


def _middle_ns(window: Window) -> float:
    return (window.start_ns + window.end_ns) / 2
