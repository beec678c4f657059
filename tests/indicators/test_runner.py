"""The runner keeps what was measured, also where the figures themselves are at fault."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hexgate.contract.artifact import read_artifact
from hexgate.contract.evidence import EvidenceReader
from hexgate.errors import EvidenceError
from hexgate.indicators.accuracy_f1 import AccuracyF1
from hexgate.indicators.base import Figures, Method
from hexgate.targets.options import OpenOptions
from support.measuring import check, measured
from support.onnx_models import linear


def test_figures_that_do_not_hold_together_do_not_take_the_evidence_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = AccuracyF1.figures

    def wrong(self: AccuracyF1, method: Method, evidence: EvidenceReader) -> Figures:
        found = right(self, method, evidence)
        return replace(found, values={**found.values, "exact_match": 0.123})

    monkeypatch.setattr(AccuracyF1, "figures", wrong)
    done = measured("accuracy_f1", "demo:", tmp_path, data="demo:", limit=50)

    assert isinstance(done.error, EvidenceError)
    assert "fault of hexgate" in str(done.error)
    kept = read_artifact(done.artifact.path)
    assert kept.data["status"] == "failed"
    assert kept.data["f1"] is None
    assert "exact_match == correct / samples does not hold" in kept.data["invalid_reasons"][0]
    assert kept.data["evidence"]["samples"]["rows"] == 50
    assert kept.evidence_mistakes() == []


def test_inputs_of_any_range_are_attacked_and_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = linear(tmp_path / "bytes.onnx")
    inputs = rng.integers(0, 256, (60, 4))
    rows = [{"id": str(n), "input": row.tolist(), "label": str(n % 3)} for n, row in enumerate(inputs)]
    data = tmp_path / "bytes.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    done = measured(
        "robustness_adv",
        str(model),
        tmp_path,
        data=str(data),
        opening=OpenOptions(input_range=(0.0, 256.0)),
        eps=7.65,
    )

    artifact = check(done.artifact.path).data
    assert artifact["status"] in {"complete", "invalid"}
    assert artifact["max_delta"] == pytest.approx(7.65, rel=1e-5)
