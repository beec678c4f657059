"""Batch means against scipy's Student interval; the widening against simulated correlated rates."""

import numpy as np
import pytest
from scipy import stats as reference

from hexgate.stats.interval import Family
from hexgate.stats.windows import batch_means, lag1_autocorrelation

ALTERNATING = [10.0, 12.0, 9.0, 11.5, 10.2, 11.9, 9.9, 12.1]


def test_is_students_interval_where_windows_do_not_resemble_each_other():
    assert lag1_autocorrelation(ALTERNATING) < 0
    interval = batch_means(ALTERNATING, level=0.99, what="requests per second")
    error = np.std(ALTERNATING, ddof=1) / np.sqrt(8)
    mean = np.mean(ALTERNATING)
    assert (interval.low, interval.high) == pytest.approx(reference.t.interval(0.99, 7, mean, error))
    assert interval.lower_bound == pytest.approx(mean - error * reference.t.ppf(0.99, 7))
    assert interval.upper_bound == pytest.approx(mean + error * reference.t.ppf(0.99, 7))
    assert interval.n == 8
    assert interval.family is Family.BATCH_MEANS
    assert interval.method == "batch means of requests per second, Student's t over 8 windows"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_two_windows_are_too_few(values):
    interval = batch_means(values, what="rate")
    assert (interval.low, interval.high, interval.lower_bound, interval.upper_bound) == (None,) * 4
    assert "fewer than 3" in interval.method


def test_resemblance_widens_by_the_named_number():
    values = [float(i % 5) for i in range(60)]
    r = lag1_autocorrelation(values)
    interval = batch_means(values, what="rate")
    effective = 60 * (1 - r) / (1 + r)
    assert effective > 2
    error = np.std(values, ddof=1) / np.sqrt(effective)
    assert interval.low == pytest.approx(2.0 - error * reference.t.ppf(0.975, effective - 1))
    assert interval.n == int(effective)
    assert f"counted as {effective:.4g}" in interval.method


def test_two_windows_are_the_floor():
    values = [float(i) for i in range(200)]
    error = np.std(values, ddof=1) / np.sqrt(2)
    interval = batch_means(values, what="rate")
    assert interval.n == 2
    assert interval.upper_bound == pytest.approx(99.5 + error * reference.t.ppf(0.95, 1))


def test_equal_windows_say_so():
    interval = batch_means([50.0] * 5, what="rate")
    assert (interval.low, interval.high) == (50.0, 50.0)
    assert "no width" in interval.method


def test_autocorrelation():
    rng = np.random.default_rng(0)
    values = rng.normal(size=500)
    d = values - values.mean()
    assert lag1_autocorrelation(values.tolist()) == pytest.approx(
        float((d[:-1] * d[1:]).sum() / (d * d).sum())
    )
    assert lag1_autocorrelation([1.0, 2.0]) is None
    assert lag1_autocorrelation([3.0, 3.0, 3.0]) is None


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_coverage_by_simulation(phi):
    rng = np.random.default_rng(9)
    trials, missed = 1000, 0
    for _ in range(trials):
        noise = rng.normal(size=80)
        series = [0.0]
        for step in noise:
            series.append(phi * series[-1] + step)
        interval = batch_means(series[21:], what="rate")
        missed += not interval.low <= 0.0 <= interval.high
    # Without the widening a phi of 0.5 is missed in about 25 % of all trials.
    assert missed / trials < 0.09


def test_bounds_stop_at_the_floor_and_say_so():
    values = [0.0, 0.0, 0.0, 50.0]
    free = batch_means(values, what="rate")
    assert free.low < free.lower_bound < 0.0
    bounded = batch_means(values, what="rate", floor=0.0)
    assert (bounded.low, bounded.lower_bound) == (0.0, 0.0)
    assert (bounded.high, bounded.upper_bound, bounded.n) == (free.high, free.upper_bound, free.n)
    assert bounded.method.endswith("; bounds below 0 are set to 0")
    assert batch_means(ALTERNATING, what="rate", floor=0.0) == batch_means(ALTERNATING, what="rate")
    assert batch_means([], what="rate", floor=0.0).low is None
    with pytest.raises(ValueError, match="below 0"):
        batch_means([1.0, -1.0, 2.0], what="rate", floor=0.0)


def test_refuses():
    with pytest.raises(ValueError, match="finite"):
        batch_means([1.0, float("nan"), 2.0], what="rate")
    with pytest.raises(ValueError, match="confidence level"):
        batch_means([1.0], level=95, what="rate")
