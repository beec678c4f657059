"""Which boot of which machine this is: what tells that two processes read one clock."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["boot_digest"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_digest() -> str | None:
    """SHA-256, in hex, of the id that the kernel drew when it started; None where it draws none."""
    try:
        drawn = _BOOT_ID.read_bytes().strip()
    except OSError:
        return None
    return hashlib.sha256(b"hexgate boot " + drawn).hexdigest() if drawn else None
