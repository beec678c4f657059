"""The figures of a load are the same, bit for bit, whether one generator recorded it or several that were merged."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.errors import EvidenceError
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.engine import run_plan
from hexgate.load.figures import latencies, throughput
from hexgate.load.merge import merged_records, never_sent, of_shard
from hexgate.load.plan import Plan, closed_loop, open_loop
from hexgate.load.records import RECORD, Outcome, Recorder
from hexgate.load.shard import Place
from support.load_records import PLANS, made_up, split

plans = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())


@plans
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_merged_is_the_whole_bit_for_bit(plan: Plan, count: int) -> None:
    whole = made_up(plan)
    merged = merged_records(plan, count, split(plan, whole, count))
    assert merged.dtype == RECORD
    assert merged.tobytes() == whole.tobytes()
    assert asdict(throughput(merged, plan)) == asdict(throughput(whole, plan))
    for one, other in zip(
        asdict(latencies(merged, plan)).values(), asdict(latencies(whole, plan)).values(), strict=True
    ):
        assert one.tobytes() == other.tobytes() if isinstance(one, np.ndarray) else one == other


@plans
def test_the_requests_of_an_absent_shard_are_there_as_never_sent(plan: Plan) -> None:
    whole = made_up(plan)
    parts = split(plan, whole, 4)
    del parts[2]
    merged = merged_records(plan, 4, parts)
    absent = of_shard(merged, Place(2, 4))
    if plan.duration_s is not None and plan.rate_rps is None:
        assert len(absent) == 0
    else:
        assert len(merged) == len(plan)
        assert set(absent["outcome"].tolist()) == {Outcome.NOT_SENT}
        assert merged["index"].tolist() == list(range(len(plan)))
    there = merged[merged["index"] % 4 != 2]
    assert there.tobytes() == whole[whole["index"] % 4 != 2].tobytes()


@plans
def test_never_sent_is_what_a_run_that_was_stopped_at_once_writes(plan: Plan) -> None:
    class Never(CallableDriver):
        def drive(self, session: Any) -> None:
            session.begin()

    records = Recorder()
    shard = plan.shard(1, 3)
    run_plan(plan, Never(lambda _item: CallOutcome()), records, shard=shard)
    assert never_sent(shard).tobytes() == records.array().tobytes()


@pytest.mark.parametrize(
    "plan", [PLANS["open for a count"], PLANS["closed for a time"]], ids=["open", "closed"]
)
def test_shards_that_are_really_carried_out_make_the_whole(plan: Plan) -> None:
    driver = CallableDriver(lambda item: CallOutcome(text=f"item {item}"))
    quick = (
        open_loop(rate_rps=2000.0, items=7, requests=300, warmup=13, seed=3, max_in_flight=8)
        if plan.rate_rps
        else closed_loop(concurrency=6, items=3, duration_s=0.1, warmup=10, seed=6)
    )
    parts = {}
    for index in range(2):
        records = Recorder()
        run_plan(quick, driver, records, shard=quick.shard(index, 2))
        parts[index] = records.array()
    merged = merged_records(quick, 2, parts)
    assert len(merged) == sum(map(len, parts.values()))
    assert merged["item"].tolist() == [quick.item_of(int(number)) for number in merged["index"]]
    assert merged["warmup"].sum() == quick.warmup
    assert set(merged["outcome"].tolist()) == {Outcome.OK}


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
def test_records_of_something_else_are_refused(change: str) -> None:
    plan = PLANS["open for a count"]
    parts = split(plan, made_up(plan), 2)
    with pytest.raises(EvidenceError, match="shard 1/2"):
        merged_records(plan, 2, parts | {1: wrong(change, parts[1])})


def test_a_closed_loop_for_a_time_has_the_beginning_of_each_shard() -> None:
    plan = PLANS["closed for a time"]
    whole = made_up(plan, rows=2501)
    parts = split(plan, whole, 4)
    slow = np.sort(parts[3], order="index")[:-40]
    assert len(merged_records(plan, 4, parts | {3: slow})) == 2461
    with pytest.raises(EvidenceError, match="shard 3/4"):
        merged_records(plan, 4, parts | {3: np.sort(parts[3], order="index")[40:]})
