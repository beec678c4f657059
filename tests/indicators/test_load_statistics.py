"""The statistics of a load: its figures are those of NumPy over the records, and what is not known has a reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexgate.contract.schema import load_schema
from hexgate.errors import EvidenceError
from hexgate.indicators.load_examples import failures, sampled_replies, slowest
from hexgate.indicators.load_folder import LoadFolder, read_load_folder
from hexgate.indicators.load_statistics import SCHEMA, load_statistics, statistics_mistakes
from hexgate.load.measures.arrivals import arrival_test
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import Outcome
from hexgate.stats.histogram import LogHistogram
from support.load_folders import folder_of, folder_with, plan_of, write_evidence


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> LoadFolder:
    return folder_of(tmp_path_factory.mktemp("load"), plan_of(2000), failing=0.1)


@pytest.fixture(scope="module")
def statistics(load: LoadFolder) -> dict[str, Any]:
    return load_statistics(load)


def test_the_document_keeps_its_contract(statistics: dict[str, Any]) -> None:
    assert statistics_mistakes(statistics) == []
    assert (
        statistics["schema"]
        == SCHEMA
        == f"hexgate/load_statistics/{load_schema('load/statistics')['x-version']}"
    )
    assert statistics_mistakes(statistics | {"outcomes": {}}) != []


@pytest.mark.parametrize(
    ("name", "to", "since"),
    [
        ("e2e_due_ms", "end_ns", "due_ns"),
        ("e2e_sent_ms", "end_ns", "sent_ns"),
        ("ttft_due_ms", "first_token_ns", "due_ns"),
        ("ttfa_sent_ms", "first_answer_ns", "sent_ns"),
    ],
)
def test_times_are_those_of_numpy(
    load: LoadFolder, statistics: dict[str, Any], name: str, to: str, since: str
) -> None:
    rows = load.records.array()
    good = rows[(rows["outcome"] == Outcome.OK) & ~rows["warmup"]]
    values = (good[to] - good[since]) / 1e6
    found = statistics["times"][name]
    assert found["count"] == len(values)
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert found["std"] == pytest.approx(values.std(), rel=1e-9)
    assert (found["min"], found["max"]) == (values.min(), values.max())
    for key, share in {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9}.items():
        assert found["percentiles"][key] == np.percentile(values, share, method="inverted_cdf")
    assert found["bounds"]["p50"]["low"] <= found["percentiles"]["p50"] <= found["bounds"]["p50"]["high"]
    assert found["bounds"]["p999"]["high"] is None
    assert sum(found["histogram"]["counts"]) == pytest.approx(len(values))


def test_waits_are_of_all_timed_requests(load: LoadFolder, statistics: dict[str, Any]) -> None:
    rows = load.records.array()
    taken = rows[~rows["warmup"] & (rows["issued_ns"] >= 0)]
    assert statistics["times"]["dispatch_lag_ms"]["count"] == len(taken)
    assert (
        statistics["times"]["dispatch_lag_ms"]["max"] == ((taken["issued_ns"] - taken["due_ns"]) / 1e6).max()
    )


def test_what_only_a_histogram_holds_says_so(load: LoadFolder, statistics: dict[str, Any]) -> None:
    gaps = LogHistogram.from_json(load.evidence.document("stream")["gaps_ms"])
    found = statistics["times"]["gap_ms"]
    assert (found["count"], found["mean"], found["max"]) == (gaps.count, gaps.mean, gaps.maximum)
    assert found["percentiles"]["p99"] == gaps.percentile(0.99)
    assert (found["std"], found["bounds"]) == (None, {})
    assert found["precision"] != statistics["times"]["tpot_ms"]["precision"] == "exact"


def test_totals_add_up(load: LoadFolder, statistics: dict[str, Any]) -> None:
    rows = load.records.array()
    counts = statistics["outcomes"]
    assert counts["total"] + counts["warmup"] == len(rows)
    assert sum(counts[kind.name.lower()] for kind in Outcome) == counts["total"]
    good = rows[(rows["outcome"] == Outcome.OK) & ~rows["warmup"]]
    assert statistics["tokens"]["prompt_tokens"] == good["prompt_tokens"].sum()
    assert statistics["tokens"]["output_tokens"] == good["output_tokens"].sum()
    assert statistics["tokens"]["cached_tokens"] is None
    assert statistics["tokens"]["counted_by"] == "server"
    assert statistics["tokens"]["bytes"] == rows["bytes"].sum()


def test_goodput_is_of_all_that_were_due(tmp_path: Path) -> None:
    method = {"confidence": 0.95, "kind": "open_loop", "arrival": "poisson", "concurrency": 0, "seed": 3}
    slo = [{"measure": "ttft_ms", "statistic": None, "comparator": "<=", "limit": 100.0}]
    found = folder_of(tmp_path, plan_of(600), {"method": method | {"slo": slo}}, failing=0.2)
    goodput = load_statistics(found)["goodput"]
    rows = found.records.array()
    timed = rows[~rows["warmup"]]
    good = (timed["outcome"] == Outcome.OK) & ((timed["first_token_ns"] - timed["due_ns"]) <= 100e6)
    assert (goodput["good"], goodput["due"]) == (good.sum(), len(timed))
    assert goodput["ratio"] == good.sum() / len(timed)
    assert statistics_mistakes(load_statistics(found)) == []


def test_failures_are_grouped_whatever_numbers_they_name(
    load: LoadFolder, statistics: dict[str, Any]
) -> None:
    rows = load.records.array()
    found = {reason["outcome"]: reason for reason in statistics["failures"]["reasons"]}
    assert len(found) == 5
    assert statistics["failures"]["others"] == 0
    assert sum(reason["count"] for reason in found.values()) == (rows["outcome"] != Outcome.OK).sum()
    assert found["error"]["reason"] == "http_503: overloaded, retry in # s"
    first = np.flatnonzero(rows["outcome"] == Outcome.ERROR)[:3].tolist()
    assert [one["index"] for one in found["error"]["examples"]] == first
    assert found["error"]["examples"][0]["error"] == f"http_503: overloaded, retry in {first[0] % 7} s"


def test_reasons_beyond_the_most_frequent_are_counted(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(200), all_fail=True)
    path, count = files["replies"]
    errors = (
        {"error": f"kind_{'x' * index}: detail", "index": index, "text": None} for index in range(count)
    )
    path.write_text("".join(json.dumps(each) + "\n" for each in errors), encoding="utf-8")
    found = failures(folder_with(tmp_path, files))
    assert len(found["reasons"]) == 30
    assert sum(reason["count"] for reason in found["reasons"]) + found["others"] == count


def test_a_failure_without_a_reply_is_named_by_its_outcome(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(60), all_fail=True)
    del files["replies"]
    found = failures(folder_with(tmp_path, files))
    assert {reason["reason"] for reason in found["reasons"]} == {
        reason["outcome"] for reason in found["reasons"]
    }
    assert found["reasons"][0]["examples"][0]["error"] is None


def test_the_slowest_are_the_slowest(load: LoadFolder) -> None:
    rows = load.records.array()
    good = rows[(rows["outcome"] == Outcome.OK) & ~rows["warmup"]]
    order = np.argsort(-(good["end_ns"] - good["due_ns"]), kind="stable")[:20]
    assert [one["index"] for one in slowest(load)] == good["index"][order].tolist()


def test_replies_are_spread_over_the_load(load: LoadFolder) -> None:
    found = [int(reply["index"]) for reply in sampled_replies(load)]
    assert 6 <= len(found) <= 8
    assert found == sorted(set(found))
    assert found[-1] > load.records.array()["index"][-1] * 0.7
    assert all(reply["text"] for reply in sampled_replies(load))


def test_resources_and_power_lie_on_the_axis_of_the_load(
    load: LoadFolder, statistics: dict[str, Any]
) -> None:
    (host,) = statistics["resources"]
    assert host["host"] == "client"
    assert {"cpu_ratio", "gpu_util_ratio.0", "gpu_util_ratio.1", "power_w.H200", "power_w.package-0"} <= set(
        host["lines"]
    )
    assert all(value is None or 0.2 <= value <= 0.6 for value in host["lines"]["cpu_ratio"])
    # An energy counter that grows by 50 J a second is a power of 50 W.
    drawn = [value for value in host["lines"]["power_w.package-0"] if value is not None]
    assert drawn == pytest.approx([50.0] * len(drawn))
    assert host["levels"]["cpu_ratio"] == {"mean": 0.4, "max": 0.5, "std": 0.1, "samples": 9}
    covered_s = host["step_s"] * len(host["lines"]["cpu_ratio"])
    assert covered_s == pytest.approx(
        statistics["series"]["step_s"] * statistics["series"]["bins"], abs=host["step_s"]
    )


def test_arrivals_and_remarks_are_those_of_the_artifacts(load: LoadFolder) -> None:
    arrivals = arrival_test(load.records, load.plan)  # type: ignore[arg-type]
    assert arrivals is not None
    rates = {
        **load.artifact,
        "indicator": "throughput_rps",
        "arrivals": arrivals.to_json(),
        "remarks": ["b", "a"],
    }
    latency = {**load.artifact, "remarks": ["a"]}
    found = load_statistics(replace(load, latency=latency, rates=rates))
    assert statistics_mistakes(found) == []
    assert found["remarks"] == ["a", "b"]
    assert found["arrivals"] == arrivals.to_json()
    assert "arrivals" not in found["missing"]


def test_what_the_server_says_of_its_own_time_is_in_it(tmp_path: Path, statistics: dict[str, Any]) -> None:
    assert statistics["server_times"] is None
    assert statistics["missing"]["server_times"] == "no reply has durations by the server"
    files = write_evidence(tmp_path, plan_of(80), failing=0.0)
    records = np.load(files["requests"][0])
    records["server_load_ns"] = 200_000_000
    records["server_total_ns"] = records["end_ns"] - records["sent_ns"]
    np.save(files["requests"][0], records)
    found = load_statistics(folder_with(tmp_path, files))
    assert statistics_mistakes(found) == []
    said = found["server_times"]
    assert (said["replies"], said["loading"], said["told"]) == (80, 80, 80)
    assert said["server_mean_ms"] == said["client_mean_ms"]


def test_tokens_of_the_slowest_are_counted_as_all_are(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(40), failing=0.0)
    records = np.load(files["requests"][0])
    records["output_tokens"], records["counted_tokens"] = -1, 37
    np.save(files["requests"][0], records)
    load = folder_with(tmp_path, files)
    assert {one["output_tokens"] for one in slowest(load)} == {37}
    series = load_statistics(load)["series"]
    assert sum(series["output_tokens"]) == 37 * len(records)


def test_a_closed_loop_without_streams_says_why_times_are_missing(tmp_path: Path) -> None:
    files = write_evidence(
        tmp_path, closed_loop(concurrency=4, items=3, requests=80), failing=0.0, rich=False
    )
    records = np.load(files["requests"][0])
    for name in (
        "first_token_ns",
        "first_answer_ns",
        "last_token_ns",
        "gap_max_ns",
        "due_ns",
        "output_tokens",
    ):
        records[name] = -1
    np.save(files["requests"][0], records)
    found = load_statistics(folder_with(tmp_path, files))
    assert statistics_mistakes(found) == []
    assert found["times"]["e2e_sent_ms"]["count"] == 80
    missing = found["missing"]
    assert missing["e2e_due_ms"] == missing["dispatch_lag_ms"] == "a closed loop has no due times"
    assert missing["ttft_sent_ms"] == "no reply was streamed"
    assert missing["ttfa_sent_ms"] == "no reply streamed an answer"
    assert missing["tpot_ms"] == "no reply was streamed with a token after its first event"
    assert missing["gap_ms"] == "the evidence of this load does not have it"
    assert missing["output_tokens_per_s"] == "no reply has tokens that can be counted"
    assert (found["client"], found["stream"], found["resources"]) == (None, None, [])


@pytest.mark.parametrize(("failing", "all_fail"), [(0.0, False), (0.0, True)])
def test_an_open_loop_without_streams_says_why_times_are_missing(
    tmp_path: Path, failing: float, all_fail: bool
) -> None:
    files = write_evidence(tmp_path, plan_of(80), failing=failing, all_fail=all_fail)
    records = np.load(files["requests"][0])
    for name in ("first_token_ns", "first_answer_ns", "last_token_ns", "gap_max_ns"):
        records[name] = -1
    np.save(files["requests"][0], records)
    missing = load_statistics(folder_with(tmp_path, files))["missing"]
    if all_fail:
        assert (
            missing["e2e_due_ms"] == missing["ttft_due_ms"] == missing["gap_max_ms"] == "no request succeeded"
        )
        return
    assert "e2e_due_ms" not in missing
    assert missing["ttft_due_ms"] == missing["ttft_sent_ms"] == "no reply was streamed"
    assert missing["ttfa_due_ms"] == "no reply streamed an answer"
    assert missing["gap_max_ms"] == "no reply was streamed with a second event"


def test_what_the_pace_rests_on_is_counted(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(80), failing=0.0)
    records = np.load(files["requests"][0])
    timed = np.flatnonzero(~records["warmup"])
    records["first_event_tokens"][timed[:5]] = -1
    records["output_tokens"][timed[5:8]] = 1
    np.save(files["requests"][0], records)
    found = load_statistics(folder_with(tmp_path, files))
    assert statistics_mistakes(found) == []
    pace = found["times"]["tpot_ms"]
    assert (pace["count"], pace["undefined"], pace["first_event_unknown"]) == (len(timed) - 3, 3, 5)
    assert "undefined" not in found["times"]["ttft_due_ms"]


def test_a_load_that_sent_nothing_is_a_document_all_the_same(tmp_path: Path) -> None:
    files = write_evidence(tmp_path, plan_of(20), rich=False)
    np.save(files["requests"][0], np.load(files["requests"][0])[:0])
    found = load_statistics(
        folder_with(tmp_path, files, {"status": "failed", "invalid_reasons": ["no target"]})
    )
    assert statistics_mistakes(found) == []
    assert (found["series"], found["achieved"]["rps"], found["outcomes"]["total"]) == (None, None, 0)
    assert (found["status"]["overall"], found["reasons"]) == ("failed", ["no target"])


def test_a_folder_without_a_load_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no artifact of a load"):
        read_load_folder(tmp_path)
