"""Carry out a plan: one call, whatever drives it, with every request's record kept however it ends."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any

from hexgate.errors import TargetFailed
from hexgate.load.boot import boot_digest
from hexgate.load.errand import Driver, Errand, Ran, Stop, Stopped
from hexgate.load.live import Live
from hexgate.load.plans.plan import Plan
from hexgate.load.plans.shard import Shard
from hexgate.load.start import Start

__all__ = ["DRAIN_S", "Driver", "LoadInterrupted", "RunInfo", "TargetUnreachable", "run_plan"]

MAX_UNREACHABLE = 50
DRAIN_S = 60.0
INTERRUPTED_DRAIN_S = 1.0

_BESIDE = ("files", "client", "stream")


@dataclass(frozen=True)
class RunInfo:
    """What is to be known of a run beside its records."""

    plan_digest: str
    """Digest of the plan that was carried out."""
    started_ns: int
    """The monotonic clock at the start: records count from here, as power traces of this host do."""
    started_wall_ns: int
    """The wall clock at the same instant, nanoseconds since 1970 UTC."""
    ended_ns: int
    """When the run was over, drain included, from the start."""
    stopped_ns: int | None
    """When it was stopped before its end, from the start; None where the plan ran to its end."""
    stopped: str | None
    """Why: one of `errand.Stopped`."""
    cpu_s: float
    """Processor time of this process and its workers during the run, with that of a model in this process."""
    workers: int
    """How many processes sent."""
    shard: Mapping[str, int] | None = None
    """Which shard of the plan it carried out: ``index`` and ``count``; None for the whole plan."""
    start_at: str | None = None
    """The common start that the records count from, RFC 3339 in UTC; None where there was none."""
    late_ns: int | None = None
    """How long after the common start, by the wall clock, this run was ready to send."""
    host: str | None = None
    """Name of the host, to tell the shards of a load apart; None for the whole plan."""
    boot: str | None = None
    """Digest of the id that the host's kernel drew when it started, in hex: shards of one host and boot read one
    monotonic clock. None for the whole plan, and where the kernel draws none."""
    clock_bound_s: float | None = None
    """The most by which its wall clock differs from the one that all shards are held against, as it was told; None
    where nobody knows."""
    files: Mapping[str, int] | None = None
    """Rows of each file that it left: ``requests`` and, where they are kept, ``replies``."""
    client: Mapping[str, Any] | None = None
    """What the workers saw of themselves: the document `client` of the evidence; None of a model in this process."""
    stream: Mapping[str, Any] | None = None
    """What was counted of events: the document `stream`; likewise."""

    @property
    def interrupted(self) -> bool:
        """Whether the plan did not run to its end."""
        return self.stopped is not None

    def to_json(self) -> dict[str, Any]:
        """The run as it stands in the evidence, without what has documents of its own."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _BESIDE}


class TargetUnreachable(TargetFailed):
    """The run was stopped because the target could not be reached; the records hold what was measured."""

    def __init__(self, attempts: int, last_error: str | None, info: RunInfo) -> None:
        super().__init__(
            f"{attempts} attempts in a row found no connection to the target, so the load was stopped",
            got=last_error,
            hint="check that it is running and reachable from here; what was measured before is kept",
        )
        self.info = info
        """The run up to then."""


class LoadInterrupted(KeyboardInterrupt):
    """The run was interrupted; the records hold what was measured."""

    def __init__(self, info: RunInfo) -> None:
        super().__init__("the load was interrupted")
        self.info = info
        """The run up to then."""


def run_plan(
    plan: Plan,
    driver: Driver,
    folder: Path,
    stem: str,
    *,
    shard: Shard | None = None,
    start: Start | None = None,
    live: Live | None = None,
    progress: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
    drain_s: float = DRAIN_S,
    max_unreachable: int = MAX_UNREACHABLE,
    ready: Callable[[], None] | None = None,
    max_error_ratio: float | None = None,
    workers: int | None = None,
    keep_replies: bool = True,
) -> RunInfo:
    """Carry out a plan, or a shard of it.

    However it ends, ``stem.requests.npy`` in `folder` then has a row for every request that was due, in order of
    number, and ``stem.replies.jsonl``, where replies are kept, the text or the error of each that ended.

    Args:
        plan: what to send, and when.
        driver: what sends it.
        folder: where the files go.
        stem: what their names begin with.
        shard: the shard of `plan` to carry out; None for all of it.
        start: the common start; None to start now.
        live: counters to keep while the run goes on.
        progress: takes the number of requests that ended since the last call, a few times a second.
        stop: ends the run early once it is set: nothing more is sent, what is in flight is drained.
        drain_s: longest wait for what is in flight after the last request was sent, in a run that is stopped
            or has a duration; what has not ended then is recorded as unfinished. Where the number of requests
            ends the run, the time-out of each request is the limit.
        max_unreachable: so many attempts in a row without a connection stop the run.
        ready: is called last thing before the start; it returns when what goes with the run has begun, too.
        max_error_ratio: a greater share of failed requests among those that ended, of at least 20, stops the run.
        workers: processes that send; None for one a core, and no more than the load can use. A model in this
            process has none.
        keep_replies: whether replies are kept.

    Raises:
        InputError: if the driver cannot carry out this plan.
        TargetUnreachable: if no connection could be made so many times in a row.
        LoadInterrupted: on the first SIGINT or SIGTERM (in the main thread), or KeyboardInterrupt from elsewhere.
    """
    halt = Stop(drain_s, stop)
    errand = Errand(
        shard=shard or plan.shard(0, 1),
        folder=folder,
        stem=stem,
        stop=halt,
        max_unreachable=max_unreachable,
        start=start,
        live=live,
        progress=progress,
        ready=ready,
        max_error_ratio=max_error_ratio,
        workers=workers,
        keep_replies=keep_replies,
    )
    ran = Ran()
    with _interrupts_to(halt):
        driver.carry_out(errand, ran)
    info = RunInfo(
        plan_digest=plan.digest(),
        started_ns=ran.start_ns,
        started_wall_ns=ran.wall_ns,
        ended_ns=ran.ended_ns,
        stopped_ns=None if halt.at_ns is None else halt.at_ns - ran.start_ns,
        stopped=None if halt.why is None else halt.why.value,
        cpu_s=ran.cpu_s,
        workers=ran.workers,
        shard=None if shard is None else vars(shard.place),
        start_at=None if start is None else start.at,
        late_ns=ran.late_ns,
        host=None if shard is None else socket.gethostname(),
        boot=None if shard is None else boot_digest(),
        clock_bound_s=None if start is None else start.clock_bound_s,
        files=ran.files,
        client=ran.client,
        stream=ran.stream,
    )
    if halt.why is Stopped.INTERRUPTED:
        raise LoadInterrupted(info)
    if halt.why is Stopped.UNREACHABLE:
        raise TargetUnreachable(max_unreachable, ran.last_error, info)
    return info


@contextmanager
def _interrupts_to(stop: Stop) -> Iterator[None]:
    """The first SIGINT stops the run, so that what is in flight is recorded; a second acts at once.

    So does SIGTERM where the program handles it, however often: a platform that stops a job may send it twice, and an
    exception out of a handler is lost where it meets a callback of the loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    taken = [number for number, handler in before.items() if callable(handler)]

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.drain_s = min(stop.drain_s, INTERRUPTED_DRAIN_S)
        stop.now(Stopped.INTERRUPTED)
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    for number in taken:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
