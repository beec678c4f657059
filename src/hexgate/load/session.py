"""One run of a model in this process while it lasts: which request comes next, what became of each, when to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from hexgate.load.errand import Errand, Ran
from hexgate.load.live import DueInstants
from hexgate.load.plans.plan import LoadKind
from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.counters import Counters, State
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.layout import NEVER, Outcome
from hexgate.load.sending.readback import SlotFiles, packed_row

__all__ = ["Session"]

_PROGRESS_EVERY_NS = 100_000_000
_POLL_S = 0.05
"""How often a run that waits for its start looks whether it is to stop."""


class Session:
    """The shared state of a run. Every method may be called from any thread."""

    def __init__(self, errand: Errand, ran: Ran, files: SlotFiles) -> None:
        self.plan = errand.shard.plan
        """The whole plan."""
        self.shard = errand.shard
        """What of it is carried out."""
        self.stop = errand.stop
        """Whether it is to end early."""
        self._errand = errand
        self._ran = ran
        self._files = files
        self._counters = Counters()
        self._lock = threading.Lock()
        self._units = self._rows()
        self._next = next(self._units, None)
        self._taken = 0
        self._timed_ns: int | None = None
        self._issued: dict[int, Flight] = {}
        self._pending_progress = 0
        self._progress_ns = 0

    def begin(self) -> None:
        """Set the start: to the common one, which is waited for, else to now.

        A driver calls this last thing before its first request. A common start that has passed stays the start:
        what was due since then is sent late, and charged.
        """
        ran, start = self._ran, self._errand.start
        if self._errand.ready is not None:
            self._errand.ready()
        if start is None:
            ran.wall_ns, ran.start_ns = time.time_ns(), time.monotonic_ns()
        else:
            ran.wall_ns = start.wall_ns
            while True:
                late_ns = time.time_ns() - ran.wall_ns
                ran.start_ns = time.monotonic_ns() - late_ns
                if late_ns >= 0 or self.over:
                    break
                time.sleep(min(-late_ns / 1e9, _POLL_S))
            ran.late_ns = max(late_ns, 0)
        ran.cpu_s = time.process_time()
        self._progress_ns = ran.start_ns
        self._counters.state = State.RUNNING
        if self._errand.live is not None:
            instants = DueInstants()
            for _, rows in self.shard.blocks() if not self.plan.repeats else ():
                instants.add(rows["due_ns"])
            self._errand.live.begin(self.shard, ran.start_ns, [self._counters], instants)

    @staticmethod
    def now_ns() -> int:
        """The clock of every stamp."""
        return time.monotonic_ns()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent because the run was stopped."""
        return self.stop.asked

    @property
    def drain_limited(self) -> bool:
        """Whether what is in flight at the end has only the drain limit left; else nothing bounds it."""
        return self.over or self._errand.drain_limited

    @property
    def all_taken(self) -> bool:
        """Whether nothing more will be taken up, because the plan, or its time, has run out."""
        return self._next is None or self._out_of_time(time.monotonic_ns())

    def _out_of_time(self, now_ns: int) -> bool:
        # The clock alone decides: with every slot stuck in a request, nobody asks for the next one.
        seconds = self.plan.duration_s
        if seconds is None or self._timed_ns is None:
            return False
        return now_ns - self._timed_ns >= seconds * 1e9

    def take(self) -> tuple[int, int] | None:
        """Number and data item of the next request, now taken up; None where there is none. In plan order."""
        with self._lock:
            if self.over or self._next is None:
                return None
            index, due_ns, item = self._next
            now = time.monotonic_ns()
            is_open = self.plan.kind is LoadKind.OPEN_LOOP
            if not is_open and self.plan.duration_s is not None:
                if self._timed_ns is None and index >= self.plan.warmup:
                    self._timed_ns = now
                elif self._out_of_time(now):
                    return None
            due = self._ran.start_ns + due_ns if is_open else NEVER
            self._issued[index] = Flight(self._taken, index, item, 0, due, now)
            self._taken += 1
            self._next = next(self._units, None)
            self._counters.issue(now - due if is_open else 0)
            return index, item

    @property
    def next_due_ns(self) -> int | None:
        """Absolute instant at which the next request of an open loop is due; None where there is none."""
        unit = None if self.over else self._next
        return None if unit is None else self._ran.start_ns + unit[1]

    def note(self, index: int, attempt: Attempt) -> None:
        """Take down what became of a request. One that `close` has already taken down is passed over."""
        now = time.monotonic_ns()
        with self._lock:
            flight = self._issued.pop(index, None)
            if flight is None:
                return
            self._write(flight, attempt)
            self._pending_progress += 1
            steps = self._pending_progress
            if now - self._progress_ns < _PROGRESS_EVERY_NS:
                return
            self._pending_progress, self._progress_ns = 0, now
        self._tell(steps)

    def close(self) -> None:
        """Take down what never ended; `gather` adds what never was sent."""
        with self._lock:
            for _, flight in sorted(self._issued.items()):
                self._write(flight, Attempt(Outcome.UNFINISHED))
            self._issued.clear()
            steps, self._pending_progress = self._pending_progress, 0
            self._counters.state = State.DONE
        self._tell(steps)

    def _rows(self) -> Iterator[tuple[int, int, int]]:
        for numbers, rows in self.shard.blocks():
            yield from zip(numbers.tolist(), rows["due_ns"].tolist(), rows["item"].tolist(), strict=True)

    def _tell(self, steps: int) -> None:
        if self._errand.progress is not None and steps:
            self._errand.progress(steps)

    def _write(self, flight: Flight, attempt: Attempt) -> None:
        warm = flight.index < self.plan.warmup
        row = packed_row(flight, attempt, self._ran.start_ns, warm=warm)
        self._files.put(flight.slot, row, flight.index, attempt)
        latency_ns = None
        if attempt.outcome is Outcome.OK and not warm:
            latency_ns = attempt.end_ns - (attempt.sent_ns if flight.due_ns < 0 else flight.due_ns)
        self._counters.end(attempt.outcome, latency_ns)
