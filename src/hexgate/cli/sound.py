"""Whose figures may be shown elsewhere: artifacts that a verdict judged soundly, or that compute again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import Artifact
from hexgate.errors import EvidenceError
from hexgate.gate.evidence import Exhibit
from hexgate.gate.policy import Trust
from hexgate.indicators.recompute import recompute

__all__ = ["computed_again", "judged_soundly", "refusals"]

_HELD_AGAINST_A_LIMIT = {"PASS", "FAIL", "INCONCLUSIVE"}


def computed_again(exhibit: Exhibit) -> Exhibit:
    """The exhibit with what computing it again from its evidence gave.

    One that is not complete is as it was, and so is one that another tool measured: that is not ours to compute. What
    was computed again already is not computed twice.
    """
    data = exhibit.data
    if exhibit.recomputed is not None or data["trust"] != Trust.NATIVE.value or data["status"] != "complete":
        return exhibit
    try:
        differences = recompute(Artifact(Path(exhibit.path), data)).differences
    except EvidenceError as error:
        differences = (str(error),)
    return replace(exhibit, recomputed=differences)


def judged_soundly(verdict: Mapping[str, Any] | None) -> set[str]:
    """Ids of the artifacts whose value a rule of the verdict held against its limit."""
    return {
        rule["artifact_id"]
        for rule in (verdict or {}).get("rules", ())
        if rule["artifact_id"] and rule["verdict"] in _HELD_AGAINST_A_LIMIT and rule["value"] is not None
    }


def refusals(exhibits: Sequence[Exhibit], verdict: Mapping[str, Any] | None) -> dict[str, str]:
    """Why the figures of complete artifacts must not be shown as good, by artifact id.

    What the verdict judged soundly is good, and what it named and did not is not. An artifact that it does not name,
    or that nobody judged, is good where its evidence is all there and it computes again from it.

    Args:
        exhibits: the artifacts, with the faults of their evidence.
        verdict: the gate's verdict on them, or None.
    """
    sound = judged_soundly(verdict)
    named = {rule["indicator"] for rule in (verdict or {}).get("rules", ())}
    named |= {one["indicator"] for one in (verdict or {}).get("requirements", ()) if one["verdict"] != "PASS"}
    found: dict[str, str] = {}
    for exhibit in exhibits:
        if exhibit.data["status"] != "complete" or exhibit.artifact_id in sound:
            continue
        if exhibit.indicator in named:
            found[exhibit.artifact_id] = f"{exhibit.path}: the gate refused to judge it"
        elif exhibit.faults:
            found[exhibit.artifact_id] = exhibit.faults[0].problem
        elif differences := computed_again(exhibit).recomputed:
            found[exhibit.artifact_id] = f"{exhibit.path}: {differences[0]}"
    return found
