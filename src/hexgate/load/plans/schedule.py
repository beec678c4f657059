"""The rows of a plan, made as they are read: when each unit is due and which item it sends, in blocks of any size.

The rows do not depend on the size of the blocks: sums go on from the last of the block before, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.arrays import array_head
from hexgate.errors import EvidenceError
from hexgate.load.plans.draws import ExponentialGaps, GammaGaps, Shuffles
from hexgate.load.plans.pacers import Shape, expected, inverse, length_s, warmup_rps

__all__ = [
    "BLOCK",
    "PLAN_ROW",
    "Arrival",
    "FileRows",
    "HeldRows",
    "LoadKind",
    "MadeRows",
    "Marks",
    "Pace",
    "Rows",
]

PLAN_ROW = np.dtype([("due_ns", "<i8"), ("item", "<i4")])
"""One row of a plan as evidence: a unit, which is a request or a conversation."""

BLOCK = 65_536
"""Rows that are in memory at once."""

Floats = NDArray[np.float64]


class LoadKind(str, Enum):
    """What decides when a request is sent."""

    CLOSED_LOOP = "closed_loop"
    """The end of another: so many are kept in flight."""
    OPEN_LOOP = "open_loop"
    """The clock: each has an instant at which it is due, whatever became of the others."""


class Arrival(str, Enum):
    """How the instants of an open loop are spaced."""

    CONSTANT = "constant"
    """Unit i is due where the cumulative rate is i: at i / rate exactly."""
    POISSON = "poisson"
    """Gaps are independent and exponential with mean 1 / rate, and are not rescaled to an exact total."""
    GAMMA = "gamma"
    """Gaps are independent and of a gamma distribution of shape `burstiness` with mean 1 / rate: 1 is Poisson, below 1
    they come in bursts, above 1 more evenly."""
    REPLAY = "replay"
    """The instants of a trace."""
    NONE = "none"
    """A closed loop has no instants."""


class Rows(Protocol):
    """Where the rows of a plan come from: read as often as one likes, always the same."""

    def blocks(self, size: int) -> Iterator[NDArray[np.void]]:
        """All rows in order, `size` at a time, the last block with what is left."""
        ...


class _Instants(Protocol):
    def take(self, n: int) -> Floats:
        """(n,) the next ones."""
        ...


class _Even:
    """i * over / rate for i = 0, 1, ..."""

    def __init__(self, over: float, rate: float) -> None:
        self._next = 0
        self._over = over
        self._rate = rate

    def take(self, n: int) -> Floats:
        begin, self._next = self._next, self._next + n
        return np.arange(begin, begin + n, dtype=np.float64) * self._over / self._rate


class _Summed:
    """The sums of gaps, each times a scale."""

    def __init__(self, gaps: ExponentialGaps | GammaGaps, scale: float) -> None:
        self._gaps = gaps
        self._scale = scale
        self._sum = 0.0

    def take(self, n: int) -> Floats:
        steps = np.empty(n + 1)
        steps[0] = self._sum
        steps[1:] = self._gaps.take(n) * self._scale
        sums = np.cumsum(steps)
        self._sum = float(sums[-1])
        return np.asarray(sums[1:])


class _Shaped:
    """A warm-up at its own rate, then from its end on arrivals at the rates of a shape."""

    def __init__(self, pace: Pace, shape: Shape, seed: int) -> None:
        rate = warmup_rps(shape)
        gaps = pace.gaps(seed)
        self._shape = shape
        self._warmup = pace.warmup
        self._begin = pace.warmup * 1e9 / rate if gaps is None else 0.0
        self._even = gaps is None
        self._warm: _Instants = _Even(1e9, rate) if gaps is None else _Summed(gaps, 1e9 / rate)
        self._timed: _Instants = _Even(1.0, 1.0) if gaps is None else _Summed(gaps, 1.0)

    def take(self, n: int) -> Floats:
        warm = self._warm.take(min(n, self._warmup))
        self._warmup -= len(warm)
        if len(warm) and not self._even:
            self._begin = float(warm[-1])
        timed = inverse(self._shape, self._timed.take(n - len(warm)))
        return np.concatenate([warm, timed * 1e9 + self._begin])


@dataclass(frozen=True)
class Pace:
    """When the units of an open loop are due."""

    arrival: Arrival
    """How they are spaced: constant, Poisson or gamma."""
    rate_rps: float
    """Units a second; the mean over the timed part where there is a shape."""
    shape: Shape
    """The rates of the timed part; empty where the rate does not change."""
    burstiness: float
    """Shape of the gamma distribution."""
    warmup: int
    """Units before the timed part."""

    @property
    def warmup_rps(self) -> float:
        """The rate of the warm-up."""
        return warmup_rps(self.shape) if self.shape else self.rate_rps

    def gaps(self, seed: int) -> ExponentialGaps | GammaGaps | None:
        """The gaps of arrivals at random; None of constant ones."""
        if self.arrival is Arrival.CONSTANT:
            return None
        if self.arrival is Arrival.POISSON or self.burstiness == 1.0:
            return ExponentialGaps(seed)
        return GammaGaps(seed, self.burstiness)

    def instants(self, seed: int) -> _Instants:
        """The instants in nanoseconds from the start of the run, without an end."""
        if self.shape:
            return _Shaped(self, self.shape, seed)
        gaps = self.gaps(seed)
        return _Even(1e9, self.rate_rps) if gaps is None else _Summed(gaps, 1e9 / self.rate_rps)

    def rows_for(self, duration_s: float | None, seed: int) -> int:
        """How many units there are, the warm-up included, for a timed part of so long; None: of its shape.

        An arrival on the end of the timed part is no longer in it. At least one unit is timed.
        """
        length = length_s(self.shape) if duration_s is None else duration_s
        mean = expected(self.shape) if self.shape else length * self.rate_rps
        if self.arrival is Arrival.CONSTANT:
            return self.warmup + max(math.ceil(round(mean, 9)), 1)
        instants = self.instants(seed)
        begin = 0.0
        rows = 0
        if self.warmup:
            while rows < self.warmup:
                taken = instants.take(min(self.warmup - rows, BLOCK))
                rows += len(taken)
            begin = float(taken[-1])
        some = min(int(mean + 4.0 * math.sqrt(mean)) + 64, BLOCK)
        while True:
            due = instants.take(some)
            inside = int(np.searchsorted(due, begin + length * 1e9))
            rows += inside
            if inside < some:
                return max(rows, self.warmup + 1)


@dataclass(frozen=True)
class MadeRows:
    """Rows that follow from a few numbers."""

    rows: int
    """How many there are."""
    items: int
    """How many data items there are."""
    seed: int
    """Seed of the gaps and of the shuffles, which draw from separate streams."""
    pace: Pace | None
    """When they are due; None in a closed loop."""

    def blocks(self, size: int) -> Iterator[NDArray[np.void]]:
        """All rows in order, `size` at a time, the last block with what is left."""
        instants = None if self.pace is None else self.pace.instants(self.seed)
        shuffles = Shuffles(self.items, self.seed)
        for begin in range(0, self.rows, size):
            block = np.empty(min(size, self.rows - begin), dtype=PLAN_ROW)
            block["due_ns"] = -1 if instants is None else np.rint(instants.take(len(block)))
            block["item"] = shuffles.take(len(block))
            yield block


@dataclass(frozen=True, eq=False)
class HeldRows:
    """Rows in memory."""

    array: NDArray[np.void]
    """(n,) all of them."""

    @classmethod
    def of(cls, array: NDArray[np.void]) -> HeldRows:
        """The rows in an array.

        Raises:
            EvidenceError: if they are not rows of a plan.
        """
        if array.dtype != PLAN_ROW or array.ndim != 1:
            raise EvidenceError("the rows of the load plan have other columns than due_ns and item")
        return cls(array)

    def __len__(self) -> int:
        return len(self.array)

    def blocks(self, size: int) -> Iterator[NDArray[np.void]]:
        """All rows in order, `size` at a time, the last block with what is left."""
        for begin in range(0, len(self.array), size):
            yield self.array[begin : begin + size]


@dataclass(frozen=True)
class FileRows:
    """Rows in a file."""

    path: Path
    """The file."""
    offset: int
    """Bytes before the first row."""
    rows: int
    """How many there are."""

    @classmethod
    def open(cls, path: Path) -> FileRows:
        """The rows in a file of NumPy's format.

        Raises:
            EvidenceError: if they are not rows of a plan, or the file ends before they do.
        """
        head = array_head(path)
        if head.dtype != PLAN_ROW:
            raise EvidenceError(
                "the rows of the load plan have other columns than due_ns and item", where=str(path)
            )
        return cls(path, head.offset, head.rows)

    def __len__(self) -> int:
        return self.rows

    def blocks(self, size: int) -> Iterator[NDArray[np.void]]:
        """All rows in order, `size` at a time, the last block with what is left."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for begin in range(0, self.rows, size):
                yield np.fromfile(file, dtype=PLAN_ROW, count=min(size, self.rows - begin))


@dataclass(frozen=True)
class Marks:
    """What one reading of a plan's rows tells of them. Instants are in nanoseconds from the start."""

    warm_ns: int
    """When the last unit of the warm-up is due; 0 without one."""
    first_ns: int
    """When the first timed unit is due."""
    last_ns: int
    """When the last unit is due."""
    sha256: str
    """Digest of the head and the rows, in hex."""
