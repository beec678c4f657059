"""A shard: the part of one plan that one of several load generators carries out. Pure, and the seam for workers.

Every shard makes the same whole plan first. It then takes its rows of it by number, so that warm-up and items are
spread evenly, and records keep the number in the whole plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hexgate.errors import InputError
from hexgate.load.plans.schedule import BLOCK

if TYPE_CHECKING:
    from hexgate.load.plans.plan import Plan

__all__ = ["Place", "Shard"]

_MOST_SHARDS = 10_000
_FORM = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")


@dataclass(frozen=True)
class Place:
    """Which shard of how many."""

    index: int
    """From 0."""
    count: int
    """How many there are."""

    def __post_init__(self) -> None:
        if not (1 <= self.count <= _MOST_SHARDS and 0 <= self.index < self.count):
            raise InputError(
                "there is no such shard",
                got=str(self),
                expected=f"I/N with 0 <= I < N <= {_MOST_SHARDS}, such as 0/2 and 1/2",
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place of ``I/N``.

        Raises:
            InputError: if it is of another form, or there is no such shard.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise InputError("not a shard", got=repr(text), expected="I/N, such as 0/2")
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True, eq=False)
class Shard:
    """What one place has of a plan. Made by `Plan.shard`."""

    plan: Plan
    """The whole plan."""
    place: Place
    """Which shard of how many."""

    def __post_init__(self) -> None:
        cap = self.plan.concurrency
        if 0 < cap < self.place.count:
            raise InputError(
                f"{cap} requests in flight cannot be split over {self.place.count} shards",
                expected="at least one for each shard",
                hint="raise --concurrency, or use fewer shards",
            )

    @property
    def concurrency(self) -> int:
        """Its slots, or its part of the cap: the whole over the count, the remainder to the first; 0 for no cap."""
        each, left = divmod(self.plan.concurrency, self.place.count)
        return each + (self.place.index < left)

    @property
    def timed(self) -> int | None:
        """How many timed requests it has; None where the duration decides."""
        if self.plan.repeats:
            return None
        return len(self) * self.plan.turns - self.warmup

    @property
    def warmup(self) -> int:
        """How many requests of the warm-up it has."""
        return self._units_below(self.plan.warmup) * self.plan.turns

    def __len__(self) -> int:
        """How many units it has; where the plan repeats, of its first round."""
        return self._units_below(len(self.plan))

    def _units_below(self, number: int) -> int:
        return max(-(-(number - self.place.index) // self.place.count), 0)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Its rows of the plan, by number, in order; where the plan repeats, those of its first round.

        An array as long as they are many: for tests, and where they are few. `blocks` has a bound.
        """
        return np.arange(self.place.index, len(self.plan), self.place.count, dtype=np.int64)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[NDArray[np.int64], NDArray[np.void]]]:
        """The numbers of its units and their rows of the plan, in order: those among each `size` rows of the plan.

        Where the plan repeats it does not end: round after round, with numbers that go on.
        """
        number = 0
        while True:
            for block in self.plan.blocks(size):
                own = block[(self.place.index - number) % self.place.count :: self.place.count]
                if len(own):
                    begin = number + (self.place.index - number) % self.place.count
                    yield begin + np.arange(len(own), dtype=np.int64) * self.place.count, own
                number += len(block)
            if not self.plan.repeats:
                return

    def number(self, taken: int) -> int | None:
        """The number in the whole plan of its unit after `taken` others; None where it has no such unit."""
        number = taken * self.place.count + self.place.index
        return number if self.plan.repeats or number < len(self.plan) else None
