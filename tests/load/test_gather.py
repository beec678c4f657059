"""What several workers wrote, put together: the rows and the replies of the whole plan, in order of number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.load import gather as gathering
from hexgate.load.errand import Errand, Stop
from hexgate.load.gather import gather, merged_stream
from hexgate.load.plans.plan import Plan, closed_loop, open_loop
from hexgate.load.plans.shard import Shard
from hexgate.load.records import NEVER, Outcome, Records
from hexgate.load.sending.attempt import Attempt
from hexgate.load.sending.flight import Flight
from hexgate.load.sending.readback import SlotFiles, packed_row
from hexgate.load.sending.tally import Tally
from hexgate.stats.histogram import LogHistogram

PLANS = {
    "open": open_loop(rate_rps=100.0, items=7, requests=50, warmup=5, seed=1),
    "conversations": open_loop(rate_rps=100.0, items=7, requests=20, warmup=3, turns=3, seed=2),
    "closed": closed_loop(concurrency=4, items=7, requests=33, warmup=2, seed=3),
    "for a time": closed_loop(concurrency=4, items=7, duration_s=5.0, warmup=2, seed=4),
}
STEM = "load"


def errand_of(shard: Shard, folder: Path, *, keep_replies: bool = True) -> Errand:
    return Errand(shard, folder, STEM, Stop(1.0), max_unreachable=50, keep_replies=keep_replies)


def attempt(index: int) -> Attempt:
    failed = index % 5 == 4
    return Attempt(
        Outcome.ERROR if failed else Outcome.OK,
        sent_ns=1000 + index,
        end_ns=2000 + index,
        http_status=500 if failed else 200,
        events=0 if failed else 1,
        bytes=index,
        text=None if failed else f"größe {index}",
        error="http_500: boom" if failed else None,
    )


def written(
    plan: Plan, shard: Shard, folder: Path, workers: int, *, units: int, without: frozenset[int] = frozenset()
) -> None:
    """What workers leave that carried out so many units of a shard, the requests in `without` excepted."""
    place = shard.place
    for worker in range(workers):
        with SlotFiles(folder, f"worker-{worker}", replies=True) as files:
            slot = 0
            rows = range(worker * place.count + place.index, units, place.count * workers)
            # Flights end in another order than they begin in.
            flights: list[Flight] = []
            for row in rows:
                for turn in range(plan.turns):
                    index = row * plan.turns + turn
                    flights.append(Flight(slot, index, plan.item_of(index), turn, NEVER, 500 + index))
                    slot += 1
            for flight in reversed(flights):
                if flight.index in without:
                    continue
                found = attempt(flight.index)
                warm = flight.index < plan.warmup * plan.turns
                row = packed_row(flight, found, 0, worker=worker, warm=warm)
                files.put(flight.slot, row, flight.index, found)


def gathered(errand: Errand, folder: Path, workers: int) -> tuple[NDArray[np.void], bytes]:
    files = gather(errand, folder, workers)
    rows = Records.open(errand.folder / f"{STEM}.requests.npy").array()
    replies = (errand.folder / f"{STEM}.replies.jsonl").read_bytes()
    assert files == {"requests": len(rows), "replies": len(replies.splitlines())}
    return rows, replies


def unlike_worker(rows: NDArray[np.void]) -> NDArray[np.void]:
    rows = rows.copy()
    rows["worker"] = 0
    return rows


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("units_at_once", [4, 8192])
def test_one_two_and_four_workers_leave_the_same(
    name: str, units_at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_UNITS", units_at_once)
    plan = PLANS[name]
    units = 77 if plan.repeats else len(plan)
    left = {}
    for workers in (1, 2, 3, 4):
        folder = tmp_path / str(workers)
        folder.mkdir()
        shard = plan.shard(0, 1)
        written(plan, shard, folder, workers, units=units)
        rows, replies = gathered(errand_of(shard, folder), folder, workers)
        assert rows["index"].tolist() == list(range(units * plan.turns))
        assert (rows["worker"] == rows["index"] // plan.turns % workers).all()
        left[workers] = (unlike_worker(rows).tobytes(), replies)
    assert len(set(left.values())) == 1
    lines = [json.loads(line) for line in left[1][1].splitlines()]
    assert [line["index"] for line in lines] == list(range(units * plan.turns))
    assert lines[3] == {"error": None, "index": 3, "text": "größe 3"}
    assert lines[4] == {"error": "http_500: boom", "index": 4, "text": None}


def test_a_shard_has_its_own_units_and_no_others(tmp_path: Path) -> None:
    plan = PLANS["conversations"]
    seen: list[int] = []
    for index in range(3):
        folder = tmp_path / str(index)
        folder.mkdir()
        shard = plan.shard(index, 3)
        written(plan, shard, folder, 2, units=len(plan))
        rows, _ = gathered(errand_of(shard, folder), folder, 2)
        assert (rows["index"] // 3 % 3 == index).all()
        assert (np.diff(rows["index"]) > 0).all()
        seen += rows["index"].tolist()
    assert sorted(seen) == list(range(plan.requests))


@pytest.mark.parametrize("name", ["open", "conversations", "closed"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_what_was_never_sent_is_told_where_the_plan_fixes_it(name: str, workers: int, tmp_path: Path) -> None:
    plan = PLANS[name]
    without = frozenset({0, 7, 8, 30, *range(plan.requests - 6, plan.requests)})
    shard = plan.shard(0, 1)
    written(plan, shard, tmp_path, workers, units=len(plan), without=without)
    rows, replies = gathered(errand_of(shard, tmp_path), tmp_path, workers)
    assert rows["index"].tolist() == list(range(plan.requests))
    missing = rows[np.isin(rows["index"], sorted(without))]
    assert (missing["outcome"] == Outcome.NOT_SENT).all()
    assert (missing["sent_ns"] == NEVER).all()
    assert (missing["end_ns"] == NEVER).all()
    assert (missing["http_status"] == NEVER).all()
    assert missing["item"].tolist() == [plan.item_of(int(index)) for index in missing["index"]]
    assert (missing["turn"] == missing["index"] % plan.turns).all()
    assert (missing["warmup"] == (missing["index"] < plan.warmup * plan.turns)).all()
    first = missing["turn"] == 0
    assert missing["due_ns"][first].tolist() == plan.due_ns[missing["index"][first] // plan.turns].tolist()
    assert (missing["due_ns"][~first] == NEVER).all()
    assert len(replies.splitlines()) == plan.requests - len(without)


def test_where_the_plan_fixes_nothing_holes_stay_out(tmp_path: Path) -> None:
    plan = PLANS["for a time"]
    shard = plan.shard(0, 1)
    without = frozenset({5, 6, 7, 8, 40})
    written(plan, shard, tmp_path, 2, units=60, without=without)
    rows, _ = gathered(errand_of(shard, tmp_path), tmp_path, 2)
    assert rows["index"].tolist() == [index for index in range(60) if index not in without]


def test_workers_of_which_one_came_much_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed loop for a time: a slow worker has fewer rows, and the others' do not end with its own."""
    monkeypatch.setattr(gathering, "_UNITS", 4)
    plan = PLANS["for a time"]
    shard = plan.shard(0, 1)
    late = frozenset(index for index in range(20, 200) if index % 2)
    written(plan, shard, tmp_path, 2, units=200, without=late)
    rows, _ = gathered(errand_of(shard, tmp_path), tmp_path, 2)
    assert rows["index"].tolist() == [index for index in range(200) if index not in late]


@pytest.mark.parametrize("name", ["open", "for a time"])
def test_a_worker_that_left_nothing(name: str, tmp_path: Path) -> None:
    plan = PLANS[name]
    shard = plan.shard(0, 1)
    units = 40 if plan.repeats else len(plan)
    written(plan, shard, tmp_path, 2, units=units)
    for kind in ("rows", "places", "replies"):
        (tmp_path / f"worker-1.{kind}").unlink()
    rows, replies = gathered(errand_of(shard, tmp_path), tmp_path, 2)
    sent = rows[rows["outcome"] != Outcome.NOT_SENT]
    assert (sent["index"] % 2 == 0).all()
    assert len(rows) == (20 if plan.repeats else len(plan))
    assert len(replies.splitlines()) == len(sent)


def test_a_row_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    """A worker may be killed while it reads its spool."""
    plan = PLANS["closed"]
    shard = plan.shard(0, 1)
    written(plan, shard, tmp_path, 1, units=len(plan))
    path = tmp_path / "worker-0.rows"
    path.write_bytes(path.read_bytes()[:-1])
    rows, _ = gathered(errand_of(shard, tmp_path), tmp_path, 1)
    assert rows["outcome"].tolist().count(Outcome.NOT_SENT) == 1
    assert rows["outcome"][-1] == Outcome.NOT_SENT


def test_without_replies(tmp_path: Path) -> None:
    plan = PLANS["closed"]
    shard = plan.shard(0, 1)
    written(plan, shard, tmp_path, 2, units=len(plan))
    assert gather(errand_of(shard, tmp_path, keep_replies=False), tmp_path, 2) == {"requests": plan.requests}
    assert not (tmp_path / f"{STEM}.replies.jsonl").exists()


def test_streams_of_several_workers_add_up() -> None:
    parts, whole = [], LogHistogram()
    for count in (3, 5):
        gaps = Tally()
        gaps.add([1_000_000 * number for number in range(count)])
        whole.record_many([float(number) for number in range(count)])
        seconds = {"events": [count] * count, "ok_events": [count - 1], "first_tokens": [1] * (count - 1)}
        parts.append({"gaps_ms": gaps.to_json(), "events": count * count, "per_second": seconds})
    merged = merged_stream([*parts, {}])
    assert merged is not None
    assert merged["gaps_ms"] == whole.to_json()
    assert merged["events"] == 34
    assert merged["per_second"] == {
        "begin_s": 0,
        "events": [8, 8, 8, 5, 5],
        "ok_events": [6],
        "first_tokens": [2, 2, 1, 1],
    }
    assert merged_stream([{}]) is None
    del parts[0]["per_second"]["ok_events"]
    merged = merged_stream(parts)
    assert merged is not None
    assert "ok_events" not in merged["per_second"]
