"""The records of shards as the records of the whole plan: put together by number, and nothing averaged. In chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hexgate.errors import EvidenceError
from hexgate.load.gather import blank_rows
from hexgate.load.measures.spans import Rows
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.plans.shard import Place, Shard
from hexgate.load.records import RECORD, Records

__all__ = ["merge_records", "never_sent", "of_shard"]

_BLOCK = 65_536
"""Requests of the plan whose rows are in memory at once, those of all shards together."""


def merge_records(
    plan: Plan, count: int, parts: Mapping[int, Records], path: Path, workers: Mapping[int, int] | None = None
) -> int:
    """Write one row for every request of the plan, in order of number, in NumPy's format.

    Where the plan fixes what is sent, the requests of an absent shard are in it, as never sent.

    Args:
        plan: the whole plan.
        count: how many shards it was split into.
        parts: the records of each shard that there is, by index.
        path: where the rows go.
        workers: of how many workers each shard was made, by index; None for one each.

    Returns:
        How many rows there are.

    Raises:
        EvidenceError: if records are not those of their shard of this plan.
        OSError: if the disk does not take them.
    """
    shards = [plan.shard(index, count) for index in range(count)]
    absent = [shard for shard in shards if shard.place.index not in parts and _fixes_what_is_sent(plan)]
    total = sum(map(len, parts.values())) + sum(len(shard) * plan.turns for shard in absent)
    readers = [
        _Reader(shards[index], records, (workers or {}).get(index, 1))
        for index, records in sorted(parts.items())
    ]
    header = {"descr": np.lib.format.dtype_to_descr(RECORD), "fortran_order": False, "shape": (total,)}
    written = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for begin, units in _units(plan):
            rows = [reader.take(begin, units) for reader in readers]
            rows += [blank_rows(*_own(shard.place, begin, units), plan) for shard in absent]
            merged = np.concatenate([np.empty(0, dtype=RECORD), *rows])
            merged[np.argsort(merged["index"], kind="stable")].tofile(file)
            written += len(merged)
            if plan.repeats and all(reader.over for reader in readers):
                break
    for reader in readers:
        reader.end()
    return written


class _OfShard(Records):
    """The rows of one shard among those of the whole, which stay where they are."""

    def __init__(self, whole: Records, place: Place, turns: int) -> None:
        self._whole = whole
        self._place = place
        self._turns = turns

    def __len__(self) -> int:
        return sum(map(len, self.chunks()))

    def chunks(self, size: int = _BLOCK) -> Iterator[NDArray[np.void]]:
        for rows in self._whole.chunks(size):
            yield rows[(rows["index"] // self._turns) % self._place.count == self._place.index]


def of_shard(records: Records, place: Place, turns: int = 1) -> Records:
    """The rows of one shard among those of the whole, of a plan with so many requests a unit."""
    return _OfShard(records, place, turns)


def never_sent(shard: Shard) -> Iterator[Rows]:
    """The rows of a shard that was not carried out, in chunks: none where its plan fixes no number of requests."""
    if _fixes_what_is_sent(shard.plan):
        for begin, units in _units(shard.plan):
            yield blank_rows(*_own(shard.place, begin, units), shard.plan)


def _fixes_what_is_sent(plan: Plan) -> bool:
    return plan.kind is LoadKind.OPEN_LOOP or plan.duration_s is None


def _units(plan: Plan) -> Iterator[tuple[int, Rows]]:
    """The rows of the plan in blocks, each with the number of its first unit; without end where the plan repeats."""
    begin = 0
    while True:
        for units in plan.blocks(max(_BLOCK // plan.turns, 1)):
            yield begin, units
            begin += len(units)
        if not plan.repeats:
            return


def _own(place: Place, begin: int, units: Rows) -> tuple[NDArray[np.int64], Rows]:
    """The units of a block that a shard has: their numbers, and their rows of the plan."""
    first = (place.index - begin) % place.count
    own = units[first :: place.count]
    return begin + first + np.arange(len(own), dtype=np.int64) * place.count, own


class _Reader:
    """The records of one shard, read on beside the plan, and refused where they are not its own."""

    def __init__(self, shard: Shard, records: Records, workers: int) -> None:
        self._shard = shard
        self._begun = [0] * workers
        self._chunks = records.chunks(max(_BLOCK // shard.place.count, 1))
        self._rows: Rows = np.empty(0, dtype=RECORD)
        self._read()

    @property
    def over(self) -> bool:
        """Whether all of it was read."""
        return not len(self._rows)

    def take(self, begin: int, units: Rows) -> Rows:
        """Its rows of a block of the plan that begins with unit `begin`."""
        plan = self._shard.plan
        until = (begin + len(units)) * plan.turns
        taken = []
        while not self.over:
            cut = int(np.searchsorted(self._rows["index"], until))
            taken.append(self._rows[:cut])
            if cut < len(self._rows):
                self._rows = self._rows[cut:]
                break
            self._read()
        rows = np.concatenate([np.empty(0, dtype=RECORD), *taken])
        planned = blank_rows(*_own(self._shard.place, begin, units), plan)
        if not self._fits(rows, planned):
            raise self._other()
        return rows

    def end(self) -> None:
        """Refuse what is beyond the plan."""
        if not self.over:
            raise self._other()

    def _read(self) -> None:
        self._rows = next((rows for rows in self._chunks if len(rows)), self._rows[:0])
        if self._rows.dtype != RECORD:
            raise EvidenceError(
                f"the records of shard {self._shard.place} have other columns than this version writes"
            )

    def _fits(self, rows: Rows, planned: Rows) -> bool:
        here = planned[np.isin(planned["index"], rows["index"], assume_unique=True)]
        if not np.array_equal(rows["index"], here["index"]):
            return False
        if _fixes_what_is_sent(self._shard.plan):
            if len(here) < len(planned):
                return False
        elif not self._begins(rows):
            return False
        # When a later turn is due, the reply before it decides.
        first = here["turn"] == 0
        return np.array_equal(rows["due_ns"][first], here["due_ns"][first]) and all(
            np.array_equal(rows[name], here[name]) for name in ("item", "warmup", "turn")
        )

    def _begins(self, rows: Rows) -> bool:
        """Whether units were taken up in order: each worker has the beginning of its part, and whole conversations."""
        turns, place, workers = self._shard.plan.turns, self._shard.place, len(self._begun)
        first = rows["turn"] == 0
        if int(first.sum()) * turns != len(rows):
            return False
        own = (rows["index"][first] // turns - place.index) // place.count
        for worker in range(workers):
            taken = own[own % workers == worker]
            begin = self._begun[worker]
            if not np.array_equal(taken // workers, begin + np.arange(len(taken))):
                return False
            self._begun[worker] += len(taken)
        return True

    def _other(self) -> EvidenceError:
        return EvidenceError(
            f"the records of shard {self._shard.place} are not those of its part of the plan",
            hint="the shards are of different loads, or a file was changed; load again",
        )
