"""Nearest rank against numpy; order-statistic bounds against scipy, their definition and their coverage."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.interval import Family
from hexgate.stats.percentile import minimum_n, nearest_rank, percentile_interval, percentile_of

P99 = 0.99


@settings(deadline=None, max_examples=300)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300),
    p=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.07, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])),
)
def test_nearest_rank_is_numpys(values, p):
    ordered = sorted(values)
    assert nearest_rank(ordered, p) == np.quantile(ordered, p, method="inverted_cdf")


@pytest.mark.parametrize("n", [1, 10, 99, 100, 101, 1000])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_nearest_rank_is_the_first_that_reaches_the_share(n, p):
    values = np.arange(1.0, n + 1)
    share = round(p * 1000)
    assert nearest_rank(values, p) == -(-n * share // 1000)


def test_nearest_rank_refuses():
    with pytest.raises(ValueError, match="no values"):
        nearest_rank([], 0.5)
    with pytest.raises(ValueError, match="not 99"):
        nearest_rank([1.0], 99)


@pytest.mark.parametrize(
    ("n", "low", "high", "lower_bound", "upper_bound"),
    [
        (1000, 983, 997, 985, 996),
        (500, 490, 500, 491, 499),
        (368, 360, 368, 361, 368),
        (367, 359, None, 360, 367),
        (299, 292, None, 293, 299),
        (298, 291, None, 292, None),
    ],
)
def test_ranks_of_p99(n, low, high, lower_bound, upper_bound):
    interval = percentile_interval(np.arange(1.0, n + 1), P99)
    assert (interval.low, interval.high) == (low, high)
    assert (interval.lower_bound, interval.upper_bound) == (lower_bound, upper_bound)
    assert interval.family is Family.ORDER_STATISTIC
    assert interval.n == n


def test_ranks_follow_their_definition():
    rng = random.Random(2)
    for _ in range(1500):
        n = int(10 ** rng.uniform(0, 6))
        p = rng.choice([0.5, 0.9, 0.95, 0.99, 0.999, rng.uniform(0.01, 0.99)])
        level = rng.choice([0.9, 0.95, 0.99])
        interval = percentile_interval(range(1, n + 1), p, level=level)
        # scipy loses digits at large n: far fewer than would move a rank, but not than decide a tie.
        slack = 1e-7
        lower, upper = interval.lower_bound, interval.upper_bound
        if lower is not None:
            assert reference.binom.sf(lower - 1, n, p) >= level - slack
        assert reference.binom.sf(lower or 0, n, p) <= level + slack
        if upper is not None:
            assert reference.binom.cdf(upper - 1, n, p) >= level - slack
        assert reference.binom.cdf((upper or n + 1) - 2, n, p) <= level + slack
        assert (interval.low is None) or interval.low <= lower <= max(int(np.ceil(n * p)), 1)
        assert (interval.high is None) or interval.high >= upper >= int(np.floor(n * p))


@pytest.mark.parametrize("draw", ["continuous", "steps"])
def test_coverage_by_simulation(draw):
    rng = np.random.default_rng(11)
    trials, n, p = 2000, 400, 0.99
    missed = {"upper": 0, "lower": 0, "both": 0}
    for _ in range(trials):
        values = np.sort(rng.exponential(size=n))
        truth = -np.log1p(-p)
        if draw == "steps":
            values, truth = np.ceil(values), float(np.ceil(truth))
        interval = percentile_interval(values, p)
        missed["upper"] += interval.upper_bound < truth
        missed["lower"] += interval.lower_bound > truth
        missed["both"] += not interval.low <= truth <= interval.high
    # 5 % of 2000 with three standard errors on top.
    assert max(missed.values()) <= 130


@pytest.mark.parametrize(("level", "n"), [(0.95, 299), (0.975, 368), (0.99, 459)])
def test_minimum_n_of_p99(level, n):
    assert minimum_n(P99, level=level) == n


@settings(deadline=None, max_examples=200)
@given(p=st.floats(0.01, 0.9995), level=st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_minimum_n_is_where_the_upper_bound_begins(p, level):
    n = minimum_n(p, level=level)
    assert percentile_interval(range(n), p, level=level).upper_bound is not None
    if n > 1:
        assert percentile_interval(range(n - 1), p, level=level).upper_bound is None


def test_a_tie_in_decimals_counts_as_reached():
    assert minimum_n(0.5, level=0.75) == 2
    assert percentile_interval([1.0, 2.0], 0.5, level=0.75).upper_bound == 2.0
    # P(Binom(1, 0.95) <= 0) is 0.05 exactly.
    assert percentile_interval([7.0], 0.95, level=0.95).lower_bound == 7.0


def test_a_million_values():
    interval = percentile_interval(np.arange(1_000_000.0), P99)
    assert interval.lower_bound == reference.binom.ppf(0.05, 1_000_000, P99) - 1
    assert interval.upper_bound == reference.binom.ppf(0.95, 1_000_000, P99)


def test_its_share_is_read_back():
    assert percentile_of(percentile_interval([1.0], np.float64(0.999))) == 0.999
    assert percentile_of(clopper_pearson(1, 2)) is None


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 99])
def test_refuses_a_share(p):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        percentile_interval([1.0], p)
    with pytest.raises(ValueError, match="above 0 and below 1"):
        minimum_n(p, level=0.95)


def test_refuses_no_values():
    with pytest.raises(ValueError, match="no values"):
        percentile_interval([], P99)
