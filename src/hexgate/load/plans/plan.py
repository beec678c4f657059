"""The plan: the whole schedule of requests, fixed before the first is sent. Same arguments, same plan, to the byte.

Its rows are made as they are read, so that a plan of any length takes the memory of a block.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.canonical import canonical_bytes
from hexgate.errors import EvidenceError, InputError
from hexgate.load.plans.pacers import (
    MOST_RPS,
    MOST_SPAN_S,
    Segment,
    Shape,
    checked,
    cumulative,
    expected,
    length_s,
    parse_ramp,
    parse_stages,
    rate_at,
)
from hexgate.load.plans.plan_head import (
    MOST_SLOTS,
    PlanHead,
    amount,
    at_least,
    cap_of,
    head_fields,
    not_too_many,
    spacing,
    think_time_ns,
)
from hexgate.load.plans.schedule import (
    BLOCK,
    PLAN_ROW,
    Arrival,
    FileRows,
    HeldRows,
    LoadKind,
    MadeRows,
    Marks,
    Pace,
    Rows,
)
from hexgate.load.plans.shard import Place, Shard

__all__ = [
    "PLAN_ROW",
    "Arrival",
    "LoadKind",
    "Plan",
    "Segment",
    "Shape",
    "closed_loop",
    "open_loop",
    "parse_ramp",
    "parse_stages",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan(PlanHead):
    """A schedule of requests. Made by `closed_loop`, `open_loop` and `trace.replay`.

    A row is a unit: a request, or a conversation of `turns` requests. Request `turn` of unit `row` has the number
    row * turns + turn. The row has the due time of turn 0; a later turn is due `think_ns` after the reply before it.
    """

    source: Rows
    """Where its rows come from."""

    def __len__(self) -> int:
        return self.units

    @property
    def requests(self) -> int:
        """How many requests there are, the warm-up included; of a plan that repeats, in a round."""
        return self.units * self.turns

    @property
    def timed(self) -> int | None:
        """How many timed requests are planned; None where the duration decides."""
        return None if self.repeats else (self.units - self.warmup) * self.turns

    def blocks(self, size: int = BLOCK) -> Iterator[NDArray[np.void]]:
        """All rows (`PLAN_ROW`) in order, `size` at a time, the last block with what is left.

        They are made anew each time, and are the same whatever the size. `due_ns` counts from the start of the run
        and is -1 in a closed loop.
        """
        return self.source.blocks(size)

    def write(self, path: Path) -> None:
        """Write the rows in NumPy's format, block by block.

        Raises:
            OSError: if the disk does not take them.
        """
        with path.open("wb") as file:
            header = {"descr": PLAN_ROW.descr, "fortran_order": False, "shape": (len(self),)}
            np.lib.format.write_array_header_1_0(file, header)
            # Whoever writes a plan wants its digest and its window next: this was the reading that they need.
            self.__dict__["_marks"] = self._read(file)

    def digest(self) -> str:
        """SHA-256, in hex, of the canonical head and the rows as little-endian bytes."""
        return self._marks.sha256

    @cached_property
    def _marks(self) -> Marks:
        return self._read(None)

    def _read(self, into: BinaryIO | None) -> Marks:
        """Read through the rows once, each of which is looked at.

        Raises:
            EvidenceError: if due times are not in order, are negative in an open loop or are there in a closed one;
                or an item is not one of so many.
            OSError: if the disk does not take them.
        """
        is_open = self.kind is LoadKind.OPEN_LOOP
        digest = hashlib.sha256(canonical_bytes(self.head()))
        number = warm = first = 0
        last = 0 if is_open else -1
        for block in self.blocks():
            due, item = block["due_ns"], block["item"]
            steps = np.diff(due, prepend=last)
            if (steps < 0).any() if is_open else (steps != 0).any():
                raise EvidenceError("the due times of the load plan are not those of its kind, in order")
            if item.min() < 0 or item.max() >= self.items:
                raise EvidenceError("the load plan has items beyond the number in its head")
            if number < self.warmup <= number + len(block):
                warm = int(due[self.warmup - 1 - number])
            if number <= self.warmup < number + len(block):
                first = int(due[self.warmup - number])
            number += len(block)
            last = int(due[-1])
            data = block.tobytes()
            digest.update(data)
            if into is not None:
                into.write(data)
        return Marks(warm, first, last, digest.hexdigest())

    def to_array(self) -> NDArray[np.void]:
        """All rows at once: for tests, and where they are few."""
        return np.concatenate(list(self.blocks()))

    @cached_property
    def due_ns(self) -> NDArray[np.int64]:
        """(n,) due times of all units at once, read-only: for tests, and where they are few."""
        due: NDArray[np.int64] = np.ascontiguousarray(self.to_array()["due_ns"])
        due.flags.writeable = False
        return due

    @cached_property
    def item(self) -> NDArray[np.int32]:
        """(n,) data items of all units at once, read-only: for tests, and where they are few."""
        item: NDArray[np.int32] = np.ascontiguousarray(self.to_array()["item"])
        item.flags.writeable = False
        return item

    def item_of(self, index: int) -> int:
        """The data item of request `index`; the rows repeat where the plan does. Holds all items, as `item` does."""
        unit = index // self.turns
        return int(self.item[unit % self.units] if self.repeats else self.item[unit])

    def shard(self, index: int, count: int) -> Shard:
        """The part of this plan that shard `index` of `count` carries out; the whole is shard 0 of 1.

        Raises:
            InputError: if there is no such shard, or fewer units may be in flight than there are shards.
        """
        return Shard(self, Place(index, count))

    @cached_property
    def window_ns(self) -> tuple[int, int] | None:
        """Begin and end of the timed window of an open loop; None for a closed one.

        It begins, with constant arrivals, with the first timed unit; with Poisson and gamma ones with the last one of
        the warm-up, or the start; in a shape where the shape does: after a mean gap for each unit of a constant
        warm-up, else as just said; in a trace with the first timed unit. It lasts for the duration, which a
        shape always has, or else, with constant arrivals, for one mean gap a unit; with all others to the last unit.
        """
        if self.rate_rps is None:
            return None
        marks = self._marks
        begin, end = marks.warm_ns, marks.last_ns
        if self.arrival is Arrival.REPLAY:
            begin = marks.first_ns
        elif self.arrival is Arrival.CONSTANT:
            begin = marks.first_ns
            if self.shape:
                begin = round(self.warmup * 1e9 / self._pace.warmup_rps)
            end = begin + round((self.units - self.warmup) * 1e9 / self.rate_rps)
        return begin, end if self.duration_s is None else begin + round(self.duration_s * 1e9)

    @property
    def _pace(self) -> Pace:
        return Pace(self.arrival, self.rate_rps or 0.0, self.shape, self.burstiness or 1.0, self.warmup)

    def rate_at(self, t_ns: int) -> float:
        """Units a second that are asked for at an instant, from the start of the run.

        Those of the warm-up, then those of the timed window, and 0 before and after. Of a trace it is the mean. A
        closed loop asks for no rate: 0.
        """
        if self.window_ns is None or self.rate_rps is None:
            return 0.0
        begin, end = self.window_ns
        if not 0 <= t_ns < end:
            return 0.0
        if t_ns < begin:
            return self.rate_rps if self.arrival is Arrival.REPLAY else self._pace.warmup_rps
        return rate_at(self.shape, (t_ns - begin) / 1e9) if self.shape else self.rate_rps

    def cumulative(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n,) timed units expected from the begin of the window to each of n instants; of a trace by its mean rate.

        Instants of a process at the rates of this plan become, in this measure, one at unit rate. It is 0 before the
        window, and does not grow after the end of a shape.

        Raises:
            InputError: in a closed loop, which asks for no rate.
        """
        if self.window_ns is None or self.rate_rps is None:
            raise InputError("a closed loop asks for no rate")
        t_s = np.maximum((np.asarray(t_ns) - self.window_ns[0]) / 1e9, 0.0)
        return cumulative(self.shape, t_s) if self.shape else np.asarray(t_s * self.rate_rps)

    @classmethod
    def from_evidence(cls, head: Mapping[str, Any], source: Path | NDArray[np.void]) -> Plan:
        """The plan that a head and rows describe; the rows in a file of NumPy's format, or in memory.

        The rows in a file are read through once, and stay there.

        Raises:
            EvidenceError: if they do not describe one.
        """
        fields = head_fields(head)
        rows = FileRows.open(source) if isinstance(source, Path) else HeldRows.of(source)
        if len(rows) != fields["units"]:
            raise EvidenceError(
                "the load plan has another number of rows than its head says",
                got=str(len(rows)),
                expected=str(fields["units"]),
            )
        plan = cls(**fields, source=rows)
        # Rows that do not go with the head are refused here, and not where they are first used.
        _ = plan._marks
        return plan


def closed_loop(
    *,
    concurrency: int,
    items: int,
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int = 0,
    seed: int = 0,
    turns: int = 1,
    think_s: float = 0.0,
) -> Plan:
    """Keep `concurrency` units in flight, for so many timed ones, for so long, or for what ends first.

    Args:
        concurrency: units in flight: requests, or conversations.
        items: how many data items there are; they come in seeded shuffles, each whole.
        requests: timed units, or None where `duration_s` decides.
        duration_s: seconds from the first timed request after which no more are sent.
        warmup: units before the timed ones. The loop does not drain in between.
        seed: seed of the shuffles.
        turns: requests in a unit.
        think_s: seconds from the end of a reply to the next turn.

    Raises:
        InputError: if an argument is out of range, or neither requests nor duration is given.
    """
    at_least(1, concurrency=concurrency, items=items)
    if concurrency > MOST_SLOTS:
        raise InputError(
            "too many requests in flight", got=str(concurrency), expected=f"at most {MOST_SLOTS}"
        )
    at_least(0, warmup=warmup, seed=seed)
    amount(requests, duration_s)
    think_ns = think_time_ns(turns, think_s)
    # A whole number of shuffles, so that starting over does not favour any item.
    rows = warmup + requests if requests is not None else items * -(-max(warmup, 1000, items) // items)
    not_too_many(rows, turns)
    return Plan(
        kind=LoadKind.CLOSED_LOOP,
        concurrency=concurrency,
        rate_rps=None,
        arrival=Arrival.NONE,
        shape=(),
        burstiness=None,
        units=rows,
        items=items,
        warmup=warmup,
        duration_s=duration_s,
        seed=seed,
        repeats=requests is None,
        turns=turns,
        think_ns=think_ns,
        source=MadeRows(rows, items, seed, None),
    )


def open_loop(
    *,
    items: int,
    rate_rps: float | None = None,
    shape: Shape = (),
    arrival: Arrival = Arrival.POISSON,
    burstiness: float | None = None,
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int = 0,
    seed: int = 0,
    max_in_flight: int | None = None,
    turns: int = 1,
    think_s: float = 0.0,
) -> Plan:
    """Send by the clock at a rate, for so many timed units or for a window of so long; or at the rates of a shape.

    Args:
        items: how many data items there are; they come in seeded shuffles, each whole.
        rate_rps: units a second; a unit is a request, or a conversation.
        shape: rates of the timed part (`parse_stages`, `parse_ramp`); excludes `rate_rps`, `requests` and
            `duration_s`.
        arrival: constant, Poisson or gamma.
        burstiness: shape of the gamma distribution, for gamma arrivals and no others.
        requests: timed units; excludes `duration_s`.
        duration_s: length of the timed window (see `Plan.window_ns`). The number of arrivals at random in it is
            random, but at least one.
        warmup: units before the timed ones, at the same rate; before a shape at the first rate that it sends at, or
            half the rate to which a ramp from 0 goes.
        seed: seed of the gaps and of the shuffles, which draw from separate streams.
        max_in_flight: cap on units in flight; those beyond it queue, and their wait is charged to them.
        turns: requests in a unit.
        think_s: seconds from the end of a reply to the next turn.

    Raises:
        InputError: if an argument is out of range, or not exactly one of requests, duration and shape is given.
    """
    at_least(1, items=items)
    at_least(0, warmup=warmup, seed=seed)
    think_ns = think_time_ns(turns, think_s)
    if shape:
        if rate_rps is not None or requests is not None or duration_s is not None:
            raise InputError(
                "stages and ramps have their own rates and length", expected="no others beside them"
            )
        duration_s = length_s(checked(shape))
        rate_rps = expected(shape) / duration_s
    elif rate_rps is None:
        raise InputError("an open loop needs a rate, stages or a ramp")
    else:
        amount(requests, duration_s)
    if not 0.0 < rate_rps < MOST_RPS:
        raise InputError("the rate is out of range", got=f"{rate_rps:g}/s", expected="above 0, below 1e7")
    if requests is not None and duration_s is not None:
        raise InputError("an open loop takes requests or a duration, not both")
    spacing(arrival, burstiness)
    not_too_many(warmup + (requests if requests is not None else (duration_s or 0.0) * rate_rps), turns)
    pace = Pace(arrival, float(rate_rps), shape, burstiness or 1.0, warmup)
    timed_s = duration_s if requests is None else requests / rate_rps
    if (span_s := warmup / pace.warmup_rps + (timed_s or 0.0)) > MOST_SPAN_S:
        raise InputError(
            "the plan lasts too long", got=f"{span_s:g} s", expected=f"at most {MOST_SPAN_S:g} s"
        )
    rows = warmup + requests if requests is not None else pace.rows_for(None if shape else duration_s, seed)
    not_too_many(rows, turns)
    return Plan(
        kind=LoadKind.OPEN_LOOP,
        concurrency=cap_of(max_in_flight),
        rate_rps=float(rate_rps),
        arrival=arrival,
        shape=shape,
        burstiness=burstiness,
        units=rows,
        items=items,
        warmup=warmup,
        duration_s=duration_s,
        seed=seed,
        turns=turns,
        think_ns=think_ns,
        source=MadeRows(rows, items, seed, pace),
    )
