"""Every figure of an artifact computed again from its evidence, and compared to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.contract.artifact import Artifact
from hexgate.contract.schema import load_schema
from hexgate.errors import EvidenceError
from hexgate.indicators import indicator
from hexgate.indicators.runner import resources_block

__all__ = ["Recomputed", "recompute"]


@dataclass(frozen=True)
class Recomputed:
    """What computing an artifact again gave."""

    compared: int
    """How many values were compared."""
    differences: tuple[str, ...]
    """``$.path: got ..., recomputed ...`` for each that differs; empty where the artifact is what its evidence says."""


def recompute(artifact: Artifact) -> Recomputed:
    """Compute an artifact's values, counts, intervals and resources again from its evidence.

    Raises:
        EvidenceError: if the evidence is absent, or not what the artifact was made from.
    """
    data = artifact.data
    evidence = artifact.evidence()
    try:
        figures = indicator(artifact.indicator).figures(data["method"], evidence)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # Rows that no run of ours wrote, under a digest that fits them: there is nothing to compare.
        raise EvidenceError(
            f"the evidence is not what {artifact.indicator} writes ({type(error).__name__}: {error})",
            where=str(artifact.path),
            hint="measure again; evidence is never edited",
        ) from error
    again: dict[str, Any] = {key: figures.values[key] for key in load_schema(artifact.indicator)["x-own"]}
    again["counts"] = vars(figures.counts)
    again["intervals"] = {key: interval.to_json() for key, interval in figures.intervals.items()}
    again["missing"] = dict(figures.missing)
    again["cannot_certify"] = dict(figures.cannot_certify)
    again["resources"] = dict(resources_block(evidence))
    pairs = [pair for key, value in again.items() for pair in _leaves(f"$.{key}", data[key], value)]
    differences = tuple(
        f"{path}: the artifact has {stated!r}, its evidence gives {computed!r}"
        for path, stated, computed in pairs
        if type(stated) is not type(computed) or stated != computed
    )
    unsaid = [reason for reason in figures.invalid_reasons if reason not in data["invalid_reasons"]]
    return Recomputed(
        len(pairs) + len(figures.invalid_reasons),
        (*differences, *(f"$.invalid_reasons: its evidence also gives {reason!r}" for reason in unsaid)),
    )


def _leaves(path: str, stated: Any, computed: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(stated, Mapping) and isinstance(computed, Mapping):
        keys = sorted({*stated, *computed})
        return [leaf for key in keys for leaf in _leaves(f"{path}.{key}", stated.get(key), computed.get(key))]
    if isinstance(stated, list) and isinstance(computed, list) and len(stated) == len(computed):
        pairs = enumerate(zip(stated, computed, strict=True))
        return [leaf for index, (a, b) in pairs for leaf in _leaves(f"{path}[{index}]", a, b)]
    return [(path, stated, computed)]
