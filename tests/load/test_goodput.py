"""Goodput of records that are written by hand, against numbers that are computed by hand."""

from __future__ import annotations

import pytest

from hexgate.load.measures.figures import throughput
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, Outcome, Records
from support.load_records import by_hand, reply

MS = 1_000_000
S = 1_000_000_000
LIMITS = {"ttft_ms": 100.0, "tpot_ms": 10.0}


def constant(n: int, rate: float) -> Plan:
    return open_loop(rate_rps=rate, items=1, requests=n, arrival=Arrival.CONSTANT)


def test_goodput_is_of_all_that_were_due() -> None:
    rows = by_hand(
        reply(0),
        reply(S, ttft_ms=100.1),
        reply(2 * S, span_ms=101.0),
        reply(3 * S, outcome=Outcome.TRUNCATED),
        reply(4 * S, outcome=Outcome.TIMEOUT),
        {"due_ns": 5 * S, "sent_ns": 5 * S, "outcome": Outcome.UNFINISHED},
        {"due_ns": 6 * S, "outcome": Outcome.NOT_SENT},
        # Late by its due time alone.
        reply(7 * S + 50 * MS, due_ns=7 * S),
        # One token has no pace, so no limit of a pace is broken.
        reply(8 * S, events=1, span_ms=0.0),
        reply(9 * S, ttft_ms=1.0, span_ms=950.0 + 49.0, events=200),
    )
    found = throughput(Records.of(rows), constant(10, 1.0), limits=LIMITS).goodput
    assert found is not None
    assert (found.due, found.ok, found.good) == (10, 6, 3)
    assert found.ratio == pytest.approx(0.3)
    assert found.ratio_of_ok == pytest.approx(0.5)
    assert found.good_inside == 3
    # In a closed loop nothing is due: the late one counts from its send.
    rows["due_ns"] = NEVER
    closed = throughput(Records.of(rows), closed_loop(concurrency=1, items=1, requests=10), limits=LIMITS)
    assert closed.goodput is not None
    assert closed.goodput.good == 4


def test_a_limit_that_nothing_was_held_against_gives_no_goodput() -> None:
    rows = by_hand(*[{"due_ns": i * S, "sent_ns": i * S, "end_ns": i * S + MS} for i in range(4)])
    found = throughput(Records.of(rows), constant(4, 1.0), limits={"e2e_ms": 5.0, "ttft_ms": 9.0}).goodput
    assert found is not None
    assert found.unmeasured == ("ttft_ms",)
    assert found.ratio is found.ratio_of_ok is None
    failed = by_hand(*[{"due_ns": i * S, "sent_ns": i * S, "outcome": Outcome.ERROR} for i in range(4)])
    nothing = throughput(Records.of(failed), constant(4, 1.0), limits=LIMITS).goodput
    assert nothing is not None
    assert (nothing.ratio, nothing.ratio_of_ok) == (0.0, None)
    assert throughput(Records.of(rows), constant(4, 1.0)).goodput is None
