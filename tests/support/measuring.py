"""Measure one indicator as the command line does, and check what every artifact has to keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from hexgate.contract.artifact import Artifact, read_artifact, write_artifact
from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.indicators import indicator
from hexgate.indicators.base import Job
from hexgate.indicators.recompute import recompute
from hexgate.indicators.runner import Measured, measure, start_run
from hexgate.resources import shipped
from hexgate.targets.registry import OpenOptions, open_target

DIGITS = shipped("examples/digits/model.onnx")
HELD_OUT = shipped("examples/digits/val.jsonl")

FLAT_KEYS = {
    "accuracy_f1": ("precision", "recall", "f1", "samples"),
    "latency_p99": ("p50_ms", "p90_ms", "p99_ms", "requests"),
    "throughput_rps": ("rps", "concurrency", "duration_s"),
    "robustness_adv": ("attack_type", "success_rate", "f1_drop"),
    "toxicity": ("toxic_ratio", "total_samples"),
    "power_efficiency": ("energy_j", "energy_per_request_j"),
}
"""The source contract's keys, beside `indicator`."""

QUICK: dict[str, dict[str, Any]] = {
    "accuracy_f1": {"resamples": 200},
    "latency_p99": {"requests": 40, "warmup": 4, "max_tokens": 6},
    "throughput_rps": {"duration_s": 0.4, "load_warmup": 4, "max_tokens": 6},
    "robustness_adv": {"resamples": 200},
    "toxicity": {"max_tokens": 12},
    "power_efficiency": {"duration_s": 0.4, "idle_s": 0.05, "max_tokens": 6},
}
"""Options that make a measurement short."""


def measured(
    name: str,
    uri: str,
    folder: Path,
    *,
    data: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    opening: OpenOptions | None = None,
    **options: Any,
) -> Measured:
    """Measure, with the quick options unless others are given."""
    job_options = indicator(name).options(**(QUICK[name] | options))
    target = open_target(uri, options=opening)
    try:
        job = Job(target=target, data=data, options=job_options, limit=limit, seed=seed)
        return measure(name, job, folder / f"{name}.json", start_run(["hexgate", "run"]))
    finally:
        target.close()


def check(path: Path) -> Artifact:
    """Read an artifact, and hold it to what every one has to keep."""
    raw = json.loads(path.read_bytes())
    name = raw["indicator"]
    schema = json.loads(shipped(f"schemas/{name}.schema.json").read_bytes())
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(raw)
    assert set(FLAT_KEYS[name]) <= raw.keys()
    counts = raw["counts"]
    assert counts["requested"] == counts["succeeded"] + counts["errored"] + counts["skipped"]
    artifact = read_artifact(path)
    assert artifact.evidence_mistakes() == []
    for entry in raw["evidence"].values():
        if entry["path"].endswith(".jsonl"):
            assert len((path.parent / entry["path"]).read_bytes().splitlines()) == entry["rows"]
    if raw["status"] != "failed":
        again = recompute(artifact)
        assert again.differences == ()
        assert again.compared > 20
    return artifact


def rows(artifact: Artifact, name: str) -> list[dict[str, Any]]:
    """Rows of evidence, read without our reader."""
    path = artifact.path.parent / artifact.data["evidence"][name]["path"]
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def array(artifact: Artifact, name: str) -> NDArray[Any]:
    """An array of evidence, read without our reader."""
    path = artifact.path.parent / artifact.data["evidence"][name]["path"]
    found: NDArray[Any] = np.load(path, allow_pickle=False)
    return found


def forge(artifact: Artifact, **changes: Any) -> Artifact:
    """Alter keys of an artifact, and give it the id that fits."""
    altered = {key: value for key, value in artifact.data.items() if key != "artifact_id"} | changes
    return write_artifact(artifact.path, altered)


def forge_rows(artifact: Artifact, name: str, altered: list[dict[str, Any]]) -> Artifact:
    """Replace rows of evidence, with the digest and the id that fit."""
    entry = artifact.data["evidence"][name]
    data = b"".join(canonical_bytes(row) + b"\n" for row in altered)
    (artifact.path.parent / entry["path"]).write_bytes(data)
    named = {**entry, "sha256": sha256_bytes(data), "rows": len(altered)}
    return forge(artifact, evidence={**artifact.data["evidence"], name: named})
