"""Spans of time in a run's records: the timed window and its parts, lags, paces, and what was in flight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plan import LoadKind, Plan
from hexgate.load.records import Outcome

__all__ = [
    "Millis",
    "Rows",
    "busy_ratio",
    "dispatch_lag_ms",
    "ended_well_inside",
    "in_flight_max",
    "millis",
    "pace_rps",
    "percentile",
    "timed_window",
    "windows_rps",
]

Millis = NDArray[np.float64]
Rows = NDArray[np.void]


def millis(span_ns: NDArray[np.int64]) -> Millis:
    """Nanoseconds to milliseconds."""
    return np.asarray(span_ns, dtype=np.float64) / 1e6


def percentile(values: Millis, percent: float) -> float | None:
    """The smallest value with at least that share at or below it, as for latencies; None of nothing."""
    if not len(values):
        return None
    return float(np.percentile(values, percent, method="inverted_cdf"))


def dispatch_lag_ms(timed: Rows, plan: Plan) -> Millis:
    """(k,) time from due to taken up, of the k requests taken up; empty in a closed loop."""
    if plan.kind is not LoadKind.OPEN_LOOP:
        return np.empty(0)
    taken = timed[timed["issued_ns"] >= 0]
    return millis(taken["issued_ns"] - taken["due_ns"])


def pace_rps(stamps_ns: NDArray[np.int64]) -> float | None:
    """(k - 1) over the time from the first of k instants to the last; None below two, and without a span."""
    happened = stamps_ns[stamps_ns >= 0]
    if len(happened) < 2:
        return None
    span_ns = int(happened.max() - happened.min())
    return (len(happened) - 1) * 1e9 / span_ns if span_ns > 0 else None


def timed_window(records: Rows, plan: Plan, stopped_ns: int | None) -> tuple[int, int] | None:
    """Begin and end of the timed window; None where nothing was timed. See `ThroughputFigures.window_s`."""
    window = plan.window_ns
    if window is None:
        timed = records[~records["warmup"]]
        sent = timed["sent_ns"][timed["sent_ns"] >= 0]
        if not len(sent):
            return None
        begin = int(sent.min())
        if plan.duration_s is not None:
            window = begin, begin + round(plan.duration_s * 1e9)
            # Where the number of requests ended the run first, so did it end the window.
            if not plan.repeats and int(records["index"].max()) == len(plan) - 1:
                window = begin, min(window[1], int(timed["end_ns"].max()))
        else:
            window = begin, int(timed["end_ns"].max()) if stopped_ns is None else stopped_ns
    begin, end = window
    if stopped_ns is not None:
        end = min(end, stopped_ns)
    return (begin, end) if end > begin else None


def ended_well_inside(records: Rows, plan: Plan, window: tuple[int, int]) -> Rows:
    """The rows that succeeded and ended after the window's begin and not after its end.

    Those of the warm-up among them in a closed loop, whose slots are as full at the begin as at the end. In an
    open loop they would be requests that the rate of the window did not send.
    """
    begin, end = window
    inside = (records["end_ns"] > begin) & (records["end_ns"] <= end)
    if plan.kind is LoadKind.OPEN_LOOP:
        inside &= ~records["warmup"]
    rows: Rows = records[inside & (records["outcome"] == Outcome.OK)]
    return rows


def windows_rps(ended: Rows, window: tuple[int, int], parts: int) -> tuple[float, ...]:
    """Rows a second in equal parts of the window, by when they ended."""
    begin, end = window
    edges = np.linspace(0.0, float(end - begin), parts + 1)
    # Windows are closed at their end, as the whole is.
    part = np.clip(np.searchsorted(edges, ended["end_ns"] - begin, side="left") - 1, 0, parts - 1)
    counts = np.bincount(part, minlength=parts)
    length_s = (end - begin) / 1e9 / parts
    return tuple(float(count) / length_s for count in counts)


def in_flight_max(records: Rows) -> int:
    """Most requests in flight at once, from sent to ended; what never ended stays in flight."""
    begun = np.sort(records["sent_ns"][records["sent_ns"] >= 0])
    if not len(begun):
        return 0
    over = np.sort(records["end_ns"][(records["sent_ns"] >= 0) & (records["end_ns"] >= 0)])
    # At one and the same instant a slot is left before it is taken again.
    return int((np.arange(1, len(begun) + 1) - np.searchsorted(over, begun, side="right")).max())


def busy_ratio(records: Rows, plan: Plan, slots: int) -> float | None:
    """Closed loop: mean share of the slots that had a request; None in an open loop.

    From the first timed request taken up, or where that is later from when as many were taken up as there are
    slots, to the last one: in between every slot should have one. A request has its slot from when it is taken
    up to when it ends. None where fewer than a whole round of slots was taken up after that begin: the instants
    between the requests of one burst say nothing of the client.
    """
    if plan.kind is not LoadKind.CLOSED_LOOP:
        return None
    taken = records[records["issued_ns"] >= 0]
    timed = taken["issued_ns"][~taken["warmup"]]
    if not len(timed):
        return None
    issued = np.sort(taken["issued_ns"])
    first = max(int(np.searchsorted(issued, timed.min())), slots - 1)
    if len(issued) - 1 - first < slots:
        return None
    begin, end = int(issued[first]), int(issued[-1])
    if end == begin:
        return None
    # What never ended had its slot to the end.
    over = np.where(taken["end_ns"] >= 0, taken["end_ns"], end)
    inside = np.minimum(over, end) - np.maximum(taken["issued_ns"], begin)
    return float(np.maximum(inside, 0).sum()) / (slots * (end - begin))
