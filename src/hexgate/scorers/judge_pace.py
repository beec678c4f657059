"""When the next call may be sent: a limit of requests a minute, and pauses that a server asks for."""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

__all__ = ["Pace", "back_off_s", "retry_after_s"]

_BASE_S = 1.0
_MOST_S = 60.0


class Pace:
    """Gives threads their turns. Two turns are never closer than the limit allows.

    Args:
        rpm: most requests a minute; None for no limit.
        stop: once it is set nobody waits any more.
    """

    def __init__(self, rpm: float | None, stop: threading.Event) -> None:
        self._gap_s = 60.0 / rpm if rpm else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._next_s = time.monotonic()

    def take(self) -> bool:
        """Wait for a turn. Returns whether there was one; there is none after the stop."""
        while not self._stop.is_set():
            with self._lock:
                now_s = time.monotonic()
                if now_s >= self._next_s:
                    self._next_s = now_s + self._gap_s
                    return True
                wait_s = self._next_s - now_s
            self._stop.wait(wait_s)
        return False

    def pause(self, seconds: float) -> None:
        """Let nobody have a turn for so long: the server told one thread, and means all."""
        with self._lock:
            self._next_s = max(self._next_s, time.monotonic() + seconds)


def back_off_s(failures: int) -> float:
    """How long to wait after so many failures in a row, the first being 1.

    Twice as long each time, up to a minute, less a random half: threads that failed together do not come back together.
    """
    longest = min(_MOST_S, _BASE_S * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)


def retry_after_s(header: str | None) -> float | None:
    """What a Retry-After header asks for: seconds, or the time until a date (RFC 9110, section 10.2.3).

    None where there is no header, or one that says neither.
    """
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())
