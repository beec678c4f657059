"""Energy of one request that has idle before it and after it: the edges lie where next to nothing is drawn.

A sensor that is refreshed every tenth of a second cannot tell what was drawn just before a window's edge from what was
drawn just after it. Where the device works on one side, that is an error of several joules, whatever the method. Where
it rests on both sides, the edge is a straight line of known slope: the last value before the begin is carried on to it
at the idle power measured there, and so is the last value before the end.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from hexgate.meters.base import Domain, Kind
from hexgate.meters.curve import Curve, Joined, Trace, Window
from hexgate.meters.validity import worse
from hexgate.meters.windows import Energy, NotMeasured, Tail, sensor_j, watch

__all__ = ["MOST_CHANGE", "quiet_energy_j", "quiet_times_s"]

MOST_CHANGE = 0.25
"""Power that differs from the idle before the work by more than this, as a ratio, is not idle."""
_BEFORE_S = 0.3
_AFTER_S = 0.5
_SETTLING_S = 0.6
"""A sensor that averages shows the end of the work for so long beyond its averaging time."""


def quiet_times_s(domain: Domain) -> tuple[float, float]:
    """Seconds of idle that a domain needs before a request and after it.

    A counter takes 0.3 s and 0.5 s, or three and five of its updates where they are rarer than ten a second. A
    momentary gauge shows what was true up to one update before, and is given two updates more after. A sensor that
    averages over a second takes 1.0 s and 1.6 s, and the idle before begins a second after anything else has ended:
    until then the sensor still shows it.
    """
    if domain.averaging_s > 0:
        return domain.averaging_s, domain.averaging_s + _SETTLING_S
    update_s = domain.update_s or 0.0
    late_s = 2 * update_s if domain.kind is Kind.GAUGE else 0.0
    return max(_BEFORE_S, 3 * update_s), max(_AFTER_S, 5 * update_s) + late_s


def quiet_energy_j(
    trace: Trace,
    domain: Domain,
    window: Window,
    *,
    before_s: float | None = None,
    after_s: float | None = None,
    most_change: float = MOST_CHANGE,
) -> Energy | NotMeasured:
    """Energy of one request and of its settling, between idle and idle.

    What is returned is the gross energy of ``[window.start_ns, window.end_ns + after_s]``: of the request and of the
    `after_s` after it, in which the device comes to rest, idle power included and nothing subtracted.
    `Energy.window` is that span and `Energy.tail` is the part after the request, so that the energy of the request
    and its cooling down without the rest is ``energy_j - tail.energy_j + tail.above_idle_j``.

    With the last knot a of the curve before the request, the last knot b before the end of the span, and the idle
    powers p measured on either side, it is E(b) + p_after (end - b) - E(a) - p_before (start - a).

    Edge uncertainty: the time by which a and b may be late or early at the idle power, the idle powers' own error over
    what they carry on, and their difference over the last piece. Idle before is measured from the first knot in its
    zone to the last; idle after is between the last two.

    Refused where either zone is not covered, has fewer than two knots of the curve, or is not quiet: a power in it
    differs from the idle before by more than `most_change`, when both instants are taken as far off as they may be.

    Args:
        trace: the readings, those of the quiet zones included.
        domain: what was read.
        window: the request.
        before_s: idle before it, seconds; None for `quiet_times_s`.
        after_s: settling and idle after it, seconds; None for `quiet_times_s`.
        most_change: the most by which a power may differ from idle and be called quiet, as a ratio.

    Raises:
        ValueError: if the domain is not one of energy or power, a value is not finite, or a time is not above 0.
    """
    usual_before_s, usual_after_s = quiet_times_s(domain)
    before_s = usual_before_s if before_s is None else before_s
    after_s = usual_after_s if after_s is None else after_s
    if not (before_s > 0 and after_s > 0):
        raise ValueError(f"quiet edges need time: {before_s} s before and {after_s} s after")
    begin_ns = window.start_ns - round(before_s * 1e9)
    span = Window(window.start_ns, window.end_ns + round(after_s * 1e9))
    watched = watch(trace, domain, Window(begin_ns, span.end_ns))
    if isinstance(watched, NotMeasured):
        where = f"with {before_s:g} s before the request and {after_s:g} s after it"
        return NotMeasured(domain.id, tuple(f"{where}: {reason}" for reason in watched.reasons))
    curve = watched.curve
    before = _Zone.of(curve, begin_ns, span.start_ns)
    after = _Zone.of(curve, window.end_ns + round(domain.averaging_s * 1e9), span.end_ns)
    lacking = [
        f"{zone.knots} {_WORDS[curve.joined]} lie in the idle {place} the request, where it takes 2 (hold it longer)"
        for zone, place in ((before, "before"), (after, "after"))
        if zone.knots < 2
    ]
    if lacking:
        return NotMeasured(domain.id, tuple(lacking))
    after = after.last_two()
    loud = before.loud(before.power_w, domain, most_change) or after.loud(before.power_w, domain, most_change)
    if loud:
        return NotMeasured(domain.id, (loud,))
    start_j = before.carried_j(span.start_ns)
    end_j = after.carried_j(span.end_ns)
    energy = end_j - start_j
    if energy <= 0:
        return NotMeasured(domain.id, (f"no energy was shown in {span.seconds:.3f} s",))
    change_w = abs(after.power_w - before.power_w)
    degraded = list(worse(curve, _unaveraged(domain), span, watched.period_s, watched.unseen))
    if domain.averaging_s:
        degraded.append(
            f"it takes the sensor's average for the plain mean over {domain.averaging_s:g} s, which nobody verified"
        )
    return Energy(
        domain=domain.id,
        energy_j=energy,
        seconds=span.seconds,
        readings=curve.readings(span.start_ns, span.end_ns),
        edge_j=math.hypot(
            before.uncertainty_j(span.start_ns),
            after.uncertainty_j(span.end_ns),
            after.carried_s(span.end_ns) * change_w / math.sqrt(3),
        ),
        sampling_j=curve.sampling_j(span.start_ns, span.end_ns),
        sensor_j=sensor_j(energy, domain),
        degraded=tuple(degraded),
        window=span,
        joined=curve.joined.value,
        update_s=curve.update_s,
        tail=Tail(
            seconds=after_s,
            energy_j=end_j - curve.at(window.end_ns),
            before_w=before.power_w,
            after_w=after.power_w,
        ),
    )


_WORDS = {
    Joined.UPDATES: "updates of the counter",
    Joined.READINGS: "readings",
    Joined.POWERS: "readings",
}


@dataclass(frozen=True)
class _Zone:
    """The knots of a curve that lie in one stretch of idle."""

    curve: Curve
    first: int
    """Place of the first."""
    last: int
    """Place of the last."""

    @classmethod
    def of(cls, curve: Curve, begin_ns: int, end_ns: int) -> _Zone:
        first = bisect_left(curve.times, begin_ns)
        last = bisect_right(curve.times, end_ns) - 1
        if curve.joined is Joined.UPDATES:
            # A refresh that may have come after the end may show what came after it.
            while last >= first and curve.times[last] + curve.half_ns[last] > end_ns:
                last -= 1
        while last >= first and curve.times[last] > curve.until_ns:
            last -= 1
        return cls(curve, first, last)

    @property
    def knots(self) -> int:
        return max(0, self.last - self.first + 1)

    def last_two(self) -> _Zone:
        """The end of it alone."""
        return _Zone(self.curve, self.last - 1, self.last)

    @property
    def seconds(self) -> float:
        return (self.curve.times[self.last] - self.curve.times[self.first]) / 1e9

    @property
    def power_w(self) -> float:
        """Mean power from the first knot to the last."""
        return (self.curve.joules[self.last] - self.curve.joules[self.first]) / self.seconds

    def carried_s(self, to_ns: int) -> float:
        """From the last knot to an instant."""
        return (to_ns - self.curve.times[self.last]) / 1e9

    def carried_j(self, to_ns: int) -> float:
        """Joules at an instant, carried on from the last knot at the zone's power."""
        return self.curve.joules[self.last] + self.power_w * self.carried_s(to_ns)

    def uncertainty_j(self, to_ns: int) -> float:
        """Of the joules carried on: when the last knot was, and the power since, whose own knots may be off."""
        first_s, last_s = self.curve.half_ns[self.first] / 1e9, self.curve.half_ns[self.last] / 1e9
        power = self.power_w
        slope_w = power * math.hypot(first_s, last_s) / self.seconds
        return math.hypot(power * last_s, slope_w * self.carried_s(to_ns)) / math.sqrt(3)

    def loud(self, idle_w: float, domain: Domain, most_change: float) -> str | None:
        """Why a stretch is not idle; None where it may be."""
        for low_w, high_w in self._powers(domain):
            if low_w > (1 + most_change) * idle_w or high_w < (1 - most_change) * idle_w:
                return (
                    f"the device is not at rest around the request: {self.power_w:.4g} W, in which "
                    f"{low_w:.4g} W to {high_w:.4g} W was drawn for a while, where idle before it is {idle_w:.4g} W "
                    "(hold the idle longer)"
                )
        return None

    def _powers(self, domain: Domain) -> list[tuple[float, float]]:
        """The least and the most that may have been drawn: by each reading of a gauge, or between two knots."""
        curve, step = self.curve, domain.resolution or 0.0
        if domain.kind is Kind.GAUGE and curve.watts is not None:
            return [(watts - step, watts + step) for watts in curve.watts[self.first : self.last + 1]]
        found = []
        for place in range(self.first, self.last):
            seconds = (curve.times[place + 1] - curve.times[place]) / 1e9
            blur_s = (curve.half_ns[place] + curve.half_ns[place + 1]) / 1e9
            joules = curve.joules[place + 1] - curve.joules[place]
            most = (joules + step) / (seconds - blur_s) if seconds > blur_s else math.inf
            found.append((max(0.0, joules - step) / (seconds + blur_s), most))
        return found


def _unaveraged(domain: Domain) -> Domain:
    """The same without its averaging, which displaces energy in time alone, and nowhere out of a quiet window."""
    return replace(domain, averaging_s=0.0)
