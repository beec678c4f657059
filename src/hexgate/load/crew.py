"""The workers of a run: started, told when to begin, watched, and told to read when all of them are through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import hexgate
from hexgate.contract.canonical import parse_strict
from hexgate.errors import TargetFailed
from hexgate.load.errand import Errand, Ran, Stopped
from hexgate.load.live import DueInstants
from hexgate.load.sending.counters import State, counter_file
from hexgate.load.sending.layout import Outcome

__all__ = ["Crew", "throttled_s"]

_POLL_S = 0.02
_READY_POLL_S = 0.001
_LEAD_NS = 4_000_000
"""Time for the workers to hear of a start that nobody else has set."""
_READY_LIMIT_S = 60.0
_LEAST_ENDED = 20
"""Fewer requests than these say nothing of an error ratio."""
_FAILED = (Outcome.ERROR, Outcome.TIMEOUT, Outcome.TRUNCATED)
_CPU_STAT = Path("/sys/fs/cgroup/cpu.stat")


@dataclass
class _Member:
    process: subprocess.Popen[bytes]
    complaint: Path
    died: str | None = None


class Crew:
    """The workers of one errand.

    Args:
        errand: what they carry out together.
        folder: the folder of their files.
        workers: how many they are. They start at once, and wait for their tasks.
    """

    def __init__(self, errand: Errand, folder: Path, workers: int) -> None:
        self._errand = errand
        self._folder = folder
        self._control, self.counters = counter_file(folder / "counters", workers)
        self._told = 0
        self._members: list[_Member] = []
        self._control.alive()
        for worker in range(workers):
            self._members.append(self._started(worker))

    def task(self, lines: list[bytes]) -> None:
        """Give each its task, as `Work.to_line` writes it; the files that it names are there."""
        for member, line in zip(self._members, lines, strict=True):
            # One that died already is found by `_look`.
            with suppress(OSError), cast("IO[bytes]", member.process.stdin) as pipe:
                pipe.write(line)

    def _started(self, worker: int) -> _Member:
        complaint = self._folder / f"worker-{worker}.err"
        with complaint.open("wb") as errors, _signals_held():
            process = subprocess.Popen(
                [sys.executable, "-m", "hexgate.load.sending.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                # Python puts the working folder first on its path: in this one it finds this very package.
                cwd=Path(hexgate.__file__).resolve().parent.parent,
            )
        return _Member(process, complaint)

    def run(self, ran: Ran, instants: DueInstants) -> None:
        """Begin together, go on until nothing is in flight, and fill `ran` as far as that tells.

        Raises:
            TargetFailed: if no worker could begin.
        """
        errand = self._errand
        self._until(lambda: self._all(State.READY), _READY_POLL_S)
        if all(member.died for member in self._members):
            raise TargetFailed(
                "the load could not begin: its workers ended",
                got=self._members[0].died,
                hint="this is a fault of hexgate or of its installation; please report it",
            )
        if errand.ready is not None:
            errand.ready()
            self._control.alive()
        self._set_start(ran)
        if errand.live is not None:
            errand.live.begin(errand.shard, ran.start_ns, self.counters, instants)
        cpu_s, throttled = time.process_time(), throttled_s()
        self._control.run(ran.start_ns)
        stopping = False
        while not self._all(State.DRAINED):
            self._look()
            self._tell()
            if not stopping and self._is_to_stop():
                stopping = True
                self._control.stop(round(errand.stop.drain_s * 1e9))
            time.sleep(_POLL_S)
        # A run that was over before it was first looked at has reasons, too.
        self._is_to_stop()
        self._tell()
        ran.ended_ns = time.monotonic_ns() - ran.start_ns
        ran.cpu_s = time.process_time() - cpu_s
        now_s = throttled_s()
        ran.client = {
            "parent": {"cpu_s": ran.cpu_s},
            "throttled_s": None if now_s is None or throttled is None else now_s - throttled,
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        }

    def read(self) -> list[dict[str, Any] | None]:
        """Let the workers read the replies, and give what each tells; None of one that died."""
        self._control.read()
        self._until(lambda: self._all(State.DONE), _POLL_S)
        told: list[dict[str, Any] | None] = []
        for worker, member in enumerate(self._members):
            file = self._folder / f"worker-{worker}.json"
            member.process.wait()
            told.append(parse_strict(file.read_bytes()) if file.exists() else None)
            if told[-1] is None and member.died is None:
                member.died = "it could not write what it saw: the disk is full"
                self._errand.stop.now(Stopped.DISK)
        return told

    def died(self, worker: int) -> str | None:
        """How a worker ended that should not have; None of one that did not."""
        return self._members[worker].died

    def end(self) -> None:
        """End whatever still runs."""
        for member in self._members:
            if member.process.poll() is None:
                member.process.kill()
                member.process.wait()
            # Open where the load was refused before a task was given.
            with suppress(OSError):
                cast("IO[bytes]", member.process.stdin).close()

    def _set_start(self, ran: Ran) -> None:
        start = self._errand.start
        if start is None:
            ran.start_ns = time.monotonic_ns() + _LEAD_NS
            ran.wall_ns = time.time_ns() + _LEAD_NS
            return
        ran.wall_ns = start.wall_ns
        while True:
            # Read again each time: the wall clock may be set while it is waited for.
            late_ns = time.time_ns() - start.wall_ns
            ran.start_ns = time.monotonic_ns() - late_ns
            if late_ns >= -_LEAD_NS or self._errand.stop.asked:
                break
            self._control.alive()
            time.sleep(min(-late_ns / 1e9, _POLL_S))
        ran.late_ns = max(late_ns, 0)

    def _until(self, reached: Callable[[], bool], poll_s: float) -> None:
        limit = time.monotonic() + _READY_LIMIT_S
        while not reached() and not all(member.died for member in self._members):
            self._look()
            if poll_s == _READY_POLL_S and time.monotonic() > limit:
                break
            time.sleep(poll_s)

    def _all(self, state: State) -> bool:
        return all(
            block.state >= state or member.died is not None
            for block, member in zip(self.counters, self._members, strict=True)
        )

    def _look(self) -> None:
        self._control.alive()
        for worker, member in enumerate(self._members):
            if member.died is None and member.process.poll() is not None:
                if self.counters[worker].state >= State.DONE:
                    continue
                words = member.complaint.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                code = member.process.returncode
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                member.died = f"it ended with {how}" + (f": {words[-1][:300]}" if words else "")
                self._errand.stop.now(Stopped.DIED)

    def _is_to_stop(self) -> bool:
        errand = self._errand
        most = errand.max_error_ratio
        if most is not None:
            totals = [sum(one) for one in zip(*(block.outcomes for block in self.counters), strict=True)]
            ended, failed = sum(totals), sum(totals[outcome] for outcome in _FAILED)
            if ended >= _LEAST_ENDED and failed > most * ended:
                errand.stop.now(Stopped.ERRORS)
        for block in self.counters:
            if (why := block.stopped_by) is not None:
                errand.stop.now(Stopped(why))
        return errand.stop.asked

    def _tell(self) -> None:
        done = sum(sum(block.outcomes) for block in self.counters)
        if self._errand.progress is not None and done > self._told:
            self._errand.progress(done - self._told)
        self._told = max(done, self._told)


@contextmanager
def _signals_held() -> Iterator[None]:
    """A worker begins with interrupts held back, and so has none before it ignores them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def throttled_s() -> float | None:
    """For how long the processes of this control group were held back so far (cgroup v2); None where nobody counts."""
    try:
        for line in _CPU_STAT.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "throttled_usec":
                return int(value) / 1e6
    except (OSError, ValueError):
        return None
    return None
