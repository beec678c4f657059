"""Which models are worth a look: no other gives at least as much for at most as much energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hexgate.errors import InputError
from hexgate.metrics.rating import same_basis
from hexgate.metrics.rating_parts import Basis

__all__ = ["Point", "front", "hypervolume"]


@dataclass(frozen=True)
class Point:
    """One model by energy and quality.

    Raises:
        InputError: if a number is not finite.
    """

    name: str
    """Names it among its like."""
    energy_j: float
    """Energy per request; less is better."""
    quality: float
    """Quality or acceptance; more is better."""
    basis: Basis
    """What it was measured on."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.energy_j) and math.isfinite(self.quality)):
            raise InputError(
                "a point needs a finite energy and quality",
                where=self.name,
                got=f"{self.energy_j} J, {self.quality}",
                hint="leave out what was not measured",
            )


def front(
    points: Sequence[Point], *, epsilon_j: float = 0.0, epsilon_quality: float = 0.0
) -> tuple[Point, ...]:
    """The points that none dominates, by energy.

    A point dominates another if it is no worse on either axis and better on one by more than epsilon, the standard
    uncertainty of that axis: what differs by less than can be told apart stays. Points that are dominated change
    nothing for the others.

    Args:
        points: models of one basis.
        epsilon_j: uncertainty of energies.
        epsilon_quality: uncertainty of qualities.

    Raises:
        InputError: if two points stand on different bases, or an epsilon is below zero.
    """
    for name, epsilon in (("epsilon_j", epsilon_j), ("epsilon_quality", epsilon_quality)):
        if not epsilon >= 0:
            raise InputError(f"{name} is below zero", got=str(epsilon))
    for point in points[1:]:
        same_basis(points[0].basis, point.basis)

    def dominates(one: Point, other: Point) -> bool:
        no_worse = one.energy_j <= other.energy_j and one.quality >= other.quality
        less = other.energy_j - one.energy_j > epsilon_j
        more = one.quality - other.quality > epsilon_quality
        return no_worse and (less or more)

    kept = [point for point in points if not any(dominates(other, point) for other in points)]
    return tuple(sorted(kept, key=lambda point: (point.energy_j, -point.quality, point.name)))


def hypervolume(points: Sequence[Point], *, energy_j: float, floor: float) -> float:
    """The area, in joules, of what is dominated by a point and still better than a worst case. Larger is better.

    Source: Zitzler and Thiele (1999), IEEE Transactions on Evolutionary Computation 3 (4).

    Args:
        points: models of one basis; those beyond the worst case add nothing.
        energy_j: the worst energy, such as the reference's energy per accepted answer.
        floor: the worst quality.

    Raises:
        InputError: if two points stand on different bases.
    """
    area, best = 0.0, floor
    for point in front(points):
        if point.energy_j < energy_j and point.quality > best:
            area += (energy_j - point.energy_j) * (point.quality - best)
            best = point.quality
    return area
