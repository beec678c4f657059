"""Wait for a job's end. What is not known is waited for a while, and is never a success."""

from __future__ import annotations

import time
from collections.abc import Callable

from hexgate.errors import PlatformFailed
from hexgate.platforms.base import Driver, JobState, Status
from hexgate.platforms.handles import Address

__all__ = ["LONGEST_SILENCE_S", "LONGEST_UNKNOWN_S", "MOST_UNKNOWN", "wait_for"]

MOST_UNKNOWN = 5
"""So many looks in a row that showed no known state, and the job is given up,"""
LONGEST_UNKNOWN_S = 60.0
"""if so many seconds lie between the first and the last of them."""
LONGEST_SILENCE_S = 900.0
"""A platform that answers nothing at all for so long is given up too: networks come back, and the job goes on."""

_POLL_S = 10.0
_FIRST_POLL_S = 0.5


def wait_for(
    driver: Driver,
    job: Address,
    *,
    timeout_s: float | None = None,
    poll_s: float = _POLL_S,
    say: Callable[[Status], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Status:
    """Look at a job until it has ended.

    Args:
        driver: what carries jobs of its platform.
        job: the job.
        timeout_s: give up waiting after so long; the job goes on. None: never.
        poll_s: longest time between two looks; it begins at half a second and doubles.
        say: is told of each state that is new.
        sleep: waits.
        clock: seconds of a steady clock.

    Raises:
        PlatformFailed: if the job is lost or its state unknown for `MOST_UNKNOWN` looks in a row and
            `LONGEST_UNKNOWN_S`; if the platform does not answer for `LONGEST_SILENCE_S`; or if `timeout_s` is over.
    """
    began = clock()
    patience = _Patience()
    pause = min(_FIRST_POLL_S, poll_s)
    last: Status | None = None
    while True:
        status, answered = _look(driver, job)
        if status != last:
            say(status)
            last = status
        if status.state.ended:
            return status
        why = patience.over(status, clock(), answered=answered)
        if why is not None:
            raise PlatformFailed(
                f"the job is given up: {why}",
                where=str(job),
                got=" ".join(filter(None, (status.native, status.reason and f"({status.reason})"))),
                hint=f"look with the platform's own tool, then hexgate platforms status {job} --wait",
            )
        left = None if timeout_s is None else timeout_s - (clock() - began)
        if left is not None and left <= 0:
            raise PlatformFailed(
                f"not ended within {timeout_s:g} s; the job goes on",
                where=str(job),
                got=status.state.value,
                hint=f"go on waiting with hexgate platforms status {job} --wait",
            )
        sleep(pause if left is None else min(pause, left))
        pause = min(2 * pause, poll_s)


class _Patience:
    """How long nobody has known how the job is. An unanswered look neither counts as an unknown state nor ends one."""

    def __init__(self) -> None:
        self._silent_since: float | None = None
        self._unknown_since: float | None = None
        self._unknown = 0

    def over(self, status: Status, now: float, *, answered: bool) -> str | None:
        """Why to wait no more, after one more look; None to go on."""
        if not answered:
            self._silent_since = now if self._silent_since is None else self._silent_since
            silence = now - self._silent_since
            return (
                f"the platform has not answered for {silence:.0f} s" if silence >= LONGEST_SILENCE_S else None
            )
        self._silent_since = None
        if status.state is not JobState.UNKNOWN:
            self._unknown, self._unknown_since = 0, None
            return None
        self._unknown += 1
        self._unknown_since = now if self._unknown_since is None else self._unknown_since
        if self._unknown >= MOST_UNKNOWN and now - self._unknown_since >= LONGEST_UNKNOWN_S:
            return f"{self._unknown} looks in a row showed no state that is known"
        return None


def _look(driver: Driver, job: Address) -> tuple[Status, bool]:
    """How the job is, and whether the platform answered."""
    try:
        return driver.status(job.native_id), True
    except PlatformFailed as error:
        return Status(JobState.UNKNOWN, "no answer", str(error)), False
