"""Policies, sets and times for tests of the gate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import write_artifact
from hexgate.gate.evidence import EvidenceSet, load_evidence
from hexgate.gate.policy import Policy, policy_of
from support.artifacts import CREATED_AT, artifact

INDICATORS = (
    "accuracy_f1",
    "latency_p99",
    "throughput_rps",
    "robustness_adv",
    "toxicity",
    "power_efficiency",
)
NOW = datetime.strptime(f"{CREATED_AT}+0000", "%Y-%m-%dT%H:%M:%SZ%z") + timedelta(hours=1)
RULES: tuple[dict[str, Any], ...] = (
    {"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75},
    {"indicator": "latency_p99", "measure": "p99_ms", "at_most": 300},
    {"indicator": "throughput_rps", "measure": "rps", "at_least": 50},
    {"indicator": "robustness_adv", "measure": "f1_drop", "at_most": 0.1},
    {"indicator": "toxicity", "measure": "toxic_ratio", "at_most": 0.005},
    {"indicator": "power_efficiency", "measure": "energy_per_request_j", "at_most": 5},
)


def policy(*rules: Mapping[str, Any], **keys: Any) -> Policy:
    """A policy of these rules, or of the six default ones."""
    chosen = [dict(rule) for rule in (rules or RULES)]
    value = {"version": 1, "name": "test", "rules": chosen} | keys
    # The artifacts of these tests are made up, and their evidence with them.
    value["evidence"] = {"recompute": False} | keys.get("evidence", {})
    return policy_of(value, sha256="0" * 64, where="policy.yaml", mistakes=[])


def f1_rule(**keys: Any) -> dict[str, Any]:
    return {"indicator": "accuracy_f1", "measure": "f1", "at_least": 0.75} | keys


def put(folder: Path, indicator: str, *, name: str | None = None, **changes: Any) -> Path:
    """Write one valid artifact; `changes` replace keys of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or indicator}.json"
    write_artifact(path, artifact(indicator, folder, **changes))
    return path


def put_all(folder: Path, **changes: Any) -> Path:
    """Write all six."""
    for indicator in INDICATORS:
        put(folder, indicator, **changes)
    return folder


def loaded(folder: Path) -> EvidenceSet:
    return load_evidence([folder])


def hours_ago(hours: float) -> str:
    return (NOW - timedelta(hours=hours)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
