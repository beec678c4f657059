"""pass@k against exact fractions, and against what it is: the share of draws with at least one right sample."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.metrics.passk import mean_pass_at_k, pass_at_k


def exactly(samples: int, correct: int, k: int) -> float:
    return float(1 - Fraction(math.comb(samples - correct, k), math.comb(samples, k)))


@given(st.data())
def test_equals_the_exact_fraction(data: st.DataObject) -> None:
    samples = data.draw(st.integers(1, 300))
    correct, k = data.draw(st.integers(0, samples)), data.draw(st.integers(1, samples))
    found = pass_at_k(samples, correct, k)
    assert found.reason is None
    assert found.value == pytest.approx(exactly(samples, correct, k), rel=1e-12, abs=0.0)


@pytest.mark.parametrize(("samples", "correct", "k"), [(5, 2, 3), (6, 1, 1), (6, 0, 2), (6, 6, 2), (4, 3, 4)])
def test_is_the_share_of_draws_with_a_right_one(samples: int, correct: int, k: int) -> None:
    draws = list(combinations(range(samples), k))
    share = sum(min(draw) < correct for draw in draws) / len(draws)
    assert pass_at_k(samples, correct, k).value == pytest.approx(share)


def test_edges() -> None:
    assert pass_at_k(10, 0, 5).value == 0.0
    assert math.copysign(1.0, pass_at_k(10, 0, 5).value or 0.0) == 1.0
    assert pass_at_k(10, 10, 1).value == 1.0
    assert pass_at_k(10, 6, 5).value == 1.0
    # C(1,000,000, 1,000) has more than 2,500 digits.
    assert pass_at_k(1_000_000, 1, 1000).value == pytest.approx(1e-3, rel=1e-12)


@pytest.mark.parametrize(("samples", "k"), [(3, 4), (0, 1)])
def test_more_than_there_are_gives_a_reason_and_no_number(samples: int, k: int) -> None:
    found = pass_at_k(samples, 0, k)
    assert found.value is None
    assert found.reason == f"pass@{k} needs at least {k} samples of a task, and there are {samples}"


@pytest.mark.parametrize(("samples", "correct", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0)])
def test_counts_that_cannot_be(samples: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match=r"cannot be correct|at least 1"):
        pass_at_k(samples, correct, k)


def test_the_mean_is_over_tasks_and_leaves_none_out() -> None:
    assert mean_pass_at_k([(4, 1), (4, 4)], 2).value == pytest.approx((0.5 + 1.0) / 2)
    few = mean_pass_at_k([(4, 1), (1, 1)], 2)
    assert (few.value, few.reason) == (None, "1 of 2 tasks have fewer than the 2 samples that pass@2 needs")
    assert mean_pass_at_k([], 1).reason == "there are no tasks"
