"""The plan: the whole schedule of requests, made before the first is sent. Same arguments, same plan.

Random numbers come from the raw output of PCG64, which NumPy keeps stable over its versions; its
distributions and shuffles carry no such promise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.canonical import canonical_bytes
from hexgate.errors import EvidenceError, InputError
from hexgate.load.shard import Place, Shard

__all__ = ["PLAN_ROW", "Arrival", "LoadKind", "Plan", "closed_loop", "open_loop"]

PLAN_ROW = np.dtype([("due_ns", "<i8"), ("item", "<i4")])
"""One row of a plan as evidence."""

_MOST_REQUESTS = 50_000_000
_MOST_SLOTS = 100_000
_MOST_SPAN_S = 1e6


class LoadKind(str, Enum):
    """What decides when a request is sent."""

    CLOSED_LOOP = "closed_loop"
    """The end of another: so many are kept in flight."""
    OPEN_LOOP = "open_loop"
    """The clock: each has an instant at which it is due, whatever became of the others."""


class Arrival(str, Enum):
    """How the instants of an open loop are spaced."""

    CONSTANT = "constant"
    """Request i is due at i / rate exactly."""
    POISSON = "poisson"
    """Gaps are independent and exponential with mean 1 / rate, and are not rescaled to an exact total."""
    NONE = "none"
    """A closed loop has no instants."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A schedule of requests. Made by `closed_loop` and `open_loop`."""

    kind: LoadKind
    """Closed or open loop."""
    concurrency: int
    """Requests in flight in a closed loop; in an open one the cap on them, 0 where there is none."""
    rate_rps: float | None
    """Requests a second in an open loop; None in a closed one."""
    arrival: Arrival
    """How the instants are spaced."""
    due_ns: NDArray[np.int64]
    """(n,) instants at which requests are due, from the start of the run; -1 in a closed loop."""
    item: NDArray[np.int32]
    """(n,) index of the data item of each request."""
    warmup: int
    """So many requests at the front are warm-up and enter no figure."""
    duration_s: float | None
    """Length of the timed window; None where the number of requests decides. In a closed loop nothing is sent
    after it; it begins with the first timed request."""
    seed: int
    """Seed of the instants and of the order of items."""
    repeats: bool = False
    """Whether a closed loop starts over with its rows until `duration_s` is over; else the rows are all."""

    def __post_init__(self) -> None:
        for array in (self.due_ns, self.item):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.item)

    def item_of(self, index: int) -> int:
        """The data item of request `index`; the rows repeat where the plan does."""
        return int(self.item[index % len(self.item)] if self.repeats else self.item[index])

    def shard(self, index: int, count: int) -> Shard:
        """The part of this plan that shard `index` of `count` carries out; the whole is shard 0 of 1.

        Raises:
            InputError: if there is no such shard, or fewer requests may be in flight than there are shards.
        """
        return Shard(self, Place(index, count))

    @property
    def timed(self) -> int | None:
        """How many timed requests are planned; None where the duration decides."""
        return None if self.repeats else len(self) - self.warmup

    @property
    def window_ns(self) -> tuple[int, int] | None:
        """Begin and end of the timed window of an open loop; None for a closed one.

        Constant arrivals: from the first timed one, for the duration, or else for one mean gap a request.
        Poisson arrivals: from the last one of the warm-up (or the start), for the duration, or else to the
        last.
        """
        if self.rate_rps is None:
            return None
        if self.arrival is Arrival.CONSTANT:
            begin = int(self.due_ns[self.warmup])
            end = begin + round((len(self) - self.warmup) * 1e9 / self.rate_rps)
        else:
            begin = int(self.due_ns[self.warmup - 1]) if self.warmup else 0
            end = int(self.due_ns[-1])
        return begin, end if self.duration_s is None else begin + round(self.duration_s * 1e9)

    def head(self) -> dict[str, Any]:
        """Everything but the rows, as JSON."""
        return {
            "kind": self.kind.value,
            "concurrency": self.concurrency,
            "rate_rps": self.rate_rps,
            "arrival": self.arrival.value,
            "rows": len(self),
            "warmup": self.warmup,
            "duration_s": self.duration_s,
            "seed": self.seed,
            "repeats": self.repeats,
        }

    def digest(self) -> str:
        """SHA-256, in hex, of the canonical head and the rows as little-endian bytes."""
        digest = hashlib.sha256(canonical_bytes(self.head()))
        digest.update(self.to_array().tobytes())
        return digest.hexdigest()

    def to_array(self) -> NDArray[np.void]:
        """The rows, for evidence."""
        rows = np.empty(len(self), dtype=PLAN_ROW)
        rows["due_ns"] = self.due_ns
        rows["item"] = self.item
        return rows

    @classmethod
    def from_evidence(cls, head: Mapping[str, Any], array: NDArray[np.void]) -> Plan:
        """The plan that a head and rows describe.

        Raises:
            EvidenceError: if they do not describe one.
        """
        if array.dtype.names != PLAN_ROW.names or array.ndim != 1:
            raise EvidenceError("the rows of the load plan have other columns than due_ns and item")
        try:
            plan = cls(
                kind=LoadKind(head["kind"]),
                concurrency=int(head["concurrency"]),
                rate_rps=None if head["rate_rps"] is None else float(head["rate_rps"]),
                arrival=Arrival(head["arrival"]),
                due_ns=np.array(array["due_ns"], dtype=np.int64),
                item=np.array(array["item"], dtype=np.int32),
                warmup=int(head["warmup"]),
                duration_s=None if head["duration_s"] is None else float(head["duration_s"]),
                seed=int(head["seed"]),
                repeats=bool(head["repeats"]),
            )
            rows = int(head["rows"])
        except (KeyError, ValueError, TypeError) as error:
            raise EvidenceError(f"the head of the load plan is not one ({error})") from None
        if rows != len(plan):
            raise EvidenceError(
                "the load plan has another number of rows than its head says",
                got=str(len(plan)),
                expected=str(rows),
            )
        return plan


def closed_loop(
    *,
    concurrency: int,
    items: int,
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int = 0,
    seed: int = 0,
) -> Plan:
    """Keep `concurrency` requests in flight, for so many timed requests, for so long, or for what ends first.

    Args:
        concurrency: requests in flight.
        items: how many data items there are; they come in seeded shuffles, each whole.
        requests: timed requests, or None where `duration_s` decides.
        duration_s: seconds from the first timed request after which no more are sent.
        warmup: requests before the timed ones. The loop does not drain in between.
        seed: seed of the shuffles.

    Raises:
        InputError: if an argument is out of range, or neither requests nor duration is given.
    """
    _at_least(1, concurrency=concurrency, items=items)
    if concurrency > _MOST_SLOTS:
        raise InputError(
            "too many requests in flight", got=str(concurrency), expected=f"at most {_MOST_SLOTS}"
        )
    _at_least(0, warmup=warmup, seed=seed)
    _amount(requests, duration_s)
    # A whole number of shuffles, so that starting over does not favour any item.
    rows = warmup + requests if requests is not None else items * -(-max(warmup, 1000, items) // items)
    _not_too_many(rows)
    return Plan(
        kind=LoadKind.CLOSED_LOOP,
        concurrency=concurrency,
        rate_rps=None,
        arrival=Arrival.NONE,
        due_ns=np.full(rows, -1, dtype=np.int64),
        item=_shuffles(items, rows, seed),
        warmup=warmup,
        duration_s=duration_s,
        seed=seed,
        repeats=requests is None,
    )


def open_loop(
    *,
    rate_rps: float,
    items: int,
    arrival: Arrival = Arrival.POISSON,
    requests: int | None = None,
    duration_s: float | None = None,
    warmup: int = 0,
    seed: int = 0,
    max_in_flight: int | None = None,
) -> Plan:
    """Send by the clock at a rate, for so many timed requests or for a window of so long.

    Args:
        rate_rps: requests a second.
        items: how many data items there are; they come in seeded shuffles, each whole.
        arrival: constant or Poisson.
        requests: timed requests; excludes `duration_s`.
        duration_s: length of the timed window (see `Plan.window_ns`). The number of Poisson arrivals in it is
            random, but at least one.
        warmup: requests before the timed ones, at the same rate.
        seed: seed of the gaps and of the shuffles, which draw from separate streams.
        max_in_flight: cap on requests in flight; those beyond it queue, and their wait is charged to them.

    Raises:
        InputError: if an argument is out of range, or not exactly one of requests and duration is given.
    """
    _at_least(1, items=items, max_in_flight=max_in_flight if max_in_flight is not None else 1)
    _at_least(0, warmup=warmup, seed=seed)
    _amount(requests, duration_s)
    if not 0.0 < rate_rps < 1e7:
        raise InputError("the rate is out of range", got=f"{rate_rps:g}/s", expected="above 0, below 1e7")
    if requests is not None and duration_s is not None:
        raise InputError("an open loop takes requests or a duration, not both")
    if arrival is Arrival.NONE:
        raise InputError("an open loop needs arrivals", expected="constant or poisson")
    _not_too_many(warmup + (requests if requests is not None else (duration_s or 0.0) * rate_rps))
    if requests is not None and (span_s := (warmup + requests) / rate_rps) > _MOST_SPAN_S:
        raise InputError(
            "the plan lasts too long", got=f"{span_s:g} s", expected=f"at most {_MOST_SPAN_S:g} s"
        )
    if arrival is Arrival.CONSTANT:
        due_ns = _constant(rate_rps, warmup, requests, duration_s)
    else:
        due_ns = _poisson(rate_rps, warmup, requests, duration_s, seed)
    return Plan(
        kind=LoadKind.OPEN_LOOP,
        concurrency=max_in_flight or 0,
        rate_rps=float(rate_rps),
        arrival=arrival,
        due_ns=due_ns,
        item=_shuffles(items, len(due_ns), seed),
        warmup=warmup,
        duration_s=duration_s,
        seed=seed,
    )


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise InputError(f"{name} is out of range", got=str(value), expected=f"at least {least}")


def _amount(requests: int | None, duration_s: float | None) -> None:
    if requests is None and duration_s is None:
        raise InputError("a load plan needs a number of requests or a duration")
    if requests is not None:
        _at_least(1, requests=requests)
    if duration_s is not None and not 0.0 < duration_s < _MOST_SPAN_S:
        raise InputError(
            "the duration is out of range", got=f"{duration_s:g} s", expected="above 0, below 1e6"
        )


def _not_too_many(rows: float) -> None:
    if rows > _MOST_REQUESTS:
        raise InputError(
            "the plan is too large", got=f"{rows:.0f} requests", expected=f"at most {_MOST_REQUESTS}"
        )


def _uniform(generator: np.random.PCG64, n: int) -> NDArray[np.float64]:
    """(n,) numbers in [0, 1), from the top 53 bits of the raw stream."""
    return np.asarray(generator.random_raw(n) >> np.uint64(11), dtype=np.float64) * 2.0**-53


def _stream(seed: int, which: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed).spawn(2)[which])


def _constant(
    rate_rps: float, warmup: int, requests: int | None, duration_s: float | None
) -> NDArray[np.int64]:
    # An arrival on the end of the window itself belongs to the next window.
    timed = requests if requests is not None else int(np.ceil(round((duration_s or 0.0) * rate_rps, 9)))
    index = np.arange(warmup + max(timed, 1), dtype=np.float64)
    return np.asarray(np.rint(index * 1e9 / rate_rps), dtype=np.int64)


def _poisson(
    rate_rps: float, warmup: int, requests: int | None, duration_s: float | None, seed: int
) -> NDArray[np.int64]:
    generator = _stream(seed, 0)

    def gaps(n: int) -> NDArray[np.float64]:
        return -np.log1p(-_uniform(generator, n)) * (1e9 / rate_rps)

    if requests is not None:
        return np.asarray(np.rint(np.cumsum(gaps(warmup + requests))), dtype=np.int64)
    window_ns = (duration_s or 0.0) * 1e9
    drawn = gaps(max(warmup + int(window_ns * rate_rps / 1e9), 1))
    while True:
        due = np.cumsum(drawn)
        begins = float(due[warmup - 1]) if warmup else 0.0
        if len(due) > warmup and due[-1] >= begins + window_ns:
            break
        drawn = np.concatenate([drawn, gaps(1024)])
    kept = due[: max(int(np.searchsorted(due, begins + window_ns)), warmup + 1)]
    return np.asarray(np.rint(kept), dtype=np.int64)


def _shuffles(items: int, n: int, seed: int) -> NDArray[np.int32]:
    """(n,) indices: shuffles of all items, one after the other, the last cut where n ends."""
    generator = _stream(seed, 1)
    rounds = -(-n // items)
    shuffled = [np.argsort(_uniform(generator, items), kind="stable") for _ in range(rounds)]
    return np.concatenate(shuffled)[:n].astype(np.int32)
