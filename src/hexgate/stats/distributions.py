"""The binomial, beta and Student's t distributions, in plain Python and near machine precision.

The density follows Loader (2000), "Fast and accurate computation of binomial probabilities": a saddle-point
form that loses no digits at large n. The incomplete beta function is the continued fraction of DiDonato and
Morris (1992), ACM TOMS algorithm 708, evaluated by the method of Lentz.
"""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = [
    "beta_cdf",
    "beta_quantile",
    "binomial_cdf",
    "binomial_pmf",
    "miss_probability",
    "student_t_quantile",
]

_TINY = 1e-300
_MAX_STEPS = 1_000_000
"""Far more terms of the continued fraction than any n needs: 1e9 takes a few thousand."""


def miss_probability(level: float) -> float:
    """1 - level: how often a one-sided bound at `level` may miss.

    Raises:
        ValueError: if `level` is not above 0.5 and below 1.
    """
    if not 0.5 < level < 1.0:
        raise ValueError(f"a confidence level lies above 0.5 and below 1, not at {level}")
    return 1.0 - level


def binomial_pmf(k: int, n: int, p: float) -> float:
    """P(X = k) for X ~ Binomial(n, p), with 0 < p < 1."""
    if k < 0 or k > n:
        return 0.0
    if k == 0:
        return math.exp(n * math.log1p(-p))
    if k == n:
        return math.exp(n * math.log(p))
    return math.exp(_log_density(k, n - k, p, 1.0 - p))


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p).

    Raises:
        ValueError: if n is negative or p lies outside of 0 to 1.
    """
    if n < 0 or not 0.0 <= p <= 1.0:
        raise ValueError(f"no binomial distribution has n = {n}, p = {p}")
    if k < 0:
        return 0.0
    if k >= n or p == 0.0:
        return 1.0
    if p == 1.0:
        return 0.0
    return math.exp(_log_tails(n - k, k + 1, 1.0 - p, p)[0])


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b).

    Raises:
        ValueError: if a or b is not above zero.
    """
    _check_shape(a, b)
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    return math.exp(_log_tails(a, b, x, 1.0 - x)[0])


def beta_quantile(q: float, a: float, b: float) -> float:
    """The x at which I_x(a, b) = q.

    Raises:
        ValueError: if a or b is not above zero, or q lies outside of 0 to 1.
    """
    _check_shape(a, b)
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"a probability lies between 0 and 1, not at {q}")
    if q in (0.0, 1.0):
        return q
    return _logistic(_logit_quantile(q, a, b))[0]


def student_t_quantile(p: float, df: float) -> float:
    """The t at which Student's distribution with `df` degrees of freedom reaches p; df need not be whole.

    Raises:
        ValueError: if df is not above zero, or p is not inside of 0 to 1.
    """
    if df <= 0.0 or not 0.0 < p < 1.0:
        raise ValueError(f"no Student's t quantile at p = {p} with {df} degrees of freedom")
    if p == 0.5:
        return 0.0
    # df / (df + t^2) follows Beta(df / 2, 1 / 2), so t^2 = df (1 - x) / x, which is df times e^-logit(x).
    logit = _logit_quantile(2.0 * min(p, 1.0 - p), df / 2.0, 0.5)
    return math.copysign(math.sqrt(df * math.exp(-logit)), p - 0.5)


def _check_shape(a: float, b: float) -> None:
    if a <= 0.0 or b <= 0.0:
        raise ValueError(f"a beta distribution needs shapes above zero, not a = {a}, b = {b}")


def _logistic(u: float) -> tuple[float, float]:
    """The pair x, 1 - x with logit(x) = u, both to full relative precision."""
    small = math.exp(-abs(u))
    near, far = 1.0 / (1.0 + small), small / (1.0 + small)
    return (near, far) if u >= 0.0 else (far, near)


def _logit_quantile(q: float, a: float, b: float) -> float:
    """The logit of the q quantile of Beta(a, b), by Newton's method on the log of the smaller tail.

    On the logit scale the density is log-concave, hence so are both tails, and Newton's method converges from
    every start: at most its first step overshoots.
    """
    spread = math.sqrt(1.0 / a + 1.0 / b)
    u = math.log(a / b) + NormalDist().inv_cdf(q) * spread
    target = math.log(q) if q <= 0.5 else math.log1p(-q)
    for _ in range(500):
        x, y = _logistic(u)
        lower, upper, kernel = _log_tails(a, b, x, y)
        if q <= 0.5:  # noqa: SIM108 - two formulas read better apart
            step = (target - lower) * math.exp(lower - kernel)
        else:
            step = (upper - target) * math.exp(upper - kernel)
        # Far out in the other tail the slope vanishes; a capped step keeps the exponentials finite.
        u += max(-30.0 - spread, min(30.0 + spread, step))
        if abs(step) <= 1e-7 * min(1.0, spread) or abs(step) <= 1e-15 * abs(u):
            return u
    raise ArithmeticError(f"the quantile {q} of Beta({a}, {b}) was not found")


def _log_tails(a: float, b: float, x: float, y: float) -> tuple[float, float, float]:
    """Logs of I_x(a, b), of 1 - I_x(a, b) and of x^a y^b / B(a, b), for y = 1 - x."""
    kernel = _log_density(a, b, x, y) + math.log(a) + math.log(b / (a + b))
    # The tail on the far side of the mean is computed, the other is its complement. Rounding must not carry
    # a tail of almost 1 to 1 or above, where its complement has no logarithm.
    if a * y >= b * x:
        lower = min(kernel - math.log(_fraction(a, b, x, y)), -1e-16)
        return lower, math.log1p(-math.exp(lower)), kernel
    upper = min(kernel - math.log(_fraction(b, a, y, x)), -1e-16)
    return math.log1p(-math.exp(upper)), upper, kernel


def _fraction(a: float, b: float, x: float, y: float) -> float:
    """The continued fraction f with I_x(a, b) = x^a y^b / B(a, b) / f, for x up to the mean a / (a + b)."""
    drift = a * y - b * x + 1.0
    f = a * drift / (a + 1.0)
    c, d = f, 0.0
    for m in range(1, _MAX_STEPS):
        before = a + 2.0 * m - 1.0
        rise = m * (b - m) * x / before
        numerator = (a + m - 1.0) * (a + b + m - 1.0) * x / before * rise
        term = m + rise + (a + m) * (drift + m * (1.0 + y)) / (before + 2.0)
        d = 1.0 / (term + numerator * d or _TINY)
        c = term + numerator / c or _TINY
        change = c * d
        f *= change
        if abs(change - 1.0) < 3e-16:
            return f
    raise ArithmeticError(f"the incomplete beta function did not converge at a = {a}, b = {b}, x = {x}")


def _log_density(a: float, b: float, x: float, y: float) -> float:
    """Log of (a + b)! / (a! b!) x^a y^b: the binomial probability of a hits and b misses, not all whole."""
    n = a + b
    return (
        _stirling_error(n)
        - _stirling_error(a)
        - _stirling_error(b)
        - _deviance(a, n * x)
        - _deviance(b, n * y)
        - 0.5 * math.log(2.0 * math.pi * a * (b / n))
    )


def _stirling_error(z: float) -> float:
    """lgamma(z + 1) less Stirling's formula for it."""
    if z < 16.0:
        return math.lgamma(z + 1.0) - (z + 0.5) * math.log(z) + z - 0.5 * math.log(2.0 * math.pi)
    w = 1.0 / (z * z)
    return (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w * (1 / 1188 - w * 691 / 360360))))) / z


def _deviance(seen: float, expected: float) -> float:
    """Loader's seen log(seen / expected) + expected - seen, without cancellation where the two are close."""
    gap = seen - expected
    if abs(gap) > 0.1 * (seen + expected):
        return seen * (math.log(seen) - math.log(expected)) - gap
    v = gap / (seen + expected)
    total, power = gap * v, 2.0 * seen * v
    for k in range(3, 1000, 2):
        power *= v * v
        grown = total + power / k
        if grown == total:
            break
        total = grown
    return total
