"""Random numbers of a plan: the same bits on every machine, and however they are taken, at once or piece by piece.

They come from the raw output of PCG64, which NumPy keeps stable over its versions; its distributions and shuffles
carry no such promise. Its logarithm differs in the last bit from one processor to another, so the logarithm and the
exponential here are made of what IEEE 754 fixes to the bit: sums, products, quotients, square roots, powers of two.
"""

from __future__ import annotations

from math import factorial, log, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ExponentialGaps", "GammaGaps", "Gaps", "Shuffles", "exponential", "logarithm"]

Floats = NDArray[np.float64]

_LN2 = log(2.0)
_LN2_HIGH = 0.69314718060195446014404296875
"""The logarithm of 2 to 32 bits: its product with the exponent of a double is exact."""
_LN2_LOW = -4.2009150726810846e-11
"""What is missing in it."""
_HALF_ROOT = sqrt(0.5)
_ATANH = [2.0 / (2 * k + 3) for k in range(10)]
_TAYLOR = [1.0 / factorial(k) for k in range(15)]

_SHUFFLED_AT_ONCE = 65_536
_ATTEMPTS_AT_ONCE = 4096
_PIECE = 4096
"""Numbers that are worked on at once: what they need on the way stays in a near cache, three times as fast."""


def _stream(seed: int, which: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed).spawn(2)[which])


def _uniform(generator: np.random.PCG64, n: int) -> Floats:
    """(n,) numbers in [0, 1), from the top 53 bits of the raw stream."""
    return np.asarray(generator.random_raw(n) >> np.uint64(11), dtype=np.float64) * 2.0**-53


def _polynomial(coefficients: list[float], x: Floats) -> Floats:
    """The sum of coefficients[i] * x**i, by Horner's rule."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total *= x
        total += coefficient
    return total


def logarithm(x: Floats) -> Floats:
    """(n,) natural logarithms of positive numbers, within one unit in the last place.

    x = 2**e * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = 2 atanh(s) with s = f / (2 + f), as its power
    series, and written as f - f^2/2 + s * (f^2/2 + ...), in which the rounding of s hardly counts.
    """
    out = np.empty(len(x))
    for begin in range(0, len(x), _PIECE):
        out[begin : begin + _PIECE] = _logarithm(x[begin : begin + _PIECE])
    return out


def _logarithm(x: Floats) -> Floats:
    mantissa, power = np.frexp(x)
    low = mantissa < _HALF_ROOT
    mantissa[low] *= 2.0
    power -= low
    f = mantissa - 1.0
    s = f / (f + 2.0)
    z = s * s
    half = 0.5 * f * f
    tail = s * (half + z * _polynomial(_ATANH, z))
    return np.asarray(power * _LN2_HIGH - ((half - (tail + power * _LN2_LOW)) - f))


def exponential(x: Floats) -> Floats:
    """(n,) exponentials of numbers that are not positive; 0 where a double has none so small."""
    power = np.rint(x / _LN2)
    rest = (x - power * _LN2_HIGH) - power * _LN2_LOW
    return np.asarray(np.ldexp(_polynomial(_TAYLOR, rest), power.astype(np.int32)))


class Gaps(Protocol):
    """A stream of gaps between arrivals, independent, with mean 1."""

    def take(self, n: int) -> Floats:
        """(n,) the next gaps."""
        ...


class ExponentialGaps:
    """Gaps of a Poisson process: -log(1 - u)."""

    def __init__(self, seed: int) -> None:
        self._generator = _stream(seed, 0)

    def take(self, n: int) -> Floats:
        """(n,) the next gaps."""
        return -logarithm(1.0 - _uniform(self._generator, n))


class GammaGaps:
    """Gaps of a gamma distribution with mean 1, whose coefficient of variation is 1 / sqrt(shape).

    By G. Marsaglia and W. W. Tsang, "A Simple Method for Generating Gamma Variables", ACM TOMS 26 (2000), exact;
    a shape under 1 by their section 6, and the normal variate by Marsaglia's polar method. An attempt takes four raw
    numbers whether or not it is accepted, so that the stream does not depend on how many are tried at once.
    """

    def __init__(self, seed: int, shape: float) -> None:
        self._generator = _stream(seed, 0)
        self._shape = shape
        self._left: Floats = np.empty(0)

    def take(self, n: int) -> Floats:
        """(n,) the next gaps."""
        parts = [self._left]
        there = len(self._left)
        while there < n:
            parts.append(self._attempts(min(2 * (n - there) + 16, _ATTEMPTS_AT_ONCE)))
            there += len(parts[-1])
        drawn = np.concatenate(parts)
        self._left = drawn[n:].copy()
        return drawn[:n]

    def _attempts(self, n: int) -> Floats:
        """What is accepted of `n` attempts, in order."""
        first, second, third, fourth = _uniform(self._generator, 4 * n).reshape(n, 4).T
        x, y = 2.0 * first - 1.0, 2.0 * second - 1.0
        radius = x * x + y * y
        inside = (radius > 0.0) & (radius < 1.0)
        x, radius, third, fourth = x[inside], radius[inside], third[inside], fourth[inside]
        x *= np.sqrt(-2.0 * logarithm(radius) / radius)
        small = self._shape < 1.0
        d = (self._shape + 1.0 if small else self._shape) - 1.0 / 3.0
        v = 1.0 + x / sqrt(9.0 * d)
        cube = v * v * v
        possible = cube > 0.0
        bound = 0.5 * x * x + d * (1.0 - cube + logarithm(np.where(possible, cube, 1.0)))
        accepted = possible & (logarithm(1.0 - third) < bound)
        gaps = d * cube[accepted] / self._shape
        if small:
            gaps *= exponential(logarithm(1.0 - fourth[accepted]) / self._shape)
        return np.asarray(gaps)


class Shuffles:
    """Shuffles of `items` items, one after the other and each whole; gaps draw from another stream."""

    def __init__(self, items: int, seed: int) -> None:
        self._items = items
        self._generator = _stream(seed, 1)
        self._left: NDArray[np.int32] = np.empty(0, dtype=np.int32)

    def take(self, n: int) -> NDArray[np.int32]:
        """(n,) the next items."""
        if self._items == 1:
            return np.zeros(n, dtype=np.int32)
        parts = [self._left]
        there = len(self._left)
        while there < n:
            rounds = -(-min(n - there, _SHUFFLED_AT_ONCE) // self._items)
            drawn = _uniform(self._generator, rounds * self._items).reshape(rounds, self._items)
            parts.append(np.argsort(drawn, axis=1, kind="stable").astype(np.int32).ravel())
            there += len(parts[-1])
        drawn_items = np.concatenate(parts)
        self._left = drawn_items[n:].copy()
        return drawn_items[:n]
