"""Whether a client kept up: on records that are written by hand, and on accounts of itself as workers give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.errors import EvidenceError
from hexgate.load.measures.health import cache_suspicion, client_health
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, RECORD, Outcome, Records
from hexgate.load.sending.tally import Tally
from hexgate.stats.histogram import LogHistogram

MS = 1_000_000
S = 1_000_000_000


def array(n: int, *, latency_ms: float = 20.0, ttft_ms: float | None = None) -> NDArray[np.void]:
    """So many requests at 100 a second that all went well; streams of 11 events where there is a first token."""
    made = np.zeros(n, dtype=RECORD)
    for name in RECORD.names or ():
        if np.issubdtype(RECORD[name], np.signedinteger):
            made[name] = NEVER
    made["index"], made["item"], made["turn"] = np.arange(n), np.arange(n), 0
    for name in ("due_ns", "issued_ns", "sent_ns"):
        made[name] = np.arange(n) * 10 * MS
    made["end_ns"] = made["sent_ns"] + int(latency_ms * MS)
    made["events"] = 1
    if ttft_ms is not None:
        made["events"] = 11
        made["first_token_ns"] = made["sent_ns"] + int(ttft_ms * MS)
        made["last_token_ns"] = made["end_ns"]
    return made


def records(n: int = 500, **more: Any) -> Records:
    return Records.of(array(n, **more))


def plan(n: int = 500, **more: Any) -> Plan:
    return open_loop(rate_rps=100.0, items=n, requests=n, arrival=Arrival.CONSTANT, **more)


def worker(number: int = 0, *, lag_ms: Any = 0.2, wall_s: float = 5.0, **more: Any) -> dict[str, Any]:
    """The account of a healthy worker, but for what is given. `lag_ms` of all ticks, or (least, most)."""
    lag = LogHistogram()
    low, high = lag_ms if isinstance(lag_ms, tuple) else (lag_ms, lag_ms)
    lag.record_many(np.linspace(low, high, round(wall_s * 100)))
    second = [0.3, 100.0, 0.5, 0, 3]
    return {
        "worker": number,
        "wall_s": wall_s,
        "cpu_s": 0.1 * wall_s,
        "run_delay_s": 0.001 * wall_s,
        "ticks": lag.count,
        "tick_ms": 10.0,
        "lag": lag.to_json(),
        "lag_max_ms": lag.maximum,
        "backlog": {"samples": 50, "nonzero": 0, "max_bytes": 0},
        "opened": 8,
        "reopened": 0,
        "died": None,
        "per_second": [[float(number + 1), *second] for number in range(int(wall_s))],
    } | more


def client(*workers: dict[str, Any], throttled_s: float | None = None) -> dict[str, Any]:
    return {"workers": list(workers), "parent": {"cpu_s": 0.1}, "throttled_s": throttled_s, "cores": 4}


def test_a_healthy_client() -> None:
    health = client_health(records(), plan(), client=client(worker(0), worker(1), throttled_s=0.0))
    assert (health.starved, health.reasons, health.advice) == (False, (), ())


def test_without_an_account_of_the_client_the_records_decide() -> None:
    late = array(500)
    late["issued_ns"] += 6 * MS
    late["sent_ns"] = late["issued_ns"]
    health = client_health(Records.of(late), plan())
    assert health.starved
    assert (
        "up to 6 ms late (99th percentile 6 ms; at most 5 ms is allowed for 100 requests/s)"
        in health.reasons[0]
    )
    assert "more cores and workers" in health.reasons[0]
    assert client_health(records(), plan()).starved is False


@pytest.mark.parametrize(("late", "starved"), [(5, False), (6, True)])
def test_the_99th_percentile_of_the_dispatch_lag_is_exact(late: int, starved: bool) -> None:
    made = array(500)
    made["issued_ns"][:late] += 5 * MS + 1
    made["issued_ns"][late:] += 5 * MS
    assert client_health(Records.of(made), plan()).starved is starved


def test_warm_up_is_not_judged() -> None:
    made = array(600)
    made["warmup"][:100] = True
    made["issued_ns"][:100] += S
    made["end_ns"][:100] = -1
    made["outcome"][:100] = Outcome.NOT_SENT
    assert client_health(Records.of(made), plan(500, warmup=100)).starved is False


@pytest.mark.parametrize(
    ("latency_ms", "lag_ms", "starved"),
    [
        (2000.0, 10.0, False),
        (2000.0, 190.0, False),
        (2000.0, 210.0, True),
        (6.0, 5.0, True),
        (6.0, 2.9, False),
        (50.0, 4.9, False),
        (50.0, 5.1, True),
    ],
)
def test_a_loop_may_be_late_by_a_tenth_of_what_is_published(
    latency_ms: float, lag_ms: float, starved: bool
) -> None:
    account = client(worker(0), worker(1, lag_ms=lag_ms))
    health = client_health(records(latency_ms=latency_ms), plan(), client=account)
    assert health.starved is starved
    if starved:
        assert health.reasons[0].startswith("this client did not keep up. Worker 1 handled events up to")
        tenth = "a tenth of the median latency" if latency_ms > 30 else "where the median latency is 6 ms"
        assert tenth in health.reasons[0]
        assert len(health.reasons) == 1


def test_the_time_to_the_first_token_is_what_counts_of_streams() -> None:
    made = records(latency_ms=3000.0, ttft_ms=20.0)
    health = client_health(made, plan(), client=client(worker(lag_ms=(0.0, 6.0))))
    assert (
        "99th percentile 5.95 ms; at most 3 ms is allowed where the 99th percentile TTFT is 20 ms"
        in health.reasons[0]
    )


def test_a_median_counts_too() -> None:
    # The tail of the server hides the lag, its median does not.
    made = array(500, latency_ms=6.0)
    made["end_ns"][:25] += 2 * S
    health = client_health(Records.of(made), plan(), client=client(worker(lag_ms=4.0)))
    assert "late (median 4 ms; at most 3 ms is allowed" in health.reasons[0]


@pytest.mark.parametrize(
    ("lag_ms", "waited_s", "starved"),
    [(2.0, 0.024, False), (2.0, None, False), (2.0, 0.026, True), (1.4, 0.5, False), (0.2, 4.0, False)],
)
def test_a_wait_for_a_processor_lowers_the_limit(
    lag_ms: float, waited_s: float | None, starved: bool
) -> None:
    account = client(worker(lag_ms=lag_ms, run_delay_s=waited_s))
    health = client_health(records(latency_ms=6.0), plan(), client=account)
    assert health.starved is starved
    if starved:
        (reason,) = health.reasons
        assert reason == (
            "this machine was too busy to measure. Worker 0 handled events up to 2 ms late (median 2 ms; at most "
            "1.5 ms is allowed where the median latency is 6 ms). It was kept waiting for a processor 0.52 % of the "
            "time. Next: close other programs, pin the server to other cores, or use another machine; then measure "
            "again."
        )


def test_where_it_waited_the_dispatch_lag_tells_as_well() -> None:
    made = array(500, latency_ms=6.0)
    made["issued_ns"] += 2 * MS
    assert client_health(Records.of(made), plan(), client=client(worker())).starved is False
    health = client_health(Records.of(made), plan(), client=client(worker(run_delay_s=0.1)))
    assert "Requests were begun up to 2 ms late (median 2 ms;" in health.reasons[0]
    assert "Worker 0 was kept waiting for a processor 2 % of the time." in health.reasons[0]


def test_one_cause_is_one_reason() -> None:
    made = array(500, latency_ms=60.0)
    made["issued_ns"] += np.linspace(0, 400 * MS, 500).astype(np.int64)
    busy = worker(lag_ms=(0.0, 58.0), run_delay_s=0.5)
    (reason,) = client_health(Records.of(made), plan(), client=client(busy)).reasons
    assert reason.startswith("this machine was too busy to measure. Requests were begun up to 400 ms late")
    assert reason.count("Requests were begun") == 2
    assert "Requests were begun at 92.58/s where the plan has 100/s; 98 % of that is the least." in reason
    calm = worker(lag_ms=(0.0, 58.0))
    (reason,) = client_health(Records.of(made), plan(), client=client(calm)).reasons
    assert reason.startswith("this client did not keep up. Worker 0 handled events up to 58 ms late")
    assert "Requests were begun up to 400 ms late (99th percentile 395 ms; at most 5 ms is allowed" in reason


def test_a_tail_that_the_wait_has_made_does_not_excuse_it() -> None:
    made = array(500, latency_ms=6.0)
    made["end_ns"][:25] += 100 * MS
    account = worker(lag_ms=(0.0, 5.0))
    assert client_health(Records.of(made), plan(), client=client(account)).starved is False
    health = client_health(Records.of(made), plan(), client=client(account | {"run_delay_s": 0.1}))
    assert "at most 1.5 ms is allowed where the median latency is 6.02 ms" in health.reasons[0]


def test_too_short_to_be_judged_by_its_loop() -> None:
    account = client(worker(lag_ms=50.0, wall_s=0.99))
    assert client_health(records(99, latency_ms=6.0), plan(99), client=account).starved is False


def test_nothing_published_is_nothing_to_be_late_for() -> None:
    made = array(500)
    made["outcome"] = Outcome.ERROR
    assert client_health(Records.of(made), plan(), client=client(worker(lag_ms=50.0))).starved is False


def seconds(busy: int, of: int, *, cpu_ms: float = 950.0, unread: int = 4096) -> list[list[Any]]:
    return [
        [float(i + 1), 0.3, *((cpu_ms, 0.5, unread) if i < busy else (100.0, 0.5, 0)), 3] for i in range(of)
    ]


@pytest.mark.parametrize(
    ("busy", "more", "starved"),
    [(2, {}, True), (1, {}, False), (10, {"unread": 0}, False), (10, {"cpu_ms": 880.0}, False)],
)
def test_a_busy_core_with_unread_bytes(busy: int, more: dict[str, Any], starved: bool) -> None:
    account = client(worker(wall_s=10.0, per_second=seconds(busy, 10, **more)))
    health = client_health(records(), plan(), client=account)
    assert health.starved is starved
    if starved:
        assert "in 2 of 10 seconds worker 0 used 0.9 of a core" in health.reasons[0]


def test_the_last_part_of_a_second_is_one_for_itself() -> None:
    account = client(worker(per_second=[[1.0, 0.3, 100.0, 0.5, 0, 3], [1.1, 0.3, 95.0, 0.5, 10, 3]]))
    assert "in 1 of 2 seconds" in client_health(records(), plan(), client=account).reasons[0]


@pytest.mark.parametrize(("throttled_s", "starved"), [(0.04, False), (0.06, True)])
def test_a_quota(throttled_s: float, starved: bool) -> None:
    health = client_health(records(), plan(), client=client(worker(), throttled_s=throttled_s))
    assert health.starved is starved
    assert not starved or "raise the quota" in health.reasons[0]


def test_a_worker_that_died() -> None:
    account = client(worker(0), {"worker": 1, "died": "killed by signal 9"})
    health = client_health(records(), plan(), client=account)
    assert health.reasons == (
        "worker 1 ended before its time (killed by signal 9), and its requests with it; look whether memory ran out",
    )
    alone = client_health(records(), plan(), client=client({"worker": 0, "died": "killed by signal 9"}))
    assert len(alone.reasons) == 1


def test_slots_that_stay_empty() -> None:
    made = array(50, latency_ms=4.0)
    made["due_ns"] = NEVER
    asked = closed_loop(concurrency=1, items=1, requests=50)
    assert "on average 0.4 of 1 slots" in client_health(Records.of(made), asked).reasons[0]
    assert client_health(Records.of(made), asked, in_process=True).starved is False


def test_connections_that_could_not_be_opened() -> None:
    made = array(500)
    made["outcome"][3], made["sent_ns"][3] = Outcome.NOT_SENT, NEVER
    assert "ulimit -n" in client_health(Records.of(made), plan()).reasons[0]


def test_advice_is_no_reason() -> None:
    account = client(worker(cpu_s=4.0, opened=400, lag_ms=2.5))
    health = client_health(records(latency_ms=70.0, ttft_ms=30.0), plan(), client=account)
    assert health.starved is False
    assert [sentence.split(" ")[0] for sentence in health.advice] == ["worker", "400", "the"]
    assert "used 0.8 of a core" in health.advice[0]
    assert "opened for 500 timed requests" in health.advice[1]
    # 11 events in 40 ms: one every 4 ms.
    assert "events came every 4 ms" in health.advice[2]


def test_the_account_of_a_worker_is_read_as_it_is_written() -> None:
    tally = Tally()
    tally.add([8 * MS] * 500)
    health = client_health(records(), plan(), client=client(worker(lag=tally.to_json())))
    assert "Worker 0 handled events up to 8 ms late" in health.reasons[0]


@pytest.mark.parametrize(
    "broken", [{}, {"workers": [{"worker": 0}]}, client(worker(lag={"scheme": "linear"}))]
)
def test_an_account_that_is_none_is_an_error_that_says_so(broken: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError, match="account that the client gives"):
        client_health(records(), plan(), client=broken)


def texts(items: list[int], **columns: Any) -> Records:
    made = array(len(items), ttft_ms=5.0)
    made["item"] = items
    for name, values in columns.items():
        made[name] = values
    return Records.of(made)


def test_prompts_that_repeat() -> None:
    asked = plan(100)
    assert cache_suspicion(texts(list(range(100))), asked) == ()
    assert cache_suspicion(texts([*range(90), *range(10)]), asked) == ()
    (found,) = cache_suspicion(texts([*range(50), *range(50)]), asked)
    assert "50 of 100 timed requests repeat a prompt that was sent before, of 50 different ones" in found
    # The warm-up warms up a cache too.
    (found,) = cache_suspicion(texts([*range(50), *range(50)], warmup=np.arange(100) < 50), asked)
    assert "50 of 50" in found


def test_repetitions_are_counted_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = texts([*range(50), *range(50)])
    whole, chunks = cache_suspicion(made, plan(100)), made.chunks
    monkeypatch.setattr(made, "chunks", lambda: chunks(7))
    assert cache_suspicion(made, plan(100)) == whole


def test_no_suspicion_where_there_is_no_prompt_or_it_is_a_later_turn() -> None:
    assert cache_suspicion(texts([0] * 100, first_token_ns=NEVER), plan(100)) == ()
    later = texts([0] * 100, turn=[0] + [1] * 99, cached_tokens=[0] + [9] * 99, prompt_tokens=9)
    assert cache_suspicion(later, plan(100)) == ()


def test_items_that_the_plan_does_not_have() -> None:
    with pytest.raises(EvidenceError, match="beyond those of the plan"):
        cache_suspicion(texts([0, 100]), plan(100))


@pytest.mark.parametrize(("cached", "suspected"), [(NEVER, False), (0, False), (40, False), (60, True)])
def test_the_servers_own_count(cached: int, suspected: bool) -> None:
    made = texts(list(range(100)), prompt_tokens=1000, cached_tokens=cached)
    assert bool(cache_suspicion(made, plan(100))) is suspected
