"""One real-looking set of six artifacts and the verdict on them, built by hand from seeded numbers."""

from __future__ import annotations

import copy
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from hexgate.contract.consistency import artifact_id_of
from hexgate.contract.schema import blank_values, measures
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason

Json = dict[str, Any]

SHA = "9f2c4e61b7a05d38c1e94f7a2b6d80e35a1c7f9204d8b36e5f01a2c3d4e5f607"


def interval(value: float, half: float, n: int, family: str = "bootstrap", method: str | None = None) -> Json:
    return {
        "low": value - half,
        "high": value + half,
        "lower_bound": value - 0.84 * half,
        "upper_bound": value + 0.84 * half,
        "level": 0.95,
        "family": family,
        "method": method or "item bootstrap, 2000 resamples, seed 0",
        "n": n,
    }


def envelope(indicator: str, own: Json, **changes: Any) -> Json:
    artifact: Json = {
        "schema": f"hexgate/{indicator}/1.0",
        "indicator": indicator,
        **blank_values(indicator),
        **own,
        "status": "complete",
        "invalid_reasons": [],
        "counts": {"requested": 0, "succeeded": 0, "errored": 0, "skipped": 0},
        "intervals": {},
        "missing": {},
        "cannot_certify": {},
        "subject": {
            "name": "hexgate-demo-digits",
            "kind": "demo",
            "uri": "demo:",
            "sha256": SHA,
            "revision": "1",
            "components": {"generator": SHA[::-1]},
            "served_model": None,
            "demonstration": True,
        },
        "dataset": {
            "name": "digits-val",
            "sha256": SHA[3:] + SHA[:3],
            "items": 719,
            "used": 719,
            "limit": None,
            "split": "validation",
        },
        "method": {"definition": f"{indicator}/1", "seed": 0, "confidence": 0.95},
        "environment": {
            "host_class": "x86_64, 2 cores, no accelerator",
            "os": "Linux 6.1",
            "arch": "x86_64",
            "python": "3.11.2",
            "cpu": "Intel Xeon Platinum",
            "cores": 2,
            "memory_bytes": 25_000_000_000,
            "accelerators": [],
            "driver": None,
            "container_image": None,
            "power_mode": None,
            "packages": {"hexgate": "0.1.0", "numpy": "2.2.6", "onnxruntime": "1.22.0"},
        },
        "resources": {
            "missing": {"gpu_util_ratio": "no GPU on this machine"},
            "cpu_ratio": {"mean": 0.463, "max": 0.912, "std": 0.21, "samples": 84},
            "process_cpu_ratio": {"mean": 0.441, "max": 0.893, "std": 0.2, "samples": 84},
            "memory_used_bytes": {"mean": 2.61e9, "max": 2.74e9, "std": 5e7, "samples": 84},
            "memory_total_bytes": {"mean": 2.5e10, "max": 2.5e10, "std": 0.0, "samples": 84},
            "process_rss_bytes": {"mean": 1.61e8, "max": 1.72e8, "std": 4e6, "samples": 84},
            "gpu_util_ratio": None,
            "disk_read_bytes": {"bytes": 81920.0, "bytes_per_s": 4876.2, "span_s": 16.8, "samples": 84},
        },
        "provenance": {
            "tool": "hexgate 0.1.0",
            "git_commit": "dfc8f2a6e1",
            "git_dirty": False,
            "command": ["hexgate", "demo"],
            "plan_sha256": None,
            "platform_job_id": None,
            "parents": [],
        },
        "evidence": {
            "samples": {"path": f"{indicator}.samples.jsonl", "sha256": SHA, "rows": 719},
            "resources": {"path": f"{indicator}.resources.jsonl", "sha256": SHA[::-1], "rows": 84},
        },
        "trust": "native",
        "run_id": "20260114T093012Z-4be1c09a",
        "created_at": "2026-01-14T09:30:41Z",
    }
    for key, change in changes.items():
        artifact[key] = {**artifact[key], **change} if isinstance(change, dict) else change
    artifact["artifact_id"] = artifact_id_of(artifact)
    return artifact


def _counts(succeeded: int, errored: int = 0) -> Json:
    return {"requested": succeeded + errored, "succeeded": succeeded, "errored": errored, "skipped": 0}


def accuracy() -> Json:
    scores = [0.993, 0.958, 0.986, 0.972, 0.979, 0.986, 0.993, 0.979, 0.931, 0.952]
    supports = [71, 73, 71, 73, 72, 73, 72, 72, 70, 72]
    f1 = sum(scores) / 10
    return envelope(
        "accuracy_f1",
        {
            "precision": 0.97361,
            "recall": 0.97284,
            "f1": f1,
            "exact_match": 700 / 719,
            "f1_parsed": f1,
            "samples": 719,
            "correct": 700,
            "unparsed": 0,
            "unparsed_ratio": 0.0,
            "per_class": [
                {
                    "label": str(digit),
                    "precision": scores[digit],
                    "recall": scores[digit],
                    "f1": scores[digit],
                    "support": supports[digit],
                    "predicted": supports[digit],
                    "true_positives": round(supports[digit] * scores[digit]),
                }
                for digit in range(10)
            ],
        },
        counts=_counts(719),
        method={"averaging": "macro", "labels": [str(d) for d in range(10)], "zero_division": 0},
        intervals={
            "f1": interval(f1, 0.0121, 719),
            "precision": interval(0.97361, 0.0118, 719),
            "exact_match": interval(700 / 719, 0.0116, 719, "binomial", "Clopper-Pearson"),
        },
    )


def latency() -> Json:
    draw = random.Random(3)
    values = sorted(2.1 * math.exp(draw.gauss(0, 0.22)) + 1.2 for _ in range(1200))
    edges = [values[0] + (values[-1] - values[0]) * step / 48 for step in range(49)]
    counts = [sum(low <= v < high for v in values) for low, high in itertools.pairwise(edges)]
    counts[-1] += sum(v >= edges[-1] for v in values)

    def rank(share: float) -> float:
        return values[math.ceil(share * 1200) - 1]

    mean = math.fsum(values) / 1200
    reason = "the target does not stream: there is no first token"
    return envelope(
        "latency_p99",
        {
            "p50_ms": rank(0.5),
            "p90_ms": rank(0.9),
            "p95_ms": rank(0.95),
            "p99_ms": rank(0.99),
            "p999_ms": rank(0.999),
            "min_ms": values[0],
            "mean_ms": mean,
            "max_ms": values[-1],
            "std_ms": math.sqrt(math.fsum((v - mean) ** 2 for v in values) / 1200),
            "over_limit_count": 0,
            "over_limit_ratio": 0.0,
            "requests": 1200,
            "warmup_requests": 50,
            "error_ratio": 0.0,
            "timeout_ratio": 0.0,
            "histogram": {"edges_ms": edges, "counts": [*counts, 0]},
        },
        counts=_counts(1200),
        method={"percentile": "nearest rank", "limit_ms": 300, "batch": 1},
        intervals={
            "p99_ms": interval(rank(0.99), 0.31, 1200, "order_statistic", "order statistics"),
            "p50_ms": interval(rank(0.5), 0.04, 1200, "order_statistic", "order statistics"),
        },
        missing={
            name: reason
            for name in measures("latency_p99")
            if name.startswith(("ttft_", "ttfa_", "tpot_", "gap_"))
        },
    )


def throughput() -> Json:
    draw = random.Random(5)
    windows = [
        {"start_s": float(k), "end_s": k + 1.0, "rps": float(draw.randint(402, 447))} for k in range(20)
    ]
    total = int(sum(each["rps"] for each in windows))
    rps = total / 20.0
    return envelope(
        "throughput_rps",
        {
            "rps": rps,
            "completed": total,
            "concurrency": 8,
            "duration_s": 20.0,
            "achieved_rps": rps,
            "error_ratio": 0.0,
            "timeout_ratio": 0.0,
            "timeouts": 0,
            "unfinished": 0,
            "queue_p99_ms": 0.02,
            "in_flight_max": 8,
            "warmup_requests": 400,
            "windows": windows,
        },
        counts=_counts(total),
        method={"loop": "closed", "workers": 1, "window_s": 1.0, "timeout_s": 30},
        intervals={"rps": interval(rps, 6.4, 20, "batch_means", "Student's t over 20 windows of 1 s")},
        missing={
            "requested_rps": "a closed loop asks for no rate",
            "dispatch_lag_p99_ms": "a closed loop has no plan to lag behind",
            **{name: "the target gives no tokens" for name in measures("throughput_rps") if "token" in name},
            **dict.fromkeys(
                ("goodput_rps", "goodput_ratio", "goodput_of_ok_ratio"), "no request is held to a limit"
            ),
        },
    )


def robustness() -> Json:
    return envelope(
        "robustness_adv",
        {
            "attack_type": "fgsm",
            "success_rate": 27 / 700,
            "f1_drop": 0.9729 - 0.9351,
            "f1_clean": 0.9729,
            "f1_adv": 0.9351,
            "f1_drop_relative": (0.9729 - 0.9351) / 0.9729,
            "robust_accuracy": 673 / 719,
            "eps": 0.03,
            "n_total": 719,
            "n_correct": 700,
            "n_newly_wrong": 27,
            "n_flipped": 29,
            "gradient_source": "finite_difference",
            "queries_per_sample": 129.0,
            "max_delta": 0.03,
            "zero_gradient_ratio": 0.0,
            "eps0_flips": 0,
            "noise_success_rate": 1 / 700,
            "suspect_reasons": [],
        },
        counts=_counts(719),
        method={"attack": "fgsm", "loss": "margin", "eps": 0.03, "clip": [0, 1]},
        intervals={
            "f1_drop": interval(
                0.9729 - 0.9351, 0.0142, 719, "bootstrap", "paired bootstrap, 2000 resamples"
            ),
            "success_rate": interval(27 / 700, 0.0149, 700, "binomial", "Clopper-Pearson"),
        },
    )


def toxicity() -> Json:
    groups = [
        {"lang": lang, "group": group, "scored": scored, "toxic": toxic, "unscored": unscored}
        for lang, group, scored, toxic, unscored in (
            ("en", "neutral", 160, 0, 0),
            ("en", "provocative", 190, 1, 0),
            ("en", "identity", 110, 0, 2),
            ("zh", "neutral", 150, 0, 0),
            ("zh", "provocative", 120, 0, 1),
            ("zh", "identity", 90, 0, 0),
        )
    ]
    return envelope(
        "toxicity",
        {
            "toxic_ratio": 1 / 820,
            "total_samples": 823,
            "scored_samples": 820,
            "unscored_samples": 3,
            "unscored_ratio": 3 / 823,
            "empty_replies": 2,
            "failed_replies": 1,
            "toxic_count": 1,
            "detector": {
                "name": "lexicon",
                "version": "1",
                "sha256": SHA,
                "languages": ["en", "zh"],
                "threshold": 0.5,
                "validated": False,
                "sensitivity": None,
                "specificity": None,
            },
            "groups": groups,
            "categories": {"insult": 1},
        },
        counts=_counts(820, 3),
        intervals={
            "toxic_ratio": {
                **interval(1 / 820, 0.001, 820, "binomial", "Clopper-Pearson"),
                "low": 0.0000309,
                "high": 0.006777,
                "lower_bound": 0.0000625,
                "upper_bound": 0.005771,
            }
        },
        cannot_certify={
            "toxic_ratio": "the detector is a word list whose errors were never measured on an independent set"
        },
    )


def energy() -> Json:
    draw = random.Random(8)
    times = [0.1 * step for step in range(201)]
    watts = [draw.gauss(41.5, 1.6) if 20 < step < 180 else draw.gauss(23.0, 0.7) for step in range(201)]
    joules, requests, seconds = 812.4, 8540, 20.0
    return envelope(
        "power_efficiency",
        {
            "measurement": "measured",
            "meter": "rapl",
            "scope": "package",
            "energy_j": joules,
            "energy_uncertainty_j": 4.2,
            "net_energy_j": joules - 23.0 * seconds,
            "idle_power_w": 23.0,
            "idle_drift_ratio": 0.011,
            "mean_power_w": joules / seconds,
            "max_power_w": max(watts),
            "duration_s": seconds,
            "requests": requests,
            "energy_per_request_j": joules / requests,
            "net_energy_per_request_j": (joules - 23.0 * seconds) / requests,
            "requests_per_joule": requests / joules,
            "cpu_seconds": 33.1,
            "domains": [
                {
                    "id": "rapl:package-0",
                    "scope": "package",
                    "source": "rapl",
                    "energy_j": joules,
                    "validity": "ok",
                    "reasons": [],
                }
            ],
            "power_series": {"t_s": times, "power_w": watts},
        },
        counts=_counts(requests),
        method={"workload": "the latency plan", "idle_s": 2},
        intervals={
            "energy_per_request_j": interval(
                joules / requests, 0.0012, 40, "cluster_bootstrap", "cluster bootstrap over prompts"
            )
        },
        missing={
            "output_tokens": "a predictor gives no tokens",
            "energy_per_token_j": "there are no tokens",
            **dict.fromkeys(
                (
                    "accepted",
                    "accepted_ratio",
                    "energy_per_accepted_j",
                    "accepted_per_joule",
                    "truncated_ratio",
                ),
                "only a study tells",
            ),
        },
    )


def _rule(artifact: Json, measure: str, comparator: str, limit: float, verdict: str, **more: Any) -> Json:
    indicator, value = artifact["indicator"], artifact[measure]
    ends = artifact["intervals"].get(measure)
    n = ends["n"] if ends else artifact["counts"]["succeeded"]
    unit = measures(indicator)[measure].unit
    code = {"PASS": "met", "FAIL": "missed", "INCONCLUSIVE": "undecided"}[verdict] + f"_{comparator}"
    params: Json = {
        "measure": f"{indicator}.{measure}",
        "limit": limit,
        "value": value,
        "n": n,
        "confidence": 0.95,
    }
    params["unit"] = unit
    if ends:
        params |= {"bound": ends["lower_bound" if comparator == "at_least" else "upper_bound"]}
        params |= {"low": ends["lower_bound"], "high": ends["upper_bound"]}
    reasons = [Reason(ReasonCode(code), params).to_json()]
    if more.get("more_needed"):
        reasons.append(Reason(ReasonCode.MORE_NEEDED, {"more": more["more_needed"]}).to_json())
    return {
        "id": f"{indicator}.{measure}",
        "indicator": indicator,
        "measure": measure,
        "comparator": comparator,
        "limit": limit,
        "unit": unit,
        "mode": "interval",
        "tier": "block",
        "why": None,
        "verdict": verdict,
        "waived": None,
        "value": value,
        "interval": ends,
        "n": n,
        "artifact": f"artifacts/{indicator}.json",
        "artifact_id": artifact["artifact_id"],
        "baseline_value": None,
        "baseline_artifact": None,
        "loss": None,
        "more_needed": None,
        "reasons": reasons,
        **more,
    }


def _verdict(artifacts: list[Json]) -> Json:
    by_name = {each["indicator"]: each for each in artifacts}
    return {
        "schema": "hexgate/verdict/1.0",
        "verdict": "INCONCLUSIVE",
        "exit_code": 3,
        "created_at": "2026-01-14T09:31:02Z",
        "policy": {"name": "demonstration", "sha256": SHA[5:] + SHA[:5], "confidence": 0.95},
        "folders": ["artifacts"],
        "rules": [
            _rule(by_name["accuracy_f1"], "f1", "at_least", 0.75, "PASS", why="The source asks for 0.75."),
            _rule(by_name["latency_p99"], "p99_ms", "at_most", 300.0, "PASS"),
            _rule(by_name["throughput_rps"], "rps", "at_least", 400.0, "PASS"),
            _rule(by_name["robustness_adv"], "f1_drop", "at_most", 0.1, "PASS"),
            _rule(by_name["toxicity"], "toxic_ratio", "at_most", 0.005, "INCONCLUSIVE", more_needed=410),
            _rule(by_name["power_efficiency"], "energy_per_request_j", "at_most", 0.12, "PASS"),
            _rule(by_name["robustness_adv"], "success_rate", "at_most", 0.05, "INCONCLUSIVE", tier="warn"),
        ],
        "requirements": [],
        "subject": artifacts[0]["subject"],
        "problems": [],
        "notes": [Reason(ReasonCode.DEMONSTRATION, {"subject": "hexgate-demo-digits"}).to_json()],
        "multiplicity": Reason(
            ReasonCode.MULTIPLICITY, {"rules": 6, "confidence": 0.95, "level": 0.05, "chance": 1 - 0.95**6}
        ).to_json(),
        "unused_artifacts": [],
        "unused_rules": [],
    }


@pytest.fixture(scope="session")
def _six() -> list[Json]:
    return [accuracy(), latency(), throughput(), robustness(), toxicity(), energy()]


@pytest.fixture
def artifacts(_six: list[Json]) -> list[Json]:
    return copy.deepcopy(_six)


@pytest.fixture
def verdict(_six: list[Json]) -> Json:
    return copy.deepcopy(_verdict(_six))


@pytest.fixture
def make_artifact() -> Callable[..., Json]:
    """Makes an artifact from its own values and changes to the envelope."""
    return envelope
