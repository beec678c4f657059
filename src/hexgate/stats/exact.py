"""Exact sums of floating-point numbers: in whole numbers, so that neither order nor grouping changes them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExactSum"]

_DIGITS = 53
_HALF = 27
_LOW = (1 << _HALF) - 1
_SLICE = 1 << 20
"""Numbers that are added at a time: their halves then add up exactly in double precision."""

_Ints = NDArray[np.int64]


class ExactSum:
    """The sum of numbers of zero and above, and of their squares where those are asked for.

    A number is m * 2^(e - 53) with a whole m of 53 binary digits. What is kept for each e is the sum of its m, and
    of their squares, as Python's integers.
    """

    def __init__(self, *, squares: bool = False) -> None:
        self._squares = squares
        self._sums: dict[int, int] = {}
        self._of_squares: dict[int, int] = {}

    def add(self, values: NDArray[np.float64]) -> None:
        """Add finite numbers of zero and above."""
        for begin in range(0, len(values), _SLICE):
            self._add(values[begin : begin + _SLICE])

    @property
    def total(self) -> Fraction:
        """The sum."""
        return _added(self._sums, 1)

    @property
    def total_of_squares(self) -> Fraction:
        """The sum of the squares, where they were asked for."""
        return _added(self._of_squares, 2)

    def _add(self, values: NDArray[np.float64]) -> None:
        mantissas, exponents = np.frexp(values[values > 0.0])
        if not len(mantissas):
            return
        whole = np.ldexp(mantissas, _DIGITS).astype(np.int64)
        least = int(exponents.min())
        group = exponents.astype(np.int64) - least
        for place, total in _totals(whole, group):
            self._sums[least + place] = self._sums.get(least + place, 0) + total
        if not self._squares:
            return
        upper, lower = whole >> _HALF, whole & _LOW
        # (a 2^27 + b)^2 by its three products, each below 2^55.
        for product, shift in (
            (upper * upper, 2 * _HALF),
            (upper * lower, _HALF + 1),
            (lower * lower, 0),
        ):
            for place, total in _totals(product, group):
                power = least + place
                self._of_squares[power] = self._of_squares.get(power, 0) + (total << shift)


def _totals(values: _Ints, group: _Ints) -> list[tuple[int, int]]:
    """The sum of each group that has any, by halves: sums of doubles that stay below 2^53 are exact."""
    upper = np.bincount(group, weights=values >> _HALF)
    lower = np.bincount(group, weights=values & _LOW)
    totals = [
        (int(high) << _HALF) + int(low) for high, low in zip(upper.tolist(), lower.tolist(), strict=True)
    ]
    return [(place, total) for place, total in enumerate(totals) if total]


def _added(sums: dict[int, int], times: int) -> Fraction:
    if not sums:
        return Fraction(0)
    least = min(sums)
    total = sum(value << (times * (power - least)) for power, value in sums.items())
    return Fraction(total) * Fraction(2) ** (times * (least - _DIGITS))
