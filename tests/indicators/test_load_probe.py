"""Loads of a search that end early: only where nothing that still comes could change what they say."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from hexgate.indicators.load_probe import Fatal, ended_when_hopeless, fatal_counts, is_hopeless
from hexgate.load.counters import BOUNDS_S, Counters
from hexgate.load.layout import Outcome
from hexgate.load.live import Live, Seen
from hexgate.load.plan import open_loop
from hexgate.load.slo import Slo
from hexgate.stats.percentile import percentile_interval

SLO = Slo.parse("e2e_ms.p90<=400,ttft_ms.p50<=100,ttft_ms.mean<=100,tpot_ms.p99<=5,error_ratio<=0.1")
NOTHING = Seen(
    phase="running",
    elapsed_s=1.0,
    outcomes=(0,) * len(Outcome),
    due=0,
    issued=0,
    asked_rps=1.0,
    lag_max_s=0.0,
    buckets=(0,) * (len(BOUNDS_S) + 1),
    latency_sum_s=0.0,
    ttft_buckets=(0,) * (len(BOUNDS_S) + 1),
)


def at(seconds: float, count: int) -> tuple[int, ...]:
    """So many values at about so many seconds."""
    counts, _ = np.histogram([seconds] * count, [0.0, *BOUNDS_S, np.inf])
    return tuple(counts.tolist())


def test_only_what_lies_beyond_the_limit_for_certain_counts() -> None:
    e2e, ttft = fatal_counts(SLO, 100, 0.95)
    # 400 ms lies inside the bucket that ends at 500 ms: that one may hold replies within the limit.
    assert (e2e.measure, BOUNDS_S[e2e.bucket - 1]) == ("e2e_ms", 0.5)
    assert (ttft.measure, BOUNDS_S[ttft.bucket - 1]) == ("ttft_ms", 0.1)
    assert not is_hopeless(replace(NOTHING, buckets=at(0.45, 130)), (e2e, ttft))
    assert is_hopeless(replace(NOTHING, buckets=at(0.6, e2e.most + 1)), (e2e, ttft))
    assert not is_hopeless(replace(NOTHING, buckets=at(0.6, e2e.most)), (e2e, ttft))
    assert is_hopeless(replace(NOTHING, ttft_buckets=at(2.0, ttft.most + 1)), (e2e, ttft))


def test_what_is_fatal_misses_the_percentile_even_if_all_that_still_comes_is_quick() -> None:
    for planned in (10, 100, 1000):
        (fatal,) = fatal_counts(Slo.parse("e2e_ms.p90<=400"), planned, 0.95)
        n = planned + 3 * int(np.ceil(np.sqrt(planned)))
        values = np.array([0.0] * (n - fatal.most - 1) + [600.0] * (fatal.most + 1))
        bound = percentile_interval(values, 0.9).lower_bound
        assert bound is not None
        assert bound > 400
        fewer = percentile_interval(
            np.array([0.0] * (n - fatal.most) + [600.0] * fatal.most), 0.9
        ).lower_bound
        assert fewer is None or fewer < 400


def test_a_limit_beyond_all_buckets_is_never_fatal() -> None:
    assert fatal_counts(Slo.parse("e2e_ms.p90<=999999"), 1000, 0.95) == ()


def test_a_hopeless_load_is_ended_and_another_is_not() -> None:
    slo = Slo.parse("e2e_ms.p90<=400")
    (fatal,) = fatal_counts(slo, 100, 0.95)
    assert isinstance(fatal, Fatal)
    live, counters, stop = Live(), Counters(), threading.Event()
    live.begin(open_loop(rate_rps=10.0, items=1, requests=100).shard(0, 1), 0, [counters])
    with ended_when_hopeless(slo, live, 100, 0.95, stop):
        for _ in range(fatal.most + 1):
            counters.end(Outcome.OK, 600_000_000)
        assert stop.wait(30)
    stop.clear()
    threads = threading.active_count()
    with ended_when_hopeless(None, live, 100, 0.95, stop), ended_when_hopeless(slo, live, 100, 0.95, None):
        assert threading.active_count() == threads
    assert not stop.is_set()
