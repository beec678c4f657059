"""A common start for the shards of a run, agreed through its store with new keys alone.

Each shard puts ``<run_id>/.ready/<index>-<attempt>``. Shard 0 waits for all of them and puts
``<run_id>/.start/<attempt>`` with an instant some seconds ahead; the others poll for it. A start that has passed is
never joined: a load that began later than the others would not be part of theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from hexgate.contract.canonical import NotStrictJson, canonical_bytes, parse_strict
from hexgate.errors import TargetFailed
from hexgate.platforms.shard import ShardPlace
from hexgate.stores.base import Store

__all__ = ["Pace", "Start", "agree_on_start"]


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
        TargetFailed: if the start has passed, or none was announced in time; nothing has been measured then.
        StoreFailed: if the store does not answer.
    """
    ready, starts = f"{run_id}/.ready/", f"{run_id}/.start/"
    store.put_bytes(f"{ready}{place.index}-{attempt}", attempt.encode())
    start = _announced(store, starts)
    if start is None and place.index == 0:
        start = _announce(store, ready, starts, place, attempt, pace, say)
    elif start is None:
        start = _await(store, ready, starts, pace, say)
    if _instant(start.at) <= pace.now():
        raise TargetFailed(
            "the common start of this run has passed; this attempt came too late to take part",
            where=f"run {run_id}, shard {place}",
            got=start.at,
            hint="submit the job again, as a new run",
        )
    say(f"shard {place}: starts at {start.at}")
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
    start = Start(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", tuple(absent))
    store.put_bytes(starts + attempt, canonical_bytes({"at": start.at, "absent": list(start.absent)}))
    return start


def _await(store: Store, ready: str, starts: str, pace: Pace, say: Callable[[str], None]) -> Start:
    patience = timedelta(seconds=pace.ready_timeout_s)
    until = pace.now() + patience
    met_first = False
    while (start := _announced(store, starts)) is None:
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
    return start


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
            start = Start(str(value["at"]), tuple(int(index) for index in value["absent"]))
            _instant(start.at)
        except (NotStrictJson, KeyError, TypeError, ValueError):
            continue
        return start
    return None


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
