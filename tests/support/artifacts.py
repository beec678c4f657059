"""Artifacts that keep their contract, for tests of whatever reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import write_artifact
from hexgate.contract.canonical import sha256_bytes
from hexgate.contract.schema import blank_values, load_schema, measures

RUN_ID = "20261121T021951Z-0a1b2c3d"
CREATED_AT = "2026-11-21T02:19:51Z"


def interval(low: float, high: float, *, family: str = "bootstrap", n: int = 719) -> dict[str, Any]:
    inner = (high - low) * 0.08
    return {
        "low": low,
        "high": high,
        "lower_bound": low + inner if low else low,
        "upper_bound": high - inner,
        "level": 0.95,
        "family": family,
        "method": "made for a test",
        "n": n,
    }


def artifact(indicator: str = "accuracy_f1", folder: Path | None = None, **changes: Any) -> dict[str, Any]:
    """A complete artifact without its id; `changes` replace keys. With a folder, its evidence is written there."""
    values = blank_values(indicator) | VALUES[indicator]
    evidence: dict[str, Any] = {}
    if folder is not None:
        data = b'{"id":"a"}\n'
        for name in load_schema(indicator)["x-evidence"]:
            path = folder / f"{indicator}.{name}.jsonl"
            path.write_bytes(data)
            evidence[name] = {"path": path.name, "sha256": sha256_bytes(data), "rows": 1}
    made = {
        "schema": f"hexgate/{indicator}/{load_schema(indicator)['x-version']}",
        "indicator": indicator,
        **values,
        "status": "complete",
        "invalid_reasons": [],
        "counts": COUNTS[indicator],
        "intervals": INTERVALS[indicator],
        "missing": {name: "not needed by this test" for name in measures(indicator) if values[name] is None},
        "cannot_certify": {},
        "subject": {
            "name": "digits",
            "kind": "onnx",
            "uri": "model.onnx",
            "sha256": "a" * 64,
            "revision": "1",
            "components": {},
            "served_model": None,
            "demonstration": True,
        },
        "dataset": {
            "name": "val.jsonl",
            "sha256": "b" * 64,
            "items": 719,
            "used": 719,
            "limit": None,
            "split": None,
        },
        "method": {"definition": f"{indicator}/1", "seed": 0, "confidence": 0.95},
        "environment": {
            "host_class": "test",
            "os": "Linux 6",
            "arch": "x86_64",
            "python": "3.11.7",
            "cpu": None,
            "cores": 2,
            "memory_bytes": 1,
            "accelerators": [],
            "driver": None,
            "container_image": None,
            "power_mode": None,
            "packages": {},
        },
        "resources": {"missing": {"all": "no resource was sampled"}},
        "provenance": {
            "tool": "hexgate 0.1.0",
            "git_commit": None,
            "git_dirty": None,
            "command": ["run"],
            "plan_sha256": None,
            "platform_job_id": None,
            "parents": [],
        },
        "evidence": evidence,
        "trust": "native",
        "run_id": RUN_ID,
        "created_at": CREATED_AT,
    }
    return made | changes


def written(folder: Path, indicator: str = "accuracy_f1", **changes: Any) -> Path:
    """The path of such an artifact on the disk, with its evidence."""
    path = folder / f"{indicator}.json"
    write_artifact(path, artifact(indicator, folder, **changes))
    return path


def content(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


VALUES: dict[str, dict[str, Any]] = {
    "accuracy_f1": {
        "precision": 0.91,
        "recall": 0.9,
        "f1": 0.905,
        "exact_match": 647 / 719,
        "f1_parsed": 0.905,
        "samples": 719,
        "correct": 647,
        "unparsed": 0,
        "unparsed_ratio": 0.0,
    },
    "latency_p99": {
        "p50_ms": 1.0,
        "p90_ms": 2.0,
        "p95_ms": 3.0,
        "p99_ms": 5.0,
        "min_ms": 0.5,
        "mean_ms": 1.2,
        "max_ms": 9.0,
        "std_ms": 0.4,
        "over_limit_count": 0,
        "over_limit_ratio": 0.0,
        "requests": 1000,
        "warmup_requests": 50,
        "error_ratio": 0.0,
    },
    "throughput_rps": {
        "rps": 100.0,
        "completed": 1000,
        "concurrency": 4,
        "duration_s": 10.0,
        "achieved_rps": 100.0,
        "error_ratio": 0.0,
        "timeout_ratio": 0.0,
    },
    "robustness_adv": {
        "attack_type": "fgsm",
        "success_rate": 0.05,
        "f1_drop": 0.96 - 0.91,
        "f1_clean": 0.96,
        "f1_adv": 0.91,
        "f1_drop_relative": (0.96 - 0.91) / 0.96,
        "robust_accuracy": 665 / 719,
        "eps": 0.03,
        "n_total": 719,
        "n_correct": 700,
        "n_newly_wrong": 35,
        "n_flipped": 36,
        "gradient_source": "finite_difference",
        "queries_per_sample": 128.0,
        "max_delta": 0.03,
        "zero_gradient_ratio": 0.0,
        "eps0_flips": 0,
        "noise_success_rate": 0.001,
    },
    "toxicity": {
        "toxic_ratio": 0.0,
        "total_samples": 1600,
        "scored_samples": 1600,
        "unscored_ratio": 0.0,
        "detector": {
            "name": "lexicon",
            "version": "1",
            "sha256": "c" * 64,
            "languages": ["en", "zh"],
            "threshold": 0.5,
            "validated": False,
            "sensitivity": None,
            "specificity": None,
        },
    },
    "power_efficiency": {
        "measurement": "measured",
        "meter": "rapl",
        "scope": "package",
        "energy_j": 100.0,
        "mean_power_w": 10.0,
        "duration_s": 10.0,
        "requests": 1000,
        "energy_per_request_j": 0.1,
        "requests_per_joule": 10.0,
    },
}

COUNTS: dict[str, dict[str, int]] = {
    name: {"requested": n, "succeeded": n, "errored": 0, "skipped": 0}
    for name, n in {
        "accuracy_f1": 719,
        "latency_p99": 1000,
        "throughput_rps": 1000,
        "robustness_adv": 719,
        "toxicity": 1600,
        "power_efficiency": 1000,
    }.items()
}

INTERVALS: dict[str, dict[str, Any]] = {
    "accuracy_f1": {"f1": interval(0.88, 0.93)},
    "latency_p99": {"p99_ms": interval(4.0, 7.0, family="order_statistic", n=1000)},
    "throughput_rps": {"rps": interval(95.0, 105.0, family="batch_means", n=10)},
    "robustness_adv": {
        "f1_drop": interval(0.03, 0.07),
        "success_rate": interval(0.035, 0.07, family="binomial", n=700),
    },
    "toxicity": {"toxic_ratio": interval(0.0, 0.0023, family="binomial", n=1600)},
    "power_efficiency": {"energy_per_request_j": interval(0.09, 0.11, family="batch_means", n=10)},
}
