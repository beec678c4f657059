"""What the column of the time counts in a file that another meter left, and a cell of it as nanoseconds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

from hexgate.errors import DataError
from hexgate.meters.imported_rows import short

__all__ = ["Clock", "instant_ns", "iso_ns"]

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):?(\d\d))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOST_NS = 2**63
_CLOCK_HINT = "say with --clock what the column counts, if it is something else"


class Clock(str, Enum):
    """What the time column of a file counts."""

    ISO = "iso"
    """Instants as RFC 3339 has them, with ``Z`` or an offset from UTC."""
    UNIX = "unix"
    """Seconds since 1970 in UTC."""
    UNIX_MS = "unix-ms"
    """Milliseconds since then."""
    UNIX_NS = "unix-ns"
    """Nanoseconds since then."""
    MONOTONIC_NS = "monotonic-ns"
    """`time.monotonic_ns` of this machine: CLOCK_MONOTONIC on Linux."""
    SECONDS = "seconds"
    """Seconds from a start of the file's own."""


_SCALES = {Clock.UNIX: 10**9, Clock.UNIX_MS: 10**6, Clock.UNIX_NS: 1, Clock.MONOTONIC_NS: 1}
_SCALES[Clock.SECONDS] = 10**9


def instant_ns(cell: Any, clock: Clock, place: str) -> int:
    """A cell of the time column in nanoseconds, of whatever the file counts from.

    Raises:
        DataError: if it is no time of this clock; `place` is where it stands.
    """
    if clock is Clock.ISO:
        instant = iso_ns(cell) if isinstance(cell, str) else None
        if instant is None:
            raise DataError(
                "the time is not an instant",
                where=place,
                got=short(cell),
                expected="such as 2026-01-31T12:00:00.5Z, with Z or an offset from UTC",
                hint=_CLOCK_HINT,
            )
        return instant
    try:
        text = "NaN" if isinstance(cell, bool) or "_" in str(cell) else str(cell).strip()
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        hint = "write decimals with a point" if "," in text else _CLOCK_HINT
        raise DataError("the time is not a number", where=place, got=short(cell), hint=hint)
    scale = _SCALES[clock]
    # Compared twice, because a product beyond all bounds is an error of its own.
    if not (abs(number) < _MOST_NS and abs(number) * scale < _MOST_NS):
        raise DataError(
            "the time is beyond what this clock counts", where=place, got=short(cell), hint=_CLOCK_HINT
        )
    return int((number * scale).to_integral_value())


def iso_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of an instant by RFC 3339; None where it is none."""
    found = _INSTANT.fullmatch(text.strip())
    if found is None:
        return None
    day, clock, fraction, _, sign, hours, minutes = found.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError:
        return None
    ahead_s = 3600 * int(hours or 0) + 60 * int(minutes or 0)
    if ahead_s >= 86_400:
        return None
    seconds = (local - _EPOCH) // timedelta(seconds=1) - (-ahead_s if sign == "-" else ahead_s)
    return seconds * 10**9 + int((fraction or "0").ljust(9, "0"))
