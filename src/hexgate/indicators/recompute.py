"""Every figure of an artifact computed again from its evidence, and compared to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.contract.arrays import array_head
from hexgate.contract.artifact import Artifact
from hexgate.contract.canonical import canonical_bytes, parse_strict
from hexgate.contract.consistency import lacking_evidence
from hexgate.contract.evidence import EvidenceReader
from hexgate.contract.schema import load_schema
from hexgate.errors import EvidenceError
from hexgate.indicators import indicator
from hexgate.indicators.sheet import resources_block
from hexgate.load.plans.plan import Plan

__all__ = ["Recomputed", "recompute"]

_Pair = tuple[str, Any, Any]
# What the readers of JSON and of arrays say of bytes that no run of ours wrote.
_UNREADABLE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Recomputed:
    """What computing an artifact again gave."""

    compared: int
    """How many values were compared."""
    differences: tuple[str, ...]
    """``$.path: got ..., recomputed ...`` for each that differs; empty where the artifact is what its evidence says."""


def recompute(artifact: Artifact) -> Recomputed:
    """Compute an artifact's values, counts, intervals and resources again from its evidence.

    What the figures were computed with is held against the evidence too: the method, the rows of each file, the plan.

    Raises:
        EvidenceError: if the evidence is absent, or not what the artifact was made from.
    """
    try:
        return _recomputed(artifact)
    except _UNREADABLE as error:
        # Rows that no run of ours wrote, under a digest that fits them: there is nothing to compare.
        raise EvidenceError(
            f"the evidence is not what {artifact.indicator} writes ({type(error).__name__}: {error})",
            where=str(artifact.path),
            hint="measure again; evidence is never edited",
        ) from error


def _recomputed(artifact: Artifact) -> Recomputed:
    data = artifact.data
    evidence = artifact.evidence()
    figures = indicator(artifact.indicator).figures(data["method"], evidence)
    again: dict[str, Any] = {key: figures.values[key] for key in load_schema(artifact.indicator)["x-own"]}
    again["counts"] = vars(figures.counts)
    again["intervals"] = {key: interval.to_json() for key, interval in figures.intervals.items()}
    again["missing"] = dict(figures.missing)
    again["cannot_certify"] = dict(figures.cannot_certify)
    again["resources"] = dict(resources_block(evidence))
    pairs = [
        *(pair for key, value in again.items() for pair in _leaves(f"$.{key}", data[key], value)),
        *_method(data, evidence),
        *_rows(data, evidence),
        *_plan(evidence),
    ]
    differences = [
        f"{path}: the artifact has {stated!r}, its evidence gives {computed!r}"
        for path, stated, computed in pairs
        if type(stated) is not type(computed) or stated != computed
    ]
    differences += [f"$.evidence.{name}: a complete artifact names it" for name in lacking_evidence(data)]
    differences += [
        f"$.invalid_reasons: its evidence also gives {reason!r}"
        for reason in figures.invalid_reasons
        if reason not in data["invalid_reasons"]
    ]
    return Recomputed(len(pairs) + len(figures.invalid_reasons), tuple(differences))


def _method(data: Mapping[str, Any], evidence: EvidenceReader) -> list[_Pair]:
    if "method" not in evidence.names:
        return []
    # Both as JSON has them: a tuple and a list are one.
    return _leaves("$.method", parse_strict(canonical_bytes(data["method"])), evidence.document("method"))


def _rows(data: Mapping[str, Any], evidence: EvidenceReader) -> Iterator[_Pair]:
    for name, entry in data["evidence"].items():
        path = evidence.path(name)
        if path.name.endswith(".npy"):
            found = array_head(path).rows
        elif path.name.endswith(".jsonl"):
            with path.open("rb") as file:
                found = sum(1 for _ in file)
        else:
            found = 1
        yield f"$.evidence.{name}.rows", entry["rows"], found


def _plan(evidence: EvidenceReader) -> list[_Pair]:
    if not evidence.names >= {"plan", "plan_head", "run"}:
        return []
    plan = Plan.from_evidence(evidence.document("plan_head"), evidence.path("plan"))
    return [("the plan that was carried out", evidence.document("run")["plan_digest"], plan.digest())]


def _leaves(path: str, stated: Any, computed: Any) -> list[_Pair]:
    if isinstance(stated, Mapping) and isinstance(computed, Mapping):
        keys = sorted({*stated, *computed})
        return [leaf for key in keys for leaf in _leaves(f"{path}.{key}", stated.get(key), computed.get(key))]
    if isinstance(stated, list) and isinstance(computed, list) and len(stated) == len(computed):
        pairs = enumerate(zip(stated, computed, strict=True))
        return [leaf for index, (a, b) in pairs for leaf in _leaves(f"{path}[{index}]", a, b)]
    return [(path, stated, computed)]
