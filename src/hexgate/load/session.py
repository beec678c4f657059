"""One run of one plan while it lasts: which request comes next, what became of each, when to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum

from hexgate.load.attempt import Attempt
from hexgate.load.plan import LoadKind, Plan
from hexgate.load.records import NEVER, Outcome, Recorder, Spool

__all__ = ["Session", "Stopped"]

_PROGRESS_EVERY_NS = 100_000_000


class Stopped(Enum):
    """Why a run ended before its plan did."""

    ASKED = "asked"
    """Whoever started it set the stop event."""
    INTERRUPTED = "interrupted"
    """SIGINT, or KeyboardInterrupt from elsewhere."""
    UNREACHABLE = "unreachable"
    """So many attempts in a row found no connection."""


class Session:
    """The shared state of a run. Every method may be called from any thread."""

    def __init__(
        self,
        plan: Plan,
        records: Recorder,
        *,
        spool: Spool | None,
        progress: Callable[[int], None] | None,
        stop: threading.Event | None,
        drain_s: float,
        max_unreachable: int,
    ) -> None:
        self.plan = plan
        """What is carried out."""
        self.drain_s = drain_s
        """Longest wait for what is in flight once nothing more is sent, where that is limited at all."""
        self.start_ns = time.monotonic_ns()
        """The instant that every stamp of a record counts from."""
        self.wall_ns = time.time_ns()
        """The same instant by the wall clock."""
        self.cpu_s = time.process_time()
        """Processor time of this process by then."""
        self.stopped: Stopped | None = None
        """Why the run ended early; None while it goes on, or where it came to its end."""
        self.stopped_ns: int | None = None
        """When it was stopped, from the start."""
        self.last_error: str | None = None
        """The latest error of a target without connection."""
        self._records = records
        self._spool = spool
        self._progress = progress
        self._stop = stop
        self._max_unreachable = max_unreachable
        self._unreachable = 0
        self._lock = threading.Lock()
        self._next = 0
        self._exhausted = False
        self._timed_ns: int | None = None
        self._issued: dict[int, int] = {}
        self._pending_progress = 0
        self._progress_ns = self.start_ns

    def begin(self) -> None:
        """Set the start to now. A driver calls this last thing before its first request."""
        self.cpu_s = time.process_time()
        self.wall_ns = time.time_ns()
        self.start_ns = time.monotonic_ns()

    @staticmethod
    def now_ns() -> int:
        """The clock of every stamp."""
        return time.monotonic_ns()

    def stop(self, why: Stopped) -> None:
        """End the run early. The first reason stands."""
        if self.stopped is None:
            self.stopped = why
            self.stopped_ns = time.monotonic_ns() - self.start_ns

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent because the run was stopped."""
        if self.stopped is None and self._stop is not None and self._stop.is_set():
            self.stop(Stopped.ASKED)
        return self.stopped is not None

    @property
    def drain_limited(self) -> bool:
        """Whether what is in flight at the end has only `drain_s` left; else its own time-out bounds it."""
        return self.stopped is not None or self.plan.duration_s is not None

    @property
    def all_taken(self) -> bool:
        """Whether nothing more will be taken up, because the plan, or its time, has run out."""
        return self._exhausted or self._out_of_time(time.monotonic_ns())

    def _out_of_time(self, now_ns: int) -> bool:
        # The clock alone decides: with every slot stuck in a request, nobody asks for the next one.
        seconds = self.plan.duration_s
        if seconds is None or self._timed_ns is None:
            return False
        return now_ns - self._timed_ns >= seconds * 1e9

    def take(self) -> int | None:
        """The next request to send, now taken up; None where there is none. In plan order."""
        with self._lock:
            index = self._next
            if self.over:
                return None
            if index >= len(self.plan) and not self.plan.repeats:
                self._exhausted = True
                return None
            now = time.monotonic_ns()
            if self.plan.kind is LoadKind.CLOSED_LOOP and self.plan.duration_s is not None:
                if index == self.plan.warmup:
                    self._timed_ns = now
                elif self._out_of_time(now):
                    return None
            self._next += 1
            self._issued[index] = now
            return index

    @property
    def next_due_ns(self) -> int | None:
        """Absolute instant at which the next request of an open loop is due; None where there is none."""
        if self.over or self._next >= len(self.plan):
            self._exhausted = True
            return None
        return self.start_ns + int(self.plan.due_ns[self._next])

    def note(self, index: int, attempt: Attempt) -> None:
        """Take down what became of a request. One that `close` has already taken down is passed over."""
        now = time.monotonic_ns()
        with self._lock:
            issued_ns = self._issued.pop(index, None)
            if issued_ns is None:
                return
            self._write(index, issued_ns, attempt)
            if self._spool is not None:
                self._spool({"index": index, "text": attempt.text, "error": attempt.error})
            if attempt.unreachable:
                self._unreachable += 1
                self.last_error = attempt.error
                if self._unreachable >= self._max_unreachable:
                    self.stop(Stopped.UNREACHABLE)
            elif attempt.outcome is not Outcome.NOT_SENT:
                self._unreachable = 0
            self._pending_progress += 1
            steps = self._pending_progress
            if now - self._progress_ns < _PROGRESS_EVERY_NS:
                return
            self._pending_progress, self._progress_ns = 0, now
        self._tell(steps)

    def close(self) -> None:
        """Take down what never ended and, where the plan fixes what is sent, what never was.

        A closed loop with a duration fixes no number: what it did not come to was never due.
        """
        with self._lock:
            for index in sorted(self._issued):
                self._write(index, self._issued[index], Attempt(Outcome.UNFINISHED))
            self._issued.clear()
            if self.plan.kind is LoadKind.OPEN_LOOP or self.plan.duration_s is None:
                for index in range(self._next, len(self.plan)):
                    self._write(index, NEVER, Attempt(Outcome.NOT_SENT))
                self._next = len(self.plan)
            steps, self._pending_progress = self._pending_progress, 0
        self._tell(steps)

    def _tell(self, steps: int) -> None:
        if self._progress is not None and steps:
            self._progress(steps)

    def _write(self, index: int, issued_ns: int, attempt: Attempt) -> None:
        due = int(self.plan.due_ns[index]) if self.plan.kind is LoadKind.OPEN_LOOP else NEVER
        self._records.add(
            (
                index,
                self.plan.item_of(index),
                index < self.plan.warmup,
                due,
                self._offset(issued_ns),
                self._offset(attempt.sent_ns),
                self._offset(attempt.headers_ns),
                self._offset(attempt.first_event_ns),
                self._offset(attempt.first_token_ns),
                self._offset(attempt.first_answer_ns),
                self._offset(attempt.last_token_ns),
                self._offset(attempt.end_ns),
                int(attempt.outcome),
                attempt.http_status,
                attempt.events,
                attempt.first_event_tokens,
                attempt.prompt_tokens,
                attempt.output_tokens,
                attempt.bytes,
            )
        )

    def _offset(self, stamp_ns: int) -> int:
        return stamp_ns - self.start_ns if stamp_ns >= 0 else NEVER
