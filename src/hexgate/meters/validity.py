"""Whether a window's energy is good, worse than it should be, or none: what a trace alone can tell."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from statistics import median

from hexgate.meters.base import Domain, Kind
from hexgate.meters.curve import Curve, Joined, Trace, Window

__all__ = ["Validity", "gaps", "uncovered", "useless", "worse"]

_GAP_PERIODS = 3
_MOST_UNSEEN_RATIO = 0.1
_AVERAGES_PER_WINDOW = 30
_FEWEST_INSIDE = 3
_STILL_S = 1.0
_STILL_UPDATES = 10
_MISSED_UPDATES = 3.5
"""A value shown for so many refreshes missed three of them at least."""


class Validity(str, Enum):
    """What a window's energy is worth."""

    OK = "ok"
    """Nothing speaks against it."""
    DEGRADED = "degraded"
    """There is a figure, and a reason why it is worse than it should be."""
    INVALID = "invalid"
    """There is no figure, and a reason for that."""


def uncovered(readings: Trace, window: Window) -> tuple[str, ...]:
    """Why some readings do not cover a window; empty where they do."""
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


def gaps(curve: Curve, window: Window, period_s: float) -> list[float]:
    """How long, in seconds, each stretch without reading was that touches the window."""
    return [
        (t1 - t0) / 1e9
        for t0, t1 in pairwise(curve.stamps)
        if (t1 - t0) / 1e9 > _GAP_PERIODS * period_s and t0 < window.end_ns and t1 > window.start_ns
    ]


def useless(
    curve: Curve, domain: Domain, window: Window, period_s: float, unseen: Sequence[float]
) -> tuple[str, ...]:
    """Why a curve says nothing of a window; empty where it does.

    Args:
        curve: of a trace that covers the window.
        domain: what was read.
        window: the span.
        period_s: nominal period of the readings.
        unseen: the `gaps` in the window.
    """
    if curve.knots(window.start_ns, window.end_ns) == 0:
        what = "update of the counter" if curve.joined is Joined.UPDATES else "reading"
        return (f"no {what} lies inside the window of {window.seconds:.3f} s",)
    if curve.at(window.end_ns) <= curve.at(window.start_ns):
        what = "the counter did not move" if domain.kind is Kind.COUNTER else "the sensor showed no power"
        return (f"{what} in {window.seconds:.3f} s",)
    if unseen and domain.wrap_range_j is not None and domain.max_power_w is not None:
        longest_s = max(unseen)
        if longest_s * domain.max_power_w > domain.wrap_range_j:
            return (f"the counter was not read for {longest_s:.3f} s and may have wrapped more than once",)
    if sum(unseen) > _MOST_UNSEEN_RATIO * window.seconds:
        return (f"the sensor was not read for {sum(unseen):.3f} s in a window of {window.seconds:.3f} s",)
    return _stuck(curve, domain, window, period_s)


def _stuck(curve: Curve, domain: Domain, window: Window, period_s: float) -> tuple[str, ...]:
    """A counter that otherwise moves stood still for much longer than it takes to be refreshed."""
    if domain.kind is not Kind.COUNTER:
        return ()
    stamps = curve.stamps
    moved = _moved(curve)
    refresh_s = _refresh_s(curve, domain, period_s, moved)
    most_s = max(_STILL_S, _STILL_UPDATES * refresh_s)
    # From a value to the last reading that still shows it; the first and the last reading close the row.
    for since, until in pairwise([0, *moved, len(stamps)]):
        start_ns, end_ns = stamps[since], stamps[until - 1]
        within_s = (min(end_ns, window.end_ns) - max(start_ns, window.start_ns)) / 1e9
        still_s = (end_ns - start_ns) / 1e9
        if still_s > most_s and within_s > refresh_s:
            return (f"the counter stood still for {still_s:.3f} s, of which {within_s:.3f} s in the window",)
    return ()


def _moved(curve: Curve) -> list[int]:
    """Places of the readings that show another value than the one before."""
    shown = curve.shown
    return [later for later in range(1, len(shown)) if shown[later] != shown[later - 1]]


def _refresh_s(curve: Curve, domain: Domain, period_s: float, moved: Sequence[int]) -> float:
    spacings = [(curve.stamps[later] - curve.stamps[sooner]) / 1e9 for sooner, later in pairwise(moved)]
    return max(period_s, domain.update_s or 0.0, median(spacings) if spacings else 0.0)


def _missed(curve: Curve, domain: Domain, window: Window, period_s: float) -> tuple[str, ...]:
    """A counter that moves with every refresh showed one value over several of them."""
    if domain.kind is not Kind.COUNTER:
        return ()
    moved = _moved(curve)
    refresh_s = _refresh_s(curve, domain, period_s, moved)
    longest_s = 0.0
    for since, until in pairwise(moved):
        start_ns, end_ns = curve.stamps[since], curve.stamps[until]
        within_s = (min(end_ns, window.end_ns) - max(start_ns, window.start_ns)) / 1e9
        # Readings that were not made tell of no refresh.
        unread_s = (end_ns - curve.stamps[until - 1]) / 1e9 - period_s
        shown_s = (end_ns - start_ns) / 1e9 - max(0.0, unread_s)
        if within_s > refresh_s:
            longest_s = max(longest_s, shown_s)
    if longest_s < _MISSED_UPDATES * refresh_s:
        return ()
    return (
        f"the counter showed one value for {longest_s:.3f} s, where it is refreshed every {refresh_s:.3f} s",
    )


def worse(
    curve: Curve, domain: Domain, window: Window, period_s: float, unseen: Sequence[float]
) -> tuple[str, ...]:
    """Why the energy of a window is worse than it should be; empty where it is good. Arguments as for `useless`."""
    reasons: list[str] = []
    inside = curve.knots(window.start_ns, window.end_ns)
    if inside < _FEWEST_INSIDE:
        what = "updates of the counter" if curve.joined is Joined.UPDATES else "readings"
        reasons.append(f"only {inside} {what} lie inside the window of {window.seconds:.3f} s")
    if unseen:
        reasons.append(f"no reading for {max(unseen):.3f} s, where one is due every {period_s:.3f} s")
    reasons += _missed(curve, domain, window, period_s)
    ahead_s = (window.end_ns - curve.until_ns) / 1e9
    if ahead_s > 0:
        reasons.append(
            f"the counter was last refreshed {ahead_s:.3f} s before the window's end; its power is carried on"
        )
    if domain.averaging_s and window.seconds < _AVERAGES_PER_WINDOW * domain.averaging_s:
        reasons.append(
            f"the sensor averages over {domain.averaging_s:g} s, which blurs {window.seconds:.3f} s"
        )
    return tuple(reasons)
