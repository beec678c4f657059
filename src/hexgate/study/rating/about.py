"""What a label says of a model beside its rating: who judged, what served it, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.contract.canonical import sha256_file
from hexgate.study.ledger import RUNS
from hexgate.study.quality.marks import JUDGE, QUALITY_FILE
from hexgate.study.rating.suite import JUDGE_MOST, Suite
from hexgate.study.reading import Reading

__all__ = ["about_of", "evidence_of", "name_with_version"]


def about_of(
    reading: Reading, suite: Suite, model: str, records: Sequence[Mapping[str, Any]], evidence: str | None
) -> dict[str, Any]:
    """The facts of a label that no rating has, by key; what is not known is None.

    Args:
        reading: the study.
        suite: what the model is rated by.
        model: its name.
        records: its runs of the suite that are over.
        evidence: digest of the ledger of runs.
    """
    metadata: Mapping[str, Any] = records[-1]["metadata"] if records else {}
    visit = reading.visits.get(records[-1]["visit"]) if records else None
    environment: Mapping[str, Any] = (visit or {}).get("environment") or {}
    block = reading.spec.rating
    named = None if block is None else block.reference
    return {
        "model": model,
        # The rating names it where it is rated itself; else this one stands on the label, without its figures.
        "reference": named if named in [one.name for one in reading.spec.models] else None,
        "judge": _judged_by(reading, suite),
        "judge_version": _rubric(reading, suite),
        "power_mode": environment.get("power_mode"),
        "precision": metadata.get("quantization"),
        "server": metadata.get("server"),
        "server_version": metadata.get("server_version"),
        "context": metadata.get("loaded_num_ctx") or metadata.get("num_ctx"),
        "thinking": _thinking(records, metadata),
        "date": str(reading.head["started_at"])[:10],
        "evidence": None if evidence is None else f"{RUNS} sha256:{evidence}",
    }


def evidence_of(reading: Reading) -> dict[str, str | None]:
    """The digests of the ledgers that a rating is made of; None for one that is not there."""
    paths = {name: reading.folder / name for name in (RUNS, QUALITY_FILE)}
    return {name: sha256_file(path) if path.is_file() else None for name, path in paths.items()}


def name_with_version(reading: Reading, model: str) -> str:
    """A model's name with what tells it from another of that name: its quantisation and the digest of its file."""
    found = [visit for visit in reading.visits.values() if visit.get("model") == model]
    configuration: Mapping[str, Any] = (found[0].get("configuration") or {}) if found else {}
    digest = configuration.get("digest")
    parts = [configuration.get("quantization"), digest and str(digest)[:19]]
    known = ", ".join(str(part) for part in parts if part)
    return f"{model} ({known})" if known else model


def _judged_by(reading: Reading, suite: Suite) -> dict[str, str]:
    """Which measures accept, from which values on."""
    en: dict[str, None] = {}
    zh: dict[str, None] = {}
    for rules in suite.rules.values():
        for rule in rules:
            if rule.measure == JUDGE:
                judge = _identity(reading, "model") or JUDGE
                en[f"{judge}, at least {rule.least:g} of {JUDGE_MOST:g}"] = None
                zh[f"{judge}，不低于 {rule.least:g}（满分 {JUDGE_MOST:g}）"] = None
            else:
                en[f"{rule.measure} at least {rule.least:g}"] = None
                zh[f"{rule.measure} 不低于 {rule.least:g}"] = None
    return {"en": "; ".join(en), "zh": "；".join(zh)}


def _rubric(reading: Reading, suite: Suite) -> str | None:
    """The rubric of the judge, else the digests of the measures; None where none was measured."""
    rubric = _identity(reading, "rubric_version")
    used = {rule.measure for rules in suite.rules.values() for rule in rules}
    if rubric is not None and JUDGE in used:
        return rubric
    known = [reading.marks.measures[name] for name in sorted(used) if name in reading.marks.measures]
    return "; ".join(f"{one.name} sha256:{one.sha256[:16]}" for one in known) or None


def _identity(reading: Reading, name: str) -> str | None:
    """A fact of the judge's identity, at its top or one level below."""
    judge = reading.marks.measures.get(JUDGE)
    if judge is None:
        return None
    inner = [value for value in judge.identity.values() if isinstance(value, Mapping)]
    found = next((block[name] for block in (judge.identity, *inner) if block.get(name) is not None), None)
    return None if found is None else str(found)


def _thinking(records: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any]) -> str | None:
    """Whether the model thought first: by what it sent, else by what it was told; None where nothing tells."""
    if any(record["thinking_text"] for record in records):
        return "on"
    think = metadata.get("think")
    return None if think is None else "on" if think else "off"
