from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hexgate.errors import InputError
from hexgate.load.callable_driver import CallableDriver, CallOutcome
from hexgate.load.engine import RunInfo
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.records import Outcome
from hexgate.load.start import MOST_AHEAD_S, MOST_LATE_S, Start
from support.load_running import carried_out

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "wall_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("2001-09-09T01:46:40.000000001+00:00", 1_000_000_000_000_000_001),
        (" 2026-02-28T23:59:59.25Z ", 1_772_323_199_250_000_000),
    ],
)
def test_instants(text: str, wall_ns: int) -> None:
    start = Start.parse(text)
    assert start.wall_ns == wall_ns
    assert start.at == text.strip()


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_instants_against_datetime(moment: datetime) -> None:
    moment = moment.replace(tzinfo=timezone.utc)
    start = Start.parse(f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}Z")
    whole = int(moment.replace(microsecond=0).timestamp())
    assert start.wall_ns == whole * S + moment.microsecond * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+01:00",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "1767225600",
    ],
)
def test_what_is_no_instant_in_utc(text: str) -> None:
    with pytest.raises(InputError, match="not an instant in UTC"):
        Start.parse(text)


def test_a_start_that_is_not_near() -> None:
    start = Start("", 10_000 * S)
    for now_s in (10_000 - MOST_AHEAD_S, 10_000, 10_000 + MOST_LATE_S):
        start.refuse_unless_near(round(now_s * S))
    with pytest.raises(InputError, match="has passed"):
        start.refuse_unless_near(round((10_001 + MOST_LATE_S) * S))
    with pytest.raises(InputError, match="too far ahead"):
        start.refuse_unless_near(round((9_999 - MOST_AHEAD_S) * S))


def at(wall_ns: int) -> Start:
    return Start("as the test has it", wall_ns)


def carry_out(
    plan: Plan, start: Start, folder: Path, stop: threading.Event | None = None
) -> tuple[RunInfo, NDArray[np.void]]:
    driver = CallableDriver(lambda _item: CallOutcome(text="x"))
    left = carried_out(plan, driver, folder, start=start, stop=stop)
    assert left.info is not None
    return left.info, left.rows


@pytest.mark.parametrize("kind", ["open", "closed"])
def test_nothing_is_sent_before_the_start_and_everything_counts_from_it(kind: str, tmp_path: Path) -> None:
    begun_ns = time.time_ns()
    start = at(begun_ns + 300_000_000)
    plan = (
        closed_loop(concurrency=2, items=1, requests=8)
        if kind == "closed"
        else open_loop(rate_rps=200.0, items=1, requests=8, max_in_flight=2)
    )
    info, rows = carry_out(plan, start, tmp_path)
    assert time.time_ns() >= start.wall_ns
    assert info.started_wall_ns == start.wall_ns
    assert info.start_at == "as the test has it"
    assert info.late_ns is not None
    assert info.late_ns >= 0
    assert (rows["sent_ns"] >= 0).all()
    # Both clocks say the same of the start.
    before_ns, since_ns, after_ns = time.time_ns(), time.monotonic_ns() - info.started_ns, time.time_ns()
    slack_ns = 50_000_000
    assert before_ns - start.wall_ns - slack_ns < since_ns < after_ns - start.wall_ns + slack_ns


def test_a_start_that_has_passed_is_kept_and_what_was_due_since_is_charged(tmp_path: Path) -> None:
    start = at(time.time_ns() - 2 * S)
    plan = open_loop(rate_rps=10.0, items=1, requests=10, arrival=Arrival.CONSTANT, max_in_flight=2)
    info, rows = carry_out(plan, start, tmp_path)
    assert info.late_ns is not None
    assert info.late_ns >= 2 * S
    assert rows["due_ns"].tolist() == plan.due_ns.tolist()
    assert (rows["issued_ns"] >= 2 * S).all()
    late = rows["issued_ns"] - rows["due_ns"]
    assert late.max() >= 2 * S
    assert late.min() >= 2 * S - int(plan.due_ns[-1])


@pytest.mark.parametrize("kind", ["open", "closed"])
def test_a_run_that_is_stopped_before_its_start_sends_nothing(kind: str, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    plan = (
        closed_loop(concurrency=1, items=1, requests=5)
        if kind == "closed"
        else open_loop(rate_rps=10.0, items=1, requests=5, max_in_flight=1)
    )
    info, rows = carry_out(plan, at(time.time_ns() + 1000 * S), tmp_path, stop)
    assert info.stopped == "asked"
    assert len(rows) == 5
    assert set(rows["outcome"].tolist()) == {Outcome.NOT_SENT}
    assert (rows["sent_ns"] == -1).all()
