"""What a driver is asked to carry out, and what it tells when that is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from hexgate.load.live import Live
from hexgate.load.plans.shard import Shard
from hexgate.load.start import Start

__all__ = ["Driver", "Errand", "Ran", "Stop", "Stopped"]


class Stopped(Enum):
    """Why a run ended before its plan did."""

    ASKED = "asked"
    """Whoever started it set the stop event."""
    INTERRUPTED = "interrupted"
    """SIGINT, SIGTERM, or KeyboardInterrupt from elsewhere."""
    UNREACHABLE = "unreachable"
    """So many attempts in a row found no connection."""
    CLIENT = "client"
    """This machine could open no connection so many times in a row."""
    ERRORS = "errors"
    """More of the requests failed than was allowed."""
    DIED = "died"
    """A worker ended that should not have."""
    DISK = "disk"
    """The disk took no more of the evidence."""


class Stop:
    """Whether a run is to end early, and why. Any thread, and a signal handler, may say so."""

    def __init__(self, drain_s: float, event: threading.Event | None = None) -> None:
        self.drain_s = drain_s
        """Longest wait for what is in flight once nothing more is sent."""
        self.why: Stopped | None = None
        """The first reason; None while the run is to go on."""
        self.at_ns: int | None = None
        """When that was, by `time.monotonic_ns`."""
        self._event = event

    def now(self, why: Stopped) -> None:
        """End the run early. The first reason stands."""
        if self.why is None:
            self.why, self.at_ns = why, time.monotonic_ns()

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        if self.why is None and self._event is not None and self._event.is_set():
            self.now(Stopped.ASKED)
        return self.why is not None


@dataclass(frozen=True)
class Errand:
    """One run of one plan, or of a shard of it. `engine.run_plan` has the meaning of each."""

    shard: Shard
    folder: Path
    stem: str
    stop: Stop
    max_unreachable: int
    start: Start | None = None
    live: Live | None = None
    progress: Callable[[int], None] | None = None
    ready: Callable[[], None] | None = None
    max_error_ratio: float | None = None
    workers: int | None = None
    keep_replies: bool = True

    @property
    def fixes_what_is_sent(self) -> bool:
        """Whether its plan fixes which requests there are: then those that were never sent are recorded, too."""
        return not self.shard.plan.repeats and (
            self.shard.plan.rate_rps is not None or self.shard.plan.duration_s is None
        )

    @property
    def drain_limited(self) -> bool:
        """Whether what is in flight at the end of the plan has only the drain limit; else its own time-out."""
        return self.shard.plan.duration_s is not None


@dataclass
class Ran:
    """What became of an errand. Filled on the way, so that it says what was done however it ends."""

    start_ns: int = field(default_factory=time.monotonic_ns)
    """The instant that every stamp of a record counts from."""
    wall_ns: int = field(default_factory=time.time_ns)
    """The same instant by the wall clock."""
    ended_ns: int = 0
    """When nothing was in flight any more, from the start."""
    late_ns: int | None = None
    """How long after the common start it was ready to send; None where there is none."""
    cpu_s: float = 0.0
    """Processor time of this process and of its workers during the run."""
    workers: int = 1
    """How many processes sent."""
    last_error: str | None = None
    """The latest error of a target without connection."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Rows of each file of evidence that was left."""
    client: dict[str, Any] | None = None
    """The document `client`."""
    stream: dict[str, Any] | None = None
    """The document `stream`."""


class Driver(Protocol):
    """What sends the requests of a plan. It holds no state of a run."""

    def carry_out(self, errand: Errand, ran: Ran) -> None:
        """Send what is due when it is due, and leave records and replies, however it ends.

        Raises:
            InputError: if it cannot carry out this plan.
        """
