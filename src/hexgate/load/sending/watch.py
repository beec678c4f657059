"""A worker watches itself: how late its event loop is, its processor time, its wait for a processor, unread bytes."""

from __future__ import annotations

import gc
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hexgate.load.sending.alarm import Alarm
from hexgate.load.sending.counters import Counters
from hexgate.load.sending.sender import Sender
from hexgate.load.sending.tally import Tally

__all__ = ["TICK_NS", "Watch"]

TICK_NS = 10_000_000
"""Time between two looks at the loop."""
_SECOND_NS = 1_000_000_000
_SOCKETS = 32
"""Most sockets that are asked for unread bytes at a time."""
_GARBAGE = 200_000
"""So many more objects than at the start, and the collector is let run once: cycles of lost connections."""
_SCHEDSTAT = Path("/proc/self/schedstat")
_FIONREAD = 0x541B


class Watch:
    """Looks at the loop every 10 ms and at everything else every second, and keeps what it saw.

    Args:
        sender: whose sockets are asked for unread bytes.
        counters: where the latest numbers go.
        each_tick: is called at every look, with the instant.
    """

    def __init__(self, sender: Sender, counters: Counters, each_tick: Callable[[int], None]) -> None:
        self._sender = sender
        self._counters = counters
        self._each_tick = each_tick
        self._alarm = Alarm(self._tick)
        self._lag = Tally()
        self._due_ns = 0
        self._seconds: list[list[float | int | None]] = []
        self._begin_ns = self._second_ns = 0
        self._cpu_ns = self._first_cpu_ns = 0
        self._delay_ns: int | None = None
        self._first_delay_ns: int | None = None
        self._lag_max_ns = 0
        self._samples = self._nonzero = self._unread_max = self._unread_second = 0
        self._collections: list[int] = []

    def begin(self) -> None:
        """Start to look."""
        now = time.monotonic_ns()
        self._begin_ns = self._second_ns = now
        self._cpu_ns = self._first_cpu_ns = time.process_time_ns()
        self._delay_ns = self._first_delay_ns = _run_delay_ns()
        self._due_ns = now + TICK_NS
        self._alarm.set(self._due_ns)

    def end(self) -> dict[str, Any]:
        """Stop, and tell all of it: the entry of a worker in the document `client`."""
        self._alarm.close()
        now = time.monotonic_ns()
        self._look(now)
        delay_ns = _run_delay_ns()
        known = delay_ns is not None and self._first_delay_ns is not None
        return {
            "wall_s": (now - self._begin_ns) / 1e9,
            "cpu_s": (time.process_time_ns() - self._first_cpu_ns) / 1e9,
            "run_delay_s": (delay_ns - self._first_delay_ns) / 1e9 if known else None,  # type: ignore[operator]
            "ticks": self._lag.count,
            "tick_ms": TICK_NS / 1e6,
            "lag": self._lag.to_json(),
            "lag_max_ms": self._lag.maximum_ns / 1e6,
            "backlog": {
                "samples": self._samples,
                "nonzero": self._nonzero,
                "max_bytes": self._unread_max,
            },
            "opened": self._sender.opened,
            "reopened": self._sender.reopened,
            "collections_ms": [spent / 1e6 for spent in self._collections],
            "per_second": self._seconds,
        }

    def _tick(self) -> None:
        now = time.monotonic_ns()
        lag = max(now - self._due_ns, 0)
        # A look that comes late counts once for every look that should have been: else a stall hides itself.
        missed = lag // TICK_NS
        self._lag.add(lag - TICK_NS * which for which in range(min(missed, 6000) + 1))
        self._lag_max_ns = max(self._lag_max_ns, lag)
        self._each_tick(now)
        self._due_ns += TICK_NS * (missed + 1)
        if now - self._second_ns >= _SECOND_NS:
            self._look(now)
        self._alarm.set(self._due_ns)

    def _look(self, now: int) -> None:
        self._unread()
        cpu_ns, delay_ns = time.process_time_ns(), _run_delay_ns()
        waited = None if delay_ns is None or self._delay_ns is None else (delay_ns - self._delay_ns) / 1e6
        self._seconds.append(
            [
                (now - self._begin_ns) / 1e9,
                self._lag_max_ns / 1e6,
                (cpu_ns - self._cpu_ns) / 1e6,
                waited,
                self._unread_second,
                len(self._sender.flying),
            ]
        )
        self._counters.loop_lag_ns = self._lag_max_ns
        self._counters.cpu_ns = cpu_ns - self._first_cpu_ns
        self._cpu_ns, self._delay_ns, self._second_ns = cpu_ns, delay_ns, now
        self._lag_max_ns = self._unread_second = 0
        if gc.get_count()[0] > _GARBAGE:
            begun = time.monotonic_ns()
            gc.collect(0)
            self._collections.append(time.monotonic_ns() - begun)

    def _unread(self) -> None:
        if sys.platform != "linux":
            return
        import fcntl

        for number in self._sender.descriptors(_SOCKETS):
            with suppress(OSError):
                (unread,) = struct.unpack("i", fcntl.ioctl(number, _FIONREAD, b"\0\0\0\0"))
                self._samples += 1
                self._nonzero += unread > 0
                self._unread_second = max(self._unread_second, unread)
        self._unread_max = max(self._unread_max, self._unread_second)


def _run_delay_ns() -> int | None:
    """How long this process was ready to run and had no processor (Linux, proc(5)); None where nobody counts."""
    try:
        return int(_SCHEDSTAT.read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return None
