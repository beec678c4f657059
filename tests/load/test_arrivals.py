"""The test of arrivals, on records that are written by hand: of plans as they are, jittered, batched, late and cut."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.load.measures import arrivals
from hexgate.load.measures.arrivals import Arrivals, ArrivalTest, Check, arrival_test
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop, parse_ramp, parse_stages
from hexgate.load.records import RECORD, Records

MS = 1_000_000
S = 1_000_000_000

Ints = NDArray[np.int64]


def array(plan: Plan, issued: Ints | None = None, sent: Ints | None = None) -> NDArray[np.void]:
    """Records of a plan: taken up and sent at the given instants, or else when they are due."""
    made = np.zeros(len(plan), dtype=RECORD)
    made["index"], made["due_ns"], made["item"] = np.arange(len(plan)), plan.due_ns, plan.item
    made["warmup"] = np.arange(len(plan)) < plan.warmup
    made["issued_ns"] = plan.due_ns if issued is None else issued
    made["sent_ns"] = made["issued_ns"] if sent is None else sent
    return made


def judged(plan: Plan, *stamps: Ints | None, **more: Any) -> ArrivalTest:
    found = arrival_test(Records.of(array(plan, *stamps)), plan, **more)
    assert found is not None
    return found


def check(found: Arrivals, name: str) -> Check:
    return next(one for one in found.checks if one.name == name)


def poisson(n: int = 20_000, rate: float = 100.0, **more: Any) -> Plan:
    return open_loop(rate_rps=rate, items=3, requests=n, **more)


def test_a_closed_loop_has_no_process() -> None:
    assert (
        arrival_test(Records.of(np.zeros(3, dtype=RECORD)), closed_loop(concurrency=1, items=1, requests=3))
        is None
    )


def test_the_statistics_are_those_of_the_gaps_and_the_counts() -> None:
    plan = poisson(3000, warmup=50, seed=4)
    found = judged(plan).planned
    due = plan.due_ns[50:] / 1e9
    gaps = np.diff(due)
    away = gaps - gaps.mean()
    assert found.n == 3000
    assert found.rate_rps == pytest.approx(2999 / (due[-1] - due[0]))
    assert found.mean_gap_ms == pytest.approx(1e3 * gaps.mean())
    assert found.gap_cv == pytest.approx(gaps.std(ddof=1) / gaps.mean())
    assert found.gap_lag1 == pytest.approx((away[1:] @ away[:-1]) / (away @ away), abs=1e-9)
    # Windows of ten arrivals: of 0.1 s at 100 a second. The one that the run ends in is not whole.
    places = ((due - due[0] + 0.005) // 0.1).astype(int)
    counts = np.bincount(places, minlength=places[-1] + 1)[:-1]
    assert found.windows == len(counts)
    assert found.dispersion == pytest.approx(counts.var(ddof=1) / counts.mean())


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunks_change_nothing(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = poisson(3000, warmup=50, seed=4)
    late = plan.due_ns + np.random.default_rng(1).integers(0, 400 * MS, len(plan))
    whole = judged(plan, plan.due_ns, late)
    cut = Records.of(array(plan, plan.due_ns, late))
    chunks = cut.chunks
    monkeypatch.setattr(cut, "chunks", lambda: chunks(size))
    found = arrival_test(cut, plan)
    assert found is not None
    for one, other in ((found.planned, whole.planned), (found.sent, whole.sent)):
        assert one.n == other.n
        assert one.windows == other.windows
        assert one.dispersion == other.dispersion
        assert one.gap_cv == pytest.approx(other.gap_cv, rel=1e-9)
        assert one.gap_lag1 == pytest.approx(other.gap_lag1, abs=1e-9)


@pytest.mark.parametrize("arrival", [Arrival.CONSTANT, Arrival.POISSON])
@pytest.mark.parametrize("rate", [5.0, 100.0, 500.0])
@pytest.mark.parametrize("n", [200, 20_000])
def test_a_plan_that_is_kept_is_what_was_asked(arrival: Arrival, rate: float, n: int) -> None:
    found = judged(open_loop(rate_rps=rate, items=1, requests=n, arrival=arrival, seed=1))
    assert (found.planned.ok, found.taken_up.ok, found.sent.ok) == (True, True, True)
    assert found.caveats == ()
    assert json.loads(json.dumps(found.to_json()))["sent"]["ok"] is True


def test_tolerances_at_20000_arrivals_are_those_of_the_goal() -> None:
    found = judged(poisson()).sent
    assert check(found, "gap_cv").tolerance == 0.03
    assert check(found, "gap_lag1").tolerance == 0.03
    assert check(found, "dispersion").tolerance == 0.15
    assert check(judged(poisson(2000)).sent, "gap_cv").tolerance == pytest.approx(4.0 / math.sqrt(1999))


@pytest.mark.parametrize("burstiness", [0.2, 0.5, 2.0, 8.0])
def test_gamma_arrivals(burstiness: float) -> None:
    plan = open_loop(
        rate_rps=100.0, items=1, requests=20_000, arrival=Arrival.GAMMA, burstiness=burstiness, seed=2
    )
    found = judged(plan)
    assert found.planned.ok
    assert found.sent.ok
    assert check(found.sent, "gap_cv").expected == pytest.approx(burstiness**-0.5)
    assert found.sent.window_arrivals == 10.0 * max(1.0, 1.0 / burstiness)


@pytest.mark.parametrize("arrival", [Arrival.CONSTANT, Arrival.POISSON])
@pytest.mark.parametrize("shape", [parse_ramp("10..500:60"), parse_stages("10:30,0:5,200:20,50:30")])
def test_ramps_and_stages_are_processes_at_unit_rate_in_the_measure_of_the_plan(
    arrival: Arrival, shape: Any
) -> None:
    plan = open_loop(items=1, shape=shape, arrival=arrival, warmup=20, seed=3)
    found = judged(plan)
    assert found.planned.ok
    assert found.sent.ok
    # Without that measure no Poisson process.
    flat = open_loop(items=1, rate_rps=plan.rate_rps, requests=len(plan) - 20, arrival=Arrival.POISSON)
    assert judged(flat, *[plan.due_ns[20:]] * 2).sent.ok is False


def test_one_generator_for_each_worker_from_one_seed_is_found_out() -> None:
    # The fault of a tool: workers draw the same gaps, and add them to one shared instant.
    one = poisson(2000, seed=7)
    gaps = np.repeat(np.diff(one.due_ns, prepend=0), 10)
    plan = poisson(20_000, seed=7)
    found = judged(plan, np.cumsum(gaps) // 10)
    assert found.planned.ok
    assert not check(found.taken_up, "gap_lag1").ok
    assert not check(found.taken_up, "dispersion").ok
    assert found.caveats[0].startswith("what the client took up is not the poisson process")
    assert "correlation of a gap with the next" in found.caveats[0]


def test_constant_arrivals_with_the_gaps_of_poisson_are_found_out() -> None:
    plan = open_loop(rate_rps=50.0, items=1, requests=2000, arrival=Arrival.CONSTANT)
    found = judged(plan, poisson(2000, 50.0).due_ns)
    assert check(found.sent, "gap_cv").value == pytest.approx(1.0, abs=0.1)
    assert found.planned.ok
    assert found.sent.ok is False


@pytest.mark.parametrize(
    ("rate", "jitter_ms", "ok"), [(50.0, 0.5, True), (50.0, 2.0, False), (500.0, 0.3, True)]
)
def test_constant_arrivals_may_have_a_jitter_of_a_millisecond(
    rate: float, jitter_ms: float, ok: bool
) -> None:
    plan = open_loop(rate_rps=rate, items=1, requests=5000, arrival=Arrival.CONSTANT)
    jitter = np.random.default_rng(0).exponential(jitter_ms * MS, len(plan)).astype(np.int64)
    assert judged(plan, plan.due_ns + jitter).sent.ok is ok


def test_batches_of_a_timer_are_found_out() -> None:
    # Sent at the next full 50 ms: no gap is left as it was.
    plan = poisson(20_000)
    found = judged(plan, -(-plan.due_ns // (50 * MS)) * 50 * MS)
    assert not check(found.sent, "gap_cv").ok


def test_waits_behind_the_client_are_told_from_its_own() -> None:
    # A stall of 2 s in every 10: what was due in it is sent at once when it is over.
    plan = poisson(20_000)
    phase = plan.due_ns % (10 * S)
    sent = np.where(phase < 2 * S, plan.due_ns - phase + 2 * S, plan.due_ns)
    found = judged(plan, plan.due_ns, sent)
    assert found.taken_up.ok
    assert found.sent.ok is False
    assert found.caveats[0].startswith("what was sent, after waits for slots and connections, is not")


def test_a_pace_that_is_not_held_is_found_out() -> None:
    plan = poisson(20_000)
    slow = judged(plan, (plan.due_ns * 1.01).astype(np.int64))
    assert not check(slow.sent, "pace").ok
    assert check(slow.sent, "pace").value == pytest.approx(1.01, abs=1e-4)


def test_order_of_the_stamps_is_not_that_of_the_requests() -> None:
    # Each waits up to 5 s for a connection: the stamps of later ones come first, over the edges of chunks.
    plan = poisson(20_000, 1000.0)
    sent = plan.due_ns + np.random.default_rng(0).integers(0, 5 * S, len(plan))
    found = judged(plan, plan.due_ns, sent).sent
    gaps = np.diff(plan.cumulative(np.sort(sent)))
    assert found.n == 20_000
    assert found.gap_cv == pytest.approx(gaps.std(ddof=1) / gaps.mean())


def test_what_is_held_back_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_MOST_HELD", 100)
    plan = poisson(2000, 1000.0)
    sent = plan.due_ns + np.random.default_rng(0).integers(0, 5 * S, len(plan))
    made = Records.of(array(plan, plan.due_ns, sent))
    chunks = made.chunks
    monkeypatch.setattr(made, "chunks", lambda: chunks(200))
    found = arrival_test(made, plan)
    assert found is not None
    assert found.taken_up.ok
    # Instants that came out of order are not judged.
    assert found.sent.n == 2000
    assert found.sent.ok is None


def test_replay_is_held_against_its_trace() -> None:
    plan = poisson(5000, 50.0)
    clumped = np.sort(np.concatenate([plan.due_ns[::10] + k * MS for k in range(10)]))
    rows = plan.to_array()
    rows["due_ns"] = clumped
    trace = Plan.from_evidence({**plan.head(), "arrival": "replay"}, rows)
    assert judged(trace).planned.ok
    assert judged(trace).sent.ok
    spread = judged(trace, plan.due_ns)
    assert spread.sent.ok is False
    assert check(spread.sent, "gap_cv").expected == pytest.approx(spread.planned.gap_cv)


def test_only_first_turns_that_are_timed_and_happened_count() -> None:
    plan = poisson(400, warmup=30)
    made = array(plan)
    made["sent_ns"][-100:] = -1
    later = made.copy()
    later["turn"] = 1
    later["sent_ns"] += 3 * MS
    both = np.concatenate([made, later])
    both["index"] = np.concatenate([2 * made["index"], 2 * made["index"] + 1])
    found = arrival_test(Records.of(both), plan)
    assert found is not None
    assert (found.planned.n, found.taken_up.n, found.sent.n) == (400, 400, 300)
    assert found.sent.ok


@pytest.mark.parametrize("n", [1, 2, 3, 99])
def test_too_few_arrivals_are_not_judged(n: int) -> None:
    found = judged(poisson(n))
    assert found.sent.n == n
    assert found.sent.ok is None
    assert found.caveats == ()
    assert (found.sent.rate_rps is None) == (n == 1)


def test_nothing_sent_is_nothing_judged() -> None:
    plan = poisson(200)
    nothing = np.full(len(plan), -1)
    found = judged(plan, nothing, nothing)
    assert found.sent == Arrivals(0, None, None, None, None, None, None, 0, 10.0, ())


def test_windows_of_a_length_that_is_asked_for() -> None:
    plan = poisson(20_000, 500.0)
    found = judged(plan, window_s=0.1).sent
    assert found.window_arrivals == 50.0
    assert found.windows == pytest.approx(400, abs=10)
    assert found.ok


def test_false_alarms_are_rare() -> None:
    found = [judged(poisson(500, seed=seed)) for seed in range(100)]
    assert sum(one.planned.ok is False for one in found) == 0


def clumped(due: Ints, grain_ns: int) -> Ints:
    """Instants of a client that looks at its plan once in so long."""
    return -(-due // grain_ns) * grain_ns


def test_the_fullest_windows_are_those_of_numpy() -> None:
    plan = poisson(3000, warmup=50, seed=4)
    found = judged(plan).planned
    u = (plan.due_ns[50:] - plan.due_ns[50]) / 1e7
    counts = np.bincount(((u + 0.5) // 10).astype(int))[:-1]
    assert found.windows == len(counts)
    assert found.window_p99 == np.quantile(counts, 0.99, method="inverted_cdf")


@pytest.mark.parametrize("process", [Arrival.POISSON, Arrival.CONSTANT])
def test_bursts_of_the_clients_own_making_are_a_fault(process: Arrival) -> None:
    plan = poisson(5000, rate=5000.0, arrival=process)
    # 50 at once, of windows that should have 10.
    fault = judged(plan, clumped(plan.due_ns, 10 * MS)).fault
    assert fault is not None
    assert fault.startswith("the client took requests up in bursts: ")
    assert "more cores and workers" in fault
    assert judged(plan).fault is None
    assert judged(plan, None, clumped(plan.due_ns, 10 * MS)).fault is None, "not what the client took up"
    fewer = poisson(1000, rate=5000.0, arrival=process)
    assert judged(fewer, clumped(fewer.due_ns, 10 * MS)).fault is None, "999 gaps are too few"


@pytest.mark.parametrize("rate", [100.0, 500.0, 2000.0])
@pytest.mark.parametrize("process", [Arrival.POISSON, Arrival.CONSTANT])
def test_a_healthy_client_with_jitter_and_stalls_has_no_fault(process: Arrival, rate: float) -> None:
    ratios = []
    for seed in range(12):
        plan = poisson(4000, rate=rate, arrival=process, seed=seed)
        random = np.random.default_rng(seed)
        taken = plan.due_ns + (150_000 * random.lognormal(0.0, 0.8, len(plan))).astype(np.int64)
        begin = int(random.integers(0, plan.due_ns[-1]))
        end = begin + int(random.exponential(60 * MS))
        taken = np.where((taken > begin) & (taken < end), end, taken)
        found = judged(plan, taken)
        assert found.fault is None
        ratios.append((found.taken_up.window_p99 or 0) / (found.planned.window_p99 or 1))
    # Far from the limit of 2.
    assert max(ratios) < 1.5
