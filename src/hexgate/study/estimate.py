"""What a study will take, told before it begins. Every assumption of the estimate stands in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hexgate.study.design import Plan, Run
from hexgate.study.spec import Cold, Spec

__all__ = ["estimate"]

_BYTES_PER_TOKEN = 6
"""Of text, in English and Chinese alike more rather than less."""
_COPIES = 3
"""A reply stands in the ledger, in its raw record and in its text file."""
_RECORD_BYTES = 9000
"""What ledger and raw record hold beside texts."""
_RESOURCES_ROW_BYTES = 520
_POWER_ROW_BYTES = 90
_POWER_DOMAINS = 3
_POWER_HZ = 50.0
"""The most that is read where the study does not say how often."""
_WARM_UP_TOKENS = 64


def estimate(spec: Spec, plan: Plan, left: Sequence[Run]) -> dict[str, Any]:
    """Runs, time, disk and energy of what is left of a plan, at most: as if every reply had its full length.

    Args:
        spec: the study; `expect` says what is assumed.
        plan: its plan.
        left: the runs that are still to be made.

    Returns:
        ``runs``, ``visits``, ``hours``, ``disk_gb``, ``energy_kj`` (None without a declared power), ``assumed`` and
        ``over_budget``: one line for each budget that the estimate exceeds.
    """
    speed = spec.expect.tokens_per_s
    visits = len(plan.visits(left))
    reply_s = sum(run.cell.max_tokens for run in left) / speed
    quiet_s = 0.0 if spec.quiet is None else spec.quiet.before_s + spec.quiet.after_s
    loads = visits + (len(left) if spec.cold is Cold.UNLOAD else 0)
    around_s = loads * spec.expect.load_s
    around_s += visits * (2 * spec.idle_s + spec.warmup * _WARM_UP_TOKENS / speed)
    seconds = reply_s + quiet_s * len(left) + around_s
    texts = sum(
        _COPIES * _BYTES_PER_TOKEN * run.cell.max_tokens + 2 * len(run.cell.prompt.encode()) for run in left
    )
    power_hz = spec.power_hz or _POWER_HZ
    rows_per_s = spec.resources_hz * _RESOURCES_ROW_BYTES + power_hz * _POWER_DOMAINS * _POWER_ROW_BYTES
    disk_gb = (texts + len(left) * _RECORD_BYTES + seconds * rows_per_s) / 1e9
    power_w = spec.expect.power_w
    found: dict[str, Any] = {
        "runs": len(left),
        "visits": visits,
        "hours": seconds / 3600,
        "disk_gb": disk_gb,
        "energy_kj": None if power_w is None else power_w * seconds / 1000,
        "assumed": {
            "tokens_per_s": speed,
            "load_s": spec.expect.load_s,
            "power_w": power_w,
            "reply": "each has as many tokens as it may",
            "parallel": 1,
        },
        "missing": {} if power_w is not None else {"energy_kj": "expect.power_w is not declared"},
    }
    found["over_budget"] = _over(spec, found)
    return found


def _over(spec: Spec, found: dict[str, Any]) -> list[str]:
    limits = {
        "hours": spec.budget.max_hours,
        "disk_gb": spec.budget.max_disk_gb,
        "energy_kj": spec.budget.max_energy_kj,
    }
    return [
        f"{name}: up to {found[name]:.3g}, the budget is {limit:g}"
        for name, limit in limits.items()
        if limit is not None and found[name] is not None and found[name] > limit
    ]
