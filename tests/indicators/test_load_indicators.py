"""latency_p99 and throughput_rps from their requests, computed again with numpy and scipy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, t

from hexgate.contract.artifact import Artifact
from hexgate.errors import TargetFailed
from hexgate.indicators.base import Job
from hexgate.indicators.recompute import recompute
from hexgate.indicators.workload import workload
from hexgate.load.engine import run_plan
from hexgate.load.plans.plan import closed_loop
from hexgate.load.records import Outcome, Records
from hexgate.targets.base import Output, Subject, Target
from hexgate.targets.card import Card
from hexgate.targets.registry import OpenOptions
from support.measuring import array, check, measured, rows
from support.scripted import ScriptedServer

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def good(artifact: Artifact) -> np.ndarray:
    records = array(artifact, "requests")
    return records[~records["warmup"] & (records["outcome"] == Outcome.OK)]


def test_percentiles_are_numpys_inverted_cdf_without_the_warm_up(
    of_digits: Callable[[str], Artifact],
) -> None:
    artifact = of_digits("latency_p99")
    timed = good(artifact)
    e2e_ms = (timed["end_ns"] - timed["sent_ns"]) / 1e6
    found = artifact.data
    for name, share in SHARES.items():
        assert found[f"{name}_ms"] == np.quantile(e2e_ms, share, method="inverted_cdf")
    assert found["requests"] == len(e2e_ms) == 1000
    assert found["warmup_requests"] == 50
    assert len(array(artifact, "requests")) == 1050
    assert [found["min_ms"], found["max_ms"]] == [e2e_ms.min(), e2e_ms.max()]
    assert [found["mean_ms"], found["std_ms"]] == pytest.approx([e2e_ms.mean(), e2e_ms.std()], rel=1e-9)
    assert found["over_limit_count"] == (e2e_ms > found["method"]["limit_ms"]).sum()
    assert sum(found["histogram"]["counts"]) == 1000
    assert "nearest rank" in found["method"]["percentile"]


def test_the_bounds_are_order_statistics_that_cover(of_digits: Callable[[str], Artifact]) -> None:
    artifact = of_digits("latency_p99")
    timed = good(artifact)
    e2e_ms = np.sort((timed["end_ns"] - timed["sent_ns"]) / 1e6)
    n = len(e2e_ms)
    for name, share in SHARES.items():
        interval = artifact.data["intervals"][f"{name}_ms"]
        # The greatest rank that the low end can be, and the least of the high end: equal values share ranks.
        low = np.searchsorted(e2e_ms, interval["low"], side="right")
        high = np.searchsorted(e2e_ms, interval["high"], side="left") + 1
        assert interval["low"] in e2e_ms
        assert interval["high"] in e2e_ms
        assert binom.cdf(low - 1, n, share) <= 0.025 + 1e-12 or e2e_ms[low - 2] == interval["low"]
        assert binom.sf(high - 1, n, share) <= 0.025 + 1e-12 or e2e_ms[high] == interval["high"]
    over = artifact.data["intervals"]["over_limit_ratio"]
    exact = binomtest(artifact.data["over_limit_count"], n).proportion_ci(0.95, "exact")
    assert [over["low"], over["high"]] == pytest.approx([exact.low, exact.high], abs=1e-9)


def test_throughput_counts_what_ended_well_in_the_window(of_digits: Callable[[str], Artifact]) -> None:
    artifact = of_digits("throughput_rps")
    records = array(artifact, "requests")
    found = artifact.data
    begin = records["sent_ns"][~records["warmup"]].min()
    ended = records["end_ns"][
        (records["outcome"] == Outcome.OK)
        & (records["end_ns"] > begin)
        & (records["end_ns"] <= begin + 400_000_000)
    ]
    assert found["duration_s"] == 0.4
    assert found["completed"] == len(ended)
    assert found["rps"] == len(ended) / 0.4
    assert found["concurrency"] == 4
    windows = np.array([window["rps"] for window in found["windows"]])
    assert len(windows) == 20
    assert windows.mean() == pytest.approx(found["rps"])
    interval = found["intervals"]["rps"]
    # Windows that depend on each other widen the interval of independent ones, and never narrow it.
    half = t.ppf(0.975, 19) * windows.std(ddof=1) / np.sqrt(20)
    assert interval["high"] - interval["low"] >= 2 * half * (1 - 1e-9)
    assert interval["low"] < found["rps"] < interval["high"]
    assert found["requested_rps"] is None
    assert "closed loop" in found["missing"]["requested_rps"]


def test_a_rate_is_asked_and_what_was_achieved_is_said(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted(chat=lambda _: "three words here")
    data = tmp_path / "prompts.txt"
    data.write_text("hello\nagain\n", "utf-8")

    measured(
        "throughput_rps", server.v1, tmp_path, data=str(data), rate_rps=40.0, arrival="constant", duration_s=1.0,
        load_warmup=0,
    )  # fmt: skip

    artifact = check(tmp_path / "throughput_rps.json")
    found = artifact.data
    assert found["counts"]["requested"] == 40
    assert found["requested_rps"] == 40.0
    assert found["achieved_rps"] == pytest.approx(40.0, rel=0.4)
    assert found["dispatch_lag_p99_ms"] is not None
    # Tokens by the server's own count: three a reply.
    assert found["output_tokens_per_s"] == pytest.approx(3 * found["rps"])


def test_failures_are_counted_and_have_no_latency(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()
    server.chat = lambda _: 500 if server.asked % 4 == 0 else "two words"
    data = tmp_path / "prompts.txt"
    data.write_text("hello\n", "utf-8")

    measured("latency_p99", server.v1, tmp_path, data=str(data), requests=40, warmup=0)

    artifact = check(tmp_path / "latency_p99.json")
    found = artifact.data
    assert found["counts"] == {"requested": 40, "succeeded": 30, "errored": 10, "skipped": 0}
    assert found["requests"] == 30
    assert found["error_ratio"] == 0.25
    texts = {row["index"]: row for row in rows(artifact, "replies")}
    assert sum(row["error"] is not None for row in texts.values()) == 10
    timed = good(artifact)
    ttft_ms = (timed["first_token_ns"] - timed["sent_ns"]) / 1e6
    tpot_ms = (timed["last_token_ns"] - timed["first_token_ns"]) / 1e6
    assert found["ttft_p95_ms"] == np.quantile(ttft_ms, 0.95, method="inverted_cdf")
    # Two tokens: one gap. Where both came in one read there is no pace.
    paced = tpot_ms[tpot_ms > 0]
    assert found["tpot_p50_ms"] == np.quantile(paced, 0.5, method="inverted_cdf")
    assert found["ttft_p50_ms"] < found["p50_ms"]


def test_one_request_is_no_rate(scripted: Callable[..., ScriptedServer], tmp_path: Path) -> None:
    server = scripted(predict=lambda inputs: [[0.0, 1.0]] * len(inputs))
    data = tmp_path / "items.jsonl"
    data.write_text('{"input": [0, 1], "label": "0"}\n', "utf-8")

    measured(
        "throughput_rps", f"{server.origin}/predict", tmp_path, data=str(data), rate_rps=5.0, duration_s=0.2,
        arrival="constant", load_warmup=3,
    )  # fmt: skip

    found = check(tmp_path / "throughput_rps.json").data
    assert found["status"] == "invalid"
    assert found["completed"] == 1
    assert "too few for a rate" in found["invalid_reasons"][0]
    assert found["intervals"]["rps"]["low"] == found["intervals"]["rps"]["lower_bound"] == 0.0
    assert "bounds below 0 are set to 0" in found["intervals"]["rps"]["method"]


def test_a_slow_server_is_not_a_starved_client(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()

    def predict(inputs: list[list[float]]) -> list[list[float]]:
        time.sleep(0.2)
        return [[0.0, 1.0]] * len(inputs)

    server.predict = predict
    data = tmp_path / "items.jsonl"
    data.write_text('{"input": [0, 1], "label": "0"}\n', "utf-8")

    done = measured(
        "latency_p99",
        f"{server.origin}/predict",
        tmp_path,
        data=str(data),
        requests=4,
        concurrency=4,
        warmup=0,
    )

    assert done.error is None
    assert check(tmp_path / "latency_p99.json").data["status"] == "complete"


@pytest.mark.parametrize("name", ["latency_p99", "throughput_rps"])
def test_a_stopped_load_is_not_complete_whatever_its_artifact_says(
    name: str, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()

    def predict(inputs: list[list[float]]) -> list[list[float]]:
        if server.asked >= 10:
            server.die()
        return [[0.0, 1.0]] * len(inputs)

    server.predict = predict
    data = tmp_path / "items.jsonl"
    data.write_text('{"input": [0, 1], "label": "0"}\n', "utf-8")
    more = {"requests": 500} if name == "latency_p99" else {}
    measured(name, f"{server.origin}/predict", tmp_path, data=str(data), **more)
    artifact = check(tmp_path / f"{name}.json")
    reason = "the load was stopped before its end: unreachable"
    assert artifact.data["status"] == "partial"
    assert reason in artifact.data["invalid_reasons"]

    relabelled = Artifact(artifact.path, {**artifact.data, "status": "complete", "invalid_reasons": []})

    assert any(reason in difference for difference in recompute(relabelled).differences)


@pytest.mark.parametrize("shed", [[], [[0.1]], [[0.1, 0.2]]])
@pytest.mark.parametrize("name", ["latency_p99", "throughput_rps", "power_efficiency"])
def test_a_server_that_sheds_its_load_shows_no_figures_for_it(
    name: str, shed: list[list[float]], scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()
    server.predict = lambda inputs: shed if server.asked > 8 else [[0.0, 0.5, 1.0]] * len(inputs)
    data = tmp_path / "items.jsonl"
    data.write_text('{"input": [0, 1], "label": "0"}\n', "utf-8")

    measured(name, f"{server.origin}/predict", tmp_path, data=str(data))

    artifact = check(tmp_path / f"{name}.json")
    assert artifact.data["counts"]["succeeded"] <= 8
    assert artifact.data["counts"]["errored"] > 0
    assert len(good(artifact)) <= 8


@pytest.mark.parametrize("name", ["latency_p99", "throughput_rps"])
def test_a_generator_that_says_nothing_has_not_answered(
    name: str, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted(chat=lambda _: "")
    data = tmp_path / "prompts.txt"
    data.write_text("hello\n", "utf-8")

    assert measured(name, server.v1, tmp_path, data=str(data)).error is not None

    artifact = check(tmp_path / f"{name}.json")
    assert artifact.data["status"] == "invalid"
    assert artifact.data["counts"]["succeeded"] == 0
    assert all(str(row["error"]).startswith("empty: ") for row in rows(artifact, "replies"))


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((0, 3)),
        np.zeros((2, 3)),
        np.zeros((1, 1)),
        np.zeros(3),
        np.full((1, 3), np.nan),
        np.zeros((1, 4)),
    ],
    ids=str,
)
def test_a_predictor_in_this_process_must_answer_each_input(
    scores: NDArray[np.float64], tmp_path: Path
) -> None:
    class Broken:
        labels = ("a", "b", "c")
        input_shape = (2,)
        output = Output.LOGITS

        def scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
            return (scores if batch[0, 0] else np.zeros((1, 3))).astype(np.float32)

    job = Job(
        target=Target("broken", Subject("broken", "onnx", "broken", None), Card(), predictor=Broken()),
        data=None, options=None, limit=4,
    )  # fmt: skip
    load = workload(job, mode=None, max_tokens=1)
    run_plan(closed_loop(concurrency=1, items=4, requests=8), load.driver, tmp_path, "load")
    records = Records.open(tmp_path / "load.requests.npy")
    assert set(records.array()["outcome"].tolist()) == {Outcome.ERROR}


def test_time_outs_have_a_ratio_of_their_own(scripted: Callable[..., ScriptedServer], tmp_path: Path) -> None:
    server = scripted()

    def predict(inputs: list[list[float]]) -> list[list[float]]:
        if server.asked % 5 == 0:
            time.sleep(1.0)
        return [[0.0, 1.0]] * len(inputs)

    server.predict = predict
    data = tmp_path / "items.jsonl"
    data.write_text('{"input": [0, 1], "label": "0"}\n', "utf-8")

    measured(
        "throughput_rps", f"{server.origin}/predict", tmp_path, data=str(data), duration_s=1.0, concurrency=2,
        load_warmup=0, opening=OpenOptions(timeout_s=0.3),
    )  # fmt: skip

    found = check(tmp_path / "throughput_rps.json").data
    assert found["timeouts"] > 0
    assert found["timeout_ratio"] == found["timeouts"] / (
        found["counts"]["succeeded"] + found["counts"]["errored"]
    )
    assert found["counts"]["errored"] >= found["timeouts"]


def test_an_endpoint_that_is_gone_ends_the_load(
    scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted()

    def predict(inputs: list[list[float]]) -> list[list[float]]:
        if server.asked >= 10:
            server.die()
        return [[0.0, 1.0]] * len(inputs)

    server.predict = predict
    data = tmp_path / "items.jsonl"
    data.write_text('{"input": [0, 1], "label": "0"}\n', "utf-8")

    done = measured(
        "latency_p99", f"{server.origin}/predict", tmp_path, data=str(data), requests=500, warmup=0
    )

    assert isinstance(done.error, TargetFailed)
    found = check(tmp_path / "latency_p99.json").data
    assert found["status"] == "partial"
    assert found["invalid_reasons"]
    assert found["counts"]["requested"] == 500
    assert 0 < found["counts"]["succeeded"] <= 10
    assert found["counts"]["skipped"] > 400


@pytest.mark.parametrize("name", ["latency_p99", "throughput_rps", "power_efficiency"])
def test_a_target_that_only_refuses_gives_no_figure(
    name: str, scripted: Callable[..., ScriptedServer], tmp_path: Path
) -> None:
    server = scripted(chat=lambda _: 500)
    data = tmp_path / "prompts.txt"
    data.write_text("hello\n", "utf-8")

    done = measured(name, server.v1, tmp_path, data=str(data))

    assert done.error is not None
    found = check(tmp_path / f"{name}.json").data
    assert found["status"] == "invalid"
    assert found["counts"]["succeeded"] == 0
    assert "no request succeeded" in found["invalid_reasons"]
    key = {
        "latency_p99": "p99_ms",
        "throughput_rps": "output_tokens_per_s",
        "power_efficiency": "energy_per_token_j",
    }
    assert found[key[name]] is None
    assert found["missing"][key[name]]
