"""Loads of a search that end early: only where nothing that still comes could change what they say."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.errors import TargetFailed
from hexgate.indicators import load_probe
from hexgate.indicators.load_probe import (
    Fatal,
    Prober,
    Step,
    ended_when_hopeless,
    fatal_counts,
    is_hopeless,
)
from hexgate.load.live import Live, Seen
from hexgate.load.measures.search import Verdict
from hexgate.load.measures.slo import Slo
from hexgate.load.measures.slo_judge import Judged, Kept
from hexgate.load.plans.plan import open_loop
from hexgate.load.sending.counters import BOUNDS_S, Counters
from hexgate.load.sending.layout import Outcome
from hexgate.stats.percentile import percentile_interval

SLO = Slo.parse("e2e_ms.p90<=450,ttft_ms.p50<=100,ttft_ms.mean<=100,tpot_ms.p99<=5,error_ratio<=0.1")
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
    # 450 ms lies inside the bucket that ends at 500 ms: that one may hold replies within the limit.
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


TERM = Slo.parse("e2e_ms.p90<=400").terms[0]
WHOLE = Step(
    folder="search/01-10",
    rate_rps=10.0,
    seconds=2.0,
    status="complete",
    judged=(Judged(TERM, Kept.MET, "all within", 100),),
    reasons=(),
    figures={"rps": 10.0},
)


class _Given:
    """A folder of artifacts that nobody measured: what it says of itself is given."""

    def __init__(self, *, error: TargetFailed | None = None) -> None:
        self.error = error
        self.artifact = self
        self.data: dict[str, Any] = {"counts": {"requested": 9}, "warmup_requests": 1, "rps": 9.0}
        self.names = {"run"}

    def evidence(self) -> _Given:
        return self


def prober(steps: list[Step], given: _Given, monkeypatch: pytest.MonkeyPatch) -> Prober:
    """One whose next load is the last of the steps."""
    nobody: Any = None
    made = Prober(nobody, Path(), "search", nobody, lambda _: nullcontext(nobody), steps=steps[:-1])

    def measure(self: Prober, *_: Any) -> list[_Given]:
        self.steps.append(steps[-1])
        return [given, given]

    monkeypatch.setattr(load_probe.Prober, "_measure", measure)
    return made


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        (WHOLE, Verdict.MET),
        (replace(WHOLE, stopped="disk", status="invalid", lacking="disk"), Verdict.INVALID),
        (replace(WHOLE, stopped="client", status="invalid", lacking="client"), Verdict.INVALID),
        (replace(WHOLE, stopped="died", status="invalid", lacking="died"), Verdict.INVALID),
        (replace(WHOLE, reasons=("too slow",), status="invalid"), Verdict.INVALID),
        (replace(WHOLE, stopped="errors", status="invalid", lacking="30 of 40 failed"), Verdict.MISSED),
        (replace(WHOLE, status="invalid", lacking="unlike hosts"), Verdict.UNDECIDED),
        (replace(WHOLE, status="partial", lacking="cut short"), Verdict.UNDECIDED),
    ],
)
def test_a_load_that_is_not_complete_never_meets_its_limits(
    step: Step, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = prober([step], _Given(), monkeypatch).probe(10.0, 2.0)
    assert answer.verdict is verdict
    assert answer.why == (step.lacking or (step.reasons or ("e2e_ms.p90<=400: all within",))[0])


REFUSED = replace(
    WHOLE, rate_rps=40.0, status="partial", stopped="unreachable", judged=(), figures={"rps": None}
)


def test_a_target_that_takes_no_connections_at_a_higher_rate_has_missed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = _Given(error=TargetFailed("20 attempts in a row found no connection"))
    answer = prober([WHOLE, REFUSED], refused, monkeypatch).probe(40.0, 2.0)
    assert (answer.verdict, answer.why) == (Verdict.MISSED, "20 attempts in a row found no connection")


@pytest.mark.parametrize(
    ("steps", "has_no_run"),
    [
        ([REFUSED], False),
        ([replace(WHOLE, rate_rps=80.0), REFUSED], False),
        ([replace(WHOLE, figures={"rps": None}), REFUSED], False),
        ([WHOLE, replace(REFUSED, stopped="disk")], False),
        # The disk failed before the run was written down.
        ([WHOLE, replace(REFUSED, stopped=None)], True),
    ],
)
def test_a_target_that_was_never_reached_ends_the_search(
    steps: list[Step], has_no_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _Given(error=TargetFailed("it is not there"))
    if has_no_run:
        given.names.clear()
    with pytest.raises(TargetFailed, match="not there"):
        prober(steps, given, monkeypatch).probe(40.0, 2.0)
