"""A process and all that it started, as one: the CPU time, memory and threads of a tree of processes.

On Linux a process is read from one file of /proc, which is several times cheaper than asking psutil; elsewhere
psutil is asked. What a process used after it was last read is not seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["ENDED", "FOREIGN", "ProcessTree", "TreeUse", "parent_of"]

ENDED = "has ended"
"""Reason of a tree of which nothing lives."""
FOREIGN = "belongs to someone else"
"""Reason of a tree that may not be read."""

_PROC = Path("/proc")
_LINUX = hasattr(time, "CLOCK_BOOTTIME") and (_PROC / "self/stat").exists()


@dataclass(frozen=True)
class TreeUse:
    """What a tree of processes uses."""

    cpu_s: float
    """CPU seconds of all that was ever seen of it, what has ended included."""
    cores: float | None
    """CPU seconds a second since the reading before; None in the first reading."""
    rss_bytes: int
    """Resident memory, added up: pages that several processes share count in each."""
    threads: int
    """Threads."""
    pids: tuple[int, ...]
    """Its processes that live."""


@dataclass(frozen=True)
class _Look:
    """One process, read once."""

    began: float
    """When it began, on the clock of `age_s`: tells it from a later one with its number."""
    age_s: float
    cpu_ns: int
    """A whole number, so that a total never falls because it was added up in another order."""
    rss_bytes: int
    threads: int


class ProcessTree:
    """The processes of a tree, followed while they come and go.

    Args:
        roots: processes that it begins with.
        apart: processes that are not part of it, nor what they started.
        renew_s: how long the list of its processes is good for; 0 to make it again at each reading.
    """

    def __init__(self, roots: Sequence[int], *, apart: Collection[int] = (), renew_s: float = 0.0) -> None:
        self._apart = frozenset(apart)
        self._renew_ns = round(renew_s * 1e9)
        self._pids = list(roots)
        self._known: dict[int, _Look] = {}
        self._ended_ns = 0
        self._listed_ns: int | None = None
        self._read_ns: int | None = None

    def read(self, t_ns: int) -> TreeUse | str:
        """What it uses at an instant of `time.monotonic_ns`, or why that cannot be told."""
        looks = self._looks(t_ns)
        if isinstance(looks, str):
            return looks
        elapsed_s = None if self._read_ns is None else (t_ns - self._read_ns) / 1e9
        cores = 0.0
        for pid, look in looks.items():
            before = self._known.get(pid)
            if elapsed_s:
                # Time of a process that is new here belongs to all of its life, not to the last moment alone.
                over_s = elapsed_s if before else max(look.age_s, elapsed_s)
                cores += (look.cpu_ns - (before.cpu_ns if before else 0)) / 1e9 / over_s
        self._ended_ns += sum(self._known[pid].cpu_ns for pid in self._known.keys() - looks.keys())
        self._known = looks
        self._read_ns = t_ns
        return TreeUse(
            cpu_s=(self._ended_ns + sum(look.cpu_ns for look in looks.values())) / 1e9,
            cores=max(0.0, cores) if elapsed_s else None,
            rss_bytes=sum(look.rss_bytes for look in looks.values()),
            threads=sum(look.threads for look in looks.values()),
            pids=tuple(looks),
        )

    def _looks(self, t_ns: int) -> dict[int, _Look] | str:
        if self._listed_ns is None or t_ns - self._listed_ns >= self._renew_ns:
            self._pids = list(_descended(self._pids, self._apart))
            self._listed_ns = t_ns
        looks: dict[int, _Look] = {}
        reason = ENDED
        for pid in self._pids:
            look, before = _look(pid), self._known.get(pid)
            if not isinstance(look, _Look):
                reason = look
            elif before is None or before.began == look.began:
                looks[pid] = look
        # The kernel may leave a child out of its list while another ends, so one that was seen is looked at until it
        # has ended; then it is not, for its number may be given to a stranger.
        self._pids = list(looks) or self._pids
        return looks or reason


def parent_of(pid: int) -> int | None:
    """The process that started it; None where it has ended or may not be read."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None


def _descended(pids: Sequence[int], apart: frozenset[int]) -> Iterator[int]:
    waiting, seen = list(reversed(pids)), set(apart)
    while waiting:
        pid = waiting.pop()
        if pid not in seen:
            seen.add(pid)
            yield pid
            waiting += _children(pid)


def _children(pid: int) -> list[int]:
    if _LINUX:
        found: list[int] = []
        try:
            for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are what is wanted
                found += map(int, _text(f"/proc/{pid}/task/{task}/children").split())
        except FileNotFoundError:
            # It has ended, or this kernel was built without the file.
            if not Path(f"/proc/{pid}/task").exists():
                return found
        except OSError:
            return found
        else:
            return found
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def _look(pid: int) -> _Look | str:
    return _look_in_proc(pid) if _LINUX else _look_by_psutil(pid)


def _look_in_proc(pid: int) -> _Look | str:
    """The fields of /proc/PID/stat, as proc_pid_stat(5) numbers them from 1; they are cut off after the second."""
    try:
        fields = _text(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except PermissionError:
        return FOREIGN
    except OSError:
        return ENDED
    if len(fields) < 22 or fields[0] in {b"Z", b"X"}:
        return ENDED
    ticks = os.sysconf("SC_CLK_TCK")
    began = int(fields[19]) / ticks
    return _Look(
        began=began,
        age_s=time.clock_gettime(time.CLOCK_BOOTTIME) - began,
        cpu_ns=(int(fields[11]) + int(fields[12])) * 1_000_000_000 // ticks,
        rss_bytes=int(fields[21]) * os.sysconf("SC_PAGESIZE"),
        threads=int(fields[17]),
    )


def _look_by_psutil(pid: int) -> _Look | str:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times, rss_bytes, began = process.cpu_times(), process.memory_info().rss, process.create_time()
            if rss_bytes == 0:
                return ENDED
            threads = process.num_threads()
    except psutil.AccessDenied:
        return FOREIGN
    except psutil.Error:
        return ENDED
    cpu_ns = round((times.user + times.system) * 1e9)
    return _Look(began, time.time() - began, cpu_ns, rss_bytes, threads)


def _text(path: str) -> bytes:
    # A buffered file costs three times as much, and this is read several times a second.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 65_536)
    finally:
        os.close(descriptor)
