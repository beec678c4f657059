"""The gate of the command line computes every native artifact again, and judges none that says something else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hexgate.cli.gate import Outputs, conclude
from hexgate.contract.artifact import Artifact, read_artifact
from hexgate.gate.evidence import load_evidence
from hexgate.gate.judge import judge
from hexgate.gate.reason_codes import ReasonCode as Code
from hexgate.gate.verdict import GateVerdict, Verdict
from support.gate import NOW, loaded, policy, put, put_all
from support.measuring import HELD_OUT, forge, forge_rows, measured

RULE = """version: 1
name: test
rules: [{indicator: accuracy_f1, measure: f1, at_least: 0.75}]
"""
CERTAIN = {"low": 0.998, "high": 1.0, "lower_bound": 0.998, "upper_bound": 1.0}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    measured("accuracy_f1", "demo:", folder, data=str(HELD_OUT))
    return folder


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Artifact:
    shutil.copytree(clean, tmp_path / "out")
    return read_artifact(tmp_path / "out" / "accuracy_f1.json")


def gate(
    artifact: Artifact, demands: str = "", rules: str = RULE, baseline: Path | None = None
) -> GateVerdict:
    file = artifact.path.parent.parent / "policy.yaml"
    file.write_text(rules + demands, encoding="utf-8")
    return conclude([artifact.path.parent], file, Outputs(), baseline=baseline)


def codes(verdict: GateVerdict) -> list[Code]:
    return [reason.code for reason in verdict.rules[0].reasons]


def forged(artifact: Artifact) -> Artifact:
    interval = artifact.data["intervals"]["f1"] | CERTAIN
    return forge(artifact, f1=0.999, intervals={**artifact.data["intervals"], "f1": interval})


def test_what_nobody_touched_passes(copy: Artifact) -> None:
    assert gate(copy).verdict is Verdict.PASS


def test_a_forged_figure_under_a_fitting_id_is_refused(copy: Artifact) -> None:
    said = gate(forged(copy))
    assert said.verdict is Verdict.INVALID
    assert codes(said) == [Code.NOT_REPRODUCED]
    assert "$.f1: the artifact has 0.999" in str(said.rules[0].reasons[0].params["first"])


def test_a_policy_may_do_without(copy: Artifact) -> None:
    assert gate(forged(copy), "evidence: {recompute: false}\n").verdict is Verdict.PASS


def test_rows_that_no_run_writes_are_refused(copy: Artifact) -> None:
    said = gate(forge_rows(copy, "samples", [{"id": 3}]))
    assert said.verdict is Verdict.INVALID
    assert codes(said) == [Code.NOT_REPRODUCED]


def test_evidence_that_is_away_is_not_computed_again(copy: Artifact) -> None:
    (copy.path.parent / copy.data["evidence"]["samples"]["path"]).unlink()
    assert codes(gate(copy)) == [Code.EVIDENCE_ABSENT]
    loose = "evidence: {require_evidence_files: false}\n"
    assert codes(gate(copy, loose)) == [Code.NOT_REPRODUCED]
    looser = "evidence: {require_evidence_files: false, recompute: false}\n"
    assert gate(copy, looser).verdict is Verdict.PASS


def test_an_edited_method_is_refused(copy: Artifact) -> None:
    said = gate(forge(copy, method={**copy.data["method"], "seed": 99}))
    assert said.verdict is Verdict.INVALID
    assert codes(said) == [Code.NOT_REPRODUCED]


def test_a_forged_baseline_is_refused(copy: Artifact, clean: Path, tmp_path: Path) -> None:
    rule = RULE.replace("at_least: 0.75", "baseline: {max_loss: 0.1}")
    assert gate(copy, rules=rule, baseline=clean).verdict is Verdict.PASS
    shutil.copytree(clean, tmp_path / "base")
    forged(read_artifact(tmp_path / "base" / "accuracy_f1.json"))
    said = gate(copy, rules=rule, baseline=tmp_path / "base")
    assert said.verdict is Verdict.INVALID
    assert Code.NOT_REPRODUCED in codes(said)


def test_what_nobody_computed_again_is_not_judged_where_the_policy_wants_it(tmp_path: Path) -> None:
    put_all(tmp_path)
    strict = policy(evidence={"recompute": True})
    evidence = load_evidence([tmp_path])
    said = judge(strict, evidence, now=NOW)
    assert said.verdict is Verdict.INVALID
    assert codes(said) == [Code.NOT_RECOMPUTED]
    agreed = replace(evidence, exhibits=tuple(replace(one, recomputed=()) for one in evidence.exhibits))
    assert judge(strict, agreed, now=NOW).verdict is Verdict.PASS


def test_an_artifact_whose_essential_evidence_is_not_named_is_refused(tmp_path: Path) -> None:
    put_all(tmp_path)
    whole: dict[str, Any] = json.loads((tmp_path / "accuracy_f1.json").read_text("utf-8"))["evidence"]
    assert judge(policy(), loaded(tmp_path), now=NOW).verdict is Verdict.PASS
    put(tmp_path, "accuracy_f1", evidence={"resources": whole["samples"]})
    said = judge(policy(), loaded(tmp_path), now=NOW)
    assert said.verdict is Verdict.INVALID
    assert codes(said) == [Code.EVIDENCE_LACKING]
    assert said.rules[0].reasons[0].params["names"] == "method, samples"
