from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

import pytest

from hexgate.errors import PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.handles import Address
from hexgate.platforms.wait import LONGEST_SILENCE_S, LONGEST_UNKNOWN_S, MOST_UNKNOWN, wait_for

JOB = Address("local", "x")
LOST = Status(JobState.UNKNOWN, "lost")
STRANGE = Status(JobState.UNKNOWN, "Hovering")
RUNNING = Status(JobState.RUNNING, "running")
SILENT = PlatformFailed("no answer")
DONE = Status(JobState.SUCCEEDED, "done")


class Scripted:
    """Says one state a look; the last for ever. Its clock goes only where somebody waits."""

    def __init__(self, *states: Status | PlatformFailed) -> None:
        self._states: Iterator[Status | PlatformFailed] = chain(states, repeat(states[-1]))
        self.looks = 0
        self.passed_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds

    def status(self, native_id: str) -> Status:
        self.looks += 1
        state = next(self._states)
        if isinstance(state, PlatformFailed):
            raise state
        return state


def wait(driver: Scripted, timeout_s: float | None = None) -> Status:
    return wait_for(driver, JOB, timeout_s=timeout_s, sleep=driver.sleep, clock=lambda: driver.passed_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_it_waits_for_the_end(end: JobState) -> None:
    driver = Scripted(Status(JobState.PENDING, "queued"), RUNNING, Status(end, "over"))

    assert wait(driver).state is end
    assert driver.looks == 3


@pytest.mark.parametrize(
    ("gone", "patience_s"),
    [(LOST, LONGEST_UNKNOWN_S), (STRANGE, LONGEST_UNKNOWN_S), (SILENT, LONGEST_SILENCE_S)],
)
def test_what_stays_unknown_is_given_up_and_never_a_success(
    gone: Status | PlatformFailed, patience_s: float
) -> None:
    driver = Scripted(RUNNING, gone)

    with pytest.raises(PlatformFailed, match="given up") as failed:
        wait(driver)

    assert failed.value.exit_code == 5
    assert driver.looks > MOST_UNKNOWN
    assert patience_s <= driver.passed_s < patience_s + 25


def test_a_network_that_comes_back_is_waited_for() -> None:
    driver = Scripted(RUNNING, *[SILENT] * 80, DONE)

    assert wait(driver) == DONE
    assert driver.passed_s > 700


def test_what_is_unknown_for_a_while_is_waited_for() -> None:
    blinks = [LOST, PlatformFailed("no answer"), STRANGE, LOST, RUNNING]

    assert wait(Scripted(*blinks, *blinks, DONE)) == DONE


def test_a_wait_has_an_end_and_the_job_goes_on() -> None:
    with pytest.raises(PlatformFailed, match="the job goes on") as failed:
        wait(Scripted(RUNNING), timeout_s=25)

    assert failed.value.exit_code == 5
    assert "hexgate platforms status hexgate://local/x --wait" in str(failed.value)


def test_each_new_state_is_told_once() -> None:
    told: list[Status] = []
    wait_for(Scripted(RUNNING, RUNNING, DONE), JOB, say=told.append, sleep=lambda _: None)  # type: ignore[arg-type]

    assert told == [RUNNING, DONE]
