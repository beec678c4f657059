"""The figures of both indicators from evidence that is written here, computed again with numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.contract.schema import load_schema, measures
from hexgate.errors import EvidenceError
from hexgate.indicators.base import Figures
from hexgate.indicators.latency_p99 import LatencyP99
from hexgate.indicators.load_evidence import ShardRun, load_evidence
from hexgate.indicators.throughput_rps import ThroughputRps
from hexgate.load.measures.slo import Slo
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop
from hexgate.load.plans.shard import Place
from hexgate.load.records import Outcome
from hexgate.stats.histogram import LogHistogram
from support.load_records import by_hand, reply

S = 1_000_000_000
N = 600
PLAN = open_loop(rate_rps=100.0, items=5, requests=N, warmup=20, arrival=Arrival.CONSTANT)
METHOD: dict[str, Any] = {
    "requested": N, "confidence": 0.95, "limit_ms": 150.0, "in_process": False, "windows": 20,
    "slo": Slo.parse("ttft_ms<=100,e2e_ms.p99<=400").to_json(),
}  # fmt: skip


def made(seed: int = 0) -> NDArray[np.void]:
    random = np.random.default_rng(seed)
    rows = by_hand(
        *[
            reply(
                int(due),
                ttft_ms=float(random.exponential(60.0)),
                span_ms=float(random.exponential(90.0)),
                events=int(random.integers(2, 30)),
                first_event_tokens=2,
                prompt_tokens=int(random.integers(1, 50)),
                cached_tokens=1,
                gap_max_ns=int(random.integers(1, S)),
                outcome=int(random.choice([0, 0, 0, 0, 0, 0, 1, 2])),
            )
            for due in PLAN.due_ns
        ]
    )
    rows["output_tokens"] = rows["events"] + 3
    rows["item"], rows["warmup"] = PLAN.item, np.arange(len(rows)) < PLAN.warmup
    rows["sent_ns"] += random.integers(0, 50_000, len(rows))
    rows["first_answer_ns"] += 5_000
    return rows


def stream_of(gaps_ms: NDArray[np.float64]) -> dict[str, Any]:
    gaps = LogHistogram()
    gaps.record_many(gaps_ms)
    return {
        "gaps_ms": gaps.to_json(),
        "events": 900,
        "per_second": {
            "begin_s": 0,
            "events": [1000] * 6,
            "ok_events": [100, 200, 300, 50, 50, 200],
            "first_tokens": [1] * 6,
        },
    }


def left(folder: Path, rows: NDArray[np.void], plan: Plan = PLAN, **documents: Any) -> EvidenceReader:
    evidence = EvidenceWriter(folder, "load")
    evidence.document("plan_head", plan.head())
    evidence.array("plan", plan.to_array())
    evidence.array("requests", rows)
    evidence.document("run", {"stopped": None, "stopped_ns": None} | documents.pop("run", {}))
    for name, document in documents.items():
        evidence.document(name, document)
    return EvidenceReader(folder, {name: file.to_json() for name, file in evidence.finish().items()})


def worker(number: int = 0, **more: Any) -> dict[str, Any]:
    """What a worker told that had nothing to do."""
    return {
        "worker": number, "wall_s": 7.0, "cpu_s": 0.1, "run_delay_s": 0.0, "ticks": 0, "tick_ms": 10.0,
        "lag": LogHistogram().to_json(), "lag_max_ms": 0.0, "opened": 1, "reopened": 0, "died": None,
        "backlog": {"samples": 0, "nonzero": 0, "max_bytes": 0}, "per_second": [],
    } | more  # fmt: skip


def client_of(*workers: dict[str, Any]) -> dict[str, Any]:
    return {"workers": list(workers), "parent": {"cpu_s": 0.1}, "throttled_s": 0.0, "cores": 2}


def complete(figures: Figures, indicator: str) -> dict[str, Any]:
    """The values, which are those of the schema, each null with a reason."""
    assert set(figures.values) == set(load_schema(indicator)["x-own"])
    null = {name for name in measures(indicator) if figures.values[name] is None}
    assert null == set(figures.missing)
    assert all(figures.values[name] is not None for name in figures.intervals)
    return dict(figures.values)


def test_every_latency_is_numpys(tmp_path: Path) -> None:
    rows = made()
    gaps = np.random.default_rng(1).exponential(20.0, 4000)
    figures = LatencyP99().figures(METHOD, left(tmp_path, rows, stream=stream_of(gaps)))
    values = complete(figures, "latency_p99")
    good = rows[~rows["warmup"] & (rows["outcome"] == Outcome.OK)]
    after_first = good["output_tokens"] - 2
    times = {
        "e2e_due": good["end_ns"] - good["due_ns"],
        "e2e_sent": good["end_ns"] - good["sent_ns"],
        "ttft_due": good["first_token_ns"] - good["due_ns"],
        "ttft_sent": good["first_token_ns"] - good["sent_ns"],
        "ttfa_due": good["first_answer_ns"] - good["due_ns"],
        "ttfa_sent": good["first_answer_ns"] - good["sent_ns"],
        "tpot": (good["last_token_ns"] - good["first_token_ns"]) / after_first,
        "gap_max": good["gap_max_ns"],
    }
    assert values["times"].keys() == times.keys()
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
    for name, span_ns in times.items():
        ms, found = span_ns / 1e6, values["times"][name]
        assert found["count"] == len(ms)
        assert [found["mean_ms"], found["std_ms"]] == pytest.approx([ms.mean(), ms.std()], rel=1e-12)
        assert [found["min_ms"], found["max_ms"]] == pytest.approx([ms.min(), ms.max()], rel=1e-15)
        for share, p in shares.items():
            expected = np.quantile(ms, p, method="inverted_cdf")
            assert found[f"{share}_ms"] == pytest.approx(expected, rel=1e-15)
            low, high = found["bounds"][f"{share}_ms"]
            assert low is None or low <= found[f"{share}_ms"]
            assert high is None or high >= found[f"{share}_ms"]
    for prefix, name in {"": "e2e_due", "ttft_": "ttft_due", "ttfa_": "ttfa_due", "tpot_": "tpot"}.items():
        for share in shares:
            if (key := f"{prefix}{share}_ms") in values:
                assert values[key] == values["times"][name][f"{share}_ms"]
                assert figures.intervals[key].low == values["times"][name]["bounds"][f"{share}_ms"][0]
    assert values["gap_max_ms"] == good["gap_max_ns"].max() / 1e6
    assert values["gap_p99_ms"] == pytest.approx(np.quantile(gaps, 0.99, method="inverted_cdf"), rel=0.004)
    assert values["over_limit_count"] == (times["e2e_due"] / 1e6 > 150.0).sum()
    timed = rows[~rows["warmup"]]
    assert values["timeout_ratio"] == (timed["outcome"] == Outcome.TIMEOUT).mean()
    assert sum(values["ttft_histogram"]["counts"]) == len(good)
    assert values["warmup_requests"] == 20


def test_what_was_not_recorded_is_null_with_its_reason(tmp_path: Path) -> None:
    rows = made()
    without = LatencyP99().figures(METHOD, left(tmp_path, rows))
    complete(without, "latency_p99")
    assert without.missing == dict.fromkeys(
        ("gap_p50_ms", "gap_p99_ms"), "the times between events were not recorded"
    )
    for name in ("first_token_ns", "first_answer_ns", "last_token_ns", "gap_max_ns"):
        rows[name] = -1
    plain = left(tmp_path, rows, stream=stream_of(np.empty(0)))
    missing = LatencyP99().figures(METHOD, plain).missing
    assert missing["ttft_p90_ms"] == missing["ttft_mean_ms"] == "no reply was streamed"
    assert missing["gap_p99_ms"] == missing["gap_max_ms"] == "no reply was streamed with a second event"
    rates = ThroughputRps().figures(METHOD, plain)
    complete(rates, "throughput_rps")
    assert rates.missing["goodput_ratio"] == "no reply has what is limited: ttft_ms"
    rows["outcome"] = Outcome.ERROR
    nothing = LatencyP99().figures(METHOD, left(tmp_path, rows))
    complete(nothing, "latency_p99")
    assert nothing.missing["gap_p99_ms"] == nothing.missing["p999_ms"] == "no request succeeded"
    complete(ThroughputRps().figures(METHOD, left(tmp_path, rows)), "throughput_rps")


def test_the_rates_and_what_they_rest_on(tmp_path: Path) -> None:
    rows = made()
    figures = ThroughputRps().figures(METHOD, left(tmp_path, rows, stream=stream_of(np.ones(3))))
    values = complete(figures, "throughput_rps")
    timed = rows[~rows["warmup"]]
    good = timed[timed["outcome"] == Outcome.OK]
    kept = good[
        (good["first_token_ns"] - good["due_ns"] <= 100_000_000)
        & (good["end_ns"] - good["due_ns"] <= 400_000_000)
    ]
    assert values["goodput_ratio"] == len(kept) / N
    assert values["goodput_of_ok_ratio"] == len(kept) / len(good)
    assert values["goodput_rps"] == (kept["end_ns"] <= 6.2 * S).sum() / values["duration_s"]
    assert figures.intervals["goodput_ratio"].n == N
    assert values["prompt_tokens_total"] == good["prompt_tokens"].sum()
    assert values["output_tokens_total"] == good["output_tokens"].sum()
    assert values["cached_token_ratio"] == len(good) / good["prompt_tokens"].sum()
    assert values["outcomes"]["timeout"] == values["timeouts"]
    assert sum(values["outcomes"].values()) == N
    assert values["tokens"]["disagree"] == len(good)
    # The window is from 0.2 s to 6.2 s: five whole seconds from 1 s on.
    each = good["output_tokens"].sum() / good["events"].sum()
    assert values["output_tokens_per_s_max"] == pytest.approx(300 * each)
    assert values["output_tokens_per_s_min"] == pytest.approx(50 * each)
    assert values["output_tokens_per_s_std"] == pytest.approx(np.std([200, 300, 50, 50, 200]) * each)
    without = {key: value for key, value in METHOD.items() if key != "slo"}
    plain = ThroughputRps().figures(without, left(tmp_path, rows))
    complete(plain, "throughput_rps")
    assert plain.missing["goodput_rps"] == "no request is held to a limit"


def test_what_the_clients_told_is_read_by_shard(tmp_path: Path) -> None:
    own, other = {"workers": [], "parent": {"cpu_s": 1.0}}, {"workers": [], "parent": {"cpu_s": 2.0}}
    assert load_evidence(left(tmp_path, made())).clients == {}
    assert load_evidence(left(tmp_path, made(), client=own)).clients == {0: own}
    merged = left(tmp_path, made(), client_0=own, client_3=other)
    assert load_evidence(merged).clients == {0: own, 3: other}
    assert load_evidence(merged).stream is None


def test_records_that_are_none_are_an_error_of_the_evidence(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no request was sent"):
        load_evidence(left(tmp_path, made()[:0]))
    with pytest.raises(EvidenceError, match="other columns"):
        load_evidence(left(tmp_path, made()[["index", "item"]].astype([("index", "<i4"), ("item", "<i4")])))


def test_the_arrival_process_and_what_else_is_to_be_known_are_published(tmp_path: Path) -> None:
    rows = made()
    rows["server_load_ns"] = np.where(rows["index"] < 40, 2 * S, 1)
    rows["server_total_ns"] = rows["end_ns"] - rows["sent_ns"]
    rows["cached_tokens"] = rows["prompt_tokens"]
    evidence = left(tmp_path, rows, client=client_of(worker(cpu_s=5.6)))
    rates, times = ThroughputRps().figures(METHOD, evidence), LatencyP99().figures(METHOD, evidence)
    arrivals = complete(rates, "throughput_rps")["arrivals"]
    assert arrivals["asked"] == "constant"
    assert arrivals["planned"]["n"] == arrivals["sent"]["n"] == N
    assert arrivals["taken_up"]["ok"] is True
    assert {check["name"] for check in arrivals["planned"]["checks"]} == {"pace", "gap_cv", "dispersion"}
    repeated, cached, loading, busy = rates.values["remarks"]
    assert repeated.startswith("600 of 600 timed requests repeat a prompt")
    assert "took 1 of the prompt tokens from its cache" in cached
    good = rows[~rows["warmup"] & (rows["outcome"] == Outcome.OK)]
    assert f"{(good['index'] < 40).sum()} of {len(good)} replies include the loading of the model" in loading
    assert "worker 0 used 0.8 of a core" in busy
    assert times.values["remarks"] == rates.values["remarks"]
    assert rates.invalid_reasons == times.invalid_reasons == ()


def test_another_arrival_process_is_a_remark_and_in_bursts_a_reason(tmp_path: Path) -> None:
    plan = open_loop(rate_rps=4000.0, items=4000, requests=4000)
    rows = by_hand(*[reply(int(due)) for due in plan.due_ns])
    rows["item"] = plan.item
    account = client_of(worker())
    plain = ThroughputRps().figures(METHOD, left(tmp_path, rows, plan, client=account))
    assert (plain.values["remarks"], plain.invalid_reasons) == ([], ())
    jittered = rows.copy()
    jittered["issued_ns"] = -(-rows["due_ns"] // 1_000_000) * 1_000_000
    jittered["sent_ns"] = jittered["issued_ns"]
    clumps = ThroughputRps().figures(METHOD, left(tmp_path, jittered, plan, client=account))
    assert clumps.values["arrivals"]["taken_up"]["ok"] is False
    assert clumps.values["remarks"][0].startswith("what the client took up is not the poisson process")
    assert clumps.invalid_reasons == ()
    # Taken up once in 10 ms, 40 at once.
    bursts = rows.copy()
    bursts["issued_ns"] = -(-rows["due_ns"] // 10_000_000) * 10_000_000
    bursts["sent_ns"] = bursts["issued_ns"]
    for indicator in (ThroughputRps(), LatencyP99()):
        figures = indicator.figures(METHOD, left(tmp_path, bursts, plan))
        assert any("the client took requests up in bursts" in one for one in figures.invalid_reasons)
        assert any(
            one.startswith("what the client took up is not the poisson") for one in figures.values["remarks"]
        )


def test_a_closed_loop_has_no_arrivals_and_says_why(tmp_path: Path) -> None:
    plan = closed_loop(concurrency=2, items=5, requests=40)
    rows = by_hand(*[reply(at * S // 100, due_ns=-1, issued_ns=at * S // 100) for at in range(40)])
    rows["item"] = plan.item
    figures = ThroughputRps().figures(METHOD, left(tmp_path, rows, plan))
    assert figures.values["arrivals"] is None
    assert figures.missing["arrivals"] == "a closed loop asks for no arrival process"


def test_of_shards_the_process_is_judged_where_all_came_and_their_clocks_are_known(tmp_path: Path) -> None:
    def shard(index: int, **more: Any) -> dict[str, Any]:
        run = {"stopped": None, "stopped_ns": None, "late_ns": 0, "start_at": "2026-01-01T00:00:00Z"} | more
        return ShardRun(Place(index, 2), run, None, "same").to_json()

    evidence = load_evidence(left(tmp_path, made()))
    bounded = {"clock_bound_s": 0.001}
    whole = replace(evidence, run={"shards": [shard(0, **bounded), shard(1, **bounded)]})
    assert whole.no_arrivals is None
    assert whole.arrivals is not None
    blind = replace(evidence, run={"shards": [shard(0), shard(1)]})
    assert blind.arrivals is None
    assert blind.no_arrivals == "it is not known whether the clocks of the shards agree"
    lost = ShardRun(Place(1, 2), None, "is missing", None).to_json()
    assert replace(evidence, run={"shards": [shard(0), lost]}).no_arrivals == (
        "not all shards came, and the process is that of all of them together"
    )


def constant_replies(count: int) -> tuple[Plan, NDArray[np.void]]:
    plan = open_loop(rate_rps=100.0, items=count, requests=count, arrival=Arrival.CONSTANT, max_in_flight=3)
    rows = by_hand(*[reply(int(due)) for due in plan.due_ns])
    rows["item"] = plan.item
    return plan, rows


def test_a_run_that_left_due_requests_unsent_is_not_complete(tmp_path: Path) -> None:
    plan, rows = constant_replies(120)
    for name in ("issued_ns", "sent_ns", "first_token_ns", "first_answer_ns", "last_token_ns", "end_ns"):
        rows[name][58:] = -1
    rows["outcome"][58:] = Outcome.NOT_SENT
    told = {"client": client_of(worker())}
    said = (
        "62 of 120 requests that were due were never sent: the cap of 3 in flight held them back until the drain limit "
        "had passed; raise one of them, or ask for a lower rate"
    )
    for indicator in (ThroughputRps(), LatencyP99()):
        figures = indicator.figures(METHOD | {"requested": 120}, left(tmp_path, rows, plan, **told))
        assert said in figures.invalid_reasons
        assert figures.counts.skipped == 62
    # One that was stopped says that, and one that ended whole has nothing to say.
    stopped = left(tmp_path, rows, plan, **told, run={"stopped": "asked", "stopped_ns": S})
    assert not any("never sent" in one for one in LatencyP99().figures(METHOD, stopped).invalid_reasons)
    plan, rows = constant_replies(120)
    assert LatencyP99().figures(METHOD, left(tmp_path, rows, plan, **told)).invalid_reasons == ()
    # Those that this machine had no connection for are told apart.
    rows["sent_ns"][58:], rows["outcome"][58:] = -1, Outcome.NOT_SENT
    unable = LatencyP99().figures(METHOD, left(tmp_path, rows, plan, **told)).invalid_reasons
    assert any("could open no more connections" in one for one in unable)
    assert not any("were due were never sent" in one for one in unable)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (None, "the client left no account of itself"),
        (client_of(), "the client left no account of itself"),
        (client_of(worker()), "1 of 2 workers left an account of themselves"),
    ],
)
def test_an_endpoint_is_not_judged_without_the_account_of_every_worker(
    tmp_path: Path, client: dict[str, Any] | None, said: str
) -> None:
    plan, rows = constant_replies(40)
    documents = {"run": {"workers": 2}} | ({} if client is None else {"client": client})
    evidence = left(tmp_path, rows, plan, **documents)
    for indicator in (ThroughputRps(), LatencyP99()):
        (reason,) = indicator.figures(METHOD, evidence).invalid_reasons
        assert reason.startswith(said)
        assert indicator.figures(METHOD | {"in_process": True}, evidence).invalid_reasons == ()
    whole = left(tmp_path, rows, plan, run={"workers": 2}, client=client_of(worker(0), worker(1)))
    assert LatencyP99().figures(METHOD, whole).invalid_reasons == ()


def test_a_shard_without_the_account_of_every_worker_is_named(tmp_path: Path) -> None:
    plan, rows = constant_replies(40)
    ran = {"stopped": None, "stopped_ns": None, "late_ns": 0, "clock_bound_s": 0.001, "workers": 1}
    runs = [ShardRun(Place(index, 2), ran, None, "same").to_json() for index in range(2)]
    evidence = left(tmp_path, rows, plan, run={"shards": runs}, client_0=client_of(worker()))
    (reason,) = load_evidence(evidence).faults(in_process=False)
    assert reason.startswith("shard 1/2: the client left no account of itself")
    assert load_evidence(evidence).faults(in_process=True) == ()


def test_one_long_stall_of_the_client_takes_the_tail_from_what_can_be_certified(tmp_path: Path) -> None:
    plan, rows = constant_replies(2000)
    # The longest reply takes 1 s, all others 0.2 s.
    rows["end_ns"][7] += 800_000_000
    for stall_ms, uncertified in ((15.0, set()), (50.0, {"p999_ms"}), (150.0, {"p999_ms", "max_ms"})):
        seconds = [[1.0, 0.4, 1.0, 0.0, 0, 1], [2.0, stall_ms, 1.0, 0.0, 0, 1], [3.0, 0.1, 1.0, 0.0, 0, 1]]
        client = client_of(worker(0), worker(1, per_second=seconds))
        evidence = left(tmp_path, rows, plan, client=client)
        figures = LatencyP99().figures(METHOD, evidence)
        assert set(figures.cannot_certify) == uncertified
        assert figures.invalid_reasons == ()
        said = [one for one in figures.values["remarks"] if "stood still" in one]
        assert [one.startswith(f"worker 1 stood still for {stall_ms:g} ms within 2 s") for one in said] == [
            True
        ] * bool(uncertified)
        rates = ThroughputRps().figures(METHOD, evidence)
        assert rates.values["remarks"] == figures.values["remarks"]
        assert rates.cannot_certify == {}


def test_a_reply_in_one_event_has_no_tpot(tmp_path: Path) -> None:
    plan, rows = constant_replies(40)
    rows["events"], rows["counted_tokens"], rows["last_token_ns"] = 1, 50, rows["first_token_ns"]
    figures = LatencyP99().figures(METHOD, left(tmp_path, rows, plan, client=client_of(worker())))
    assert figures.values["tpot_p50_ms"] is None
    assert figures.values["times"]["tpot"] is None
