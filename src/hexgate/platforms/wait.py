"""Wait for a job's end. What is not known is waited for a while, and is never a success."""

from __future__ import annotations

import time
from collections.abc import Callable

from hexgate.errors import PlatformFailed
from hexgate.platforms.base import Driver, JobState, Status
from hexgate.platforms.handles import Address

__all__ = ["MOST_UNKNOWN", "wait_for"]

MOST_UNKNOWN = 5
"""So many looks in a row that showed no known state, and the job is given up."""

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
        PlatformFailed: if the job is lost, its state unknown or the platform silent for `MOST_UNKNOWN` looks in a row;
            or if `timeout_s` is over.
    """
    began = clock()
    unknown = 0
    pause = min(_FIRST_POLL_S, poll_s)
    last: Status | None = None
    while True:
        status = _look(driver, job)
        if status != last:
            say(status)
            last = status
        if status.state.ended:
            return status
        unknown = unknown + 1 if status.state is JobState.UNKNOWN else 0
        if unknown >= MOST_UNKNOWN:
            raise PlatformFailed(
                f"the job is given up: {MOST_UNKNOWN} looks in a row showed no state that is known",
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


def _look(driver: Driver, job: Address) -> Status:
    try:
        return driver.status(job.native_id)
    except PlatformFailed as error:
        return Status(JobState.UNKNOWN, "no answer", str(error))
