"""Waits for a slot under a cap that were longer than the time-out of a request. Pure."""

from __future__ import annotations

from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import NEVER, Records

__all__ = ["waits_beyond"]


def waits_beyond(records: Records, plan: Plan, timeout_s: float | None) -> tuple[str, ...]:
    """What a reader has to know of requests that waited for a slot for longer than their time-out; empty without.

    The time-out counts from the slot, so that a request which is late is sent late and never dropped. A user who
    gives up after that time would have given these up.

    Args:
        records: of all requests; the timed ones count.
        plan: what was to be sent. Only an open loop with a cap has slots to wait for.
        timeout_s: the longest wait for a whole reply; None where there is none.
    """
    if timeout_s is None or plan.kind is not LoadKind.OPEN_LOOP or not plan.concurrency:
        return ()
    sent = beyond = most_ns = 0
    for rows in records.chunks():
        timed = rows[~rows["warmup"] & (rows["sent_ns"] != NEVER) & (rows["due_ns"] != NEVER)]
        waited_ns = timed["sent_ns"] - timed["due_ns"]
        sent += len(timed)
        beyond += int((waited_ns > timeout_s * 1e9).sum())
        most_ns = max(most_ns, int(waited_ns.max(initial=0)))
    if not beyond:
        return ()
    told = (
        f"{beyond} of {sent} requests waited for a slot for longer than the time-out of {timeout_s:g} s, up to "
        f"{most_ns / 1e9:.3g} s, and were sent all the same: the time-out counts from the slot, the latency from due; "
        "allow more in flight, or ask for a lower rate"
    )
    return (told,)
