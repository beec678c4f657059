"""A load over time, for charts: at most 600 bins, whatever its length, filled a chunk of records at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.measures.spans import ended_well_inside, timed_window
from hexgate.load.measures.tokens import output_tokens
from hexgate.load.plans.plan import Plan
from hexgate.load.records import NEVER, Outcome, Records

__all__ = ["MOST_BINS", "binned", "load_series", "mean_in_bins", "time_axis", "whole_seconds"]

MOST_BINS = 600
"""A series has at most so many values."""
_FEWEST_BINS = 10
_ENOUGH = 10
"""Requests of a bin, on average, below which bins are made longer: else a chart shows which bins were hit."""
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 43_200)
_PARTS = 16
"""Steps of a power of two of the latencies whose percentiles are charted: to 3 %."""
_LEAST_OCTAVE, _OCTAVES = -10, 34
"""From a microsecond to four hours, in milliseconds."""
_SHARES = (0.5, 0.99)
_SECOND_NS = 1_000_000_000
_FEWEST_SECONDS = 2

_Ints = NDArray[np.int64]


def time_axis(span_s: float, count: int) -> tuple[float, int]:
    """Length of a bin, in seconds, and how many there are, for `count` requests in so many seconds."""
    least = span_s / MOST_BINS
    wanted = min(span_s * _ENOUGH / count, span_s / _FEWEST_BINS) if count else span_s / _FEWEST_BINS
    step = next((step for step in _STEPS_S if step >= max(least, wanted)), max(least, _STEPS_S[-1]))
    return float(step), min(max(math.ceil(span_s / step), 1), MOST_BINS)


def load_series(records: Records, plan: Plan | None) -> dict[str, Any] | None:
    """The load over time, from its start; warm-up included. None where nothing happened.

    Each key has a value for each bin: counts of requests that were due, sent and over (by outcome, those that were
    never sent at their due time), tokens and latencies of the replies that ended in it, requests in flight on
    average, and the longest dispatch lag of those taken up in it. What a bin has no value for is None. `asked_rps` is
    the plan's rate in the middle of the bin.
    """
    end_ns, count = 0, 0
    for rows in records.chunks():
        count += len(rows)
        end_ns = max(
            end_ns, *(int(rows[name].max()) for name in ("due_ns", "issued_ns", "end_ns", "sent_ns"))
        )
    if end_ns <= 0:
        return None
    step_s, bins = time_axis(end_ns / 1e9, count)
    sheet = _Sheet(round(step_s * 1e9), bins)
    for rows in records.chunks():
        sheet.add(rows)
    return {
        "begin_s": 0.0,
        "step_s": step_s,
        "bins": bins,
        **sheet.values(),
        "asked_rps": _asked(plan, step_s, bins),
    }


def _asked(plan: Plan | None, step_s: float, bins: int) -> list[float | None] | None:
    if plan is None or plan.rate_rps is None:
        return None
    last_s = (plan.window_ns or (0, 0))[1] / 1e9
    middles = ((place + 0.5) * step_s for place in range(bins))
    return [plan.rate_at(round(at_s * 1e9)) * plan.turns if at_s <= last_s else None for at_s in middles]


class _Sheet:
    """The bins while they are filled."""

    def __init__(self, step_ns: int, bins: int) -> None:
        self._step_ns = step_ns
        self._bins = bins
        self._counts = {name: np.zeros(bins, dtype=np.int64) for name in ("due", "sent", "over")}
        self._by = {outcome: np.zeros(bins, dtype=np.int64) for outcome in Outcome}
        self._left_ns = {name: np.zeros(bins) for name in ("sent", "over")}
        self._tokens = np.zeros(bins, dtype=np.int64)
        self._lag_ns = np.full(bins, NEVER, dtype=np.int64)
        cells = _OCTAVES * _PARTS
        self._latency = {name: np.zeros((bins, cells), dtype=np.int32) for name in ("e2e", "ttft")}

    def add(self, rows: NDArray[np.void]) -> None:
        """Take some records."""
        outcome = rows["outcome"]
        sent, ended, due = rows["sent_ns"], rows["end_ns"], rows["due_ns"]
        self._count("due", due[due != NEVER])
        self._count("sent", sent[sent != NEVER])
        self._count("over", ended[(sent != NEVER) & (ended != NEVER)])
        for kind in Outcome:
            own = outcome == kind
            if own.any():
                at = np.where(ended[own] != NEVER, ended[own], np.maximum(sent[own], due[own]))
                self._by[kind] += np.bincount(self._bin(at[at != NEVER]), minlength=self._bins)
        good = (outcome == Outcome.OK) & (ended != NEVER)
        place = self._bin(ended[good])
        tokens, _ = output_tokens(rows[good])
        self._tokens += np.bincount(place, weights=np.maximum(tokens, 0), minlength=self._bins).astype(
            np.int64
        )
        anchor = np.where(due != NEVER, due, sent)
        self._spread("e2e", place, (ended - anchor)[good])
        streamed = good & (rows["first_token_ns"] != NEVER)
        self._spread("ttft", self._bin(ended[streamed]), (rows["first_token_ns"] - anchor)[streamed])
        taken = (rows["issued_ns"] != NEVER) & (due != NEVER)
        issued = rows["issued_ns"][taken]
        np.maximum.at(self._lag_ns, self._bin(issued), issued - due[taken])

    def values(self) -> dict[str, Any]:
        """All series, as plain lists."""
        lag = [None if value == NEVER else value / 1e6 for value in self._lag_ns.tolist()]
        latency = {
            f"{name}_p{round(100 * share)}_ms": _percentiles(cells, share)
            for name, cells in self._latency.items()
            for share in _SHARES
        }
        return {
            "due": self._counts["due"].tolist(),
            "sent": self._counts["sent"].tolist(),
            "outcomes": {kind.name.lower(): counts.tolist() for kind, counts in self._by.items()},
            "output_tokens": self._tokens.tolist(),
            "in_flight": self._in_flight(),
            "dispatch_lag_max_ms": lag,
            **latency,
        }

    def _in_flight(self) -> list[float]:
        """Those at the begin of each bin, and the parts of it that others were in flight or no more."""
        moved = self._counts["sent"] - self._counts["over"]
        inside = (self._left_ns["sent"] - self._left_ns["over"]) / self._step_ns
        mean: list[float] = np.maximum(np.cumsum(moved) - moved + inside, 0.0).tolist()
        return mean

    def _bin(self, stamps_ns: _Ints) -> _Ints:
        return np.clip(stamps_ns // self._step_ns, 0, self._bins - 1)

    def _count(self, name: str, stamps_ns: _Ints) -> None:
        place = self._bin(stamps_ns)
        self._counts[name] += np.bincount(place, minlength=self._bins)
        if name in self._left_ns:
            left_ns = (place + 1) * self._step_ns - stamps_ns
            self._left_ns[name] += np.bincount(place, weights=left_ns, minlength=self._bins)

    def _spread(self, name: str, place: _Ints, span_ns: _Ints) -> None:
        mantissa, octave = np.frexp(np.maximum(span_ns, 1) / 1e6)
        cell = (octave - _LEAST_OCTAVE) * _PARTS + ((mantissa - 0.5) * 2 * _PARTS).astype(np.int64)
        cells = _OCTAVES * _PARTS
        flat = place * cells + np.clip(cell, 0, cells - 1)
        self._latency[name] += (
            np.bincount(flat, minlength=self._bins * cells).reshape(-1, cells).astype(np.int32)
        )


def _percentiles(cells: NDArray[np.int32], share: float) -> list[float | None]:
    """The nearest-rank percentile of every bin, as the middle of its cell; None where the bin has no value."""
    passed = np.cumsum(cells, axis=1)
    total = passed[:, -1]
    rank = np.maximum(np.ceil(total * share), 1)
    cell = (passed < rank[:, None]).sum(axis=1)
    octave, part = np.divmod(cell, _PARTS)
    middles = np.ldexp(0.5 + (part + 0.5) / (2 * _PARTS), octave + _LEAST_OCTAVE)
    return [float(middle) if count else None for middle, count in zip(middles, total, strict=True)]


def binned(values: Sequence[float], *, begin_s: float, every_s: float) -> dict[str, Any]:
    """Values of equal lengths of time in at most 600 bins: sums of neighbours."""
    group = max(math.ceil(len(values) / MOST_BINS), 1)
    return {
        "begin_s": begin_s,
        "step_s": every_s * group,
        "values": [math.fsum(values[at : at + group]) for at in range(0, len(values), group)],
    }


def mean_in_bins(
    samples: Iterable[tuple[float, Mapping[str, float]]], step_s: float, bins: int
) -> dict[str, list[float | None]]:
    """Samples (seconds from the start, values by name) as the mean of each bin; None where a bin has none."""
    sums: dict[str, list[float]] = {}
    counts: dict[str, list[int]] = {}
    for at_s, values in samples:
        place = int(at_s // step_s)
        if 0 <= place < bins:
            for name, value in values.items():
                sums.setdefault(name, [0.0] * bins)[place] += value
                counts.setdefault(name, [0] * bins)[place] += 1
    return {
        name: [
            total / count if count else None for total, count in zip(sums[name], counts[name], strict=True)
        ]
        for name in sums
    }


def whole_seconds(records: Records, plan: Plan, stopped_ns: int | None) -> dict[str, float] | None:
    """Least, most and population standard deviation of the replies in each whole second of the timed window.

    They are the replies that `throughput` counts, by when they ended. None below two whole seconds.
    """
    window = timed_window(records, plan, stopped_ns)
    seconds = 0 if window is None else (window[1] - window[0]) // _SECOND_NS
    if window is None or seconds < _FEWEST_SECONDS:
        return None
    counts = np.zeros(seconds, dtype=np.int64)
    for rows in records.chunks():
        ended = ended_well_inside(rows, plan, window)["end_ns"]
        # Seconds are closed at their end, as the window is.
        place = (ended - window[0] - 1) // _SECOND_NS
        counts += np.bincount(place[place < seconds], minlength=seconds)
    return {"min": float(counts.min()), "max": float(counts.max()), "std": float(counts.std())}
