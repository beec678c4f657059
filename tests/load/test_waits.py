"""Waits under a cap that are longer than the time-out: counted, and told."""

from __future__ import annotations

from typing import Any

import pytest

from hexgate.load.measures.waits import waits_beyond
from hexgate.load.plans.plan import Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, Records
from support.load_records import by_hand, reply

S = 1_000_000_000
CAPPED = open_loop(rate_rps=10.0, requests=20, items=1, max_in_flight=2)


def late(wait_s: float, **more: Any) -> dict[str, Any]:
    return reply(5 * S, **{"due_ns": 5 * S - round(wait_s * S)} | more)


def test_those_that_waited_longer_than_the_time_out_are_counted() -> None:
    rows = [late(0.5), late(1.0), late(1.5), late(3.0), late(9.0, warmup=True), late(9.0, sent_ns=NEVER)]
    (told,) = waits_beyond(Records.of(by_hand(*rows)), CAPPED, 1.0)
    assert told.startswith("2 of 4 requests waited for a slot for longer than the time-out of 1 s, up to 3 s")


@pytest.mark.parametrize(
    ("plan", "timeout_s"),
    [
        (CAPPED, 10.0),
        (CAPPED, None),
        (open_loop(rate_rps=10.0, requests=20, items=1), 1.0),
        (closed_loop(concurrency=2, requests=20, items=1), 1.0),
    ],
)
def test_without_such_waits_or_without_slots_nothing_is_said(plan: Plan, timeout_s: float | None) -> None:
    assert waits_beyond(Records.of(by_hand(late(3.0))), plan, timeout_s) == ()
