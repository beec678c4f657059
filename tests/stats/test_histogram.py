"""The histogram against the values themselves: error, exact sums, order-free merging, bins for charts."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.stats.histogram import LogHistogram, display_bins
from hexgate.stats.percentile import nearest_rank

VALUES = st.lists(st.floats(0, 1e12), min_size=1, max_size=200)
SHARES = [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0]


def made(values):
    histogram = LogHistogram()
    histogram.record_many(values)
    return histogram


@settings(deadline=None, max_examples=200)
@given(values=VALUES, p=st.floats(0, 1))
def test_percentiles_are_within_half_a_percent(values, p):
    exact = nearest_rank(sorted(values), p)
    assert made(values).percentile(p) == pytest.approx(exact, rel=0.004, abs=0.0)


@settings(deadline=None, max_examples=200)
@given(values=VALUES)
def test_count_sum_least_and_greatest_are_exact(values):
    histogram = made(values)
    assert histogram.count == len(values)
    assert histogram.sum == math.fsum(values)
    assert (histogram.minimum, histogram.maximum) == (min(values), max(values))


@settings(deadline=None, max_examples=100)
@given(first=VALUES, second=VALUES, third=VALUES)
def test_parts_merge_to_the_whole_in_any_order(first, second, third):
    whole = made([*first, *second, *third]).to_json()
    for order in ([first, second, third], [third, first, second]):
        total = LogHistogram()
        for part in order:
            total.merge(made(part))
        assert total.to_json() == whole


@settings(deadline=None, max_examples=100)
@given(values=VALUES)
def test_json_and_back(values):
    histogram = made(values)
    again = LogHistogram.from_json(json.loads(json.dumps(histogram.to_json(), allow_nan=False)))
    assert again.to_json() == histogram.to_json()
    assert [again.percentile(p) for p in SHARES] == [histogram.percentile(p) for p in SHARES]


def test_many_latencies():
    values = np.random.default_rng(0).lognormal(3.0, 1.0, size=200_000)
    histogram = LogHistogram()
    for part in np.array_split(values, 7):
        histogram.record_many(part)
    ordered = np.sort(values)
    for p in SHARES:
        assert histogram.percentile(p) == pytest.approx(nearest_rank(ordered, p), rel=0.004)
    assert histogram.sum == math.fsum(values)
    assert histogram.mean == pytest.approx(values.mean(), rel=1e-12)
    assert len(histogram.to_json()["buckets"]) < 2500


@pytest.mark.parametrize("value", [5e-324, 2.2e-308, 1.0, 1.7e308])
def test_the_whole_range_of_doubles(value):
    histogram = made([value] * 3)
    assert histogram.percentile(0.5) == value
    assert histogram.mean == value


def test_an_empty_histogram():
    histogram = LogHistogram()
    histogram.record_many([])
    histogram.merge(LogHistogram())
    assert (histogram.count, histogram.minimum, histogram.mean, histogram.sum) == (0, None, None, 0.0)
    assert LogHistogram.from_json(histogram.to_json()).count == 0
    with pytest.raises(ValueError, match="no values"):
        histogram.percentile(0.5)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_refused_values_leave_no_trace(bad):
    histogram = made([1.0])
    before = histogram.to_json()
    with pytest.raises(ValueError, match="finite values of zero and above"):
        histogram.record_many([2.0, bad])
    assert histogram.to_json() == before


def test_refuses_a_false_histogram():
    good = made([1.0, 2.0]).to_json()
    with pytest.raises(ValueError, match="scheme"):
        LogHistogram.from_json(good | {"scheme": "log-linear-64"})
    with pytest.raises(ValueError, match="do not add up"):
        LogHistogram.from_json(good | {"count": 3})
    with pytest.raises(ValueError, match="not 99"):
        made([1.0]).percentile(99)


@settings(deadline=None, max_examples=100)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), bins=st.integers(1, 60))
def test_bins_count_every_value(values, bins):
    chart = display_bins(values, bins=bins)
    assert sum(chart["counts"]) == len(values)
    assert len(chart["edges"]) == len(chart["counts"]) + 1
    assert chart["edges"] == sorted(chart["edges"])
    assert (chart["edges"][0], chart["edges"][-1]) == (min(values), max(values))
    json.dumps(chart, allow_nan=False)


def test_bins_keep_stragglers_apart():
    values = [*np.linspace(10.0, 20.0, 9995), *[500.0] * 5]
    # The 99.9th percentile is the 9,990th value: ten lie above.
    chart = display_bins(values)
    assert len(chart["counts"]) == 41
    assert chart["counts"][-1] == 10
    assert chart["edges"][-2] < 20.1
    assert min(chart["counts"][:-1]) > 200


def test_bins_of_equal_values_and_of_none():
    assert display_bins([3.0, 3.0]) == {"edges": [3.0, 3.0, 3.0], "counts": [2, 0]}
    assert display_bins([]) == {"edges": [], "counts": []}
    with pytest.raises(ValueError, match="finite"):
        display_bins([float("nan")])
