"""Why a verdict is what it is: a code with its facts, put into words in one place for each language."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.words_en import ENGLISH
from hexgate.gate.words_zh import CHINESE

__all__ = ["THIN", "UNITS", "Reason", "render"]

THIN = "\u202f"
"""The narrow space that does not break: between groups of digits."""

UNITS: Mapping[str, Mapping[str, str]] = {
    "ratio": {"en": "", "zh": ""},
    "count": {"en": "", "zh": ""},
    "rps": {"en": "req/s", "zh": "请求/s"},
    "J/request": {"en": "J/req", "zh": "J/请求"},
    "requests/J": {"en": "req/J", "zh": "请求/J"},
    "J/answer": {"en": "J/answer", "zh": "J/回答"},
    "answers/J": {"en": "answers/J", "zh": "回答/J"},
    "tokens/s": {"en": "tokens/s", "zh": "token/s"},
    "input": {"en": "input units", "zh": "输入单位"},
}
"""Units that a reader knows under another name than the schemas do, by language."""


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
_SIGNIFICANT = 4
_MOST_DIGITS = 17
# Wide enough for any double, to its last digit and at any exponent.
_CONTEXT = Context(prec=800, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
_PLAIN = (1e-9, 1e15)


def render(reason: Reason, lang: str = "en") -> str:
    """A reason in words.

    Args:
        reason: the reason.
        lang: ``en`` or ``zh``.

    Raises:
        KeyError: for another language.
    """
    return _WORDS[lang][reason.code].format(**_shown(reason.params, lang))


def _shown(params: Mapping[str, str | int | float], lang: str) -> dict[str, str]:
    numbers = {value for value in params.values() if not isinstance(value, str)}
    # Two numbers that differ must not look alike: 0.0050004 against 0.005.
    more = next(
        (
            more
            for more in range(_MOST_DIGITS)
            if len({_number(value, more) for value in numbers}) == len(numbers)
        ),
        _MOST_DIGITS,
    )
    return {name: _one(name, value, more, lang) for name, value in params.items()}


def _one(name: str, value: str | int | float, more: int, lang: str) -> str:
    if name == "unit":
        unit = UNITS.get(str(value), {}).get(lang, str(value))
        return f" {unit}" if unit else ""
    if isinstance(value, str):
        return value
    if name in _AS_PERCENT:
        return f"{100 * value:.4g}{'%' if lang == 'zh' else ' %'}"
    return _number(value, more)


def _number(value: int | float, more: int) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    if isinstance(value, float) and value:
        if not _PLAIN[0] <= abs(value) < _PLAIN[1]:
            return f"{value:.{min(_SIGNIFICANT + more, _MOST_DIGITS)}g}"
        # Digits before the point are never rounded away, and four are shown at least.
        places = max(_SIGNIFICANT - 1 - exact.adjusted(), 0) + more
        exact = exact.quantize(Decimal(1).scaleb(-places), context=_CONTEXT)
    whole, _, rest = f"{abs(exact):f}".partition(".")
    rest = rest.rstrip("0")
    grouped = f"{int(whole):,}".replace(",", THIN) if len(whole) > 4 else whole
    return ("-" if exact < 0 else "") + grouped + (f".{rest}" if rest else "")
