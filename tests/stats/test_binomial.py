"""Clopper-Pearson against scipy, and its coverage counted exactly."""

import random

import pytest
from scipy import special
from scipy import stats as reference

from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.interval import Family


def test_equals_scipy():
    rng = random.Random(1)
    for _ in range(500):
        n = rng.choice([1, 2, 10, 598, 1549, 5000])
        k = rng.randint(0, n)
        level = rng.choice([0.9, 0.95, 0.99])
        ours = clopper_pearson(k, n, level=level)
        theirs = reference.binomtest(k, n).proportion_ci(level, method="exact")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
        if 0 < k < n:
            assert ours.lower_bound == pytest.approx(special.betaincinv(k, n - k + 1, 1 - level), rel=1e-12)
            assert ours.upper_bound == pytest.approx(special.betaincinv(k + 1, n - k, level), rel=1e-12)
        assert ours.low <= ours.lower_bound <= k / n <= ours.upper_bound <= ours.high


def test_none_and_all():
    none, every = clopper_pearson(0, 598), clopper_pearson(598, 598)
    assert (none.low, none.lower_bound) == (0.0, 0.0)
    assert (every.high, every.upper_bound) == (1.0, 1.0)
    assert none.upper_bound == pytest.approx(1 - 0.05 ** (1 / 598), rel=1e-12)
    assert every.lower_bound == pytest.approx(0.05 ** (1 / 598), rel=1e-12)
    assert none.family is Family.BINOMIAL
    assert none.n == 598


@pytest.mark.parametrize(("k", "n"), [(0, 598), (1, 947), (2, 1258), (3, 1549), (5, 2100)])
def test_half_a_percent_is_certified_from_the_n_of_the_table(k, n):
    assert clopper_pearson(k, n).upper_bound <= 0.005 < clopper_pearson(k, n - 1).upper_bound


@pytest.mark.parametrize("n", [20, 200, 1549])
@pytest.mark.parametrize("p", [0.001, 0.005, 0.1, 0.5, 0.97])
def test_coverage_is_at_least_the_level(n, p):
    share = {"upper": 0.0, "lower": 0.0, "both": 0.0}
    for k in range(n + 1):
        weight = reference.binom.pmf(k, n, p)
        if weight < 1e-12:
            continue
        interval = clopper_pearson(k, n, level=0.9)
        share["upper"] += weight * (p <= interval.upper_bound)
        share["lower"] += weight * (interval.lower_bound <= p)
        share["both"] += weight * (interval.low <= p <= interval.high)
    assert min(share.values()) >= 0.9 - 1e-9


@pytest.mark.parametrize(
    ("k", "n", "what"), [(0, 0, "no items"), (-1, 5, "-1 successes"), (6, 5, "6 successes")]
)
def test_refuses(k, n, what):
    with pytest.raises(ValueError, match=what):
        clopper_pearson(k, n)


def test_is_json():
    assert clopper_pearson(3, 1549).to_json()["family"] == "binomial"
