"""The Pareto front and its area, against a search by brute force."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.metrics.pareto import Point, front, hypervolume
from hexgate.metrics.rating_parts import Basis

BASIS = Basis(suite="s", device="d", scope="board")


def points(*pairs: tuple[float, float]) -> list[Point]:
    return [Point(f"m{i}", energy, quality, BASIS) for i, (energy, quality) in enumerate(pairs)]


def names(found: tuple[Point, ...]) -> list[str]:
    return [point.name for point in found]


def test_what_costs_more_and_gives_less_is_left_out() -> None:
    found = front(points((5, 0.3), (12, 0.6), (20, 0.8), (40, 0.79), (90, 0.93)))
    assert names(found) == ["m0", "m1", "m2", "m4"]


def test_twins_stay_both() -> None:
    assert names(front(points((5, 0.3), (5, 0.3)))) == ["m0", "m1"]


def test_what_cannot_be_told_apart_stays() -> None:
    close = points((10.0, 0.80), (10.2, 0.79))
    assert names(front(close)) == ["m0"]
    assert names(front(close, epsilon_j=0.5, epsilon_quality=0.02)) == ["m0", "m1"]


def test_only_one_basis_is_drawn() -> None:
    one, other = points((1, 0.5), (2, 0.6))
    with pytest.raises(InputError, match="different scope"):
        front([one, replace(other, basis=replace(BASIS, scope="wall"))])
    with pytest.raises(InputError, match="finite"):
        Point("m", math.nan, 0.5, BASIS)
    with pytest.raises(InputError, match="epsilon_j"):
        front([one], epsilon_j=-1.0)


GRID = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 10)), max_size=12)


@given(GRID, st.integers(0, 3), st.integers(0, 3))
def test_removing_what_is_dominated_changes_nothing(
    pairs: list[tuple[int, int]], epsilon_j: int, epsilon_quality: int
) -> None:
    found = front(points(*pairs), epsilon_j=epsilon_j, epsilon_quality=epsilon_quality)
    assert front(found, epsilon_j=epsilon_j, epsilon_quality=epsilon_quality) == found
    assert bool(found) == bool(pairs)


@given(GRID)
def test_the_area_is_that_of_the_cells_it_covers(pairs: list[tuple[int, int]]) -> None:
    covered = np.zeros((12, 10), dtype=bool)
    for energy, quality in pairs:
        covered[energy:, :quality] = True
    assert hypervolume(points(*pairs), energy_j=12, floor=0) == covered.sum()
