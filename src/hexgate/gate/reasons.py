"""Why a verdict is what it is: a code with its facts, put into words in one place for each language."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.words_en import ENGLISH
from hexgate.gate.words_zh import CHINESE

__all__ = ["Reason", "render"]


@dataclass(frozen=True)
class Reason:
    """One reason: what happened, and the facts of the case."""

    code: ReasonCode
    """What happened."""
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    """The facts that its sentence names; exactly the names in the tables of words."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in a verdict file, with the English sentence."""
        return {"code": self.code.value, "params": dict(self.params), "text": render(self, "en")}


_WORDS = {"en": ENGLISH, "zh": CHINESE}
_AS_PERCENT = frozenset({"confidence", "level", "chance", "discordant"})
_WITHOUT_UNIT = frozenset({"ratio", "count", "input"})


def render(reason: Reason, lang: str = "en") -> str:
    """A reason in words.

    Args:
        reason: the reason.
        lang: ``en`` or ``zh``.

    Raises:
        KeyError: for another language.
    """
    return _WORDS[lang][reason.code].format(**_shown(reason.params))


def _shown(params: Mapping[str, str | int | float]) -> dict[str, str]:
    numbers = {name: value for name, value in params.items() if not isinstance(value, str)}
    digits = next(
        (
            most
            for most in range(4, 17)
            if len({f"{value:.{most}g}" for value in numbers.values()}) == len(set(numbers.values()))
        ),
        17,
    )
    return {name: _one(name, value, digits) for name, value in params.items()}


def _one(name: str, value: str | int | float, digits: int) -> str:
    if name == "unit":
        return "" if value in _WITHOUT_UNIT else f" {value}"
    if isinstance(value, str):
        return value
    if name in _AS_PERCENT:
        return f"{100 * value:.4g} %"
    if isinstance(value, int):
        return f"{value:,}"
    # Two numbers that differ must not look alike: 0.0050004 against 0.005.
    return f"{value:.{digits}g}" if math.isfinite(value) else str(value)
