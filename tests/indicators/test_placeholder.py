"""What keeps the place of an artifact is written unchecked, so that a measurement begins soon: it has to be valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexgate.contract.artifact import read_artifact
from hexgate.errors import HexgateError
from hexgate.indicators import INDICATORS
from hexgate.indicators.runner import start_run, unmeasured


@pytest.mark.parametrize("name", INDICATORS)
def test_a_placeholder_is_an_artifact_that_says_that_nothing_is_measured(name: str, tmp_path: Path) -> None:
    out = tmp_path / f"{name}.json"
    run = start_run(["hexgate", "run"])
    unmeasured(name, "http://127.0.0.1:1/v1", HexgateError("not yet"), out, run, seed=0, confidence=0.95)
    data = read_artifact(out).data
    assert data["status"] == "failed"
    assert data["invalid_reasons"] == ["not yet"]
