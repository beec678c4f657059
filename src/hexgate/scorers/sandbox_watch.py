"""Watches a sandbox from outside: reads what its program writes, and ends it when it goes beyond its limits."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Watch", "memory_bytes"]

_TICK_MS = 20
_LOOK_S = 0.05
_CHUNK = 65_536


class Watch:
    """Reads three pipes until the last of them ends with the first process of a sandbox.

    Args:
        first: the first process.
        pipes: descriptors to read: standard output, standard error, and what the first process tells.
        limits: ``memory_bytes`` of all processes together, and ``output_bytes`` of each pipe.
        others: names of the processes that were there before it.
    """

    def __init__(
        self, first: int, pipes: tuple[int, int, int], limits: Mapping[str, Any], others: Collection[str]
    ) -> None:
        self.ending: str | None = None
        """``timeout``, ``memory`` or ``output``; None where it was not brought to its end."""
        self._first = first
        self._told = pipes[2]
        self._memory_bytes: int = limits["memory_bytes"]
        self._output_bytes: int = limits["output_bytes"]
        self._others = others
        self._kept = {pipe: bytearray() for pipe in pipes}
        self._open = set(pipes)
        self._poll = select.poll()
        for pipe in pipes:
            self._poll.register(pipe, select.POLLIN)

    def until_it_ends(self, deadline_s: float) -> None:
        """Wait for the end of the first process, or bring it about.

        Args:
            deadline_s: an instant of `time.monotonic`.
        """
        looked_s = 0.0
        while self._told in self._open:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                self._end("timeout")
            elif now_s - looked_s >= _LOOK_S:
                looked_s = now_s
                if memory_bytes(self._first, self._others) > self._memory_bytes:
                    self._end("memory")
            for pipe, _ in self._poll.poll(_TICK_MS):
                self._read(pipe)
                if len(self._kept[pipe]) > self._output_bytes:
                    self._end("output")

    def read_the_rest(self) -> None:
        """Read what is still in the pipes, when no process lives that could write more."""
        for pipe in self._kept:
            while pipe in self._open:
                self._read(pipe)
            if self.ending is None and len(self._kept[pipe]) > self._output_bytes:
                self.ending = "output"

    def text(self, pipe: int) -> bytes:
        """What came through a pipe, as far as it is kept."""
        return bytes(self._kept[pipe][: self._output_bytes])

    def _read(self, pipe: int) -> None:
        data = os.read(pipe, _CHUNK)
        if not data:
            self._open.discard(pipe)
            self._poll.unregister(pipe)
        elif len(self._kept[pipe]) <= self._output_bytes:
            self._kept[pipe] += data

    def _end(self, why: str) -> None:
        if self.ending is None:
            self.ending = why
            os.kill(self._first, signal.SIGKILL)


def memory_bytes(first: int, others: Collection[str]) -> int:
    """Memory of all that a process started, without that of files; what several share counts in each.

    Args:
        first: the process; it does not count itself.
        others: names in /proc of processes that cannot have been started by it.
    """
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are what is wanted
        if not name.isdigit() or name in others:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):
            fields = _status(name)
            parents[int(name)] = int(fields["PPid"])
            # In kB; a process that has ended and was not collected has neither line.
            sizes[int(name)] = 1024 * sum(int(fields.get(key, "0").split()[0]) for key in _COUNTED)
    return sum(size for pid, size in sizes.items() if _descends(pid, first, parents))


_COUNTED = ("RssAnon", "RssShmem")


def _status(name: str) -> dict[str, str]:
    lines = Path(f"/proc/{name}/status").read_text("utf-8", errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _descends(pid: int, first: int, parents: Mapping[int, int]) -> bool:
    for _ in range(len(parents)):
        parent = parents.get(pid)
        if parent is None or parent == first:
            return parent == first
        pid = parent
    return False
