"""Spans of time in a run's records: the timed window and its parts, lags, paces, and what was in flight.

Records are read in chunks, in order of number, as often as needed; no array here is as long as they are many.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import Outcome, Records

__all__ = [
    "Millis",
    "Pace",
    "Rows",
    "busy_ratio",
    "ended_well_inside",
    "in_flight_max",
    "lag_ms",
    "millis",
    "queued_ms",
    "timed_window",
    "window_parts",
]

Millis = NDArray[np.float64]
Rows = NDArray[np.void]


def millis(span_ns: NDArray[np.int64]) -> Millis:
    """Nanoseconds to milliseconds."""
    return np.asarray(span_ns, dtype=np.float64) / 1e6


def lag_ms(rows: Rows) -> Millis:
    """(k,) time from due to taken up by the engine, of the k requests that were; 0 of one taken up too early."""
    taken = rows[(rows["issued_ns"] >= 0) & (rows["due_ns"] >= 0)]
    return millis(np.maximum(taken["issued_ns"] - taken["due_ns"], 0))


def queued_ms(rows: Rows) -> Millis:
    """(k,) time from taken up to sent, of the k requests that were sent."""
    sent = rows[(rows["sent_ns"] >= 0) & (rows["issued_ns"] >= 0)]
    return millis(np.maximum(sent["sent_ns"] - sent["issued_ns"], 0))


class Pace:
    """How many instants there are, and from when to when."""

    def __init__(self) -> None:
        self.count = 0
        """How many."""
        self.first_ns: int | None = None
        """The first; None where there is none."""
        self.last_ns: int | None = None
        """The last."""

    def add(self, stamps_ns: NDArray[np.int64]) -> None:
        """Take instants; what never happened is none."""
        happened = stamps_ns[stamps_ns >= 0]
        if len(happened):
            first, last = int(happened.min()), int(happened.max())
            self.count += len(happened)
            self.first_ns = first if self.first_ns is None else min(self.first_ns, first)
            self.last_ns = last if self.last_ns is None else max(self.last_ns, last)

    @property
    def rps(self) -> float | None:
        """(k - 1) over the time from the first of k instants to the last; None below two, and without a span."""
        if self.first_ns is None or self.last_ns is None or self.last_ns == self.first_ns:
            return None
        return (self.count - 1) * 1e9 / (self.last_ns - self.first_ns)


def timed_window(records: Records, plan: Plan, stopped_ns: int | None) -> tuple[int, int] | None:
    """Begin and end of the timed window; None where nothing was timed. See `ThroughputFigures.window_s`."""
    window = plan.window_ns
    if window is None:
        sent, ended, greatest = Pace(), Pace(), -1
        for rows in records.chunks():
            timed = rows[~rows["warmup"]]
            sent.add(timed["sent_ns"])
            ended.add(timed["end_ns"])
            if len(rows):
                greatest = max(greatest, int(rows["index"].max()))
        if sent.first_ns is None:
            return None
        begin, over = sent.first_ns, -1 if ended.last_ns is None else ended.last_ns
        if plan.duration_s is not None:
            window = begin, begin + round(plan.duration_s * 1e9)
            # Where the number of requests ended the run first, so did it end the window.
            if not plan.repeats and greatest == plan.requests - 1:
                window = begin, min(window[1], over)
        else:
            window = begin, over if stopped_ns is None else stopped_ns
    begin, end = window
    if stopped_ns is not None:
        end = min(end, stopped_ns)
    return (begin, end) if end > begin else None


def ended_well_inside(rows: Rows, plan: Plan, window: tuple[int, int]) -> Rows:
    """Those of some rows that succeeded and ended after the window's begin and not after its end.

    Those of the warm-up among them in a closed loop, whose slots are as full at the begin as at the end. In an
    open loop they would be requests that the rate of the window did not send.
    """
    begin, end = window
    inside = (rows["end_ns"] > begin) & (rows["end_ns"] <= end)
    if plan.kind is LoadKind.OPEN_LOOP:
        inside &= ~rows["warmup"]
    found: Rows = rows[inside & (rows["outcome"] == Outcome.OK)]
    return found


def window_parts(ended_ns: NDArray[np.int64], window: tuple[int, int], parts: int) -> NDArray[np.int64]:
    """(parts,) how many instants inside the window lie in each of its equal parts."""
    begin, end = window
    edges = np.linspace(0.0, float(end - begin), parts + 1)
    # Parts are closed at their end, as the whole is.
    part = np.clip(np.searchsorted(edges, ended_ns - begin, side="left") - 1, 0, parts - 1)
    return np.asarray(np.bincount(part, minlength=parts), dtype=np.int64)


def in_flight_max(records: Records) -> int:
    """Most requests in flight at once, from sent to ended; what never ended stays in flight. Exact.

    The records are swept in their order, which is nearly that of time: what is held is what was in flight when the
    next chunk's first request was sent, and what was sent after that already.
    """
    # The earliest send in each chunk and all that follow: nothing before it is still to come.
    earliest: list[Pace] = []
    for rows in records.chunks():
        pace = Pace()
        pace.add(rows["sent_ns"])
        earliest.append(pace)
    never = np.iinfo(np.int64).max
    to_come = [never]
    for pace in reversed(earliest):
        to_come.append(to_come[-1] if pace.first_ns is None else min(to_come[-1], pace.first_ns))
    begun, over = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    now, most = 0, 0
    for place, rows in enumerate(records.chunks()):
        sent = rows[rows["sent_ns"] >= 0]
        begun = np.sort(np.concatenate([begun, sent["sent_ns"]]))
        over = np.sort(np.concatenate([over, sent["end_ns"][sent["end_ns"] >= 0]]))
        # At one and the same instant a slot is left before it is taken again: both wait for the next chunk.
        until = to_come[len(earliest) - 1 - place]
        begins = int(np.searchsorted(begun, until))
        ends = int(np.searchsorted(over, until))
        if begins:
            left = np.searchsorted(over[:ends], begun[:begins], side="right")
            most = max(most, now + int((np.arange(1, begins + 1) - left).max()))
        now += begins - ends
        begun, over = begun[begins:], over[ends:]
    return most


def busy_ratio(records: Records, plan: Plan, slots: int) -> float | None:
    """Closed loop: mean share of the slots that had a unit, a request or a conversation; None in an open loop.

    From the first timed unit taken up, or where that is later from when as many were taken up as there are slots,
    to the last one: in between every slot should have one. A unit has its slot from when it is taken up to when its
    last request ends, the user's time to think included. None where fewer than a whole round of slots was taken up
    after that begin: the instants between the units of one burst say nothing of the client.
    """
    if plan.kind is not LoadKind.CLOSED_LOOP:
        return None
    taken, timed = Pace(), Pace()
    earliest = np.empty(0, dtype=np.int64)
    for issued, _, warmup in _units(records, plan.turns):
        taken.add(issued)
        timed.add(issued[~warmup])
        earliest = np.concatenate([earliest, issued])
        if len(earliest) > slots:
            earliest = np.partition(earliest, slots - 1)[:slots]
    if timed.first_ns is None or taken.last_ns is None or taken.count < slots:
        return None
    begin, end = max(timed.first_ns, int(earliest.max())), taken.last_ns
    before, inside_ns = 0, 0
    for issued, over, _ in _units(records, plan.turns):
        before += int((issued < timed.first_ns).sum())
        # What never ended had its slot to the end.
        left = np.where(over >= 0, np.minimum(over, end), end)
        inside_ns += int(np.maximum(left - np.maximum(issued, begin), 0).sum())
    if taken.count - 1 - max(before, slots - 1) < slots or end == begin:
        return None
    return inside_ns / (slots * (end - begin))


def _units(
    records: Records, turns: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """When each unit was taken up, when it was over (-1 for never), and whether it is warm-up; those taken up."""
    kept: Rows | None = None
    for chunk in records.chunks():
        rows = chunk if kept is None else np.concatenate([kept, chunk])
        if turns > 1 and len(rows):
            # The last unit may go on in the next chunk.
            units = rows["index"] // turns
            last = int(np.searchsorted(units, units[-1]))
            rows, kept = rows[:last], rows[last:].copy()
        yield _of_units(rows, turns)
    if kept is not None:
        yield _of_units(kept, turns)


def _of_units(rows: Rows, turns: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    taken = rows[rows["issued_ns"] >= 0]
    if turns == 1 or not len(taken):
        return taken["issued_ns"], taken["end_ns"], taken["warmup"]
    begins = np.flatnonzero(np.diff(taken["index"] // turns, prepend=-1))
    ended = np.where(taken["end_ns"] >= 0, taken["end_ns"], np.iinfo(np.int64).max)
    over = np.maximum.reduceat(ended, begins)
    issued = np.minimum.reduceat(taken["issued_ns"], begins)
    return issued, np.where(over == np.iinfo(np.int64).max, -1, over), taken["warmup"][begins]
