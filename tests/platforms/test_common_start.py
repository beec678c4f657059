"""The common start of shards, in a folder as the store, with a clock that goes only when somebody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from hexgate.errors import TargetFailed
from hexgate.platforms.common_start import Pace, Start, agree_on_start
from hexgate.platforms.shard import ShardPlace
from hexgate.stores.file import FileStore

RUN = "20261121T021951Z-0a1b2c3d"
BEGAN = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def attempt(number: int) -> str:
    return f"20261121T120000Z-{number:08x}"


@dataclass
class Clock:
    """Time that passes by waiting alone; what is to happen meanwhile happens at its second."""

    passed_s: float = 0.0
    events: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.passed_s)

    def sleep(self, seconds: float) -> None:
        self.passed_s += seconds
        for at, happen in [event for event in self.events if event[0] <= self.passed_s]:
            self.events.remove((at, happen))
            happen()

    def pace(self, ready_timeout_s: float = 60) -> Pace:
        return Pace(ready_timeout_s, lead_s=5, poll_s=1, sleep=self.sleep, now=self.now)


def ready(store: FileStore, index: int, number: int = 9) -> None:
    store.put_bytes(f"{RUN}/.ready/{index}-{attempt(number)}", b"x")


def agree(
    store: FileStore, clock: Clock, index: int, count: int = 2, number: int = 1
) -> tuple[Start, list[str]]:
    said: list[str] = []
    place = ShardPlace(index, count)
    start = agree_on_start(store, RUN, place, attempt(number), clock.pace(), said.append)
    return start, said


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def test_shard_0_waits_for_all_and_announces_an_instant_ahead(store: FileStore) -> None:
    clock = Clock(events=[(10, lambda: ready(store, 1)), (20, lambda: ready(store, 2))])

    start, _ = agree(store, clock, 0, count=3)

    assert start == Start("2026-11-21T12:00:25.000000Z", (), 5, 0.0)
    assert clock.passed_s == 20


def test_shard_0_goes_on_without_the_absent_and_says_so(store: FileStore) -> None:
    clock = Clock(events=[(10, lambda: ready(store, 2))])

    start, said = agree(store, clock, 0, count=4)

    assert start.absent == (1, 3)
    assert clock.passed_s == 60
    assert any("without the shards 1, 3" in line for line in said)


def test_another_shard_takes_the_start_that_is_announced(store: FileStore) -> None:
    clock = Clock()
    clock.events.append((3, lambda: ready(store, 0)))
    announced = b'{"absent":[2],"at":"2026-11-21T12:02:00.500000Z","lead_s":60}'
    # Shard 0 came late and waited long itself: nobody loses patience before it may.
    clock.events.append((61, lambda: store.put_bytes(f"{RUN}/.start/{attempt(9)}", announced)))

    start, said = agree(store, clock, 1, count=3)

    assert start == Start("2026-11-21T12:02:00.500000Z", (2,), 60, 1.5)
    assert any("without the shards 2" in line for line in said)


def test_a_start_that_is_still_being_written_is_looked_at_again(store: FileStore) -> None:
    clock = Clock()
    ready(store, 0)
    half = store.root / RUN / ".start" / attempt(9)
    half.parent.mkdir(parents=True)
    half.write_bytes(b'{"absent":[],"at":"2026-11')
    whole = b'{"absent":[],"at":"2026-11-21T12:00:09.000000Z","lead_s":5}'
    clock.events.append((4, lambda: half.write_bytes(whole)))

    start, _ = agree(store, clock, 1)

    assert start.at == "2026-11-21T12:00:09.000000Z"


def test_an_attempt_after_the_start_does_not_join_it(store: FileStore) -> None:
    clock = Clock(events=[(1, lambda: ready(store, 1))])
    agree(store, clock, 0)
    clock.passed_s += 60

    with pytest.raises(TargetFailed, match="has passed"):
        agree(store, clock, 1, number=2)
    with pytest.raises(TargetFailed, match="has passed"):
        agree(store, clock, 0, number=3)


def test_an_attempt_before_the_start_joins_it(store: FileStore) -> None:
    clock = Clock(events=[(1, lambda: ready(store, 1))])
    first, _ = agree(store, clock, 0)

    again, _ = agree(store, clock, 1, number=2)

    assert again.at == first.at
    # It did not see the start appear, so nobody knows what its clock is worth.
    assert again.clock_bound_s is None


def _announced_after(store: FileStore, clock: Clock, wrong_s: float) -> None:
    """A start 5 s ahead by the clock of shard 0, where that of shard 1 is `wrong_s` ahead of it."""
    ready(store, 0)
    at = BEGAN + timedelta(seconds=10 + 5 - wrong_s)
    announced = f'{{"absent":[],"at":"{at:%Y-%m-%dT%H:%M:%S.%f}Z","lead_s":5}}'.encode()
    clock.events.append((10, lambda: store.put_bytes(f"{RUN}/.start/{attempt(9)}", announced)))


@pytest.mark.parametrize("wrong_s", [-3600, -8, -2.5, 2.5, 4, 3600])
def test_a_shard_whose_clock_is_wrong_does_not_join(store: FileStore, wrong_s: float) -> None:
    clock = Clock()
    _announced_after(store, clock, wrong_s)

    with pytest.raises(TargetFailed, match="clocks") as failed:
        agree(store, clock, 1)

    assert failed.value.exit_code == 5


@pytest.mark.parametrize("wrong_s", [-1.5, -0.25, 0, 0.25, 1.5])
def test_the_bound_on_the_clocks_holds(store: FileStore, wrong_s: float) -> None:
    clock = Clock()
    _announced_after(store, clock, wrong_s)

    start, _ = agree(store, clock, 1)

    assert start.clock_bound_s is not None
    assert abs(wrong_s) <= start.clock_bound_s <= abs(wrong_s) + 2


def test_a_late_shard_whose_clock_is_behind_does_not_join(store: FileStore) -> None:
    clock = Clock(events=[(1, lambda: ready(store, 1))])
    agree(store, clock, 0)
    clock.passed_s -= 10

    with pytest.raises(TargetFailed, match="clocks"):
        agree(store, clock, 1, number=2)


def test_a_store_that_is_slow_to_take_the_start_makes_none(store: FileStore) -> None:
    clock = Clock()
    ready(store, 1)

    class Slow(FileStore):
        def put_bytes(self, key: str, data: bytes) -> None:
            clock.passed_s += 3 if "/.start/" in key else 0
            super().put_bytes(key, data)

    with pytest.raises(TargetFailed, match="too long"):
        agree(Slow(store.root), clock, 0)


@pytest.mark.parametrize(
    ("meets", "said", "waited_s"), [(False, "shard 0 did not come", 60), (True, "announced no", 75)]
)
def test_a_shard_without_a_start_ends(store: FileStore, *, meets: bool, said: str, waited_s: float) -> None:
    clock = Clock()
    if meets:
        ready(store, 0)

    with pytest.raises(TargetFailed, match=said) as failed:
        agree(store, clock, 1)

    assert failed.value.exit_code == 5
    assert clock.passed_s == waited_s


def test_nothing_is_ever_written_twice(store: FileStore) -> None:
    """A store without overwriting refuses a key that is there: every attempt has keys of its own."""
    clock = Clock(events=[(1, lambda: ready(store, 1))])
    agree(store, clock, 0, number=1)
    agree(store, clock, 0, number=2)

    assert len(list(store.list(f"{RUN}/.ready/0-"))) == 2


def test_shards_of_one_moment_agree(store: FileStore) -> None:
    found: list[str] = []
    pace = Pace(ready_timeout_s=30, lead_s=2, poll_s=0.02)

    def shard(index: int) -> None:
        place = ShardPlace(index, 3)
        found.append(agree_on_start(store, RUN, place, attempt(index), pace, lambda _: None).at)

    threads = [threading.Thread(target=shard, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 3
    assert len(set(found)) == 1
