"""recompute finds what was altered after the run, even where every digest and id was made to fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hexgate.contract.artifact import Artifact, read_artifact
from hexgate.contract.canonical import sha256_bytes
from hexgate.errors import EvidenceError
from hexgate.indicators import INDICATORS
from hexgate.indicators.recompute import recompute
from support.measuring import forge, forge_rows, measured, rows

Copy = Callable[[str], Artifact]


@pytest.fixture
def copy(of_digits: Callable[[str], Artifact], tmp_path: Path) -> Copy:
    def make(name: str) -> Artifact:
        folder = tmp_path / name
        shutil.copytree(of_digits(name).path.parent, folder)
        return read_artifact(folder / f"{name}.json")

    return make


@pytest.mark.parametrize("name", INDICATORS)
def test_what_nobody_touched_agrees(name: str, copy: Copy) -> None:
    again = recompute(copy(name))
    assert again.differences == ()
    assert again.compared > 30


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("accuracy_f1", {"f1": 0.99}),
        ("latency_p99", {"std_ms": 0.5}),
        ("throughput_rps", {"achieved_rps": 123456.0}),
        ("robustness_adv", {"noise_success_rate": 0.5}),
        ("toxicity", {"categories": {"insult": 1}}),
        ("power_efficiency", {"cpu_seconds": 0.0125}),
    ],
)
def test_an_altered_figure_is_found(name: str, changes: dict[str, object], copy: Copy) -> None:
    original = copy(name)
    altered = dict(changes)
    if name == "accuracy_f1":
        # An interval that holds the new value, so that the artifact is consistent in itself.
        interval = original.data["intervals"]["f1"]
        altered["intervals"] = {
            **original.data["intervals"],
            "f1": {**interval, "high": 1.0, "upper_bound": 1.0},
        }
    found = recompute(forge(original, **altered))
    key = next(iter(changes))
    assert any(line.startswith(f"$.{key}") for line in found.differences)


@pytest.mark.parametrize(
    ("name", "file", "key", "value"),
    [
        ("accuracy_f1", "samples", "prediction", "3"),
        ("robustness_adv", "samples", "attacked", "3"),
        ("toxicity", "replies", "score", 1.0),
        ("power_efficiency", "windows", "cpu_s", 77.0),
        ("latency_p99", "resources", "memory_used_bytes", 1),
    ],
)
def test_an_altered_row_is_found(name: str, file: str, key: str, value: object, copy: Copy) -> None:
    original = copy(name)
    changed = rows(original, file)
    row = next(row for row in changed if row[key] not in {None, value} and row.get("label") != value)
    row[key] = value
    assert recompute(forge_rows(original, file, changed)).differences


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("robustness_adv", "eps", 0.3),
        ("toxicity", "certifies", True),
        ("accuracy_f1", "seed", 99),
        ("latency_p99", "limit_ms", 1e9),
    ],
)
def test_an_altered_method_is_found(name: str, key: str, value: object, copy: Copy) -> None:
    original = copy(name)
    differences = recompute(forge(original, method={**original.data["method"], key: value})).differences
    assert any(line.startswith(f"$.method.{key}:") for line in differences)


@pytest.mark.parametrize("name", INDICATORS)
def test_an_altered_number_of_rows_is_found(name: str, copy: Copy) -> None:
    original = copy(name)
    for file, entry in original.data["evidence"].items():
        altered = {**original.data["evidence"], file: {**entry, "rows": entry["rows"] + 1}}
        differences = recompute(forge(original, evidence=altered)).differences
        assert [line.split(":")[0] for line in differences] == [f"$.evidence.{file}.rows"]


@pytest.mark.parametrize("name", INDICATORS)
def test_essential_evidence_that_is_no_longer_named_is_found(name: str, copy: Copy) -> None:
    original = copy(name)
    kept = {key: entry for key, entry in original.data["evidence"].items() if key != "method"}
    differences = recompute(forge(original, evidence=kept)).differences
    assert [line.split(":")[0] for line in differences] == ["$.evidence.method"]


def test_a_run_of_another_plan_is_found(copy: Copy) -> None:
    original = copy("latency_p99")
    (run,) = rows(original, "run")
    differences = recompute(forge_rows(original, "run", [{**run, "plan_digest": "0" * 64}])).differences
    assert any("plan" in line for line in differences)


def test_an_array_that_is_cut_off_is_an_error_of_the_evidence(copy: Copy) -> None:
    original = copy("latency_p99")
    entry = original.data["evidence"]["requests"]
    path = original.path.parent / entry["path"]
    for data in (b"", path.read_bytes()[:-40], path.read_bytes()[:30] + b"xx" + path.read_bytes()[32:]):
        path.write_bytes(data)
        named = {**entry, "sha256": sha256_bytes(data)}
        altered = forge(original, evidence={**original.data["evidence"], "requests": named})
        with pytest.raises(EvidenceError):
            recompute(altered)


def test_a_row_that_was_taken_out_is_found(copy: Copy) -> None:
    original = copy("accuracy_f1")
    wrong = [row for row in rows(original, "samples") if row["label"] != row["prediction"]]
    kept = [row for row in rows(original, "samples") if row["id"] != wrong[0]["id"]]
    differences = recompute(forge_rows(original, "samples", kept)).differences
    assert any(line.startswith("$.counts.skipped") for line in differences)
    assert any(line.startswith("$.f1") for line in differences)


def test_a_reason_against_the_run_that_was_left_out_is_found(tmp_path: Path) -> None:
    done = measured("toxicity", "demo:", tmp_path, limit=3)
    silent = [row | {"score": None, "unscored": "empty reply"} for row in rows(done.artifact, "replies")]
    found = recompute(forge_rows(done.artifact, "replies", silent))
    assert any("$.invalid_reasons" in line for line in found.differences)


def test_a_file_that_is_not_the_one_is_refused(copy: Copy) -> None:
    original = copy("accuracy_f1")
    path = original.path.parent / original.data["evidence"]["samples"]["path"]
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(EvidenceError, match="not the file"):
        recompute(original)
    path.unlink()
    with pytest.raises(EvidenceError, match="cannot be read"):
        recompute(original)


@pytest.mark.parametrize("name", ["accuracy_f1", "toxicity", "robustness_adv"])
@pytest.mark.parametrize(
    "row", [{}, {"id": 3}, {"label": None, "prediction": [], "error": None, "score": "x"}]
)
def test_rows_that_no_run_writes_are_an_error_of_the_evidence(
    name: str, row: dict[str, object], copy: Copy
) -> None:
    original = copy(name)
    file = "replies" if name == "toxicity" else "samples"
    with pytest.raises(EvidenceError, match="evidence"):
        recompute(forge_rows(original, file, [json.loads(json.dumps(row))]))
