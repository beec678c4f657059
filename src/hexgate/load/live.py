"""What a run has done so far, as plain numbers, for whoever looks on: they take no lock, so they cannot hold it up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plans.plan import LoadKind
from hexgate.load.plans.shard import Shard
from hexgate.load.sending.counters import BOUNDS_S, Counters, State

__all__ = ["BOUNDS_S", "Live", "Seen"]

_PHASES = {
    State.STARTING: "starting",
    State.READY: "starting",
    State.RUNNING: "running",
    State.DRAINING: "draining",
    State.DRAINED: "draining",
    State.READING: "reading",
    State.DONE: "done",
}
_MOST_INSTANTS = 4096


@dataclass(frozen=True)
class Seen:
    """The numbers of a run at one instant."""

    phase: str
    """``starting``, ``running``, ``draining`` (sends nothing more), ``reading`` (the replies are read) or ``done``."""
    elapsed_s: float
    """Since the start; 0 before it."""
    outcomes: tuple[int, ...]
    """Requests that are over, by outcome, in the order of `Outcome`; warm-up included, as in all that follows.
    Replies are read whole after the run only: until then one that looks whole counts as OK."""
    due: int
    """Requests that were due by now, to a 4096th of the plan; in a closed loop, those taken up."""
    issued: int
    """Requests that were taken up."""
    asked_rps: float | None
    """The rate that this run is to keep now, its shard's part of it; None in a closed loop."""
    lag_max_s: float | None
    """The longest that a request was taken up behind its due time; None in a closed loop."""
    buckets: tuple[int, ...]
    """Latencies of timed requests that succeeded, by `BOUNDS_S`, the last beyond them; not cumulative."""
    latency_sum_s: float
    """The sum of these."""
    ttft_buckets: tuple[int, ...] = ()
    """Times to first token of the replies that were read while the run went on, likewise: a sample."""
    ttft_sum_s: float = 0.0
    """The sum of these."""
    events: int = 0
    """Events with text in the replies of that sample."""
    sampled: int = 0
    """How many replies the sample has."""
    bytes: int = 0
    """Bytes received."""
    loop_lag_max_s: float = 0.0
    """The longest lag of a worker's event loop in the last second."""
    cpu_s: float = 0.0
    """Processor time of the workers so far."""
    workers: int = 1
    """How many processes send."""
    replies_read: int = 0
    """Replies that were read after the run."""
    planned: int | None = None
    """Requests of its part of the plan, warm-up included; None where the duration decides."""
    warmup: int = 0
    """Requests of the warm-up, those of its part of the plan."""

    @property
    def in_flight(self) -> int:
        """Requests taken up and not over; those that wait for a slot under a cap are among them."""
        return max(self.issued - sum(self.outcomes), 0)

    @property
    def ttft_count(self) -> int:
        """How many times to first token the sample has."""
        return sum(self.ttft_buckets)


class Live:
    """The counters of one run. Made before it, given to it, read at any time."""

    def __init__(self) -> None:
        self._shard: Shard | None = None
        self._start_ns: int | None = None
        self._instants: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._every = 1
        self._blocks: Sequence[Counters] = [Counters()]

    # What the run calls.

    def begin(
        self, shard: Shard, start_ns: int, blocks: Sequence[Counters], instants: DueInstants | None = None
    ) -> None:
        """The run counts from here, on the clock of `time.monotonic_ns`, in these blocks."""
        if instants is not None:
            self._instants, self._every = instants.array(), instants.every
        self._blocks = blocks
        self._shard, self._start_ns = shard, start_ns

    # What a reader calls.

    def seen(self) -> Seen:
        """All numbers now."""
        blocks, shard, start_ns = self._blocks, self._shard, self._start_ns
        outcomes = _sums([block.outcomes for block in blocks])
        issued = sum(block.issued for block in blocks)
        since_ns = 0 if start_ns is None else max(time.monotonic_ns() - start_ns, 0)
        is_open = shard is not None and shard.plan.kind is LoadKind.OPEN_LOOP
        due = issued
        if is_open and since_ns:
            passed = int(np.searchsorted(self._instants, since_ns, side="right"))
            due = max(issued, (passed - 1) * self._every + 1)
        return Seen(
            phase=_PHASES[min(block.state for block in blocks)],
            elapsed_s=since_ns / 1e9,
            outcomes=outcomes,
            due=due,
            issued=issued,
            asked_rps=_asked(shard, since_ns),
            lag_max_s=max(block.lag_max_ns for block in blocks) / 1e9 if is_open else None,
            buckets=_sums([block.buckets for block in blocks]),
            latency_sum_s=sum(block.latency_sum_ns for block in blocks) / 1e9,
            ttft_buckets=_sums([block.ttft_buckets for block in blocks]),
            ttft_sum_s=sum(block.ttft_sum_ns for block in blocks) / 1e9,
            events=sum(block.events for block in blocks),
            sampled=sum(block.sampled for block in blocks),
            bytes=sum(block.received for block in blocks),
            loop_lag_max_s=max(block.loop_lag_ns for block in blocks) / 1e9,
            cpu_s=sum(block.cpu_ns for block in blocks) / 1e9,
            workers=len(blocks),
            replies_read=sum(block.replies_read for block in blocks),
            planned=None if shard is None or shard.plan.repeats else len(shard) * shard.plan.turns,
            warmup=0 if shard is None else shard.warmup,
        )


class DueInstants:
    """Every so-manieth instant at which a request is due: at most 4096 of them, however many requests there are."""

    def __init__(self) -> None:
        self.every = 1
        """How many requests lie from one to the next."""
        self._kept: list[int] = []
        self._seen = 0

    def add(self, due_ns: NDArray[np.int64]) -> None:
        """Take the next instants of the plan, in order."""
        first = -self._seen % self.every
        self._kept += due_ns[first :: self.every].tolist()
        self._seen += len(due_ns)
        while len(self._kept) > _MOST_INSTANTS:
            self._kept = self._kept[::2]
            self.every *= 2

    def array(self) -> NDArray[np.int64]:
        """(k,) the instants, in nanoseconds from the start."""
        return np.array(self._kept, dtype=np.int64)


def _sums(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))


def _asked(shard: Shard | None, since_ns: int) -> float | None:
    if shard is None or shard.plan.rate_rps is None:
        return None
    return shard.plan.rate_at(since_ns) * shard.plan.turns / shard.place.count
