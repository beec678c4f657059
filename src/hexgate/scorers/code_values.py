"""Plain values as JSON, and back: what may pass between tests and the program that they test.

What is decoded is made of None, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset and range
alone, whoever encoded it, so nothing in it can answer a comparison falsely. Anything else stays where it is and travels
as a number. Runs inside the sandbox as well; nothing but the standard library is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["MUTABLE", "decode", "encode", "plain"]

MUTABLE = (list, dict, set, bytearray)
"""Kinds whose content a call may change."""

_LARGE = 2**63


def encode(value: object, hold: Callable[[object], int]) -> Any:  # noqa: PLR0911 - one return a kind
    """A value as JSON.

    Args:
        value: what is to travel; of a subclass, the plain value that it is.
        hold: keeps what cannot travel, and gives it a number; or raises.

    Raises:
        RecursionError: for a value that holds itself.
    """
    if value is None or isinstance(value, (bool, float, str)):
        return value
    if isinstance(value, int):
        # Decimal digits of large numbers take quadratic time, and Python refuses more than 4,300 of them.
        return int(value) if abs(value) < _LARGE else {"int": hex(value)}
    if isinstance(value, list):
        return [encode(part, hold) for part in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key, hold), encode(part, hold)] for key, part in value.items()]}
    for kind, name in ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if isinstance(value, kind):
            return {name: [encode(part, hold) for part in value]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytearray" if isinstance(value, bytearray) else "bytes": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, range):
        return {"range": [encode(part, hold) for part in (value.start, value.stop, value.step)]}
    return {"held": hold(value)}


def decode(data: Any, held: Callable[[int], object]) -> Any:  # noqa: PLR0911 - one return a kind
    """The value of `encode`.

    Args:
        data: JSON.
        held: what stands here for a number that the other side holds.

    Raises:
        ValueError: for JSON that `encode` does not make.
        TypeError: for the same.
    """
    if isinstance(data, list):
        return [decode(part, held) for part in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise ValueError("not a value: it has not one kind")
    ((kind, body),) = data.items()
    if kind == "held" and type(body) is int:
        return held(body)
    if kind == "int":
        return int(body, 16)
    if kind == "dict":
        return {decode(key, held): decode(part, held) for key, part in body}
    if kind in {"bytes", "bytearray"}:
        return bytes.fromhex(body) if kind == "bytes" else bytearray.fromhex(body)
    if kind == "complex":
        return complex(*map(float, body))
    made = {"tuple": tuple, "set": set, "frozenset": frozenset}.get(kind)
    if made is not None and isinstance(body, list):
        return made(decode(part, held) for part in body)
    if kind == "range":
        return range(*(decode(part, held) for part in body))
    raise ValueError(f"not a value: there is no kind {kind!r}")


def plain(value: object) -> bool:
    """Whether a value can travel whole."""

    def never(part: object) -> int:
        raise TypeError(type(part).__name__)

    try:
        encode(value, never)
    except (TypeError, RecursionError):
        return False
    return True
