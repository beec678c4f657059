"""The terms of an SLO, and how a run is judged by them: on bounds, never on a point estimate alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.errors import InputError
from hexgate.load.measures.goodput import times_ms
from hexgate.load.measures.slo import RATIOS, TIMES, Comparator, Slo, Term
from hexgate.load.measures.slo_judge import Judged, Kept, judge
from hexgate.load.plans.plan import Plan, closed_loop, open_loop
from hexgate.load.records import NEVER, RECORD, Outcome, Records
from hexgate.stats.percentile import percentile_interval

MS = 1_000_000
OPEN = open_loop(rate_rps=10.0, items=1, requests=10)
CLOSED = closed_loop(concurrency=1, items=1, requests=10)


def rows(n: int, **columns: Any) -> NDArray[np.void]:
    """Records of n whole replies; due 10 ms before they are sent, where nothing else is said."""
    made = np.zeros(n, dtype=RECORD)
    made["index"] = np.arange(n)
    for name in RECORD.names or ():
        if name.endswith(("_ns", "_tokens")):
            made[name] = NEVER
    made["due_ns"], made["sent_ns"] = 0, 10 * MS
    for name, values in columns.items():
        made[name] = values
    return made


def judged(slo: str, made: NDArray[np.void], plan: Plan = OPEN, *, stopped: bool = False) -> list[Judged]:
    return judge(Slo.parse(slo), Records.of(made), plan, stopped=stopped)


def test_terms_of_a_text_and_of_json() -> None:
    text = "ttft_ms.p99<=500,tpot_ms.mean<=50,e2e_ms<=2000.5,error_ratio<=0.01,goodput_ratio>=0.99,ttft_ms.p99.9<=900"
    slo = Slo.parse(text)
    assert str(slo) == text
    assert slo.terms[0] == Term("ttft_ms", "p99", Comparator.AT_MOST, 500.0)
    assert [term.share for term in slo.terms] == [0.99, None, None, None, None, 0.999]
    assert [str(term) for term in slo.run_terms] == [
        part for part in text.split(",") if part != "e2e_ms<=2000.5"
    ]
    assert Slo.from_json(json.loads(json.dumps(slo.to_json()))) == slo
    assert Slo.parse(" ttft_ms.p50 <= 1 , gap_ms<=2").terms[1] == Term(
        "gap_ms", None, Comparator.AT_MOST, 2.0
    )


def test_what_one_request_is_held_to() -> None:
    slo = Slo.parse(
        "ttft_ms.p50<=100,ttft_ms.p99<=500,tpot_ms.mean<=50,e2e_ms.p99<=900,e2e_ms<=1000,error_ratio<=0"
    )
    assert slo.request_limits == {"ttft_ms": 100.0, "e2e_ms": 1000.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a term of an SLO"),
        ("ttft_ms.p99<=500,", "not a term of an SLO"),
        ("ttft_ms.p99<500", "not a term of an SLO"),
        ("ttft_ms.p99<=fast", "not a term of an SLO"),
        ("ttfb_ms<=5", "no measure 'ttfb_ms'"),
        ("ttft_ms.p100<=5", "no statistic"),
        ("ttft_ms.p0<=5", "no statistic"),
        ("ttft_ms.max<=5", "no statistic"),
        ("ttft_ms.p99>=5", "from the other side"),
        ("goodput_ratio<=0.5", "from the other side"),
        ("error_ratio<=1.5", "share from 0 to 1"),
        ("error_ratio.p99<=0.5", "share from 0 to 1"),
        ("ttft_ms<=0", "above 0"),
        ("ttft_ms<=nan", "above 0"),
        ("ttft_ms<=inf", "above 0"),
        ("ttft_ms.p99<=5,ttft_ms.p99<=6", "the same twice"),
        ("goodput_ratio>=0.9", "needs a limit that each request is held to"),
    ],
)
def test_what_is_no_slo(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Slo.parse(text)


@pytest.mark.parametrize(
    "value", [[], [{"measure": "ttft_ms"}], [{**Slo.parse("ttft_ms<=1").to_json()[0], "limit": "x"}]]
)
def test_json_that_is_no_slo(value: Any) -> None:
    with pytest.raises(InputError):
        Slo.from_json(value)


def test_times_of_a_row() -> None:
    made = rows(2)
    made[0]["first_token_ns"], made[0]["first_answer_ns"] = 110 * MS, 210 * MS
    made[0]["last_token_ns"], made[0]["end_ns"], made[0]["gap_max_ns"] = 1110 * MS, 1120 * MS, 30 * MS
    made[0]["events"], made[0]["output_tokens"], made[0]["first_event_tokens"] = 98, 104, 4
    known = {measure: times_ms(made, measure, from_due=True).tolist() for measure in TIMES}
    assert [values[0] for values in known.values()] == [110.0, 210.0, 10.0, 30.0, 1120.0]
    assert all(np.isnan(values[1]) for values in known.values())
    assert times_ms(made, "ttft_ms", from_due=False)[0] == 100.0


def test_a_percentile_is_judged_as_its_order_statistic_bounds_judge_it() -> None:
    rng = np.random.default_rng(5)
    seen = set()
    for n in (3, 59, 200, 299, 1000):
        values = np.sort(rng.lognormal(4.0, 0.6, n)).round(3)
        made = rows(n, end_ns=(values * MS).astype(np.int64))
        for limit in (*values[:: max(n // 40, 1)], values[-1], values[-1] + 1):
            bounds = percentile_interval(values, 0.95)
            (found,) = judged(f"e2e_ms.p95<={limit}", made)
            met = bounds.upper_bound is not None and bounds.upper_bound <= limit
            missed = bounds.lower_bound is not None and bounds.lower_bound > limit
            assert found.kept is (Kept.MET if met else Kept.MISSED if missed else Kept.UNDECIDED)
            seen.add(found.kept)
    assert seen == {Kept.MET, Kept.MISSED, Kept.UNDECIDED}


def test_too_few_replies_show_nothing_however_fast_they_are() -> None:
    (found,) = judged("e2e_ms.p99<=1000", rows(298, end_ns=20 * MS))
    assert found.kept is Kept.UNDECIDED
    assert found.why == "298 of 298 replies within 1000 ms; at least 299 replies are needed to show it"
    assert judged("e2e_ms.p99<=1000", rows(299, end_ns=20 * MS))[0].kept is Kept.MET


def test_what_never_came_is_beyond_every_limit_and_what_was_refused_is_an_error() -> None:
    made = rows(1000, end_ns=20 * MS, first_token_ns=15 * MS)
    made["outcome"][:100] = Outcome.TIMEOUT
    made["first_token_ns"][:50] = NEVER
    made["outcome"][100:150] = Outcome.ERROR
    made["first_token_ns"][100:150] = NEVER
    slo = "ttft_ms.p90<=100,e2e_ms.p95<=100,e2e_ms.mean<=100,error_ratio<=0.2,timeout_ratio<=0.2"
    ttft, e2e, mean, error, timeout = judged(slo, made)
    # A late first token of a reply that was given up is not that of a whole reply, and not beyond a limit either.
    assert (ttft.kept, ttft.n) == (Kept.MET, 900)
    assert (e2e.kept, e2e.n) == (Kept.MISSED, 950)
    assert mean.kept is Kept.MISSED
    assert error.why.startswith("150 of 1000, 0.15,")
    assert timeout.why.startswith("100 of 1000, 0.1,")


def test_ratios_on_their_exact_bounds() -> None:
    made = rows(1000, end_ns=20 * MS)
    made["outcome"][:5] = Outcome.ERROR
    kept = [judged(f"error_ratio<={limit}", made)[0].kept for limit in (0.02, 0.006, 0.001)]
    assert kept == [Kept.MET, Kept.UNDECIDED, Kept.MISSED]
    # 0 of 10 is no proof of 1 %.
    assert judged("error_ratio<=0.01", rows(10, end_ns=20 * MS))[0].kept is Kept.UNDECIDED


def test_goodput_is_over_all_that_was_due() -> None:
    made = rows(1000, end_ns=20 * MS, first_token_ns=15 * MS)
    made["outcome"][:50] = Outcome.NOT_SENT
    made["outcome"][50:100] = Outcome.ERROR
    made["first_token_ns"][100:200] = 300 * MS
    slo = "ttft_ms<=100,goodput_ratio>="
    (found,) = judged(f"{slo}0.75", made)
    assert found.why.startswith("800 of 1000, 0.8,")
    assert found.kept is Kept.MET
    assert [judged(f"{slo}{limit}", made)[0].kept for limit in (0.8, 0.9)] == [Kept.UNDECIDED, Kept.MISSED]


def test_a_mean_on_its_bounds() -> None:
    values = np.random.default_rng(1).normal(100.0, 10.0, 400)
    made = rows(400, end_ns=(values * MS).astype(np.int64))
    kept = [judged(f"e2e_ms.mean<={limit}", made)[0].kept for limit in (105, values.mean(), 95)]
    assert kept == [Kept.MET, Kept.UNDECIDED, Kept.MISSED]
    assert judged("e2e_ms.mean<=1000", made[:29])[0].kept is Kept.UNDECIDED


def test_what_no_reply_has_is_never_kept() -> None:
    for slo in ("gap_ms.p50<=1", "tpot_ms.p99<=1", "ttfa_ms.mean<=1"):
        assert judged(slo, rows(500, end_ns=20 * MS))[0].kept is Kept.UNMEASURED
    nothing = rows(3, outcome=Outcome.NOT_SENT)
    found = judged("e2e_ms.p50<=1,error_ratio<=1", nothing, stopped=True)
    assert [one.kept for one in found] == [Kept.UNMEASURED] * 2


def test_warm_up_is_not_judged_and_a_closed_loop_counts_from_the_send() -> None:
    made = rows(100, end_ns=20 * MS)
    made["warmup"][:50] = True
    made["end_ns"][:50] = 9000 * MS
    assert judged("e2e_ms.p90<=25", made)[0].n == 50
    assert judged("e2e_ms.p90<=15", made)[0].kept is Kept.MISSED
    made["due_ns"] = NEVER
    assert judged("e2e_ms.p90<=15", made, CLOSED)[0].kept is Kept.MET


def test_goodput_is_unmeasured_where_a_limit_was_measured_on_no_request() -> None:
    made = rows(500, end_ns=20 * MS)
    (found,) = judged("ttft_ms<=50,goodput_ratio>=0.9", made)
    assert (found.kept, found.why) == (Kept.UNMEASURED, "no reply has what is limited: ttft_ms")


def test_a_reply_without_a_time_that_is_limited_is_not_good() -> None:
    made = rows(500, end_ns=20 * MS, first_token_ns=15 * MS)
    made["first_token_ns"][:400] = NEVER
    (found,) = judged("ttft_ms<=50,e2e_ms<=50,gap_ms<=9,goodput_ratio>=0.9", made[400:])
    assert found.kept is Kept.UNMEASURED
    made["gap_max_ns"][-1] = MS
    # One reply of a single event has no gap, and is good; one without a first token is not.
    (found,) = judged("ttft_ms<=50,e2e_ms<=50,gap_ms<=9,goodput_ratio>=0.9", made)
    assert found.why.startswith("100 of 500, 0.2,")
    assert found.kept is Kept.MISSED


def test_what_was_due_and_never_sent_is_beyond_every_limit_and_a_miss_unless_the_run_was_stopped() -> None:
    made = rows(120, end_ns=20 * MS, first_token_ns=15 * MS)
    for name in ("sent_ns", "end_ns", "first_token_ns"):
        made[name][58:] = NEVER
    made["outcome"][58:] = Outcome.NOT_SENT
    slo = "ttft_ms.p90<=100,e2e_ms.p90<=100,error_ratio<=0.2,timeout_ratio<=0.2"
    found = judged(slo, made)
    assert [one.kept for one in found] == [Kept.MISSED] * 4
    assert [one.n for one in found] == [120] * 4
    assert found[2].why.startswith("62 of 120, ")
    assert [one.n for one in judged(slo, made, stopped=True)] == [58] * 4
    assert [one.n for one in judged(slo, made, CLOSED)] == [58] * 4
    # A later turn of a conversation that broke off was never due.
    made["due_ns"][58:] = NEVER
    assert [one.n for one in judged(slo, made)] == [58] * 4


def test_a_reply_in_one_event_has_no_pace_however_many_tokens_it_is() -> None:
    at = {"first_token_ns": 15 * MS, "last_token_ns": 15 * MS, "end_ns": 20 * MS}
    made = rows(500, **at, counted_tokens=40, events=1)
    assert judged("tpot_ms.p90<=1", made)[0].kept is Kept.UNMEASURED
    made["events"], made["last_token_ns"] = 2, 54 * MS
    assert times_ms(made, "tpot_ms", from_due=True)[0] == 1.0


def test_every_measure_says_what_it_is() -> None:
    assert all({**TIMES, **RATIOS}.values())
