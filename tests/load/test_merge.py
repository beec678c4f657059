"""The figures of a load are the same, bit for bit, whether one generator recorded it or several that were merged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.errors import EvidenceError
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.engine import run_plan
from hexgate.load.errand import Errand, Ran
from hexgate.load.gather import gather
from hexgate.load.measures import merge
from hexgate.load.measures.figures import throughput
from hexgate.load.measures.latencies import SHARES, latencies
from hexgate.load.measures.merge import merge_records, never_sent, of_shard
from hexgate.load.plans.plan import Plan, closed_loop, open_loop
from hexgate.load.plans.shard import Place
from hexgate.load.records import RECORD, Outcome, Records
from support.load_records import PLANS, made_up, split

plans = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


def merged(
    folder: Path, plan: Plan, count: int, parts: Mapping[int, NDArray[np.void]], **more: Any
) -> NDArray[np.void]:
    """The records of some shards, put together in a file and read back."""
    path = folder / "merged.npy"
    rows = merge_records(
        plan, count, {index: Records.of(part) for index, part in parts.items()}, path, **more
    )
    found: NDArray[np.void] = np.load(path, allow_pickle=False)
    assert len(found) == rows == len(Records.open(path))
    return found


def figures_of(records: Records, plan: Plan) -> list[Any]:
    """Every figure, in a form that can be compared bit for bit."""
    rates = vars(throughput(records, plan, limits={"ttft_ms": 3.0, "tpot_ms": 1.0}))
    times = latencies(records, plan, limit_ms=9.0, level=0.95)
    return [
        rates | {"goodput": vars(rates["goodput"])},
        times.over_limit,
        times.bins,
        [time.histogram.to_json() for time in times.times.values()],
        [(time.mean, time.std, time.minimum, time.maximum) for time in times.times.values()],
        [(time.percentile(p), time.interval(p)) for time in times.times.values() for p in SHARES.values()],
    ]


@plans
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_merged_is_the_whole_bit_for_bit(
    plan: Plan, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made_up(plan)
    monkeypatch.setattr(merge, "_BLOCK", 64)
    found = merged(tmp_path, plan, count, split(plan, whole, count))
    assert found.dtype == RECORD
    assert found.tobytes() == whole.tobytes()
    assert figures_of(Records.open(tmp_path / "merged.npy"), plan) == figures_of(Records.of(whole), plan)


@plans
def test_the_requests_of_an_absent_shard_are_there_as_never_sent(plan: Plan, tmp_path: Path) -> None:
    whole = made_up(plan)
    parts = split(plan, whole, 4)
    del parts[2]
    found = merged(tmp_path, plan, 4, parts)
    absent = of_shard(Records.of(found), Place(2, 4), plan.turns).array()
    if plan.duration_s is not None and plan.rate_rps is None:
        assert len(absent) == 0
    else:
        assert len(found) == plan.requests
        assert set(absent["outcome"].tolist()) == {Outcome.NOT_SENT}
        assert found["index"].tolist() == list(range(plan.requests))
    there = found[found["index"] // plan.turns % 4 != 2]
    assert there.tobytes() == whole[whole["index"] // plan.turns % 4 != 2].tobytes()


@plans
def test_never_sent_is_what_a_run_that_was_stopped_at_once_writes(plan: Plan, tmp_path: Path) -> None:
    class Never:
        def carry_out(self, errand: Errand, ran: Ran) -> None:
            ran.ended_ns = 0
            ran.files = gather(errand, tmp_path, 1)

    shard = plan.shard(1, 3)
    run_plan(plan, Never(), tmp_path, "never", shard=shard, keep_replies=False)
    written = Records.open(tmp_path / "never.requests.npy").array()
    assert b"".join(rows.tobytes() for rows in never_sent(shard)) == written.tobytes()


@pytest.mark.parametrize(
    "plan", [PLANS["open for a count"], PLANS["closed for a time"]], ids=["open", "closed"]
)
def test_shards_that_are_really_carried_out_make_the_whole(plan: Plan, tmp_path: Path) -> None:
    driver = CallableDriver(lambda item: CallOutcome(text=f"item {item}"))
    quick = (
        open_loop(rate_rps=2000.0, items=7, requests=300, warmup=13, seed=3, max_in_flight=8)
        if plan.rate_rps
        else closed_loop(concurrency=6, items=3, duration_s=0.1, warmup=10, seed=6)
    )
    parts = {}
    for index in range(2):
        run_plan(quick, driver, tmp_path, f"shard-{index}", shard=quick.shard(index, 2))
        parts[index] = Records.open(tmp_path / f"shard-{index}.requests.npy").array()
    found = merged(tmp_path, quick, 2, parts)
    assert len(found) == sum(map(len, parts.values()))
    assert found["item"].tolist() == [quick.item_of(int(number)) for number in found["index"]]
    assert found["warmup"].sum() == quick.warmup
    assert set(found["outcome"].tolist()) == {Outcome.OK}


def wrong(change: str, part: NDArray[np.void]) -> NDArray[np.void]:
    made = part.copy()
    match change:
        case "twice":
            made[0] = made[1]
        case "lost":
            made = made[:-1]
        case "of another shard":
            made["index"] += 1
        case "item":
            made["item"][3] += 1
        case "due":
            made["due_ns"][3] += 1
        case "warmup":
            made["warmup"][3] = ~made["warmup"][3]
        case "negative":
            made["index"][0] = -2
        case "columns":
            made = made[["index", "item", "due_ns"]]
        case "beyond":
            made["index"][np.argmax(made["index"])] += 400 * 2
    return made


@pytest.mark.parametrize(
    "change",
    ["twice", "lost", "of another shard", "item", "due", "warmup", "negative", "columns", "beyond"],
)
def test_records_of_something_else_are_refused(change: str, tmp_path: Path) -> None:
    plan = PLANS["open for a count"]
    parts = split(plan, made_up(plan), 2)
    with pytest.raises(EvidenceError, match="shard 1/2"):
        merged(tmp_path, plan, 2, parts | {1: wrong(change, parts[1])})


def test_a_closed_loop_for_a_time_has_the_beginning_of_each_shard(tmp_path: Path) -> None:
    plan = PLANS["closed for a time"]
    whole = made_up(plan, rows=2501)
    parts = split(plan, whole, 4)
    assert len(merged(tmp_path, plan, 4, parts | {3: parts[3][:-40]})) == 2461
    with pytest.raises(EvidenceError, match="shard 3/4"):
        merged(tmp_path, plan, 4, parts | {3: parts[3][40:]})


def test_of_several_workers_each_has_the_beginning_of_its_part(tmp_path: Path) -> None:
    plan = PLANS["conversations for a time"]
    whole = made_up(plan)
    part = whole[whole["index"] // 2 % 2 == 1]
    unit = part["index"] // 2 // 2
    slow = part[(unit % 3 != 1) | (unit < 500)]
    parts = split(plan, whole, 2) | {1: slow}
    assert len(merged(tmp_path, plan, 2, parts, workers={1: 3})) == len(whole) - len(part) + len(slow)
    with pytest.raises(EvidenceError, match="shard 1/2"):
        merged(tmp_path, plan, 2, parts)
    with pytest.raises(EvidenceError, match="shard 1/2"):
        merged(tmp_path, plan, 2, parts | {1: np.delete(slow, 7)}, workers={1: 3})
