from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hexgate.errors import EvidenceError, InputError
from hexgate.load.plans.plan import (
    PLAN_ROW,
    Arrival,
    LoadKind,
    Plan,
    closed_loop,
    open_loop,
    parse_ramp,
    parse_stages,
)

SHAPED = [
    open_loop(shape=parse_stages("50:2,0:1,200:3"), items=7, warmup=20, seed=2),
    open_loop(shape=parse_ramp("0..300:4"), items=7, arrival=Arrival.CONSTANT, warmup=5),
    open_loop(
        shape=parse_stages("20:1,20..400:3"), items=7, arrival=Arrival.GAMMA, burstiness=0.5, warmup=3, seed=8
    ),
]
PLANS = [
    closed_loop(concurrency=3, items=5, requests=20, warmup=2, seed=9, turns=4, think_s=0.5),
    closed_loop(concurrency=1, items=5, duration_s=1.5),
    open_loop(rate_rps=12.5, items=5, duration_s=3.0, warmup=2, max_in_flight=16),
    open_loop(rate_rps=400.0, items=5, requests=900, arrival=Arrival.CONSTANT, warmup=3, turns=2),
    open_loop(rate_rps=400.0, items=5, requests=900, arrival=Arrival.GAMMA, burstiness=4.0),
    *SHAPED,
]
IDS = ["closed", "closed for a time", "poisson", "constant", "gamma", "stages", "ramp", "mixed"]


def test_constant_arrivals_are_exact() -> None:
    plan = open_loop(rate_rps=3.0, items=2, arrival=Arrival.CONSTANT, requests=1000, warmup=5)
    assert len(plan) == 1005
    exact = [round(i * 10**9 / 3) for i in range(1005)]
    assert plan.due_ns.tolist() == exact
    assert plan.window_ns == (exact[5], exact[5] + round(1000 / 3 * 1e9))


@pytest.mark.parametrize(("rate", "seconds", "timed"), [(10.0, 2.0, 20), (10.0, 2.05, 21), (0.3, 1.0, 1)])
def test_constant_arrivals_for_a_duration(rate: float, seconds: float, timed: int) -> None:
    plan = open_loop(rate_rps=rate, items=1, arrival=Arrival.CONSTANT, duration_s=seconds, warmup=3)
    assert plan.timed == timed
    assert plan.window_ns is not None
    assert plan.window_ns[1] - plan.window_ns[0] == round(seconds * 1e9)


def gaps_s(plan: Plan) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.diff(plan.due_ns, prepend=0) / 1e9


@pytest.mark.parametrize("seed", range(6))
def test_poisson_arrivals_are_poisson(seed: int) -> None:
    plan = open_loop(rate_rps=100.0, items=1, requests=20_000, seed=seed)
    gaps = gaps_s(plan)
    # The tolerances are four standard errors at this n, for seeds that are fixed.
    assert gaps.mean() == pytest.approx(0.01, rel=4 / np.sqrt(20_000))
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.03)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03
    assert stats.kstest(gaps, "expon", args=(0, 0.01)).pvalue > 0.01
    counts = np.bincount((plan.due_ns // 100_000_000).astype(int))[:-1]
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("burstiness", [0.25, 1.0, 4.0, 100.0])
def test_gamma_arrivals_vary_as_their_burstiness_says(burstiness: float) -> None:
    plan = open_loop(
        rate_rps=100.0, items=1, requests=20_000, seed=3, arrival=Arrival.GAMMA, burstiness=burstiness
    )
    gaps = gaps_s(plan)
    assert gaps.mean() == pytest.approx(0.01, rel=4 / np.sqrt(burstiness * 20_000))
    # Four standard errors of a coefficient of variation that grows with the kurtosis, 6 / burstiness.
    error = np.sqrt((2 + 6 / burstiness) / 20_000) / 2
    assert gaps.std() / gaps.mean() * np.sqrt(burstiness) == pytest.approx(1.0, abs=4 * error)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.03


def test_gamma_of_burstiness_one_is_poisson() -> None:
    gamma = open_loop(rate_rps=9.0, items=3, requests=40, arrival=Arrival.GAMMA, burstiness=1.0)
    assert gamma.due_ns.tolist() == open_loop(rate_rps=9.0, items=3, requests=40).due_ns.tolist()


def test_a_constant_ramp_follows_the_line() -> None:
    plan = open_loop(shape=parse_ramp("10..510:50"), items=1, arrival=Arrival.CONSTANT)
    assert len(plan) == 13_000
    assert plan.rate_rps == 260.0
    assert plan.window_ns == (0, 50_000_000_000)
    counts = np.bincount((plan.due_ns // 1_000_000_000).astype(int))
    # From second k to the next the line goes from 10 + 10 k to 20 + 10 k.
    assert np.abs(counts - (15 + 10 * np.arange(50))).max() <= 1
    assert np.abs(plan.cumulative(plan.due_ns) - np.arange(13_000)).max() < 1e-5


def test_a_poisson_ramp_follows_the_line() -> None:
    plan = open_loop(shape=parse_ramp("10..510:50"), items=1, seed=7)
    counts = np.bincount((plan.due_ns // 1_000_000_000).astype(int), minlength=50)
    mean = 15.0 + 10 * np.arange(50)
    assert stats.chi2(50).cdf(((counts - mean) ** 2 / mean).sum()) == pytest.approx(0.5, abs=0.49)
    # In the measure of its own rate it is a Poisson process at unit rate.
    rescaled = np.diff(plan.cumulative(plan.due_ns), prepend=0.0)
    assert stats.kstest(rescaled, "expon").pvalue > 0.01
    assert abs(np.corrcoef(rescaled[:-1], rescaled[1:])[0, 1]) < 0.03


def test_stages_have_their_counts_and_a_pause_has_none() -> None:
    shape = parse_stages("10:30,0:5,100:60")
    constant = open_loop(shape=shape, items=1, arrival=Arrival.CONSTANT, warmup=20)
    # The warm-up goes at the first rate, so that the shape begins two seconds in.
    assert constant.window_ns == (2_000_000_000, 97_000_000_000)
    assert constant.timed == 6300
    due = constant.due_ns[20:] - 2_000_000_000
    assert (due < 30_000_000_000).sum() == 300
    assert due[300] == 35_000_000_000
    random = open_loop(shape=shape, items=1, warmup=20, seed=1)
    assert random.window_ns is not None
    begin, end = random.window_ns
    assert begin == random.due_ns[19]
    assert end == begin + 95_000_000_000
    due = random.due_ns[20:] - begin
    assert not ((due > 30_000_000_000) & (due < 35_000_000_000)).any()
    assert due[-1] < 95_000_000_000
    assert (due < 30_000_000_000).sum() == pytest.approx(300, abs=4 * np.sqrt(300))
    assert (due > 35_000_000_000).sum() == pytest.approx(6000, abs=4 * np.sqrt(6000))


def test_the_number_of_arrivals_in_a_shape_is_random() -> None:
    shape = parse_stages("10:1,0..90:2")
    counts = np.array([open_loop(shape=shape, items=1, seed=seed).timed for seed in range(400)], dtype=float)
    assert counts.mean() == pytest.approx(100.0, abs=4 * 10 / np.sqrt(400))
    assert counts.var() / 100.0 == pytest.approx(1.0, abs=4 * np.sqrt(2 / 400))


def test_at_least_one_unit_is_timed() -> None:
    for seed in range(20):
        plan = open_loop(shape=parse_ramp("0..0.01:1"), items=1, seed=seed, warmup=2)
        assert plan.timed == 1
        assert plan.window_ns is not None
        assert plan.window_ns[0] <= plan.due_ns[-1] <= plan.window_ns[1]


def test_the_rate_asked_at_an_instant() -> None:
    plan = open_loop(shape=parse_stages("10:30,100:60"), items=1, arrival=Arrival.CONSTANT, warmup=20)
    s = 1_000_000_000
    assert [plan.rate_at(t) for t in (-1, 0, 2 * s, 31 * s, 32 * s, 91 * s, 92 * s)] == [
        0,
        10,
        10,
        10,
        100,
        100,
        0,
    ]
    steady = open_loop(rate_rps=5.0, items=1, duration_s=4.0, arrival=Arrival.CONSTANT)
    assert [steady.rate_at(t) for t in (0, 4 * s - 1, 4 * s)] == [5.0, 5.0, 0.0]
    assert steady.cumulative(np.array([-s, 0, s, 5 * s])).tolist() == [0.0, 0.0, 5.0, 25.0]
    closed = closed_loop(concurrency=1, items=1, requests=1)
    assert closed.rate_at(0) == 0.0
    with pytest.raises(InputError):
        closed.cumulative(np.array([0]))


def test_low_and_high_rates() -> None:
    slow = open_loop(rate_rps=0.01, items=1, requests=30, arrival=Arrival.CONSTANT)
    assert slow.due_ns.tolist() == [i * 100_000_000_000 for i in range(30)]
    fast = open_loop(rate_rps=1e6, items=1, duration_s=0.2)
    assert len(fast) == pytest.approx(200_000, abs=4 * np.sqrt(200_000))
    assert (np.diff(fast.due_ns) >= 0).all()


def test_the_number_of_poisson_arrivals_in_a_window_is_random() -> None:
    plans = [open_loop(rate_rps=50.0, items=1, duration_s=2.0, warmup=10, seed=seed) for seed in range(400)]
    counts = np.array([plan.timed for plan in plans], dtype=float)
    assert counts.mean() == pytest.approx(100.0, abs=4 * 10 / np.sqrt(400))
    assert counts.var() / 100.0 == pytest.approx(1.0, abs=4 * np.sqrt(2 / 400))
    for plan in plans:
        assert plan.window_ns is not None
        assert plan.due_ns[9] == plan.window_ns[0]
        assert plan.due_ns[-1] <= plan.window_ns[1]


def test_the_same_arguments_give_the_same_plan_and_others_another() -> None:
    base: dict[str, Any] = {"rate_rps": 20.0, "items": 7, "requests": 50, "warmup": 3, "seed": 1}
    digest = open_loop(**base).digest()
    assert open_loop(**base).digest() == digest
    for change in ({"seed": 2}, {"items": 8}, {"warmup": 4}, {"rate_rps": 21.0}, {"max_in_flight": 4}):
        assert open_loop(**(base | change)).digest() != digest
    # Pinned, so that another schedule behind the same arguments is noticed, on any machine and version.
    assert digest == "3f68e236930f36926e4f69f0e758f80dd58c864faa32de9665e33938744b3df1"
    gamma = open_loop(**base, arrival=Arrival.GAMMA, burstiness=0.3)
    assert gamma.digest() == "570ee01eea81b88c820807dd3409df5144a603518fabf83580bac5c90a11d69b"
    shaped = open_loop(items=7, warmup=3, seed=1, shape=parse_stages("20:1,0:1,20..90:2"))
    assert shaped.digest() == "f797eda89858d51ab1c59a8d885abe44fad2ea8b03326d0cadeab2d4d1824d1f"


def test_the_rows_are_those_of_the_first_version() -> None:
    plan = open_loop(rate_rps=20.0, items=7, requests=50, warmup=3, seed=1)
    digest = hashlib.sha256(plan.to_array().tobytes()).hexdigest()
    assert digest == "5f4b3c8e61a7b92ee9683b522b008bc8a470e9dfe06d58a2e08e76c36d605d73"


def test_the_order_of_items_does_not_depend_on_arrivals_nor_they_on_items() -> None:
    few, many = (open_loop(rate_rps=9.0, items=items, requests=40, seed=5) for items in (3, 30))
    assert few.due_ns.tolist() == many.due_ns.tolist()
    constant = open_loop(rate_rps=9.0, items=30, requests=40, seed=5, arrival=Arrival.CONSTANT)
    closed = closed_loop(concurrency=2, items=30, requests=40, seed=5)
    assert many.item.tolist() == constant.item.tolist() == closed.item.tolist()


@given(st.integers(1, 40), st.integers(1, 200), st.integers(0, 20), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_items_come_in_whole_shuffles(items: int, requests: int, warmup: int, seed: int) -> None:
    plan = closed_loop(concurrency=1, items=items, requests=requests, warmup=warmup, seed=seed)
    assert len(plan) == requests + warmup
    for begin in range(0, len(plan), items):
        block = plan.item[begin : begin + items].tolist()
        assert len(set(block)) == len(block)
        assert set(block) <= set(range(items))


def test_a_closed_loop_with_a_duration_starts_over() -> None:
    plan = closed_loop(concurrency=4, items=30, duration_s=2.0, warmup=5)
    assert plan.repeats
    assert plan.timed is None
    assert plan.window_ns is None
    assert len(plan) % 30 == 0
    assert plan.item_of(len(plan) + 3) == plan.item_of(3)
    assert set(plan.due_ns.tolist()) == {-1}
    bounded = closed_loop(concurrency=4, items=30, requests=10, duration_s=2.0)
    assert not bounded.repeats
    assert bounded.timed == 10


def test_turns_are_numbered_within_their_unit() -> None:
    plan = open_loop(rate_rps=10.0, items=30, requests=12, warmup=3, turns=4, think_s=0.25)
    assert len(plan) == 15
    assert plan.requests == 60
    assert plan.timed == 48
    assert plan.think_ns == 250_000_000
    assert [plan.item_of(index) for index in range(8)] == [plan.item[0]] * 4 + [plan.item[1]] * 4
    single = open_loop(rate_rps=10.0, items=30, requests=12, warmup=3)
    assert plan.to_array().tobytes() == single.to_array().tobytes()
    assert plan.digest() != single.digest()


@pytest.mark.parametrize("plan", PLANS, ids=IDS)
@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_rows_do_not_depend_on_the_size_of_a_block(plan: Plan, size: int) -> None:
    blocks = list(plan.blocks(size))
    assert all(block.dtype == PLAN_ROW and len(block) == size for block in blocks[:-1])
    assert np.concatenate(blocks).tobytes() == plan.to_array().tobytes()
    assert sum(map(len, blocks)) == len(plan)


@pytest.mark.parametrize("arrival", [Arrival.POISSON, Arrival.GAMMA, Arrival.CONSTANT])
def test_rows_of_many_blocks(arrival: Arrival) -> None:
    more: dict[str, Any] = {"burstiness": 0.7} if arrival is Arrival.GAMMA else {}
    plan = open_loop(rate_rps=5e4, items=1000, requests=150_000, arrival=arrival, seed=4, **more)
    whole = np.concatenate(list(plan.blocks()))
    assert whole.tobytes() == next(plan.blocks(150_000)).tobytes()
    assert whole.tobytes() == np.concatenate(list(plan.blocks(40_001))).tobytes()


@pytest.mark.parametrize("plan", PLANS, ids=IDS)
def test_a_plan_comes_back_from_evidence(plan: Plan, tmp_path: Path) -> None:
    plan.write(tmp_path / "plan.npy")
    saved = np.load(tmp_path / "plan.npy", allow_pickle=False)
    assert saved.tobytes() == plan.to_array().tobytes()
    np.save(tmp_path / "saved.npy", plan.to_array(), allow_pickle=False)
    assert (tmp_path / "saved.npy").read_bytes() == (tmp_path / "plan.npy").read_bytes()
    head = json.loads(json.dumps(plan.head()))
    for source in (tmp_path / "plan.npy", saved):
        again = Plan.from_evidence(head, source)
        assert again.digest() == plan.digest()
        assert again.head() == plan.head()
        assert again.window_ns == plan.window_ns
        assert again.shape == plan.shape
        assert [again.rate_at(t * 10**8) for t in range(80)] == [plan.rate_at(t * 10**8) for t in range(80)]


def test_evidence_that_is_no_plan(tmp_path: Path) -> None:
    plan = closed_loop(concurrency=1, items=1, requests=3)
    with pytest.raises(EvidenceError, match="rows"):
        Plan.from_evidence(plan.head(), plan.to_array()[:2])
    with pytest.raises(EvidenceError, match="head"):
        Plan.from_evidence({"kind": "closed_loop"}, plan.to_array())
    with pytest.raises(EvidenceError, match="columns"):
        Plan.from_evidence(plan.head(), np.zeros(3))
    file = tmp_path / "plan.npy"
    np.save(file, np.zeros(3))
    with pytest.raises(EvidenceError, match="columns"):
        Plan.from_evidence(plan.head(), file)
    plan.write(file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(EvidenceError, match="ends before"):
        Plan.from_evidence(plan.head(), file)
    file.write_bytes(b"no array")
    with pytest.raises(EvidenceError, match="cannot be read"):
        Plan.from_evidence(plan.head(), file)
    with pytest.raises(EvidenceError, match="cannot be read"):
        Plan.from_evidence(plan.head(), tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("which", "change"),
    [
        (0, {"kind": "open_loop"}),
        (0, {"kind": "half_open"}),
        (0, {"arrival": "poisson"}),
        (0, {"rate_rps": 5.0}),
        (0, {"concurrency": 0}),
        (0, {"concurrency": 3.0}),
        (0, {"concurrency": True}),
        (0, {"repeats": True}),
        (0, {"repeats": 0}),
        (0, {"warmup": 22}),
        (0, {"warmup": -1}),
        (0, {"turns": 0}),
        (0, {"turns": 2.0}),
        (0, {"think_ns": -1}),
        (0, {"items": 3}),
        (0, {"rows": 21}),
        (1, {"duration_s": None}),
        (2, {"arrival": "bursts"}),
        (2, {"arrival": "gamma"}),
        (2, {"arrival": "none"}),
        (2, {"rate_rps": None}),
        (2, {"rate_rps": "12.5"}),
        (2, {"rate_rps": 0.0}),
        (2, {"rate_rps": float("nan")}),
        (2, {"duration_s": -3.0}),
        (2, {"kind": "closed_loop"}),
        (2, {"burstiness": 1.0}),
        (2, {"shape": [[1.0, 2.0, 3.0]]}),
        (4, {"burstiness": None}),
        (5, {"shape": [[50.0, 50.0, 2.0]]}),
        (5, {"shape": [[50.0, 50.0]]}),
        (5, {"shape": [[50.0, "50", 2.0]]}),
        (5, {"shape": 7}),
        (5, {"shape": [[0.0, 0.0, 2.0]]}),
        (5, {"duration_s": 5.0}),
        (5, {"rate_rps": 100.0}),
        (5, {"arrival": "replay"}),
    ],
)
def test_a_head_that_was_changed_is_refused(which: int, change: dict[str, Any]) -> None:
    plan = PLANS[which]
    rows = plan.to_array()
    assert Plan.from_evidence(plan.head(), rows).digest() == plan.digest()
    with pytest.raises(EvidenceError):
        Plan.from_evidence(plan.head() | change, rows)


@pytest.mark.parametrize("name", list(PLANS[0].head()))
def test_every_key_of_a_head_is_needed(name: str) -> None:
    head = {key: value for key, value in PLANS[0].head().items() if key != name}
    with pytest.raises(EvidenceError, match=name):
        Plan.from_evidence(head, PLANS[0].to_array())


@pytest.mark.parametrize(
    ("which", "column", "value"), [(0, "due_ns", 0), (2, "due_ns", -1), (2, "due_ns", 10**17), (2, "item", 5)]
)
def test_rows_that_do_not_go_with_their_head_are_refused(which: int, column: str, value: int) -> None:
    rows = PLANS[which].to_array()
    rows[column][10] = value
    with pytest.raises(EvidenceError):
        Plan.from_evidence(PLANS[which].head(), rows)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_rps": 0.0, "requests": 1},
        {"rate_rps": float("nan"), "requests": 1},
        {"rate_rps": 1.0},
        {"rate_rps": 1.0, "requests": 0},
        {"rate_rps": 1.0, "requests": 1, "duration_s": 1.0},
        {"rate_rps": 1.0, "duration_s": float("inf")},
        {"rate_rps": 1.0, "requests": 1, "items": 0},
        {"rate_rps": 1.0, "requests": 1, "warmup": -1},
        {"rate_rps": 1.0, "requests": 1, "max_in_flight": 0},
        {"rate_rps": 1.0, "requests": 1, "arrival": Arrival.NONE},
        {"rate_rps": 1e6, "duration_s": 1e5},
        {"requests": 1},
        {"rate_rps": 1.0, "requests": 30_000_000, "turns": 2},
        {"rate_rps": 0.01, "requests": 1, "warmup": 20_000},
        {"rate_rps": 1.0, "requests": 1, "max_in_flight": 50_000_001},
        {"rate_rps": 1.0, "requests": 1, "turns": 0},
        {"rate_rps": 1.0, "requests": 1, "turns": 1001},
        {"rate_rps": 1.0, "requests": 1, "think_s": -0.1},
        {"rate_rps": 1.0, "requests": 1, "think_s": float("nan")},
        {"rate_rps": 1.0, "requests": 1, "arrival": Arrival.REPLAY},
        {"rate_rps": 1.0, "requests": 1, "arrival": Arrival.GAMMA},
        {"rate_rps": 1.0, "requests": 1, "burstiness": 2.0},
        {"rate_rps": 1.0, "requests": 1, "arrival": Arrival.GAMMA, "burstiness": 0.0},
        {"rate_rps": 1.0, "shape": parse_stages("1:1")},
        {"requests": 1, "shape": parse_stages("1:1")},
        {"duration_s": 1.0, "shape": parse_stages("1:1")},
        {"shape": parse_stages("9000000:10")},
    ],
)
def test_arguments_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        open_loop(**({"items": 1} | wrong))


def test_a_closed_loop_needs_an_end_and_a_slot() -> None:
    with pytest.raises(InputError):
        closed_loop(concurrency=1, items=1)
    with pytest.raises(InputError):
        closed_loop(concurrency=0, items=1, requests=1)


def test_a_plan_cannot_be_changed() -> None:
    plan = closed_loop(concurrency=1, items=2, requests=3)
    assert plan.kind is LoadKind.CLOSED_LOOP
    with pytest.raises(ValueError, match="read-only"):
        plan.item[0] = 1


@pytest.mark.parametrize(
    "more", [{}, {"arrival": Arrival.GAMMA, "burstiness": 0.5}, {"arrival": Arrival.CONSTANT}], ids=str
)
def test_memory_does_not_grow_with_the_rows(more: dict[str, Any], tmp_path: Path) -> None:
    peaks = []
    # The first pays for what is imported on first use.
    for rows in (1000, 150_000, 1_000_000):
        tracemalloc.start()
        plan = open_loop(rate_rps=1000.0, items=50, duration_s=rows / 1000.0, warmup=10, **more)
        plan.write(tmp_path / "plan.npy")
        again = Plan.from_evidence(plan.head(), tmp_path / "plan.npy")
        assert again.digest() == plan.digest()
        assert sum(len(rows) for _, rows in plan.shard(1, 2).blocks()) == len(plan.shard(1, 2))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] <= 1.05 * peaks[1]
    assert peaks[2] <= 12e6
