"""What a server says of a model that it serves, and what is declared of it where the server says nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hexgate.study.spec import ModelSpec

__all__ = ["FACTS", "Configuration", "changes_of", "quantization_in", "quantization_stated", "with_declared"]

FACTS = (
    "server_version",
    "digest",
    "family",
    "parameters",
    "quantization",
    "context_length",
    "num_ctx",
    "size_bytes",
    "size_vram_bytes",
)
"""The facts of a configuration that may be missing."""

_SAME = ("digest", "quantization", "server_version")
"""The facts that make runs of one model comparable."""

_QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])(I?Q[0-9]_[A-Z0-9_]+|Q[0-9]_[0-9]|BF16|F16|F32)(?![A-Za-z0-9])", re.I
)


@dataclass(frozen=True)
class Configuration:
    """A model as it was served during one visit. What nobody said is None, with its reason in `missing`."""

    server: str
    """``ollama``, ``llama.cpp`` or ``openai``."""
    served_model: str
    """The id that it was asked by."""
    server_version: str | None = None
    """Version of the server."""
    digest: str | None = None
    """Digest of the model's file, as the server states it."""
    family: str | None = None
    """Family or architecture."""
    parameters: float | None = None
    """Number of parameters."""
    quantization: str | None = None
    """Quantisation, such as ``Q4_K_M``."""
    context_length: int | None = None
    """Longest context that the model was made for, in tokens."""
    num_ctx: int | None = None
    """Context length with which it is loaded, in tokens."""
    size_bytes: int | None = None
    """Memory that the loaded model takes."""
    size_vram_bytes: int | None = None
    """How much of it lies on a GPU."""
    declared: tuple[str, ...] = ()
    """Facts that the study's file declares, because the server does not say."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why, for each fact that is None."""

    @property
    def offload_ratio(self) -> float | None:
        """Share of the loaded model that lies on a GPU: below 1, the rest runs on the CPU."""
        if not self.size_bytes or self.size_vram_bytes is None:
            return None
        return self.size_vram_bytes / self.size_bytes

    def to_json(self) -> dict[str, Any]:
        """The configuration as records have it."""
        ratio = self.offload_ratio
        missing = dict(self.missing)
        if ratio is None:
            missing["offload_ratio"] = "the server does not say how much of the model lies on a GPU"
        return {
            "server": self.server,
            "served_model": self.served_model,
            **{name: getattr(self, name) for name in FACTS},
            "offload_ratio": ratio,
            "declared": list(self.declared),
            "missing": dict(sorted(missing.items())),
        }


def with_declared(found: Configuration, model: ModelSpec) -> Configuration:
    """The configuration with what the study's file declares in the place of what is missing."""
    declared = {
        "parameters": model.parameters,
        "quantization": model.quantization,
        "context_length": model.context_length,
    }
    used = {
        name: value for name, value in declared.items() if value is not None and getattr(found, name) is None
    }
    missing = {name: reason for name, reason in found.missing.items() if name not in used}
    changes: dict[str, Any] = {**used, "declared": tuple(sorted(used)), "missing": missing}
    return replace(found, **changes)


def changes_of(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is another model or server than in an earlier visit, one line a fact; what nobody said is no change.

    Args:
        earlier: a configuration as records have it.
        now: another one.
    """
    pairs = ((name, earlier.get(name), now.get(name)) for name in _SAME)
    return [
        f"{name} {after}, before {before}"
        for name, before, after in pairs
        if before is not None and after is not None and before != after
    ]


def quantization_in(name: str) -> str | None:
    """The quantisation that the name of a GGUF file states, in capitals; None where it states none."""
    found = _QUANTIZATION.search(name)
    return found[1].upper() if found else None


def quantization_stated(words: str) -> str | None:
    """The quantisation that llama.cpp states in words, such as ``Q4_K - Medium``; None for words that it does not have.

    Source: ``llama_model_ftype_name`` in llama.cpp; ``(guessed)`` is what it tells by the tensors alone.
    """
    kind, _, size = words.removeprefix("(guessed) ").removeprefix("all ").partition(" - ")
    if quantization_in(kind) != kind.upper():
        return None
    letter = {"Small": "S", "Medium": "M", "Large": "L"}.get(size)
    return kind if letter is None else f"{kind}_{letter}"
