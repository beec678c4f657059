"""Counters of a run that one process writes and others read: plain 64-bit integers in memory that they share.

Whoever writes takes no lock and sends no message; whoever reads may see one request more in one number than in the
next. One block is one worker's; every number in it has one writer.
"""

from __future__ import annotations

import mmap
import os
import time
from bisect import bisect_left
from enum import IntEnum
from pathlib import Path

from hexgate.load.sending.layout import Outcome

__all__ = ["BLOCK_BYTES", "BOUNDS_S", "Command", "Control", "Counters", "State", "counter_file"]

_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
BOUNDS_S = tuple(
    round(step * 10.0**decade, 7)
    for decade in range(-4, 3)
    for step in _STEPS
    if step * 10.0**decade <= 315.0
)
"""Upper bounds of the latency buckets, seconds, each included in its bucket: ten a decade (ISO 3, R10), from 0.1 ms
to above the longest time-out that is usual."""
_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS_S]
_BUCKETS = len(BOUNDS_S) + 1


class State(IntEnum):
    """How far a worker is."""

    STARTING = 0
    READY = 1
    """It waits for the start."""
    RUNNING = 2
    DRAINING = 3
    """It sends nothing more."""
    DRAINED = 4
    """Nothing is in flight; it waits to be told to read the replies."""
    READING = 5
    DONE = 6


class Command(IntEnum):
    """What the workers are told."""

    WAIT = 0
    RUN = 1
    """From `Control.start_ns` on."""
    STOP = 2
    """Send nothing more, and wait for what is in flight for `Control.drain_ns`."""
    READ = 3
    """Read the replies."""


# Where each number lies. Plain integers: a member of an enum costs as much as the rest of a count.
_AT_STATE = 0
_AT_ISSUED = 1
_AT_LAG_MAX = 2
_AT_LATENCY_SUM = 3
_AT_TTFT_SUM = 4
_AT_EVENTS = 5
_AT_SAMPLED = 6
_AT_BYTES = 8
_AT_LOOP_LAG = 9
_AT_CPU = 10
_AT_READ = 11
_AT_STOPPED_BY = 12
_AT_OUTCOMES = 16
_AT_BUCKETS = 24
_AT_TTFT_BUCKETS = 96

_REASONS = (None, "unreachable", "disk", "client")
_WORDS = 168
_SILENT_NS = 60_000_000_000
"""Where nothing else tells: after so long without a sign, whoever gives the commands is gone."""
BLOCK_BYTES = _WORDS * 8
"""Bytes of one block."""


class Counters:
    """One block of counters.

    Args:
        memory: at least `BLOCK_BYTES` that this block alone uses; None for memory of its own.
    """

    def __init__(self, memory: memoryview | None = None) -> None:
        self._words = (memoryview(bytearray(BLOCK_BYTES)) if memory is None else memory).cast("q")

    # What the run calls.

    def issue(self, lag_ns: int) -> None:
        """A request was taken up, so long after it was due."""
        words = self._words
        words[_AT_ISSUED] += 1
        words[_AT_LAG_MAX] = max(words[_AT_LAG_MAX], lag_ns)

    def end(self, outcome: Outcome, latency_ns: int | None, received: int = 0) -> None:
        """A request is over, with its latency where that counts and the bytes that came."""
        words = self._words
        words[_AT_OUTCOMES + outcome] += 1
        words[_AT_BYTES] += received
        if latency_ns is not None:
            words[_AT_BUCKETS + bisect_left(_BOUNDS_NS, latency_ns)] += 1
            words[_AT_LATENCY_SUM] += latency_ns

    def read(self, events: int, ttft_ns: int | None) -> None:
        """A reply was read while the run went on: its events with text, and its time to first token."""
        words = self._words
        words[_AT_SAMPLED] += 1
        words[_AT_EVENTS] += events
        if ttft_ns is not None:
            words[_AT_TTFT_BUCKETS + bisect_left(_BOUNDS_NS, ttft_ns)] += 1
            words[_AT_TTFT_SUM] += ttft_ns

    # What both ends use.

    @property
    def state(self) -> State:
        """How far the worker is."""
        return State(self._words[_AT_STATE])

    @state.setter
    def state(self, state: State) -> None:
        self._words[_AT_STATE] = state

    @property
    def stopped_by(self) -> str | None:
        """Why the worker stopped of its own: ``unreachable`` or ``disk``; None where it did not."""
        return _REASONS[self._words[_AT_STOPPED_BY]]

    @stopped_by.setter
    def stopped_by(self, why: str | None) -> None:
        self._words[_AT_STOPPED_BY] = _REASONS.index(why) if why in _REASONS else 0

    @property
    def issued(self) -> int:
        """Requests that were taken up."""
        return self._words[_AT_ISSUED]

    @property
    def lag_max_ns(self) -> int:
        """The longest that a request was taken up behind its due time."""
        return self._words[_AT_LAG_MAX]

    @property
    def outcomes(self) -> tuple[int, ...]:
        """Requests that are over, in the order of `Outcome`."""
        return tuple(self._words[_AT_OUTCOMES : _AT_OUTCOMES + len(Outcome)])

    @property
    def buckets(self) -> tuple[int, ...]:
        """Latencies by `BOUNDS_S`, the last beyond them."""
        return tuple(self._words[_AT_BUCKETS : _AT_BUCKETS + _BUCKETS])

    @property
    def latency_sum_ns(self) -> int:
        """The sum of these latencies."""
        return self._words[_AT_LATENCY_SUM]

    @property
    def ttft_buckets(self) -> tuple[int, ...]:
        """Times to first token of the replies that were read while the run went on."""
        return tuple(self._words[_AT_TTFT_BUCKETS : _AT_TTFT_BUCKETS + _BUCKETS])

    @property
    def ttft_sum_ns(self) -> int:
        """The sum of these times."""
        return self._words[_AT_TTFT_SUM]

    @property
    def events(self) -> int:
        """Events with text in the replies that were read while the run went on."""
        return self._words[_AT_EVENTS]

    @property
    def sampled(self) -> int:
        """Replies that were read while the run went on."""
        return self._words[_AT_SAMPLED]

    @property
    def received(self) -> int:
        """Bytes received."""
        return self._words[_AT_BYTES]

    @property
    def loop_lag_ns(self) -> int:
        """The longest lag of the event loop in the last second."""
        return self._words[_AT_LOOP_LAG]

    @loop_lag_ns.setter
    def loop_lag_ns(self, lag_ns: int) -> None:
        self._words[_AT_LOOP_LAG] = lag_ns

    @property
    def cpu_ns(self) -> int:
        """Processor time of the run so far."""
        return self._words[_AT_CPU]

    @cpu_ns.setter
    def cpu_ns(self, cpu_ns: int) -> None:
        self._words[_AT_CPU] = cpu_ns

    @property
    def replies_read(self) -> int:
        """Replies that were read after the run."""
        return self._words[_AT_READ]

    @replies_read.setter
    def replies_read(self, count: int) -> None:
        self._words[_AT_READ] = count


class Control:
    """What the workers of a run are told: one command, and the instants that go with it."""

    def __init__(self, memory: memoryview) -> None:
        self._words = memory.cast("q")

    @property
    def command(self) -> Command:
        """The command that holds."""
        return Command(self._words[0])

    @property
    def start_ns(self) -> int:
        """`time.monotonic_ns` of the start."""
        return self._words[1]

    @property
    def drain_ns(self) -> int:
        """How long to wait for what is in flight once stopped."""
        return self._words[2]

    @property
    def orphaned(self) -> bool:
        """Whether whoever gives the commands is gone, seen from a process that it started."""
        if os.name == "posix":
            # Who has lost its parent is given another.
            return os.getppid() != self._words[4]
        return time.monotonic_ns() - self._words[3] > _SILENT_NS

    def alive(self) -> None:
        """Whoever gives the commands is there: the process that calls this."""
        self._words[4] = os.getpid()
        self._words[3] = time.monotonic_ns()

    def run(self, start_ns: int) -> None:
        """Tell to run from that instant on."""
        self._words[1] = start_ns
        self._words[0] = Command.RUN

    def stop(self, drain_ns: int) -> None:
        """Tell to send nothing more."""
        self._words[2] = drain_ns
        self._words[0] = Command.STOP

    def read(self) -> None:
        """Tell to read the replies."""
        self._words[0] = Command.READ


def counter_file(path: Path, workers: int | None = None) -> tuple[Control, list[Counters]]:
    """The blocks in a file that several processes map: what they are told, then one block for each worker.

    Args:
        path: the file.
        workers: how many blocks to make; None to open those that there are.
    """
    if workers is not None:
        path.write_bytes(bytes(BLOCK_BYTES * (workers + 1)))
    with path.open("r+b") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0))
    blocks = [memory[at : at + BLOCK_BYTES] for at in range(0, len(memory), BLOCK_BYTES)]
    return Control(blocks[0]), [Counters(block) for block in blocks[1:]]
