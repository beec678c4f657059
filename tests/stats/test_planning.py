"""Sample sizes: the published tables, and each number shown to be the smallest by the interval itself."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.interval import Family, Interval
from hexgate.stats.percentile import percentile_interval
from hexgate.stats.planning import (
    more_needed,
    n_for_paired_drop,
    n_for_percentile,
    n_for_proportion_margin,
    n_for_ratio_above,
    n_for_ratio_below,
)
from hexgate.stats.windows import batch_means


@pytest.mark.parametrize(
    ("level", "table"),
    [
        (0.90, {0: 460, 1: 777, 2: 1063, 3: 1335, 4: 1597}),
        (0.95, {0: 598, 1: 947, 2: 1258, 3: 1549, 4: 1829, 5: 2100}),
        (0.99, {0: 919, 1: 1325, 2: 1678, 3: 2006, 4: 2318}),
    ],
)
def test_half_a_percent(level, table):
    assert {k: n_for_ratio_below(0.005, level=level, observed_events=k) for k in table} == table
    assert {k: n_for_ratio_above(0.995, level=level, observed_events=k) for k in table} == table


@pytest.mark.parametrize(
    ("level", "table"), [(0.95, {0: 299, 1: 473, 2: 628, 5: 1049}), (0.99, {0: 459, 1: 662, 2: 838})]
)
def test_p99(level, table):
    assert {k: n_for_percentile(0.99, level=level, over_limit=k) for k in table} == table


@pytest.mark.parametrize("over", [0, 1, 5])
def test_p99_as_its_interval_has_it(over):
    n = n_for_percentile(0.99, level=0.95, over_limit=over)

    def decided(size):
        values = [1.0] * (size - over) + [9.0] * over
        bound = percentile_interval(values, 0.99).upper_bound
        return bound is not None and bound <= 1.0

    assert decided(n)
    assert not decided(n - 1)


@settings(deadline=None, max_examples=200)
@given(limit=st.floats(1e-4, 0.999), events=st.integers(0, 50), level=st.sampled_from([0.9, 0.95, 0.99]))
def test_ratio_is_the_smallest_n(limit, events, level):
    n = n_for_ratio_below(limit, level=level, observed_events=events)
    assert clopper_pearson(events, n, level=level).upper_bound <= limit * (1 + 1e-9)
    if n - 1 >= max(events, 1):
        assert clopper_pearson(events, n - 1, level=level).upper_bound > limit * (1 - 1e-9)


def test_tiny_limits_and_easy_ones():
    assert n_for_ratio_below(1e-9) == 2995732273
    assert n_for_ratio_below(1.0) == 1
    assert n_for_ratio_below(1.0, observed_events=4) == 4


def test_proportion_margin_is_where_wilson_clears():
    for limit, expected in [(0.9, 0.93), (0.9, 0.87), (0.5, 0.52), (0.02, 0.01)]:
        n = n_for_proportion_margin(limit, expected, level=0.95)
        for size, clears in ((n, True), (n - 1, False)):
            z = reference.norm.ppf(0.95)
            centre = (expected + z * z / (2 * size)) / (1 + z * z / size)
            half = (
                z / (1 + z * z / size) * (expected * (1 - expected) / size + z * z / (4 * size * size)) ** 0.5
            )
            bound = centre - half if expected > limit else centre + half
            assert (bound >= limit if expected > limit else bound <= limit) == clears


def test_paired_drop():
    assert n_for_paired_drop(0.02, discordant=0.1, level=0.95) == 677
    # With hardly a discordant item the rule for unseen items decides.
    assert n_for_paired_drop(0.02, discordant=0.001, level=0.95) == n_for_ratio_below(0.02, level=0.95) == 149


@pytest.mark.parametrize(
    "broken",
    [
        lambda: n_for_ratio_below(0.0),
        lambda: n_for_ratio_above(1.0),
        lambda: n_for_ratio_below(0.1, observed_events=-1),
        lambda: n_for_ratio_below(0.1, level=0.3),
        lambda: n_for_percentile(1.0),
        lambda: n_for_proportion_margin(0.9, 0.9),
        lambda: n_for_proportion_margin(90, 0.9),
        lambda: n_for_paired_drop(0.0),
        lambda: n_for_paired_drop(0.1, discordant=2),
    ],
)
def test_refuses(broken):
    with pytest.raises(ValueError):  # noqa: PT011
        broken()


def test_planning_needs_no_numpy():
    """It runs before any measurement, also where a command only prints a plan."""
    code = "import sys, hexgate.stats.planning; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestMoreNeeded:
    @pytest.mark.parametrize("n", [1, 100, 500, 597])
    def test_no_events(self, n):
        assert more_needed(clopper_pearson(0, n), 0.0, 0.005, n=n, below=True) == 598 - n

    @pytest.mark.parametrize(
        ("k", "n", "limit", "below"),
        [(2, 1000, 0.005, True), (8, 1000, 0.005, True), (95, 100, 0.9, False), (85, 100, 0.9, False)],
    )
    def test_ratio_is_decided_there_and_not_long_before(self, k, n, limit, below):
        more = more_needed(clopper_pearson(k, n), k / n, limit, n=n, below=below)
        good = (k / n < limit) == below

        def decided(size):
            interval = clopper_pearson(round(k / n * size), size)
            upper, lower = interval.upper_bound <= limit, interval.lower_bound >= limit
            return (upper if below else lower) if good else (lower if below else upper)

        whole = -(-(n + more) // n) * n
        assert decided(whole)
        assert not decided(max(n, int((n + more) * 0.9)))

    @pytest.mark.parametrize("below", [True, False])
    def test_decided_rules_need_nothing(self, below):
        for k in (0, 500):
            assert more_needed(clopper_pearson(k, 1000), k / 1000, 0.1, n=1000, below=below) == 0

    def test_a_bound_on_the_limit_passes_but_does_not_fail(self):
        interval = Interval(1.0, 3.0, 1.2, 2.5, 0.95, Family.BATCH_MEANS, "", 10)
        assert more_needed(interval, 2.0, 2.5, n=10, below=True) == 0
        assert more_needed(interval, 2.0, 1.2, n=10, below=False) == 0
        assert more_needed(interval, 2.0, 2.5, n=10, below=False) == 1
        assert more_needed(interval, 2.0, 1.2, n=10, below=True) == 1

    def test_square_root_of_n(self):
        interval = batch_means([10.0, 12.0, 9.0, 11.5, 10.2, 11.9, 9.9, 12.1], what="rate")
        value = sum([10.0, 12.0, 9.0, 11.5, 10.2, 11.9, 9.9, 12.1]) / 8
        limit = value - (value - interval.lower_bound) / 2
        assert more_needed(interval, value, limit, n=8, below=False) in (24, 25)
        assert more_needed(replace(interval, family=Family.BOOTSTRAP), value, limit, n=8, below=False) in (
            24,
            25,
        )

    def test_a_percentile_without_a_bound(self):
        interval = percentile_interval(range(100), 0.99)
        assert more_needed(interval, 98.0, 200.0, n=100, below=True) == 199
        high = percentile_interval([1.0, 2.0], 0.01)
        assert high.lower_bound is None
        assert more_needed(high, 1.0, 0.5, n=2, below=False) == 297

    def test_windows_without_bounds(self):
        assert more_needed(batch_means([5.0], what="rate"), 5.0, 4.0, n=1, below=False) == 2

    def test_never(self):
        assert more_needed(clopper_pearson(1, 10), 0.1, 0.1, n=10, below=True) is None
        assert more_needed(clopper_pearson(50, 100), 0.5, 0.5 + 1e-9, n=100, below=True) is None
        narrow = Interval(1.0, 3.0, 1.2, 2.8, 0.95, Family.BOOTSTRAP, "", 10)
        assert more_needed(narrow, 2e-308, 3e-308, n=10, below=True) is None
        empty = Interval(None, None, None, None, 0.95, Family.CLUSTER_BOOTSTRAP, "", 2)
        assert more_needed(empty, 1.0, 2.0, n=2, below=True) is None
