from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from hexgate.load.sending import alarm
from hexgate.load.sending.alarm import Alarm
from hexgate.load.sending.worker import new_event_loop

MS = 1_000_000


@pytest.fixture(params=["asyncio", "uvloop"])
def make_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        return asyncio.new_event_loop
    pytest.importorskip("uvloop")
    return new_event_loop


@pytest.fixture(params=["timerfd", "the loop's timer"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    found: str = request.param
    if found == "timerfd":
        if sys.platform != "linux":
            pytest.skip("Linux has timerfds")
    else:
        monkeypatch.setattr(alarm, "sys", SimpleNamespace(platform="darwin"))
    return found


def test_it_rings_once_for_each_time_it_is_set_and_never_early(
    make_loop: Callable[[], asyncio.AbstractEventLoop], kind: str
) -> None:
    async def run() -> list[tuple[int, int]]:
        rung: list[tuple[int, int]] = []
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wanted = [0]

        def ring() -> None:
            rung.append((wanted[0], time.monotonic_ns()))
            if len(rung) == 40:
                waiting.set_result(None)
                return
            # Odd parts of a millisecond: the grain of a loop's timer.
            wanted[0] = time.monotonic_ns() + 1 * MS + len(rung) * 37_000
            one.set(wanted[0])

        one = Alarm(ring)
        assert (one._descriptor >= 0) == (kind == "timerfd")
        wanted[0] = time.monotonic_ns() + 2 * MS
        one.set(wanted[0])
        await waiting
        await asyncio.sleep(0.02)
        one.close()
        return rung

    loop = make_loop()
    rung = loop.run_until_complete(run())
    loop.close()
    assert len(rung) == 40
    assert all(at >= wanted for wanted, at in rung)


def test_the_last_time_that_it_is_set_counts(
    make_loop: Callable[[], asyncio.AbstractEventLoop], kind: str
) -> None:
    async def run() -> list[int]:
        rung: list[int] = []
        one = Alarm(lambda: rung.append(time.monotonic_ns()))
        begun = time.monotonic_ns()
        one.set(begun + 5 * MS)
        one.set(begun + 30 * MS)
        await asyncio.sleep(0.08)
        found = [at - begun for at in rung]
        # What has passed rings at once, and a closed one never.
        one.set(1)
        one.set(begun)
        await asyncio.sleep(0.02)
        assert len(rung) == 2
        one.set(time.monotonic_ns() + 5 * MS)
        one.close()
        await asyncio.sleep(0.02)
        assert len(rung) == 2
        return found

    loop = make_loop()
    found = loop.run_until_complete(run())
    loop.close()
    assert len(found) == 1
    assert found[0] >= 30 * MS
