"""What a load is called while it goes on: its pace, its warm-up, its length."""

from __future__ import annotations

__all__ = ["counted", "load_title"]

_THIN = "\u202f"


def counted(count: int) -> str:
    """A number of things, its thousands marked from 10,000 on."""
    return f"{count:,}".replace(",", _THIN) if count >= 10_000 else str(count)


def load_title(
    pace: str, *, warmup: int, length: str, warmup_rps: float | None = None, timed_s: float | None = None
) -> str:
    """A load in a few words.

    Args:
        pace: what sets the pace.
        warmup: requests, or conversations, of the warm-up.
        length: of the timed window, in words; empty where the pace says it.
        warmup_rps: the rate of the warm-up; None where nobody knows it before.
        timed_s: the length of the timed window in seconds; likewise.
    """
    if not warmup:
        return f"{pace}, {length}" if length else pace
    then = f", then {length}" if length else ""
    about = "" if warmup_rps is None or timed_s is None else f": about {warmup / warmup_rps + timed_s:.0f} s"
    return f"{pace}, {counted(warmup)} warm-up{then}{about}"
