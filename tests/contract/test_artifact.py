from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from hexgate.contract.artifact import artifact_files, read_artifact, write_artifact, write_atomically
from hexgate.contract.consistency import artifact_id_of
from hexgate.contract.schema import indicators, load_schema, measures
from hexgate.errors import EvidenceError
from hexgate.indicators import INDICATORS
from support.artifacts import artifact, content, written


@pytest.mark.parametrize("indicator", sorted(INDICATORS))
def test_what_is_written_is_read_and_is_valid_by_a_stock_validator(tmp_path: Path, indicator: str) -> None:
    path = written(tmp_path, indicator)

    schema = json.loads(Path(f"schemas/{indicator}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(content(path))) == []
    assert dict(read_artifact(path).data) == content(path)
    assert read_artifact(path).evidence_mistakes() == []


def test_every_indicator_has_a_schema_and_every_measure_a_unit_and_a_direction() -> None:
    assert set(indicators()) == set(INDICATORS)
    for name in indicators():
        assert measures(name)
        for key, spec in load_schema(name)["properties"].items():
            assert spec.get("description") or "$ref" in spec, key
            assert ("x-unit" in spec) == ("x-better" in spec), key


@pytest.mark.parametrize(
    ("indicator", "keys"),
    [
        ("accuracy_f1", {"indicator", "precision", "recall", "f1", "samples"}),
        ("latency_p99", {"indicator", "p50_ms", "p90_ms", "p99_ms", "requests"}),
        ("throughput_rps", {"indicator", "rps", "concurrency", "duration_s"}),
        ("robustness_adv", {"indicator", "attack_type", "success_rate", "f1_drop"}),
        ("toxicity", {"indicator", "toxic_ratio", "total_samples"}),
    ],
)
def test_the_flat_keys_of_the_source_contract_are_required(indicator: str, keys: set[str]) -> None:
    assert keys <= set(load_schema(indicator)["required"])


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"f1": "0.9"}, "$.f1"),
        ({"f1": 1.2}, "$.f1"),
        ({"f1": None}, "$.f1"),
        ({"status": "fine"}, "$.status"),
        ({"colour": 1}, "unknown key"),
        ({"counts": {"requested": 719, "succeeded": 700, "errored": 0, "skipped": 0}}, "$.counts"),
        ({"exact_match": 0.9}, "exact_match == correct / samples"),
        ({"invalid_reasons": ["but it is complete"]}, "$.invalid_reasons"),
        ({"missing": {"f1": "it is there"}}, "$.missing.f1"),
        ({"missing": {"nothing": "like that"}}, "$.missing.nothing"),
        ({"samples": 0, "correct": 0}, "divides by zero"),
    ],
)
def test_an_artifact_that_does_not_hold_together_is_not_written(
    tmp_path: Path, changes: dict[str, Any], path: str
) -> None:
    with pytest.raises(EvidenceError) as raised:
        write_artifact(tmp_path / "a.json", artifact(**changes))
    assert path in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_an_interval_must_hold_its_value(tmp_path: Path) -> None:
    made = artifact()
    made["intervals"] = {"f1": made["intervals"]["f1"] | {"low": 0.91}}
    with pytest.raises(EvidenceError, match=r"intervals\.f1\.low"):
        write_artifact(tmp_path / "a.json", made)


def test_an_edited_artifact_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text("utf-8").replace('"recall": 0.9', '"recall": 0.99'), encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"\$\.artifact_id"):
        read_artifact(path)


def test_changed_or_absent_evidence_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    evidence = tmp_path / "accuracy_f1.samples.jsonl"
    evidence.write_bytes(b'{"id":"b"}\n')
    assert "not the file" in read_artifact(path).evidence_mistakes()[0]
    evidence.unlink()
    assert "cannot be read" in read_artifact(path).evidence_mistakes()[0]


def test_a_later_minor_version_may_add_keys_and_a_later_major_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    made = artifact() | {"schema": "hexgate/accuracy_f1/1.7", "brand_new": 1}
    path.write_text(json.dumps(made | {"artifact_id": artifact_id_of(made)}), encoding="utf-8")
    assert read_artifact(path).data["brand_new"] == 1

    made["schema"] = "hexgate/accuracy_f1/2.0"
    path.write_text(json.dumps(made | {"artifact_id": artifact_id_of(made)}), encoding="utf-8")
    with pytest.raises(EvidenceError, match="another major version"):
        read_artifact(path)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_evidence_documents_are_not_taken_for_artifacts(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "accuracy_f1.probes.evidence.json").write_text("{}", encoding="utf-8")
    assert artifact_files(tmp_path) == [path]


def test_the_folder_above_the_artifacts_is_told_apart_from_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "verdict.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EvidenceError, match="did you mean"):
        artifact_files(tmp_path)
