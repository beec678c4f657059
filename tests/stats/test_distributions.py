"""The distributions against scipy, and against 60-digit decimals where scipy itself runs out of digits."""

import math
import random
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from scipy import stats as reference

from hexgate.stats.distributions import (
    beta_cdf,
    beta_quantile,
    binomial_cdf,
    binomial_pmf,
    miss_probability,
    student_t_quantile,
)

LEVELS = [0.9, 0.95, 0.975, 0.99, 0.995, 0.1, 0.05, 0.025, 0.01, 0.005]


def decimal_cdf(k: int, n: int, p: float) -> Decimal:
    """The binomial distribution function, term by term in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        hit = Decimal(p)
        term = (1 - hit) ** n
        total = term
        for i in range(k):
            term = term * (n - i) / (i + 1) * hit / (1 - hit)
            total += term
        return total


@settings(deadline=None, max_examples=300)
@given(n=st.integers(1, 20_000), data=st.data(), p=st.floats(1e-6, 1 - 1e-6))
def test_binomial_is_scipys(n, data, p):
    k = data.draw(st.integers(0, n))
    assert binomial_cdf(k, n, p) == pytest.approx(reference.binom.cdf(k, n, p), rel=1e-9, abs=1e-12)
    assert binomial_pmf(k, n, p) == pytest.approx(reference.binom.pmf(k, n, p), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("k", "n", "p"),
    [
        (0, 1, 0.3),
        (3, 1549, 0.005),
        (4000, 1_000_000, 0.0041),
        (2000, 4000, 0.49),
        (40_000, 10_000_000, 0.0041),
    ],
)
def test_binomial_keeps_its_digits_at_large_n(k, n, p):
    assert abs(float(Decimal(binomial_cdf(k, n, p)) / decimal_cdf(k, n, p) - 1)) < 1e-12


def test_binomial_at_the_edges():
    assert binomial_cdf(-1, 5, 0.3) == 0.0
    assert binomial_cdf(5, 5, 0.3) == 1.0
    assert binomial_cdf(2, 5, 0.0) == 1.0
    assert binomial_cdf(2, 5, 1.0) == 0.0
    assert binomial_cdf(0, 0, 0.5) == 1.0
    assert binomial_pmf(-1, 5, 0.3) == binomial_pmf(6, 5, 0.3) == 0.0
    with pytest.raises(ValueError, match=r"p = 1\.5"):
        binomial_cdf(1, 2, 1.5)


def test_beta_quantile_is_scipys_to_twelve_digits():
    rng = random.Random(3)
    for _ in range(3000):
        a = rng.randint(1, 3000) if rng.random() < 0.7 else rng.uniform(0.3, 50.0)
        b = rng.randint(1, 3000) if rng.random() < 0.7 else rng.uniform(0.3, 50.0)
        q = rng.choice(LEVELS)
        assert beta_quantile(q, a, b) == pytest.approx(special.betaincinv(a, b, q), rel=1e-12)


@pytest.mark.parametrize(("k", "n"), [(14, 3_531_877), (12, 9_251_030), (20, 1_989_433), (700, 1_000_000)])
@pytest.mark.parametrize("q", [0.95, 0.025])
def test_beta_quantile_keeps_its_digits_at_large_n(k, n, q):
    x = beta_quantile(q, k + 1, n - k)
    assert abs(float((1 - decimal_cdf(k, n, x)) / Decimal(q) - 1)) < 1e-12


@settings(deadline=None, max_examples=300)
@given(
    q=st.floats(1e-9, 1 - 1e-9),
    a=st.floats(0.5, 1e6),
    b=st.floats(0.5, 1e6),
)
def test_beta_quantile_undoes_the_distribution(q, a, b):
    x = beta_quantile(q, a, b)
    assert 0.0 < x <= 1.0
    # Next to 1 a double is too coarse to give q back.
    if x < 1.0 - 1e-6:
        assert beta_cdf(x, a, b) == pytest.approx(q, rel=1e-6)


def test_beta_at_the_edges():
    assert beta_cdf(0.0, 2, 3) == beta_quantile(0.0, 2, 3) == 0.0
    assert beta_cdf(1.0, 2, 3) == beta_quantile(1.0, 2, 3) == 1.0
    with pytest.raises(ValueError, match="shapes above zero"):
        beta_cdf(0.5, 0, 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        beta_quantile(1.1, 1, 1)


def test_student_is_scipys():
    rng = random.Random(4)
    for _ in range(2000):
        df = rng.choice([1, 2, 3, 9, 29, 1.37, 10 ** rng.uniform(0, 6)])
        p = rng.choice([*LEVELS, rng.uniform(0.001, 0.999)])
        assert student_t_quantile(p, df) == pytest.approx(reference.t.ppf(p, df), rel=1e-9, abs=1e-9)
    assert student_t_quantile(0.5, 7) == 0.0


@pytest.mark.parametrize("p", [0.6, 0.9, 0.95, 0.975, 0.995, 0.01])
def test_student_is_its_closed_forms(p):
    """With one and with two degrees of freedom the quantile has a formula."""
    one = math.tan(math.pi * (p - 0.5))
    two = (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    assert student_t_quantile(p, 1) == pytest.approx(one, rel=1e-13)
    assert student_t_quantile(p, 2) == pytest.approx(two, rel=1e-13)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.9, 0)])
def test_student_refuses(p, df):
    with pytest.raises(ValueError, match="Student's t"):
        student_t_quantile(p, df)


@pytest.mark.parametrize("level", [0.5, 1.0, 0.0, 95, float("nan")])
def test_a_level_is_above_a_half_and_below_one(level):
    with pytest.raises(ValueError, match="confidence level"):
        miss_probability(level)
