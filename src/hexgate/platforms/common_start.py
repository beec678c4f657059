"""A common start for the shards of a run, agreed through its store with new keys alone.

Each shard puts ``<run_id>/.come/<index>-<attempt>``, looks for a start, and puts ``<run_id>/.ready/<index>-<attempt>``:
then it waits. One that dies afterwards stays ready, and the others start without waiting for its next attempt. Shard 0
waits for all of them and puts ``<run_id>/.start/<attempt>`` with an instant some seconds ahead; the others poll for it.
A start that has passed is never joined: a load that began later than the others would not be part of theirs.

The instant is one of shard 0's clock, and every shard holds its own against it: one that polls sees the start appear
while it lies about ``lead_s`` ahead, whatever the time is. Where it does not, the clocks disagree and nothing is run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict
from hexgate.errors import TargetFailed
from hexgate.platforms.shard import ShardPlace
from hexgate.stores.base import Store

__all__ = ["Pace", "Start", "agree_on_start"]

# The announcement's own way into the store, and what a look takes.
_SLACK_S = 1.0


@dataclass(frozen=True)
class Pace:
    """How the shards wait for each other."""

    ready_timeout_s: float = 900.0
    """How long one shard waits for another to be there."""
    lead_s: float = 10.0
    """How far ahead of its announcement the start lies: the others must see it, and their commands be ready."""
    poll_s: float = 1.0
    """Time between two looks into the store."""
    sleep: Callable[[float], None] = time.sleep
    """Waits."""
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    """The wall clock, with a time zone."""


@dataclass(frozen=True)
class Start:
    """The start of a run's shards."""

    at: str
    """RFC 3339, UTC, with fractions of a second."""
    absent: tuple[int, ...]
    """The shards that were not there when it was announced."""
    lead_s: float
    """How far ahead of its announcement it lies, by the clock of shard 0."""
    clock_bound_s: float | None = None
    """This shard's clock is that of shard 0 to so many seconds; None where nobody could tell, as it did not see the
    start appear."""


def agree_on_start(
    store: Store, run_id: str, place: ShardPlace, attempt: str, pace: Pace, say: Callable[[str], None]
) -> Start:
    """Say that this shard is ready, and wait for the common start.

    Args:
        store: the output of the job.
        run_id: the run.
        place: which shard this is.
        attempt: an identifier of this attempt.
        pace: how long to wait.
        say: is told who is waited for, and who is absent.

    Raises:
        TargetFailed: if the start has passed, none was announced in time, or this machine's clock is not that of
            shard 0; nothing has been measured then.
        StoreFailed: if the store does not answer.
    """
    ready, starts = f"{run_id}/.ready/", f"{run_id}/.start/"
    # A folder that is the store is there once something was put into it.
    store.put_bytes(f"{run_id}/.come/{place.index}-{attempt}", attempt.encode())
    # Looked for before shard 0 can know of this shard, so that only who comes too late finds it there.
    looked = pace.now()
    start = _announced(store, starts)
    store.put_bytes(f"{ready}{place.index}-{attempt}", attempt.encode())
    if start is None and place.index == 0:
        start = _announce(store, ready, starts, place, attempt, pace, say)
    elif start is None:
        start = _await(store, ready, starts, looked, pace, say)
    elif _instant(start.at) - pace.now() > timedelta(seconds=start.lead_s + _SLACK_S):
        raise _clocks_disagree(store, start, pace)
    if _instant(start.at) <= pace.now():
        raise TargetFailed(
            "the common start of this run has passed; this attempt came too late to take part",
            where=f"run {run_id}, shard {place}",
            got=start.at,
            hint="submit the job again, as a new run",
        )
    known = "not known" if start.clock_bound_s is None else f"at most {start.clock_bound_s:.3f} s"
    say(f"shard {place}: starts at {start.at}; its clock is off from that of shard 0 by: {known}")
    return start


def _announce(
    store: Store,
    ready: str,
    starts: str,
    place: ShardPlace,
    attempt: str,
    pace: Pace,
    say: Callable[[str], None],
) -> Start:
    say(f"shard {place}: waits up to {pace.ready_timeout_s:g} s for the others")
    until = pace.now() + timedelta(seconds=pace.ready_timeout_s)
    absent = _absent(store, ready, place.count)
    while absent and pace.now() < until:
        pace.sleep(pace.poll_s)
        absent = _absent(store, ready, place.count)
    if absent:
        say(f"shard {place}: goes on without the shards {', '.join(map(str, absent))}, which are not there")
    at = pace.now() + timedelta(seconds=pace.lead_s)
    start = Start(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", tuple(absent), pace.lead_s, 0.0)
    began = pace.now()
    announced = {"at": start.at, "absent": list(start.absent), "lead_s": start.lead_s}
    store.put_bytes(starts + attempt, canonical_bytes(announced))
    took_s = (pace.now() - began).total_seconds()
    if not 0 <= took_s <= _SLACK_S:
        raise TargetFailed(
            "the store took too long for the common start, so that no shard can hold its clock against it",
            where=store.uri,
            got=f"{took_s:.1f} s",
            expected=f"at most {_SLACK_S:g} s",
            hint="submit again, as a new run",
        )
    return start


def _await(
    store: Store, ready: str, starts: str, looked: datetime, pace: Pace, say: Callable[[str], None]
) -> Start:
    patience = timedelta(seconds=pace.ready_timeout_s)
    until = pace.now() + patience
    met_first = False
    while True:
        before, looked = looked, pace.now()
        start = _announced(store, starts)
        if start is not None:
            break
        if not met_first and 0 in _present(store, ready):
            # From here on it waits for the others, as long as it may.
            met_first = True
            until = pace.now() + patience + timedelta(seconds=pace.lead_s + 10 * pace.poll_s)
        if pace.now() >= until:
            raise TargetFailed(
                "shard 0 announced no common start" if met_first else "shard 0 did not come",
                where=store.uri,
                expected=f"within {pace.ready_timeout_s:g} s",
                hint="see why its job did not begin, and submit again",
            )
        pace.sleep(pace.poll_s)
    if start.absent:
        say(f"shard 0 goes on without the shards {', '.join(map(str, start.absent))}")
    now = pace.now()
    ahead_s = start.lead_s - (_instant(start.at) - now).total_seconds()
    if abs(ahead_s) > pace.poll_s + _SLACK_S:
        raise _clocks_disagree(store, start, pace)
    # What is ahead is the clock's error and the time since the announcement, and that came after the look before.
    since_s = max(0.0, (now - before).total_seconds()) + _SLACK_S
    return replace(start, clock_bound_s=max(abs(ahead_s), abs(ahead_s - since_s)))


def _clocks_disagree(store: Store, start: Start, pace: Pace) -> TargetFailed:
    left_s = (_instant(start.at) - pace.now()).total_seconds()
    return TargetFailed(
        "the clocks of this machine and of that of shard 0 disagree, or the store hid the start from this one",
        where=store.uri,
        got=f"a start {left_s:.1f} s ahead by this clock",
        expected=f"{start.lead_s:g} s, to {pace.poll_s + _SLACK_S:g} s",
        hint="set the clocks by NTP, and submit again, as a new run",
    )


def _present(store: Store, ready: str) -> set[int]:
    names = (entry.key.removeprefix(ready).partition("-")[0] for entry in store.list(ready))
    return {int(name) for name in names if name.isdecimal()}


def _absent(store: Store, ready: str, count: int) -> Sequence[int]:
    present = _present(store, ready)
    return [index for index in range(count) if index not in present]


def _announced(store: Store, starts: str) -> Start | None:
    """The first start that was announced whole; a file that is still being written is looked at again later."""
    for entry in store.list(starts):
        try:
            value: Any = parse_strict(store.get_bytes(entry.key) or b"")
            start = Start(
                str(value["at"]), tuple(int(index) for index in value["absent"]), float(value["lead_s"])
            )
            _instant(start.at)
        except (NotStrictJson, KeyError, TypeError, ValueError):
            continue
        return start
    return None


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
