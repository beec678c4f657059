"""The plan of a load as its options have it, and what it is called: its pace, its warm-up, its length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hexgate.indicators.base import Job
from hexgate.indicators.workload import Workload
from hexgate.load.plans.pacers import length_s, warmup_rps
from hexgate.load.plans.plan import Arrival, Plan, closed_loop, open_loop, parse_ramp, parse_stages
from hexgate.load.plans.trace import replay

if TYPE_CHECKING:
    from hexgate.indicators.load_run import LoadOptions

__all__ = ["planned"]

_THIN = "\u202f"


def planned(job: Job, chosen: LoadOptions, load: Workload) -> tuple[Plan, str]:
    """The plan of a load, and the load in a few words.

    Raises:
        InputError: if the options make no plan.
    """
    units: dict[str, Any] = {
        "items": load.items,
        "warmup": chosen.warmup,
        "seed": job.seed,
        "turns": load.turns,
        "think_s": chosen.think_s,
    }
    amount: dict[str, Any] = {"requests": chosen.requests, "duration_s": chosen.duration_s}
    thing = "requests" if load.turns == 1 else f"conversations of {load.turns} turns"
    length = f"{_counted(chosen.requests)} {thing}" if chosen.requests else ""
    if chosen.duration_s:
        length = f"{chosen.duration_s:g} s"
    told: dict[str, Any] = {"warmup": chosen.warmup, "length": length}
    caps = [cap for cap in (chosen.max_in_flight, load.most_in_flight) if cap is not None]
    units_open: dict[str, Any] = units | {"max_in_flight": min(caps, default=None)}
    paced: dict[str, Any] = {"arrival": Arrival(chosen.arrival), "burstiness": chosen.burstiness}
    if chosen.replay is not None:
        own: dict[str, Any] = units_open | ({"items": None} if load.by_line else {})
        plan = replay(chosen.replay, time_scale=chosen.time_scale, **own, **amount)
        return plan, _title(f"the trace {chosen.replay.name}", **told)
    if chosen.stages is not None or chosen.ramp is not None:
        shape = parse_stages(chosen.stages) if chosen.stages is not None else parse_ramp(chosen.ramp or "")
        name = f"stages {chosen.stages}" if chosen.stages else f"ramp {chosen.ramp}"
        told |= {"warmup_rps": warmup_rps(shape), "timed_s": length_s(shape)}
        plan = open_loop(shape=shape, **paced, **units_open)
        return plan, _title(f"{name} ({thing}/s:s)", **told)
    if chosen.rate_rps is not None:
        plan = open_loop(rate_rps=chosen.rate_rps, **paced, **units_open, **amount)
        timed_s = chosen.duration_s or (chosen.requests or 0) / chosen.rate_rps
        told |= {"warmup_rps": chosen.rate_rps, "timed_s": timed_s}
        return plan, _title(f"{chosen.rate_rps:g} {thing}/s", **told)
    plan = closed_loop(concurrency=chosen.concurrency, **units, **amount)
    return plan, _title(f"{_counted(chosen.concurrency)} in flight", **told)


def _counted(count: int) -> str:
    """A number of things, its thousands marked from 10,000 on."""
    return f"{count:,}".replace(",", _THIN) if count >= 10_000 else str(count)


def _title(
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
    return f"{pace}, {_counted(warmup)} warm-up{then}{about}"
