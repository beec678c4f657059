"""An alarm at an absolute instant. The timers of event loops have a grain of a millisecond; a timerfd has none."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

__all__ = ["Alarm"]

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


class _Spec(ctypes.Structure):
    # struct itimerspec: the interval, then the instant.
    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns"))


class Alarm:
    """Calls back once for each time that it is set, and never early. Belongs to the running event loop.

    On Linux by a timerfd (timerfd_create(2)), which wakes the loop as any socket does; elsewhere by the loop's own
    timer, which may be a millisecond late.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at_ns = 0
        self._descriptor = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
            self._spec = _Spec()
            self._where = ctypes.byref(self._spec)
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self._rung)

    def set(self, at_ns: int) -> None:
        """Ring at that instant of `time.monotonic_ns`, and not at the one set before."""
        if self._descriptor >= 0:
            # All zeros would disarm it.
            self._spec.at_s, self._spec.at_ns = divmod(max(at_ns, 1), 1_000_000_000)
            self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, self._where, None)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at_ns = at_ns
        self._timed(first=True)

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _timed(self, *, first: bool = False) -> None:
        left_ns = self._at_ns - time.monotonic_ns()
        if left_ns > 0 or first:
            # Timers of a loop may fire a grain early.
            self._timer = self._loop.call_later(max(left_ns, 0) / 1e9, self._timed)
            return
        self._timer = None
        self._ring()

    def _rung(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._ring()
