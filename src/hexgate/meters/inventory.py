"""What this machine can measure, and what is missing for the rest."""

from __future__ import annotations

import os
from pathlib import Path

from hexgate.meters.base import METERS, Domain, MeterOptions, Unavailable, open_meters

__all__ = ["inventory"]


def inventory(*, rapl_root: Path | None = None) -> list[Domain | Unavailable]:
    """Every domain that can be read here and now, and every lack with its remedy."""
    meters, unavailable = open_meters(list(METERS), MeterOptions(pid=os.getpid(), rapl_root=rapl_root))
    found: list[Domain | Unavailable] = []
    for meter in meters:
        found.extend(meter.domains())
        meter.close()
    return [*found, *unavailable]
