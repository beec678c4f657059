"""Bins for a logarithmic axis: they hold all values, and stay near the counts of the values themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.stats.histogram import LogHistogram
from hexgate.stats.log_bins import log_bins


def histogram(values: object) -> LogHistogram:
    made = LogHistogram()
    made.record_many(np.asarray(values, dtype=np.float64))
    return made


@given(st.lists(st.floats(0, 1e9, allow_subnormal=False), max_size=60))
def test_every_value_above_zero_is_in_a_bin(values: list[float]) -> None:
    made = histogram(values)
    bins = log_bins(made)
    positive = [value for value in values if value > 0]
    if not positive:
        assert bins is None
        return
    assert bins is not None
    assert sum(bins["counts"]) == pytest.approx(len(positive))
    parts = np.array_split(np.array(values), 3)
    exact = log_bins(made, values=lambda: iter(parts))
    assert exact is not None
    assert exact["edges"] == bins["edges"]
    assert all(type(count) is int for count in exact["counts"])
    assert sum(exact["counts"]) == len(positive)
    assert all(low < high for low, high in itertools.pairwise(bins["edges"]))
    assert bins["edges"][0] <= min(positive) * (1 + 1e-9)
    assert bins["edges"][-1] >= max(positive) * (1 - 1e-9)
    assert len(bins["edges"]) == len(bins["counts"]) + 1 <= 65


def test_counts_are_near_those_of_the_values() -> None:
    values = np.random.default_rng(1).lognormal(3, 0.8, 200_000)
    bins = log_bins(histogram(values))
    assert bins is not None
    exact, _ = np.histogram(values, bins=bins["edges"])
    assert np.abs(np.array(bins["counts"]) - exact).max() < 0.004 * len(values)


def test_a_smooth_distribution_has_no_teeth() -> None:
    values = np.geomspace(10, 40, 500_000)
    bins = log_bins(histogram(values))
    assert bins is not None
    inner = bins["counts"][1:-1]
    assert max(inner) < 1.05 * min(inner)


def test_few_values_have_few_bins_and_equal_ones_a_single_one_filled() -> None:
    few = log_bins(histogram([1.0, 5.0, 100.0]))
    assert few is not None
    assert len(few["counts"]) == 10
    equal = log_bins(histogram([5.0] * 10))
    assert equal is not None
    assert equal["counts"] == [10.0, 0.0]
