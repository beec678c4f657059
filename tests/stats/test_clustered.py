"""Dependent observations never make an interval narrower than the independent ones among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.clustered import Observation, clustered_proportion, intraclass_correlation


def seen(*rows: tuple[str, str | None, int]) -> list[Observation]:
    return [Observation(item, cluster, bool(success)) for item, cluster, success in rows]


@pytest.mark.parametrize("successes", [0, 3, 120])
def test_items_that_stand_alone_have_the_exact_interval(successes: int) -> None:
    found = clustered_proportion(seen(*((f"i{n}", None, n < successes) for n in range(120))))
    exact = clopper_pearson(successes, 120)
    assert (found.low, found.high, found.lower_bound, found.upper_bound, found.n) == (
        exact.low,
        exact.high,
        exact.lower_bound,
        exact.upper_bound,
        120,
    )
    assert "clusters" not in found.method


def test_the_same_item_700_times_is_one_observation() -> None:
    found = clustered_proportion(seen(*[("same", None, 0)] * 700))
    assert found.n == 1
    assert found.upper_bound == pytest.approx(0.95)
    assert "700 observations" in found.method


def test_repeats_that_differ_count_with_their_mean_and_the_interval_holds_the_ratio() -> None:
    # Ninety-nine of the hundred observations are of one item, so the plain ratio lies outside the items' interval.
    found = clustered_proportion(seen(*[("a", None, 1)] * 99, ("b", None, 0)))
    assert found.n == 2
    assert found.high is not None
    assert found.high >= 0.99
    mixed = clustered_proportion(seen(("a", None, 1), ("a", None, 0), ("b", None, 0)))
    assert (mixed.low, mixed.high) == (clopper_pearson(0, 2).low, clopper_pearson(1, 2).high)


def test_clusters_without_a_success_are_named_and_not_judged() -> None:
    found = clustered_proportion(seen(*((f"i{n}", f"c{n // 8}", 0) for n in range(1728))))
    assert found.upper_bound == clopper_pearson(0, 1728).upper_bound
    assert "216 clusters" in found.method
    assert "cannot be estimated" in found.method


def test_a_cluster_that_answers_as_one_counts_as_one() -> None:
    found = clustered_proportion(seen(*((f"i{n}", f"c{n // 10}", n < 50) for n in range(500))))
    assert intraclass_correlation([[1.0] * 10] * 5 + [[0.0] * 10] * 45) == pytest.approx(1.0)
    assert found.n == 50
    exact = clopper_pearson(5, 50)
    assert (found.low, found.high) == (pytest.approx(exact.low), pytest.approx(exact.high))


def test_successes_spread_over_clusters_cost_nothing() -> None:
    found = clustered_proportion(seen(*((f"i{n}", f"c{n // 10}", n % 10 == 0) for n in range(500))))
    assert found.n == 500
    assert "design effect 1 " in found.method


def test_the_correlation_is_the_one_that_was_planted() -> None:
    random = np.random.default_rng(5)
    centres = random.normal(size=(4000, 1))
    values = centres + random.normal(scale=np.sqrt(3.0), size=(4000, 6))
    assert intraclass_correlation(values.tolist()) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("clusters", [[], [[1.0, 0.0]], [[1.0], [0.0]], [[0.0, 0.0], [0.0]]])
def test_no_correlation_where_nothing_tells_it(clusters: list[list[float]]) -> None:
    assert intraclass_correlation(clusters) is None


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=60))
def test_it_holds_the_ratio_and_is_never_surer_than_the_items_allow(rows: list[tuple[int, bool]]) -> None:
    found = clustered_proportion(Observation(item, item % 4, success) for item, success in rows)
    ratio = sum(success for _, success in rows) / len(rows)
    items = len({item for item, _ in rows})
    assert 1 <= found.n <= items
    assert found.low is not None
    assert found.high is not None
    assert found.lower_bound is not None
    assert found.upper_bound is not None
    assert 0 <= found.low <= found.lower_bound <= ratio <= found.upper_bound <= found.high <= 1


def test_no_observations_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no observations"):
        clustered_proportion([])
