from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hexgate.load.sending import watch
from hexgate.load.sending.counters import Counters
from hexgate.load.sending.watch import TICK_NS, Watch
from hexgate.stats.histogram import LogHistogram

MS = 1_000_000


class Nobody:
    """A sender with nothing in flight, but for some descriptors."""

    opened, reopened = 3, 1

    def __init__(self, descriptors: list[int] | None = None) -> None:
        self.flying: dict[Any, None] = {}
        self.numbers = descriptors or []

    def descriptors(self, most: int) -> list[int]:
        return self.numbers[:most]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Looks at instants that the test names, in milliseconds from the start."""

    def run(instants_ms: list[float], sender: Any = None, counters: Counters | None = None) -> dict[str, Any]:
        now = [1_000 * MS]
        monkeypatch.setattr(
            watch,
            "time",
            SimpleNamespace(monotonic_ns=lambda: now[0], process_time_ns=time.process_time_ns),
        )
        ticked: list[int] = []

        async def look() -> dict[str, Any]:
            one = Watch(sender or Nobody(), counters or Counters(), ticked.append)
            one.begin()
            for instant in instants_ms:
                now[0] = 1_000 * MS + round(instant * MS)
                one._tick()
                # The next look is on the grid of the first, and ahead.
                assert (one._due_ns - 1_000 * MS) % TICK_NS == 0
                assert now[0] < one._due_ns <= now[0] + TICK_NS
            return one.end()

        told = asyncio.run(look())
        assert len(ticked) == len(instants_ms)
        return told

    return run


def test_looks_in_time(watched: Any) -> None:
    told = watched([10.0, 20.5, 30.0])
    assert told["ticks"] == 3
    assert told["lag_max_ms"] == 0.5
    assert told["lag"]["zeros"] == 2
    assert (told["opened"], told["reopened"]) == (3, 1)


def test_a_stall_counts_once_for_every_look_that_was_missed(watched: Any) -> None:
    """One late value for a second of stall would be one in a thousand, and no percentile would see it."""
    told = watched([10.0, 20.0, 115.0, 120.0])
    lag = LogHistogram.from_json(told["lag"])
    # 115 is 85 ms behind 30; the looks at 40, 50 ... 110 are behind, too.
    assert told["ticks"] == lag.count == 2 + 9 + 1
    assert lag.sum == pytest.approx(85 + 75 + 65 + 55 + 45 + 35 + 25 + 15 + 5)
    assert told["lag_max_ms"] == lag.maximum == 85.0


def test_a_stall_of_an_hour_takes_no_hour_to_count(watched: Any) -> None:
    told = watched([3_600_000.0])
    assert told["ticks"] == 6001
    assert told["lag_max_ms"] == 3_599_990.0


def test_a_row_for_every_second_and_one_for_the_rest(watched: Any) -> None:
    counters = Counters()
    told = watched([float(at) for at in range(10, 2510, 10)], counters=counters)
    assert [row[0] for row in told["per_second"]] == [1.0, 2.0, 2.5]
    assert all(len(row) == 6 for row in told["per_second"])
    assert told["wall_s"] == 2.5
    assert counters.cpu_ns == pytest.approx(told["cpu_s"] * 1e9, abs=50 * MS)


def test_the_lag_that_is_shown_is_that_of_the_last_second(watched: Any) -> None:
    counters = Counters()
    told = watched([10.0, 500.0, *map(float, range(510, 2010, 10))], counters=counters)
    assert [row[1] for row in told["per_second"]] == [480.0, 0.0, 0.0]
    assert counters.loop_lag_ns == 0


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="Linux tells what is unread in a socket"
)
def test_unread_bytes_are_seen_and_closed_sockets_are_none(watched: Any) -> None:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as one, listening.accept()[0] as other:
            other.sendall(b"x" * 700)
            while len(one.recv(700, socket.MSG_PEEK)) < 700:
                pass
            closed = socket.socket()
            number = closed.fileno()
            closed.close()
            told = watched([10.0, 1010.0], sender=Nobody([one.fileno(), other.fileno(), number]))
    # Once a second, and once at the end.
    assert told["backlog"] == {"samples": 4, "nonzero": 2, "max_bytes": 700}
    assert [row[4] for row in told["per_second"]] == [700, 700]
    assert told["run_delay_s"] >= 0.0


def test_where_nobody_counts_the_wait_for_a_processor(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_SCHEDSTAT", Path("/nowhere"))
    told = watched([10.0, 1010.0])
    assert told["run_delay_s"] is None
    assert [row[3] for row in told["per_second"]] == [None, None]


def test_a_loop_that_is_held_up_is_seen() -> None:
    async def run() -> dict[str, Any]:
        one = Watch(Nobody(), Counters(), lambda _now: None)
        one.begin()
        await asyncio.sleep(0.02)
        time.sleep(0.2)  # noqa: ASYNC251 - that is what is to be seen
        await asyncio.sleep(0.02)
        return one.end()

    told = asyncio.run(run())
    assert told["lag_max_ms"] >= 180.0
    assert told["ticks"] >= 19
    assert LogHistogram.from_json(told["lag"]).percentile(0.5) >= 50.0
