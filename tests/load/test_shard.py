"""How a plan is split: nothing lost, nothing twice, evenly, and the same for everybody who splits it."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.load.plans.plan import PLAN_ROW, Arrival, Plan, closed_loop, open_loop
from hexgate.load.plans.shard import Place, Shard

PLANS = st.one_of(
    st.builds(
        lambda requests, warmup, seed, cap, arrival: open_loop(
            rate_rps=100.0,
            items=7,
            requests=requests,
            warmup=warmup,
            seed=seed,
            max_in_flight=cap,
            arrival=arrival,
        ),
        st.integers(1, 200),
        st.integers(0, 40),
        st.integers(0, 9),
        st.one_of(st.none(), st.integers(12, 50)),
        st.sampled_from([Arrival.POISSON, Arrival.CONSTANT]),
    ),
    st.builds(
        lambda requests, warmup, slots: closed_loop(
            concurrency=slots, items=7, requests=requests, warmup=warmup
        ),
        st.integers(1, 200),
        st.integers(0, 40),
        st.integers(12, 50),
    ),
    st.builds(
        lambda warmup, slots: closed_loop(concurrency=slots, items=3, duration_s=1.0, warmup=warmup),
        st.integers(0, 40),
        st.integers(12, 50),
    ),
)


def shards(plan: Plan, count: int) -> list[Shard]:
    return [plan.shard(index, count) for index in range(count)]


@given(plan=PLANS, count=st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_the_shards_are_the_plan_byte_by_byte(plan: Plan, count: int) -> None:
    rows = plan.to_array()
    whole = np.empty(len(plan), dtype=PLAN_ROW)
    taken = np.zeros(len(plan), dtype=int)
    for shard in shards(plan, count):
        whole[shard.rows] = rows[shard.rows]
        taken[shard.rows] += 1
        assert shard.plan.digest() == plan.digest()
    assert (taken == 1).all()
    assert whole.tobytes() == rows.tobytes()


@given(plan=PLANS, count=st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_the_shards_are_even(plan: Plan, count: int) -> None:
    parts = shards(plan, count)
    lengths = [len(shard.rows) for shard in parts]
    warmups = [int((shard.rows < plan.warmup).sum()) for shard in parts]
    slots = [shard.concurrency for shard in parts]
    for amounts in (lengths, warmups, slots):
        assert amounts == sorted(amounts, reverse=True)
        assert amounts[0] - amounts[-1] <= 1
    assert sum(slots) == plan.concurrency
    timed = [shard.timed for shard in parts]
    assert timed == [None] * count if plan.timed is None else sum(map(int, timed)) == plan.timed


@given(plan=PLANS, count=st.integers(1, 12), taken=st.integers(0, 3000))
@settings(max_examples=80, deadline=None)
def test_a_shard_counts_as_the_whole_plan_does(plan: Plan, count: int, taken: int) -> None:
    for index, shard in enumerate(shards(plan, count)):
        number = shard.number(taken)
        if plan.repeats:
            assert number == taken * count + index
        elif taken < len(shard.rows):
            assert number == shard.rows[taken]
        else:
            assert number is None


@given(plan=PLANS, count=st.integers(1, 12), size=st.sampled_from([1, 3, 64, 65_536]))
@settings(max_examples=80, deadline=None)
def test_blocks_are_the_rows_of_a_shard_with_their_numbers(plan: Plan, count: int, size: int) -> None:
    rows = plan.to_array()
    whole = np.empty(len(plan), dtype=PLAN_ROW)
    for shard in shards(plan, count):
        assert len(shard) == len(shard.rows)
        expected = len(shard) + (2000 if plan.repeats else 0)
        taken = 0
        for numbers, own in islice(shard.blocks(size), expected + 1):
            assert 1 <= len(numbers) == len(own) <= size
            assert numbers.tolist() == [shard.number(taken + i) for i in range(len(own))]
            assert own.tobytes() == rows[numbers % len(plan)].tobytes()
            first_round = numbers < len(plan)
            whole[numbers[first_round]] = own[first_round]
            taken += len(own)
            if taken >= expected:
                break
        assert taken >= expected if plan.repeats else taken == expected
    assert whole.tobytes() == rows.tobytes()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_workers_recombine_to_the_plan_byte_by_byte(count: int) -> None:
    plan = open_loop(rate_rps=200.0, items=50, requests=20_000, warmup=30, seed=6)
    parts = [list(shard.blocks(1000)) for shard in shards(plan, count)]
    numbers = np.concatenate([number for part in parts for number, _ in part])
    rows = np.concatenate([own for part in parts for _, own in part])
    assert rows[np.argsort(numbers)].tobytes() == plan.to_array().tobytes()


def test_a_shard_of_conversations_has_whole_ones() -> None:
    plan = closed_loop(concurrency=8, items=3, requests=10, warmup=3, turns=5)
    parts = shards(plan, 4)
    assert [len(shard) for shard in parts] == [4, 3, 3, 3]
    assert [shard.timed for shard in parts] == [15, 10, 10, 15]


def test_the_whole_plan_is_the_only_shard_of_one() -> None:
    plan = open_loop(rate_rps=10.0, items=2, requests=20, max_in_flight=3)
    whole = plan.shard(0, 1)
    assert whole.rows.tolist() == list(range(20))
    assert whole.concurrency == 3
    assert whole.timed == 20


def test_no_cap_stays_none() -> None:
    plan = open_loop(rate_rps=10.0, items=2, requests=20)
    assert [shard.concurrency for shard in shards(plan, 4)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "plan",
    [
        closed_loop(concurrency=3, items=1, requests=9),
        open_loop(rate_rps=9.0, items=1, requests=9, max_in_flight=3),
    ],
    ids=["slots", "a cap"],
)
def test_fewer_slots_than_shards_are_refused(plan: Plan) -> None:
    with pytest.raises(InputError, match="cannot be split over 4 shards"):
        plan.shard(0, 4)


def test_every_process_makes_the_same_plan_and_split() -> None:
    program = (
        "import json; from hexgate.load.plans.plan import open_loop\n"
        "plan = open_loop(rate_rps=77.0, items=9, requests=500, warmup=20, seed=8)\n"
        "rows = [plan.to_array()[plan.shard(i, 4).rows].tobytes().hex() for i in range(4)]\n"
        "print(json.dumps([plan.digest(), rows]))"
    )
    done = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
        for _ in range(2)
    ]
    assert done[0] == done[1]
    plan = open_loop(rate_rps=77.0, items=9, requests=500, warmup=20, seed=8)
    rows = [plan.to_array()[plan.shard(index, 4).rows].tobytes().hex() for index in range(4)]
    assert json.loads(done[0]) == [plan.digest(), rows]


@pytest.mark.parametrize("text", ["0/1", "3/4", " 1/2 ", "9999/10000"])
def test_places(text: str) -> None:
    assert str(Place.parse(text)) == text.strip()


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "0/0", "1/2/3", "a/b", "0/10001", "1.0/2", "１/２"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(InputError):
        Place.parse(text)
