"""Every figure of an artifact computed again from its evidence, and compared to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hexgate.contract.artifact import Artifact
from hexgate.contract.schema import load_schema
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
    figures = indicator(artifact.indicator).figures(data["method"], evidence)
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
    return Recomputed(len(pairs), differences)


def _leaves(path: str, stated: Any, computed: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(stated, Mapping) and isinstance(computed, Mapping):
        keys = sorted({*stated, *computed})
        return [leaf for key in keys for leaf in _leaves(f"{path}.{key}", stated.get(key), computed.get(key))]
    if isinstance(stated, list) and isinstance(computed, list) and len(stated) == len(computed):
        pairs = enumerate(zip(stated, computed, strict=True))
        return [leaf for index, (a, b) in pairs for leaf in _leaves(f"{path}[{index}]", a, b)]
    return [(path, stated, computed)]
