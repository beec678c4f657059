"""One program, run as a user runs it: on which cores, for how long, with how much processor time and memory."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Ran", "Sample", "adopt_orphans", "run"]

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Let processes whose parent is gone become ours, so that what they used is counted."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


@dataclass(frozen=True)
class Sample:
    """What a process and all that it started had used, at one instant."""

    at_ns: int
    """On CLOCK_MONOTONIC."""
    cpu_s: float
    """User and system, those that have ended with it."""
    rss_bytes: int
    """Resident now, all together; a page that two share counts twice."""
    largest_bytes: int
    """The most that one process ever held, as the kernel keeps it since its exec (ru_maxrss has our own as well)."""


@dataclass
class Ran:
    """A command that is over."""

    command: list[str]
    returncode: int = 0
    started_ns: int = 0
    """Just before the process was made, on CLOCK_MONOTONIC."""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """User and system time of all its processes, as the kernel accounts for them when they end."""
    output: str = ""
    """The end of what it printed."""
    samples: list[Sample] = field(default_factory=list)

    def cpu_between(self, begin_ns: int, end_ns: int) -> float:
        """Processor seconds between two instants, from the samples around them."""
        return self._cpu_at(end_ns) - self._cpu_at(begin_ns)

    def _cpu_at(self, at_ns: int) -> float:
        before = Sample(self.started_ns, 0.0, 0, 0)
        for sample in self.samples:
            if sample.at_ns >= at_ns:
                share = (at_ns - before.at_ns) / (sample.at_ns - before.at_ns)
                return before.cpu_s + share * (sample.cpu_s - before.cpu_s)
            before = sample
        return before.cpu_s

    @property
    def peak_tree_mb(self) -> float:
        """The most that its processes held at one sample, together, MB of 10^6 bytes."""
        return max((sample.rss_bytes for sample in self.samples), default=0) / 1e6

    @property
    def peak_mb(self) -> float:
        """The most that one of its processes ever held, MB of 10^6 bytes."""
        return max((sample.largest_bytes for sample in self.samples), default=0) / 1e6


def run(
    command: Sequence[str],
    *,
    cores: Sequence[int],
    folder: Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300.0,
    every_s: float = 0.1,
) -> Ran:
    """Run a command on `cores` until it and all that it started are over; its output goes to a file in `folder`.

    Raises:
        RuntimeError: if it takes longer than `timeout_s`; what it started is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole = ["taskset", "-c", ",".join(map(str, cores)), *command]
    ran = Ran(list(whole))
    output = folder / "output.txt"
    with output.open("wb") as file:
        ran.started_ns = time.monotonic_ns()
        process = subprocess.Popen(
            whole,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=folder,
            start_new_session=True,
        )
    over = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, ran.samples, every_s, over), daemon=True)
    sampler.start()
    late = threading.Timer(timeout_s, _kill, (process.pid,))
    late.start()
    try:
        for pid, status, used in _ends(process.pid):
            ran.cpu_s += used.ru_utime + used.ru_stime
            if pid == process.pid:
                ran.wall_s = (time.monotonic_ns() - ran.started_ns) / 1e9
                ran.returncode = process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        _kill(process.pid)
        raise
    finally:
        late.cancel()
        over.set()
        sampler.join()
    ran.output = output.read_bytes()[-4000:].decode("utf-8", "replace")
    if ran.wall_s >= timeout_s:
        raise RuntimeError(f"not over within {timeout_s:.0f} s: {' '.join(whole)}")
    return ran


def _ends(group: int) -> Iterator[tuple[int, int, resource.struct_rusage]]:
    """Each process of the group as it ends. What outlives the first, which we started, is given ten seconds."""
    straggler: threading.Timer | None = None
    while True:
        try:
            end = os.wait4(-group, 0)
        except ChildProcessError:
            break
        yield end
        if end[0] == group:
            straggler = threading.Timer(10.0, _kill, (group,))
            straggler.start()
    if straggler is not None:
        straggler.cancel()


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _sample(root: int, samples: list[Sample], every_s: float, over: threading.Event) -> None:
    """Sample the session of `root`. Finding processes costs more than reading them, so it is done once a second."""
    used: dict[int, float] = {}
    known: list[int] = [root]
    looked_s = time.monotonic()
    while not over.wait(every_s):
        if len(known) == 1 or time.monotonic() - looked_s >= 1.0:
            known, looked_s = _session(root), time.monotonic()
        rss = largest = 0
        at_ns = time.monotonic_ns()
        for pid in known:
            seen = _stat(pid)
            if seen is not None:
                used[pid] = seen[1]
                rss += seen[2]
                largest = max(largest, _high_water(pid))
        samples.append(Sample(at_ns, sum(used.values()), rss, largest))


def _session(root: int) -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if (seen := _stat(pid)) is not None and seen[0] == root]


def _stat(pid: int) -> tuple[int, float, int] | None:
    """Session, processor seconds and resident bytes of one process, without what its children used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    after = fields[fields.rindex(")") + 2 :].split()
    return int(after[3]), (int(after[11]) + int(after[12])) * _TICK_S, int(after[21]) * _PAGE


def _high_water(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
