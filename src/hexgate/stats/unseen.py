"""How far may a statistic of a table be off through kinds of items that no sample of this size need show?

The first axis of the table is the true class of an item, the others say what came of it. Of a class with n_c
items a share p_c may behave in a way that none of them showed. All of that stays unseen with the probability
of the product of (1 - p_c)^n_c, so the shares to reckon with are those for which it is not below 1 - level.
Among them are taken the shares that move the statistic most, each class's items going where they move it most.

For a proportion over all items, and for classes of one size, that is the exact binomial bound of 0 in n. For a
mean over classes, such as macro F1, a class with few items may have a large share of unseen ones, and moves the
mean as much as any other. A class with no items at all may be anything, and as frequent as goes unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["UnseenItems"]

_Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]

_FINE = 2**52
"""Counts are scaled to about so many, so that a share of an item can be moved."""
_USUAL = 0.05
"""The 1 - level at which places are looked for; where they lie hardly depends on it."""
_HELD = 2_000_000
"""Numbers held at a time."""


class UnseenItems:
    """What a table does not show of a statistic."""

    def __init__(self, table: NDArray[np.int64], statistic: _Statistic) -> None:
        """Find for each class where its items would lower the statistic most, and where raise it.

        Args:
            table: counts of at least one item; the first axis is the true class.
            statistic: of many tables at once; the same for tables that differ by a factor only.
        """
        n = int(table.sum())
        self._statistic = statistic
        self._counts = table.reshape(len(table), -1).sum(axis=1)
        self._shape = table.shape
        self._scale = _FINE // n
        self._table = table.reshape(len(table), -1) * self._scale
        self._n = n
        self._value = float(statistic(self._table.reshape(1, *table.shape))[0])
        self._worst, self._fall = self._extremes(-1.0)
        self._best, self._rise = self._extremes(1.0)

    def reach(self, share: float) -> tuple[float, float]:
        """How far below and above its value the statistic may be: not above and not below zero.

        Args:
            share: the probability with which one may be wrong, such as 1 - level.
        """
        if not math.isfinite(self._value):
            return 0.0, 0.0
        return (
            min(0.0, self._moved(self._worst, self._fall, share)),
            max(0.0, self._moved(self._best, self._rise, share)),
        )

    def _weights(self, share: float) -> NDArray[np.int64]:
        """Scaled counts by class; of a class without items the most that such a sample may lack."""
        absent = -math.expm1(math.log(share) / self._n) * self._n
        weights = np.where(self._counts > 0, self._counts, absent) * self._scale
        return np.asarray(np.rint(weights), dtype=np.int64)

    def _moved(self, places: NDArray[np.int64], changes: NDArray[np.float64], share: float) -> float:
        """What the statistic changes by if the unseen items of each class go to its place."""
        shares = _shares(self._counts, changes, share)
        moved = np.rint(self._weights(share) * shares).astype(np.int64)
        tables = np.rint(self._table * (1.0 - shares)[:, np.newaxis]).astype(np.int64)
        tables[np.arange(len(tables)), places] += moved
        change = float(self._statistic(tables.reshape(1, *self._shape))[0]) - self._value
        return change if math.isfinite(change) else 0.0

    def _extremes(self, sign: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """By class: the place to which moving all of it changes the statistic most, and by how much."""
        places = np.zeros(len(self._counts), dtype=np.int64)
        changes = np.zeros(len(self._counts))
        step = max(1, _HELD // self._table.size)
        weights = self._weights(_USUAL)
        asked = list(self._candidates())
        for start in range(0, len(asked), step):
            part = asked[start : start + step]
            tables = np.repeat(self._table[np.newaxis], len(part), axis=0)
            for row, (label, place) in enumerate(part):
                tables[row, label] = 0
                tables[row, label, place] = weights[label]
            values = sign * (self._statistic(tables.reshape(-1, *self._shape)) - self._value)
            for (label, place), change in zip(part, values, strict=True):
                if change > changes[label]:
                    places[label], changes[label] = place, change
        return places, changes

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Class, and a cell of it: what came of it is its own class, the rarest other, or the commonest other."""
        order = [int(label) for label in np.argsort(self._counts, kind="stable")]
        for label in range(len(order)):
            others = [other for other in order if other != label] or [label + 1]
            seen = {label, others[0], others[-1]}
            axes = [sorted(place for place in seen if place < size) for size in self._shape[1:]]
            for cell in product(*axes):
                yield label, int(np.ravel_multi_index(cell, self._shape[1:]))


def _shares(counts: NDArray[np.int64], weights: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The p_c of the greatest sum of w_c p_c of which nothing is seen with a probability of at least `share`.

    By Lagrange 1 - p_c is min(1, m n_c / w_c), with one m for all classes that have a p_c above zero.
    """
    shares = np.where((counts == 0) & (weights > 0), 1.0, 0.0)
    some = np.flatnonzero((counts > 0) & (weights > 0))
    if not len(some):
        return shares
    logs = np.log(counts[some] / weights[some])
    order = np.argsort(logs, kind="stable")
    some, logs = some[order], logs[order]
    factors = (math.log(share) - np.cumsum(counts[some] * logs)) / np.cumsum(counts[some])
    factor = factors[np.flatnonzero(factors + logs < 0)[-1]]
    shares[some] = -np.expm1(np.minimum(0.0, factor + logs))
    return shares
