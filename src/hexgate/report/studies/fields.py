"""What may stand on one chart of quality against energy: the same questions, device, meter and cache for all. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hexgate.metrics.pareto import Point, front
from hexgate.metrics.rating_parts import Basis
from hexgate.report.numbers import number
from hexgate.report.studies.figures import Figure, Measured, Row, StudyFigures, figure
from hexgate.report.studies.words import word
from hexgate.report.text import Both, same

__all__ = ["Dot", "Field", "fields"]

_LEAST_SHARE = 0.5
"""A dot with fewer of the questions than this share of what the fullest has would decide what all are compared on."""

_Name = tuple[str, str | None]
_Unit = tuple[str, ...]
_Pool = tuple[str | None, str | None, bool]


@dataclass(frozen=True)
class Dot:
    """A model, or a model at one level."""

    model: str
    """The model."""
    load: str | None
    """The level; None for all."""
    energy: Figure
    """Joules a request."""
    quality: Figure
    """In the measure's unit."""
    on_front: bool
    """Whether no other dot is at least as good on both axes, and better on one, by the means; of none where less than
    half of the questions are common to all."""


@dataclass(frozen=True)
class Field:
    """Dots that may be compared."""

    basis: Basis
    """What they stand on."""
    measure: Measured
    """The measure of quality."""
    dots: tuple[Dot, ...]
    """The dots, in the order of the study; empty where they have no question in common."""
    shared: int
    """Questions (with all levels: questions at a level) that every dot has, with energy and quality."""
    most: int
    """What the fullest dot has of them."""
    left_out: tuple[Both, ...]
    """What is not on the chart, and why: dots, or the front."""
    cache: Both | None
    """What its prompts had of the server's cache; None where that is the same in the whole study."""

    @property
    def remarks(self) -> tuple[Both, ...]:
        """What to know of the chart beside its basis."""
        return self.left_out if self.cache is None else (self.cache, *self.left_out)


def fields(study: StudyFigures, measure: Measured, suite: str, *, by_load: bool) -> tuple[Field, ...]:
    """The charts of one measure of quality against energy, one for each device, scope and state of the cache.

    Args:
        study: the figures.
        measure: the measure of quality.
        suite: digest of what is asked.
        by_load: whether a dot is a model at one level, or a model.
    """
    pools: dict[_Pool, dict[_Name, list[Row]]] = {}
    for row in study.rows:
        if measure.key in row.values and "energy_j" in row.values:
            name = (row.model, row.load if by_load else None)
            pools.setdefault((row.device, row.scope, row.warm), {}).setdefault(name, []).append(row)
    homes: dict[_Name, list[_Pool]] = {}
    for key, pool in pools.items():
        for name in pool:
            homes.setdefault(name, []).append(key)
    several = len({warm for _, _, warm in pools}) > 1
    found = []
    for (device, scope, warm), pool in pools.items():
        basis = Basis(suite, device or "?", str(scope), cache="warm" if warm else "cold")
        pure = {name: rows for name, rows in pool.items() if len(homes[name]) == 1}
        mixed = {name: _why(name, homes[name]) for name in pool if name not in pure}
        one = _field(basis, measure, pure, mixed, by_load=by_load, left=study.left)
        found.append(replace(one, cache=word("field_warm" if warm else "field_cold")) if several else one)
    return tuple(found)


def _why(name: _Name, homes: Sequence[_Pool]) -> Both:
    """Why a dot that has runs of several kinds is on no chart."""
    metered = len({(device, scope) for device, scope, _ in homes}) > 1
    return word("left_out_mixed" if metered else "left_out_cache", what=_said(name))


def _field(
    basis: Basis,
    measure: Measured,
    pool: Mapping[_Name, Sequence[Row]],
    mixed: Mapping[_Name, Both],
    *,
    by_load: bool,
    left: int,
) -> Field:
    def unit(row: Row) -> _Unit:
        return (row.task, row.item) if by_load else (row.task, row.load, row.item)

    units = {name: {unit(row) for row in rows} for name, rows in pool.items()}
    most = max(map(len, units.values()), default=0)
    kept = [name for name, own in units.items() if len(own) >= _LEAST_SHARE * most]
    shared = set.intersection(*(units[name] for name in kept)) if kept else set()
    left_out = [*mixed.values()]
    left_out += [
        word("left_out_few_yet" if left else "left_out_few", what=_said(name), count=len(own), most=most)
        for name, own in units.items()
        if name not in kept
    ]
    dots = []
    for name in kept if shared else ():
        rows = [row for row in pool[name] if unit(row) in shared]
        dots.append((name, figure(rows, "energy_j"), figure(rows, measure.key)))
    enough = len(shared) >= _LEAST_SHARE * most
    if dots and not enough:
        left_out.append(word("few_shared_yet", left=number(left)) if left else word("few_shared"))
    best = _front(dots, basis, measure) if enough else set()
    return Field(
        basis=basis,
        measure=measure,
        dots=tuple(
            Dot(name[0], name[1], energy, quality, str(place) in best)
            for place, (name, energy, quality) in enumerate(dots)
        ),
        shared=len(shared),
        most=most,
        left_out=tuple(left_out),
        cache=None,
    )


def _front(dots: Sequence[tuple[_Name, Figure, Figure]], basis: Basis, measure: Measured) -> set[str]:
    turned = 1.0 if measure.higher_is_better else -1.0
    points = [
        Point(str(place), energy.mean, turned * quality.mean, basis)
        for place, (_, energy, quality) in enumerate(dots)
        if energy.mean is not None and quality.mean is not None
    ]
    return {point.name for point in front(points)}


def _said(name: _Name) -> Both:
    model, load = name
    return same(model if load is None else f"{model}, {load}", 80)
