"""What a run has done so far, as plain numbers: written by the run as requests come and go, read by whoever looks on.

The run writes under its own lock and sends nobody a message; a reader takes no lock, so that it cannot hold the run
up. What it reads may be one request apart from one number to the next.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plan import LoadKind
from hexgate.load.records import Outcome
from hexgate.load.shard import Shard

__all__ = ["BOUNDS_S", "Live", "Seen"]

BOUNDS_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0),
)
"""Upper bounds of the latency buckets, seconds, each included in its bucket."""
_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS_S]


@dataclass(frozen=True)
class Seen:
    """The numbers of a run at one instant."""

    elapsed_s: float
    """Since the start; 0 before it."""
    outcomes: tuple[int, ...]
    """Requests that are over, by outcome, in the order of `Outcome`; warm-up included, as in all that follows."""
    due: int
    """Requests that were due by now; in a closed loop, those taken up."""
    issued: int
    """Requests that were taken up."""
    asked_rps: float | None
    """The rate that this run is to keep, its shard's part of it; None in a closed loop."""
    lag_max_s: float | None
    """The longest that a request was taken up behind its due time; None in a closed loop."""
    buckets: tuple[int, ...]
    """Latencies of timed requests that succeeded, by `BOUNDS_S`, the last beyond them; not cumulative."""
    latency_sum_s: float
    """The sum of these."""

    @property
    def in_flight(self) -> int:
        """Requests taken up and not over; those that wait for a slot under a cap are among them."""
        return max(self.issued - sum(self.outcomes), 0)


class Live:
    """The counters of one run. Made before it, given to it, read at any time."""

    def __init__(self) -> None:
        self._shard: Shard | None = None
        self._start_ns: int | None = None
        self._due_ns: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._issued = 0
        self._lag_max_ns = 0
        self._outcomes = [0] * len(Outcome)
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_ns = 0

    # What the run calls.

    def begin(self, shard: Shard, start_ns: int) -> None:
        """The run counts from here, on the clock of `time.monotonic_ns`."""
        if shard.plan.kind is LoadKind.OPEN_LOOP:
            self._due_ns = shard.plan.due_ns[shard.rows]
        self._shard, self._start_ns = shard, start_ns

    def issue(self, lag_ns: int) -> None:
        """A request was taken up, so long after it was due."""
        self._issued += 1
        self._lag_max_ns = max(self._lag_max_ns, lag_ns)

    def end(self, outcome: Outcome, latency_ns: int | None) -> None:
        """A request is over, with its latency where that counts."""
        self._outcomes[outcome] += 1
        if latency_ns is not None:
            self._buckets[bisect_left(_BOUNDS_NS, latency_ns)] += 1
            self._sum_ns += latency_ns

    # What a reader calls.

    def seen(self) -> Seen:
        """All numbers now."""
        outcomes, buckets = tuple(self._outcomes), tuple(self._buckets)
        shard, start_ns, issued = self._shard, self._start_ns, self._issued
        since_ns = 0 if start_ns is None else max(time.monotonic_ns() - start_ns, 0)
        is_open = shard is not None and shard.plan.rate_rps is not None
        return Seen(
            elapsed_s=since_ns / 1e9,
            outcomes=outcomes,
            due=int(np.searchsorted(self._due_ns, since_ns, side="right"))
            if is_open and since_ns
            else issued,
            issued=issued,
            asked_rps=_asked(shard),
            lag_max_s=self._lag_max_ns / 1e9 if is_open else None,
            buckets=buckets,
            latency_sum_s=self._sum_ns / 1e9,
        )


def _asked(shard: Shard | None) -> float | None:
    if shard is None or shard.plan.rate_rps is None:
        return None
    return shard.plan.rate_rps * len(shard.rows) / len(shard.plan)
