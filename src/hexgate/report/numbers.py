"""How a number is written for a reader: the digits it carries, its unit, and always on its side of a limit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, TypeGuard

from hexgate.gate.reasons import THIN, UNITS
from hexgate.report.text import Amount, Both, same

__all__ = [
    "THIN",
    "amount",
    "is_number",
    "number",
    "number_of",
    "parse",
    "percent",
    "span",
    "spread_of",
    "unit_name",
]

_MINUS = "\u2212"
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b⁰¹²³⁴⁵⁶⁷⁸⁹")
_NORMAL = str.maketrans("\u207b⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
# Wide enough for any double, to its last digit and at any exponent.
_CONTEXT = Context(prec=800, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
_SIGNIFICANT = 4
_LARGE, _SMALL = Decimal(10) ** 9, Decimal(10) ** -6


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a JSON value is a finite number."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
    )


def number_of(value: Any) -> int | float | None:
    """A JSON value if it is a finite number, else None."""
    return value if is_number(value) else None


def unit_name(unit: str) -> Both:
    """A unit as a reader knows it; empty for ratios and counts."""
    return Both(**UNITS[unit]) if unit in UNITS else same(unit, 24)


def number(value: float, *, spread: float | None = None, against: Iterable[float] = ()) -> str:
    """A number, rounded, that never reads as on another side of a limit than it is.

    Args:
        value: a finite number. Integers are never rounded below 10^9.
        spread: half of the width of its interval: two of the spread's digits are kept. Without one the
            number keeps four significant digits, less trailing zeros. Zero is always ``0``.
        against: limits that it is compared with. It is written as above, below or equal to each of them
            (and to zero) exactly if it is, with more digits than otherwise where that takes them.

    Raises:
        ValueError: if the value is not finite.
    """
    if not is_number(value):
        raise ValueError(f"not a finite number: {value!r}")
    exact = _decimal(value)
    if not exact:
        return "0"
    limits = [Decimal(0), *(_decimal(limit) for limit in against)]
    if isinstance(value, int) and abs(value) < _LARGE:
        return _written(exact)
    known = spread is not None and is_number(spread) and spread > 0
    places = 1 - _decimal(spread or 1).adjusted() if known else _SIGNIFICANT - 1 - exact.adjusted()
    if abs(exact) < _LARGE:
        places = max(places, 0)
    while True:
        rounded = exact.quantize(Decimal(1).scaleb(-places), context=_CONTEXT)
        if all(_side(rounded, limit) == _side(exact, limit) for limit in limits):
            return _written(rounded if known else _less_zeros(rounded))
        places += 1


def amount(value: float, unit: str, *, spread: float | None = None, against: Iterable[float] = ()) -> Amount:
    """A number with its unit, in both languages."""
    text, name = number(value, spread=spread, against=against), unit_name(unit)
    return Amount(_with_unit(text, name.en), _with_unit(text, name.zh), text, name)


def span(low: float | None, high: float | None, *, against: Iterable[float] = ()) -> str | None:
    """Both ends of an interval, ``0.87 – 0.93``; ``≤ 0.93`` or ``≥ 0.87`` with one end, None with neither."""
    against = tuple(against)
    spread = (high - low) / 2 if low is not None and high is not None else None
    ends = [None if end is None else number(end, spread=spread, against=against) for end in (low, high)]
    match ends:
        case [str() as least, str() as greatest]:
            return f"{least}{THIN}–{THIN}{greatest}"
        case [None, str() as greatest]:
            return f"≤{THIN}{greatest}"
        case [str() as least, None]:
            return f"≥{THIN}{least}"
        case _:
            return None


def spread_of(interval: Any) -> float | None:
    """Half of the width of an artifact's interval, where it has two ends that differ."""
    if not isinstance(interval, dict):
        return None
    low, high = number_of(interval.get("low")), number_of(interval.get("high"))
    if low is None or high is None or not high > low or not math.isfinite(high - low):
        return None
    return (high - low) / 2


def percent(share: float) -> Both:
    """A share, 0 to 1, in percent."""
    shown = number(100 * share)
    return Both(f"{shown}{THIN}%", f"{shown}%")


def parse(text: str) -> Decimal:
    """The value of a text that `number` wrote: what a reader takes it for."""
    mantissa, _, exponent = text.replace(THIN, "").replace(_MINUS, "-").partition("×10")
    return Decimal(f"{mantissa}e{exponent.translate(_NORMAL)}" if exponent else mantissa)


def _decimal(value: float) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _side(value: Decimal, limit: Decimal) -> int:
    return (value > limit) - (value < limit)


def _less_zeros(value: Decimal) -> Decimal:
    short = value.normalize(_CONTEXT)
    return short if int(short.as_tuple().exponent) < 0 else value.quantize(Decimal(1), context=_CONTEXT)


def _written(value: Decimal) -> str:
    if value and not _SMALL <= abs(value) < _LARGE:
        exponent = value.adjusted()
        mantissa = value.scaleb(-exponent, context=_CONTEXT).normalize(_CONTEXT)
        power = str(exponent).translate(_SUPERSCRIPT)
        return f"{_signed(mantissa)}{THIN}×{THIN}10{power}"
    return _signed(value)


def _signed(value: Decimal) -> str:
    whole, _, rest = f"{abs(value):f}".partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN)
    return (_MINUS if value < 0 else "") + whole + (f".{rest}" if rest else "")


def _with_unit(text: str, unit: str) -> str:
    return f"{text}{THIN}{unit}" if unit else text
