"""Strict JSON in and canonical JSON out, and the digests made of them."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

__all__ = ["NotStrictJson", "canonical_bytes", "parse_strict", "sha256_bytes", "sha256_file"]

_MAX_DEPTH = 64
_MAX_BYTES = 64 * 1024 * 1024


class NotStrictJson(ValueError):
    """Bytes that are not one strict JSON value; `args[0]` says what and where."""


def canonical_bytes(value: Any) -> bytes:
    """One byte string for one JSON value: sorted keys, no spaces, UTF-8, shortest round-trip floats.

    Raises:
        ValueError: for NaN and infinities, which JSON does not have.
        TypeError: for anything that is not a JSON value.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def sha256_bytes(data: bytes) -> str:
    """The SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex, read in pieces.

    Raises:
        OSError: if the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def parse_strict(data: bytes) -> Any:
    """Parse JSON as RFC 8259 has it, and refuse what lax readers let through.

    Refused: other encodings than UTF-8, NaN and Infinity tokens, numbers beyond a double's range, repeated
    keys (the second would silently win), nesting deeper than 64, more than 64 MiB.

    Raises:
        NotStrictJson: with the reason and, where there is one, the line and column.
    """
    if len(data) > _MAX_BYTES:
        raise NotStrictJson(f"larger than {_MAX_BYTES // (1024 * 1024)} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrictJson(f"not UTF-8 at byte {error.start}") from None
    if text.startswith("\ufeff"):
        raise NotStrictJson("begins with a byte order mark")
    _refuse_deep_nesting(text)
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_bounded_int,
            object_pairs_hook=_unique_keys,
        )
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    if "\\ud" in text.lower():
        _refuse_half_characters(value)
    return value


def _refuse_half_characters(value: Any) -> None:
    try:
        canonical_bytes(value)
    except UnicodeEncodeError:
        raise NotStrictJson("a string with half of a surrogate pair, which is no character") from None


def _refuse_deep_nesting(text: str) -> None:
    depth = 0
    in_string = False
    escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise NotStrictJson(f"nested deeper than {_MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _refuse_constant(token: str) -> Any:
    raise NotStrictJson(f"{token} is not JSON; what could not be measured is null")


def _finite_float(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise NotStrictJson(f"the number {token[:40]} is beyond the range of a double")
    return value


def _bounded_int(token: str) -> int:
    # int() refuses very long digit strings with a message about its own limits.
    if len(token) > 19 and not -(2**63) <= float(token) < 2**63:
        raise NotStrictJson(f"the integer {token[:40]} is beyond 64 bits")
    return int(token)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotStrictJson(f"the key {key!r} stands twice in one object")
            seen.add(key)
    return found
