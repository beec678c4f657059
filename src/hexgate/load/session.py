"""One run of one plan while it lasts: which request comes next, what became of each, when to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum

from hexgate.load.attempt import Attempt
from hexgate.load.live import Live
from hexgate.load.plan import LoadKind
from hexgate.load.records import NEVER, Outcome, Recorder, Spool
from hexgate.load.shard import Shard
from hexgate.load.start import Start

__all__ = ["Session", "Stopped"]

_PROGRESS_EVERY_NS = 100_000_000
_POLL_S = 0.05
"""How often a run that waits for its start looks whether it is to stop."""


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
        shard: Shard,
        records: Recorder,
        *,
        start: Start | None,
        live: Live | None,
        spool: Spool | None,
        progress: Callable[[int], None] | None,
        stop: threading.Event | None,
        drain_s: float,
        max_unreachable: int,
    ) -> None:
        self.plan = shard.plan
        """The whole plan."""
        self.shard = shard
        """What of it is carried out."""
        self.late_ns: int | None = None
        """How long after the common start the run was ready to send; None where there is none."""
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
        self._start = start
        self._live = live
        self._records = records
        self._spool = spool
        self._progress = progress
        self._stop = stop
        self._max_unreachable = max_unreachable
        self._unreachable = 0
        self._lock = threading.Lock()
        self._taken = 0
        self._exhausted = False
        self._timed_ns: int | None = None
        self._issued: dict[int, int] = {}
        self._pending_progress = 0
        self._progress_ns = self.start_ns

    def begin(self) -> None:
        """Set the start: to the common one, which is waited for, else to now.

        A driver calls this last thing before its first request. A common start that has passed stays the start:
        what was due since then is sent late, and charged.
        """
        if self._start is None:
            self.wall_ns = time.time_ns()
            self.start_ns = time.monotonic_ns()
        else:
            self.wall_ns = self._start.wall_ns
            while True:
                late_ns = time.time_ns() - self.wall_ns
                self.start_ns = time.monotonic_ns() - late_ns
                if late_ns >= 0 or self.over:
                    break
                time.sleep(min(-late_ns / 1e9, _POLL_S))
            self.late_ns = max(late_ns, 0)
        self.cpu_s = time.process_time()
        if self._live is not None:
            self._live.begin(self.shard, self.start_ns)

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
            if self.over:
                return None
            index = self.shard.number(self._taken)
            if index is None:
                self._exhausted = True
                return None
            now = time.monotonic_ns()
            is_open = self.plan.kind is LoadKind.OPEN_LOOP
            if not is_open and self.plan.duration_s is not None:
                if self._timed_ns is None and index >= self.plan.warmup:
                    self._timed_ns = now
                elif self._out_of_time(now):
                    return None
            self._taken += 1
            self._issued[index] = now
            if self._live is not None:
                self._live.issue(now - self.start_ns - int(self.plan.due_ns[index]) if is_open else 0)
            return index

    @property
    def next_due_ns(self) -> int | None:
        """Absolute instant at which the next request of an open loop is due; None where there is none."""
        index = None if self.over else self.shard.number(self._taken)
        if index is None:
            self._exhausted = True
            return None
        return self.start_ns + int(self.plan.due_ns[index])

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
                for index in self.shard.rows[self._taken :].tolist():
                    self._write(index, NEVER, Attempt(Outcome.NOT_SENT))
                self._taken = len(self.shard.rows)
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
        if self._live is not None:
            self._live.end(attempt.outcome, self._latency_ns(index, due, attempt))

    def _latency_ns(self, index: int, due: int, attempt: Attempt) -> int | None:
        """The latency that counts: of a timed request that succeeded, from its due time where it has one."""
        if attempt.outcome is not Outcome.OK or index < self.plan.warmup:
            return None
        return attempt.end_ns - (attempt.sent_ns if due == NEVER else self.start_ns + due)

    def _offset(self, stamp_ns: int) -> int:
        return stamp_ns - self.start_ns if stamp_ns >= 0 else NEVER
