"""The records of shards as the records of the whole plan: put together by number, and nothing averaged. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hexgate.errors import EvidenceError
from hexgate.load.plan import LoadKind, Plan
from hexgate.load.records import NEVER, RECORD, Outcome
from hexgate.load.shard import Place, Shard
from hexgate.load.spans import Rows

__all__ = ["merged_records", "never_sent", "of_shard"]

_STAMPS_AND_COUNTS = [
    name for name in RECORD.names or () if name not in {"index", "item", "warmup", "outcome"}
]


def merged_records(plan: Plan, count: int, parts: Mapping[int, Rows]) -> Rows:
    """One row for every request of the plan, in order of number.

    Where the plan fixes what is sent, the requests of an absent shard are in it, as never sent.

    Args:
        plan: the whole plan.
        count: how many shards it was split into.
        parts: the records of each shard that there is, by index.

    Raises:
        EvidenceError: if records are not those of their shard of this plan.
    """
    shards = [plan.shard(index, count) for index in range(count)]
    rows = [_checked(shards[index], part) for index, part in sorted(parts.items())]
    rows += [never_sent(shard) for shard in shards if shard.place.index not in parts]
    merged = np.concatenate(rows)
    return merged[np.argsort(merged["index"], kind="stable")]


def of_shard(records: Rows, place: Place) -> Rows:
    """The rows of one shard among those of the whole."""
    rows: Rows = records[records["index"] % place.count == place.index]
    return rows


def never_sent(shard: Shard) -> Rows:
    """The rows of a shard that was not carried out: none where its plan fixes no number of requests."""
    plan = shard.plan
    if not _fixes_what_is_sent(plan):
        return np.empty(0, dtype=RECORD)
    numbers = shard.rows
    rows = np.zeros(len(numbers), dtype=RECORD)
    for name in _STAMPS_AND_COUNTS:
        rows[name] = NEVER
    for name in ("events", "bytes"):
        rows[name] = 0
    rows["index"] = numbers
    rows["item"] = plan.item[numbers]
    rows["warmup"] = numbers < plan.warmup
    rows["due_ns"] = plan.due_ns[numbers]
    rows["outcome"] = Outcome.NOT_SENT
    return rows


def _fixes_what_is_sent(plan: Plan) -> bool:
    return plan.kind is LoadKind.OPEN_LOOP or plan.duration_s is None


def _checked(shard: Shard, rows: Rows) -> Rows:
    """The rows, if they are of this shard: its numbers, each once, with what the plan has for each."""
    plan, place = shard.plan, shard.place
    if rows.dtype != RECORD:
        raise EvidenceError(f"the records of shard {place} have other columns than this version writes")
    numbers = np.sort(rows["index"].astype(np.int64))
    whole = len(numbers) == len(shard.rows)
    # Requests are taken up in order: whatever a shard has is the beginning of its part.
    fits = np.array_equal(numbers, np.arange(len(numbers)) * place.count + place.index) and (
        whole or plan.repeats or (len(numbers) < len(shard.rows) and not _fixes_what_is_sent(plan))
    )
    if fits:
        at = rows["index"] % len(plan)
        fits = (
            np.array_equal(rows["item"], plan.item[at])
            and np.array_equal(rows["due_ns"], plan.due_ns[at])
            and np.array_equal(rows["warmup"], rows["index"] < plan.warmup)
        )
    if not fits:
        raise EvidenceError(
            f"the records of shard {place} are not those of its part of the plan",
            hint="the shards are of different loads, or a file was changed; load again",
        )
    return rows
