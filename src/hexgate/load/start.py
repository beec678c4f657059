"""The common start: an instant of the wall clock from which every shard of a load counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from hexgate.errors import InputError

__all__ = ["MOST_AHEAD_S", "MOST_LATE_S", "Start"]

MOST_LATE_S = 60.0
"""A command that begins so long after its start measures nothing: nearly all of it would be its own lateness."""
MOST_AHEAD_S = 3600.0
"""A start so far ahead is a mistake in a clock or a time zone."""

_FORM = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|\+00:00)")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Start:
    """An instant at which a load begins, on the wall clock of each machine that takes part."""

    at: str
    """RFC 3339, UTC, as it was given."""
    wall_ns: int
    """The same in nanoseconds since 1970 UTC."""
    clock_bound_s: float | None = None
    """The most by which this machine's wall clock differs from the one that all shards are held against, such as
    that of shard 0; None where nobody knows."""

    @classmethod
    def parse(cls, text: str, clock_bound_s: float | None = None) -> Start:
        """The instant of ``2026-01-31T12:00:00.250Z``: RFC 3339 in UTC, up to nine decimals.

        Args:
            text: the instant.
            clock_bound_s: the most by which this machine's clock differs from the one that all are held against; None
                where nobody knows.

        Raises:
            InputError: if it is of another form, or no instant.
        """
        found = _FORM.fullmatch(text.strip())
        try:
            whole = datetime.strptime(f"{found[1]}+0000", "%Y-%m-%dT%H:%M:%S%z") if found else None
        except ValueError:
            whole = None
        if found is None or whole is None:
            raise InputError(
                "not an instant in UTC", got=repr(text), expected="RFC 3339 such as 2026-01-31T12:00:00.250Z"
            )
        seconds = (whole - _EPOCH) // timedelta(seconds=1)
        return cls(
            text.strip(), seconds * 1_000_000_000 + int((found[2] or "0").ljust(9, "0")), clock_bound_s
        )

    def refuse_unless_near(self, now_ns: int) -> None:
        """Let a command go on only if the start is not long past and not far ahead.

        Args:
            now_ns: the wall clock, nanoseconds since 1970 UTC.

        Raises:
            InputError: if it is; nothing has been measured then.
        """
        ahead_s = (self.wall_ns - now_ns) / 1e9
        if ahead_s < -MOST_LATE_S:
            raise InputError(
                "the common start has passed",
                got=f"{self.at}, {-ahead_s:.0f} s ago",
                expected=f"at most {MOST_LATE_S:.0f} s ago",
                hint="start all shards again with a later --start-at",
            )
        if ahead_s > MOST_AHEAD_S:
            raise InputError(
                "the common start is too far ahead",
                got=f"{self.at}, in {ahead_s:.0f} s",
                expected=f"within {MOST_AHEAD_S:.0f} s",
                hint="check the clock of this machine, and that the instant is in UTC",
            )
