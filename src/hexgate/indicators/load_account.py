"""What a client told of itself, beyond its health: whether all of it told, and how long it stood still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hexgate.load.measures.health import LAG_FLOOR_MS, LAG_OF_PUBLISHED
from hexgate.load.measures.spans import millis
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import Outcome, Records
from hexgate.stats.histogram import LogHistogram

__all__ = ["Stall", "untold"]


@dataclass(frozen=True)
class Stall:
    """The longest time for which the loop of a worker stood still.

    The health of a client is judged at the median and at the 99th percentile: one stall is in neither, and may yet be
    all of the longest latency.
    """

    ms: float
    """How long."""
    worker: int
    """Which worker."""
    second_s: float
    """The end of the second in which it was, from the worker's start."""
    limits_ms: Mapping[str, float]
    """From where on a figure of the tail may be made of it, by the name of its measure."""

    @property
    def remark(self) -> str:
        """It in a sentence."""
        return (
            f"worker {self.worker} stood still for {self.ms:.3g} ms within {self.second_s:.3g} s of its start; beyond "
            f"{min(self.limits_ms.values()):.3g} ms the 99.9th percentile and the longest latency may be made of it"
        )

    @property
    def beyond(self) -> Mapping[str, str]:
        """The measures that may be made of it, each with the reason not to trust it."""
        why = f"the client stood still for {self.ms:.3g} ms, and this may be made of it"
        return {name: why for name, limit_ms in self.limits_ms.items() if self.ms > limit_ms}

    @classmethod
    def of(cls, clients: Iterable[Mapping[str, Any]], records: Records, plan: Plan) -> Stall | None:
        """The longest of all workers; None where it is too short to matter, or none told of one."""
        seconds = [
            (lag_ms, worker["worker"], end_s)
            for client in clients
            for worker in client["workers"]
            if worker.get("died") is None
            for end_s, lag_ms, *_ in worker["per_second"]
        ]
        if not seconds or max(seconds)[0] <= LAG_FLOOR_MS:
            return None
        found = cls(*max(seconds), limits_ms=_limits_ms(records, plan))
        return found if found.beyond else None


def _limits_ms(records: Records, plan: Plan) -> dict[str, float]:
    since = "due_ns" if plan.kind is LoadKind.OPEN_LOOP else "sent_ns"
    whole = LogHistogram()
    for rows in records.chunks():
        ok = rows[~rows["warmup"] & (rows["outcome"] == Outcome.OK)]
        whole.record_many(millis(np.maximum(ok["end_ns"] - ok[since], 0)))
    tail_ms = {
        "p999_ms": whole.percentile(0.999) if whole.count else 0.0,
        "max_ms": whole.maximum or 0.0,
    }
    return {name: max(LAG_FLOOR_MS, LAG_OF_PUBLISHED * latency_ms) for name, latency_ms in tail_ms.items()}


def untold(client: Mapping[str, Any] | None, run: Mapping[str, Any]) -> tuple[str, ...]:
    """That not all workers of a run on an endpoint told of themselves; empty where they did."""
    told = 0 if client is None else len(client["workers"])
    if not told:
        return ("the client left no account of itself, so nobody knows whether it kept up",)
    ran = run.get("workers", told)
    if told >= ran:
        return ()
    return (
        f"{told} of {ran} workers left an account of themselves, so nobody knows whether the rest kept up",
    )
