"""Figures of records that are written by hand, against numbers that are computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.load.measures.figures import outcomes, throughput
from hexgate.load.measures.health import client_health
from hexgate.load.measures.latencies import Anchor, Latencies, latencies
from hexgate.load.measures.tokens import TokenSource, output_tokens
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, Outcome, Records
from hexgate.stats.histogram import LogHistogram
from support.load_records import by_hand, reply

MS = 1_000_000
S = 1_000_000_000


def rows(*fields: dict[str, Any]) -> Records:
    return Records.of(by_hand(*fields))


def all_of(found: Latencies, name: str) -> list[float]:
    """All values of a time, in rising order."""
    time = found.of(name)
    return time.ranks(range(1, time.count + 1))


def closed(n: int, **more: Any) -> Plan:
    return closed_loop(concurrency=more.pop("concurrency", 1), items=1, requests=n, **more)


def constant(n: int, rate: float, **more: Any) -> Plan:
    return open_loop(rate_rps=rate, items=1, requests=n, arrival=Arrival.CONSTANT, **more)


def test_one_stream_worked_by_hand() -> None:
    # From the send: role event at 5 ms, first token event at 200 ms with 4 of 101 tokens, last token at 1200 ms,
    # end at 1212 ms. It was due 300 ms before.
    record = rows(
        {
            "due_ns": 0,
            "sent_ns": 300 * MS,
            "headers_ns": 304 * MS,
            "first_event_ns": 305 * MS,
            "first_token_ns": 500 * MS,
            "first_answer_ns": 700 * MS,
            "last_token_ns": 1500 * MS,
            "end_ns": 1512 * MS,
            "events": 98,
            "first_event_tokens": 4,
            "output_tokens": 101,
        }
    )
    found = latencies(record, constant(1, 1.0))
    assert found.anchor is Anchor.DUE
    assert all_of(found, "e2e") == [1512.0]
    assert all_of(found, "e2e_sent") == [1212.0]
    assert all_of(found, "ttft_sent") == [200.0]
    assert all_of(found, "ttft_due") == all_of(found, "ttft") == [500.0]
    assert all_of(found, "ttfa_sent") == [400.0]
    assert all_of(found, "ttfa_due") == [700.0]
    assert all_of(found, "tpot") == [pytest.approx(1000.0 / 97)]
    assert found.token_source is TokenSource.SERVER
    assert found.first_event_unknown == 0


def test_a_closed_loop_counts_from_the_send() -> None:
    found = latencies(rows({"sent_ns": 5 * MS, "end_ns": 15 * MS}), closed(1))
    assert found.anchor is Anchor.SENT
    assert all_of(found, "e2e") == [10.0]
    assert found.times.keys() == {"e2e_sent", "ttft_sent", "ttfa_sent", "tpot", "gap_max"}
    assert found.of("ttft").count == found.of("tpot").count == 0
    assert found.of("ttft").mean is None
    assert found.token_source is None


def stream(events: int, *, tokens: int = NEVER, first: int = NEVER, last_ms: int = 100) -> dict[str, Any]:
    return {
        "sent_ns": 0,
        "first_token_ns": 10 * MS,
        "first_answer_ns": 10 * MS,
        "last_token_ns": last_ms * MS,
        "end_ns": 200 * MS,
        "events": events,
        "output_tokens": tokens,
        "first_event_tokens": first,
    }


def test_replies_without_a_pace_have_none_and_are_counted() -> None:
    one_token = stream(1, tokens=1, last_ms=10)
    one_event = stream(1, tokens=9, first=9, last_ms=10)
    plain = stream(10)
    found = latencies(rows(one_token, one_event, plain), closed(3))
    assert all_of(found, "tpot") == [10.0]
    assert found.tpot_undefined == 2
    assert found.first_event_unknown == 1
    assert found.assumed("tpot") == {"undefined": 2, "first_event_unknown": 1}
    assert found.assumed("e2e_sent") == {}
    assert found.token_source is TokenSource.MIXED


def test_who_counted_the_tokens() -> None:
    assert output_tokens(by_hand(stream(3), stream(4)))[1] is TokenSource.EVENTS
    assert output_tokens(by_hand(stream(3, tokens=5), {"output_tokens": 7}))[1] is TokenSource.SERVER
    tokens, source = output_tokens(by_hand({"sent_ns": 0, "end_ns": 1}))
    assert (tokens.tolist(), source) == ([-1], None)


def test_warm_up_and_failures_enter_no_latency_but_are_counted() -> None:
    records = rows(
        {"warmup": True, "sent_ns": 0, "end_ns": 900 * MS},
        {"sent_ns": 0, "end_ns": 10 * MS},
        {"sent_ns": 0, "end_ns": 20 * MS, "outcome": Outcome.ERROR},
        {"sent_ns": 0, "end_ns": 30 * MS, "outcome": Outcome.TIMEOUT},
        {"sent_ns": 0, "end_ns": 40 * MS, "outcome": Outcome.TRUNCATED},
        {"sent_ns": 0, "outcome": Outcome.UNFINISHED},
        {"outcome": Outcome.NOT_SENT},
    )
    assert all_of(latencies(records, closed(6, warmup=1)), "e2e") == [10.0]
    counts = outcomes(records)
    assert (counts.ok, counts.error, counts.timeout, counts.truncated) == (1, 1, 1, 1)
    assert (counts.unfinished, counts.not_sent, counts.total, counts.sent) == (1, 1, 6, 5)
    assert counts.failed == 4
    assert counts.error_ratio == pytest.approx(4 / 5)
    assert counts.timeout_ratio == pytest.approx(1 / 5)


def test_ratios_of_nothing_are_none() -> None:
    counts = outcomes(rows({"outcome": Outcome.NOT_SENT}))
    assert counts.error_ratio is None
    assert counts.timeout_ratio is None
    found = throughput(rows({"outcome": Outcome.NOT_SENT}), closed(1))
    assert found.throughput_rps is None
    assert found.window_s is None
    assert found.windows_rps == ()
    assert found.achieved_rps is None
    assert found.busy_ratio is None


def sequence(n: int, each_ns: int, **more: Any) -> list[dict[str, Any]]:
    return [{"sent_ns": i * each_ns, "end_ns": (i + 1) * each_ns, **more} for i in range(n)]


def test_closed_loop_throughput_by_number() -> None:
    found = throughput(rows(*sequence(100, S // 10)), closed(100))
    assert found.window_s == pytest.approx(10.0)
    assert found.throughput_rps == pytest.approx(10.0)
    assert found.requested_rps is None
    assert found.achieved_rps == pytest.approx(10.0)
    assert found.windows_rps == tuple([pytest.approx(10.0)] * 20)
    assert found.busy_ratio == pytest.approx(1.0)
    assert found.in_flight_max == 1
    assert found.dispatch_lag_p99_ms is None
    assert found.output_tokens_per_s is None


def test_closed_loop_throughput_by_duration_leaves_out_the_drain() -> None:
    plan = closed_loop(concurrency=2, items=1, duration_s=1.0)
    records = rows(
        *[{"sent_ns": i * S // 10, "end_ns": i * S // 10 + S // 5, "output_tokens": 6} for i in range(10)],
        {"sent_ns": S - 1, "end_ns": 60 * S},
        {"sent_ns": S - 1, "outcome": Outcome.UNFINISHED},
    )
    found = throughput(records, plan)
    assert found.window_s == 1.0
    assert found.successes == 9
    assert found.output_tokens_per_s == pytest.approx(54.0)
    assert found.token_source is TokenSource.SERVER
    assert found.outcomes.ok == 11
    assert sum(found.windows_rps) / 20 == pytest.approx(found.throughput_rps)


def test_warm_up_that_ends_inside_the_window_took_its_slots() -> None:
    # Two slots, each request takes a second: 2 a second, whatever is called warm-up.
    plan = closed_loop(concurrency=2, items=1, duration_s=10.0, warmup=3)
    records = rows(
        *[
            {"sent_ns": (i // 2 * S) + (i % 2) * S // 2, "end_ns": (i // 2 + 1) * S + (i % 2) * S // 2}
            | {"warmup": i < 3}
            for i in range(24)
        ]
    )
    assert throughput(records, plan).throughput_rps == pytest.approx(2.0)


def test_an_overloaded_server_is_not_credited_with_what_it_finishes_afterwards() -> None:
    # 100 a second asked for 1 s, 50 a second served.
    plan = constant(100, 100.0)
    records = rows(
        *[{"due_ns": i * 10 * MS, "sent_ns": i * 10 * MS, "end_ns": (i + 1) * 20 * MS} for i in range(100)]
    )
    found = throughput(records, plan)
    assert found.throughput_rps == pytest.approx(50.0)
    assert found.requested_rps == 100.0
    assert found.achieved_rps == pytest.approx(100.0)
    assert found.in_flight_max == 51
    assert client_health(records, plan).starved is False


def test_a_stop_ends_the_window() -> None:
    plan = closed_loop(concurrency=1, items=1, duration_s=10.0)
    records = rows(*sequence(20, S // 10), {"sent_ns": 2 * S, "outcome": Outcome.UNFINISHED})
    assert throughput(records, plan).throughput_rps == pytest.approx(2.0)
    assert throughput(records, plan, stopped_ns=4 * S).throughput_rps == pytest.approx(5.0)
    nothing = rows({"sent_ns": 0, "outcome": Outcome.UNFINISHED})
    assert throughput(nothing, closed(5), stopped_ns=S).throughput_rps == 0.0


def lagging(n: int, rate: float, lag_ns: int, *, late: int | None = None) -> Records:
    gap = int(S / rate)
    return rows(
        *[
            {
                "due_ns": i * gap,
                "issued_ns": i * gap + (lag_ns if late is None or i < late else 0),
                "sent_ns": i * gap + lag_ns,
                "end_ns": i * gap + lag_ns + MS,
            }
            for i in range(n)
        ]
    )


def test_a_client_that_is_late_is_starved() -> None:
    plan = constant(100, 100.0)
    assert client_health(lagging(100, 100.0, 4 * MS), plan).starved is False
    health = client_health(lagging(100, 100.0, 6 * MS), plan)
    assert health.starved
    assert "6 ms late" in health.reasons[0]
    # Half a mean gap is the limit where that is more than 5 ms.
    assert client_health(lagging(10, 1.0, 400 * MS), constant(10, 1.0)).starved is False
    assert client_health(lagging(10, 1.0, 600 * MS), constant(10, 1.0)).starved is True
    assert client_health(lagging(200, 100.0, 6 * MS, late=2), constant(200, 100.0)).starved is False


def test_waiting_for_a_slot_or_a_connection_is_not_the_clients_fault() -> None:
    records = lagging(100, 100.0, 500 * MS, late=0)
    assert client_health(records, constant(100, 100.0)).starved is False
    found = throughput(records, constant(100, 100.0))
    assert found.dispatch_lag_p99_ms == 0.0
    assert found.queue_p99_ms == 500.0


def test_a_client_that_falls_behind_the_pace_is_starved() -> None:
    plan = constant(100, 1000.0)
    records = rows(*[{"due_ns": i * MS, "issued_ns": i * 2 * MS, "sent_ns": i * 2 * MS} for i in range(100)])
    (reason,) = client_health(records, plan).reasons
    assert "late" in reason


def test_a_closed_loop_client_that_leaves_its_slots_empty_is_starved() -> None:
    busy = rows(*[{"sent_ns": i * 10 * MS, "end_ns": i * 10 * MS + 6 * MS} for i in range(50)])
    idle = rows(*[{"sent_ns": i * 10 * MS, "end_ns": i * 10 * MS + 4 * MS} for i in range(50)])
    assert client_health(busy, closed(50)).starved is False
    assert "slots" in client_health(idle, closed(50)).reasons[0]
    # In process the gaps are ours, and can only make the rate too low.
    assert client_health(idle, closed(50), in_process=True).starved is False
    # A long tail behind the last request taken up leaves slots empty for no fault of the client.
    tail = rows(*sequence(10, MS), {"sent_ns": 10 * MS, "end_ns": 60 * S})
    assert client_health(tail, closed(11)).starved is False


def bursts(n: int, slots: int, *, each_ns: int, gap_ns: int = 0, warmup: int = 0) -> Records:
    """So many requests in lock step: a slot takes the next one `gap_ns` after its last; slots start 1 us apart."""
    return rows(
        *[
            {
                "warmup": i < warmup,
                "sent_ns": (begin := i // slots * (each_ns + gap_ns) + i % slots * 1000),
                "end_ns": begin + each_ns,
            }
            for i in range(n)
        ]
    )


@pytest.mark.parametrize("warmup", [0, 1, 2, 3, 4, 6, 50])
@pytest.mark.parametrize("timed", [1, 2, 4, 5, 6, 7, 8, 9, 40])
def test_one_burst_on_a_slow_server_says_nothing_of_the_client(timed: int, warmup: int) -> None:
    plan = closed(timed, concurrency=4, warmup=warmup)
    records = bursts(warmup + timed, 4, each_ns=S, warmup=warmup)
    assert client_health(records, plan).reasons == ()
    busy = throughput(records, plan).busy_ratio
    assert busy is None if timed + min(warmup, 3) < 8 and timed <= 4 else busy is None or busy > 0.99


@pytest.mark.parametrize("warmup", [0, 3, 50])
def test_a_client_that_leaves_its_slots_empty_between_bursts_is_starved(warmup: int) -> None:
    plan = closed(12, concurrency=4, warmup=warmup)
    records = bursts(warmup + 12, 4, each_ns=10 * MS, gap_ns=30 * MS, warmup=warmup)
    assert "slots" in client_health(records, plan).reasons[0]


def test_an_open_loop_counts_no_warm_up() -> None:
    # The last of the warm-up ends inside the window that begins with it.
    plan = constant(2, 1.0, warmup=2)
    records = rows(
        *[
            {
                "warmup": i < 2,
                "due_ns": i * S,
                "sent_ns": i * S,
                "end_ns": i * S + 1500 * MS,
                "output_tokens": 3,
            }
            for i in range(4)
        ]
    )
    found = throughput(records, plan)
    assert (found.window_s, found.successes, found.throughput_rps) == (2.0, 1, 0.5)
    assert found.output_tokens_per_s == 1.5
    assert sum(found.windows_rps) / 20 == pytest.approx(0.5)


def test_sockets_that_this_machine_lacked_are_its_own_fault() -> None:
    records = rows(*sequence(3, S), {"issued_ns": 3 * S, "end_ns": 3 * S, "outcome": Outcome.NOT_SENT})
    assert "connections" in client_health(records, closed(4)).reasons[0]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=40))
def test_in_flight_against_a_count_at_every_instant(spans: list[tuple[int, int]]) -> None:
    records = rows(*[{"sent_ns": begin, "end_ns": begin + length} for begin, length in spans])
    counted = max(sum(begin <= now < begin + length for begin, length in spans) for now in range(101))
    assert throughput(records, closed(len(spans), concurrency=50)).in_flight_max == counted


def test_output_tokens_by_the_second() -> None:
    # A window from 0 s to 4 s; replies end at 0.2 s, 1.2 s, 2 s sharp and 3.2 s.
    records = by_hand(
        reply(0, output_tokens=10),
        reply(S, output_tokens=20),
        reply(2 * S - 200 * MS, due_ns=2 * S - 200 * MS, output_tokens=30),
        reply(3 * S, output_tokens=5),
    )
    plan = constant(4, 1.0)
    found = throughput(Records.of(records), plan)
    assert found.window_s == 4.0
    assert found.output_tokens_per_s == pytest.approx(65 / 4)
    speed = found.token_speed
    assert speed is not None
    assert (speed.seconds, speed.maximum, speed.minimum, speed.by_events) == (4, 50.0, 0.0, False)
    assert speed.std == pytest.approx(np.std([10, 50, 0, 5]))
    # Events say when tokens came; each has the run's mean of 65 tokens over 44 events.
    stream: dict[str, Any] = {
        "gaps_ms": LogHistogram().to_json(),
        "events": 44,
        "per_second": {"begin_s": 0, "events": [400, 400, 400, 400], "ok_events": [4, 40]},
    }
    by_events = throughput(Records.of(records), plan, stream=stream).token_speed
    assert by_events is not None
    assert by_events.by_events
    # Those of other requests, which failed or were warm-up, have no part in it.
    assert (by_events.maximum, by_events.minimum) == (pytest.approx(40 * 65 / 44), 0.0)
    assert by_events.mean == pytest.approx(found.output_tokens_per_s)
    # An older record counted the events of all requests alone.
    del stream["per_second"]["ok_events"]
    assert throughput(Records.of(records), plan, stream=stream).token_speed == speed
    short = throughput(Records.of(records[:1]), constant(1, 1.0))
    assert short.token_speed is None
    assert short.output_tokens_per_s == 10.0


def test_output_tokens_by_the_second_are_of_the_replies_that_the_mean_is_of() -> None:
    # Four slots for 12 s, the first 2 s of them warm-up; a reply takes 500 ms, has 10 events of 3 tokens, and of five
    # four fail.
    made, ok_events, events = [], [0] * 12, [0] * 12
    for number in range(4 * 24):
        sent = number // 4 * 500 * MS
        good = number % 5 == 0
        took = {
            "sent_ns": sent,
            "issued_ns": sent,
            "first_token_ns": sent + 50 * MS,
            "end_ns": sent + 500 * MS,
        }
        how = {"events": 10, "output_tokens": 30, "outcome": Outcome.OK if good else Outcome.TRUNCATED}
        made.append(took | how | {"warmup": number < 16})
        for event in range(10):
            second = (sent + (event + 1) * 50 * MS - 1) // S
            events[second] += 1
            ok_events[second] += good
    plan = closed(80, concurrency=4, warmup=16)
    stream = {"per_second": {"begin_s": 0, "events": events, "ok_events": ok_events}}
    found = throughput(rows(*made), plan, stream=stream)
    speed = found.token_speed
    assert speed is not None
    assert speed.by_events
    assert speed.seconds == 10
    assert speed.minimum <= speed.mean <= speed.maximum
    assert found.output_tokens_per_s is not None
    assert speed.minimum <= found.output_tokens_per_s <= speed.maximum
    assert speed.mean == pytest.approx(found.output_tokens_per_s, rel=0.05)


def test_conversations_hold_their_slot_while_the_user_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two turns of 100 ms with 800 ms between them; the slot is never free.
    plan = closed_loop(concurrency=1, items=1, requests=5, turns=2, think_s=0.8)
    records = by_hand(
        *[
            {
                "turn": turn,
                "sent_ns": (begin := unit * S + turn * 900 * MS),
                "end_ns": begin + 100 * MS,
                "output_tokens": 1,
            }
            for unit in range(5)
            for turn in range(2)
        ]
    )
    found = throughput(Records.of(records), plan)
    assert found.busy_ratio == pytest.approx(1.0)
    assert found.in_flight_max == 1
    whole = Records.chunks
    monkeypatch.setattr(Records, "chunks", lambda self, _size=0: whole(self, 3))
    assert throughput(Records.of(records), plan).busy_ratio == found.busy_ratio


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_no_figure_depends_on_the_chunks(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    records = by_hand(
        *[
            reply(
                int(at),
                ttft_ms=float(random.exponential(300.0)),
                events=int(random.integers(1, 40)),
                gap_max_ns=int(random.integers(-1, 9 * MS)),
                outcome=int(random.choice([0, 0, 0, 0, 1, 2, 3])),
                warmup=number < 20,
            )
            for number, at in enumerate(np.sort(random.integers(0, 20 * S, 300)) + random.integers(0, S, 300))
        ]
    )
    plan = open_loop(rate_rps=15.0, items=1, requests=280, warmup=20)

    def figures() -> list[Any]:
        rates = vars(throughput(Records.of(records), plan, limits={"ttft_ms": 100.0, "tpot_ms": 10.0}))
        times = latencies(Records.of(records), plan, limit_ms=200.0, level=0.95)
        return [
            rates | {"goodput": vars(rates["goodput"])},
            [(one.mean, one.std, one.percentile(0.99), one.interval(0.9)) for one in times.times.values()],
            times.bins,
            (times.over_limit, times.tpot_undefined, times.first_event_unknown, times.token_source),
        ]

    at_once = figures()
    whole = Records.chunks
    monkeypatch.setattr(Records, "chunks", lambda self, _size=0: whole(self, size))
    assert figures() == at_once
