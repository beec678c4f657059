"""Means of a study by model and level, what is missing, how sure they are; and what a level gives for its cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hexgate.stats.bootstrap import sums_bootstrap
from hexgate.stats.distributions import student_t_quantile
from hexgate.study.exports.figures import ENERGY, LATENCY, SCORE, Figure
from hexgate.study.exports.places import Place
from hexgate.study.reasons import counted

__all__ = ["Estimate", "LevelValue", "by_model_and_level", "change", "level_values", "mean_of", "ratio_of"]

_LEVEL = 0.95
_SAME = 1e-12
"""A spread below this share of the values is that of rounding."""
_ALIKE = "all values are alike, which bounds nothing"
_FEW = "too few questions for an interval"
_NEAR_ZERO = "what the runs cost is not told apart from zero"


@dataclass(frozen=True)
class Estimate:
    """A mean, or a ratio of sums, over runs."""

    n: int
    """Runs that have a value."""
    missing: int
    """Planned runs that have none."""
    questions: int
    """Different questions among those that have one: the repeats of a question are no new evidence."""
    value: float | None
    """The mean, or the ratio; None where there is no value."""
    low: float | None
    """Lower end of the 95 % interval; None where there is none."""
    high: float | None
    """Upper end of it."""
    why_missing: str | None
    """Why runs have no value, and how many of them for each reason; None where none lacks one."""
    why_no_interval: str | None
    """Why there is no interval; None where there is one, or no value."""

    @property
    def reason(self) -> str | None:
        """Why values, or the interval, are missing; None where nothing is."""
        return "; ".join(part for part in (self.why_missing, self.why_no_interval) if part) or None


def by_model_and_level(found: Sequence[Place]) -> dict[tuple[str, str], list[Place]]:
    """Places by model and level, in their order."""
    groups: dict[tuple[str, str], list[Place]] = {}
    for place in found:
        groups.setdefault((place.model, place.level), []).append(place)
    return groups


def mean_of(figure: Figure, found: Sequence[Place]) -> Estimate:
    """The mean of a figure over runs, with a bootstrap over questions.

    Args:
        figure: the figure.
        found: the planned runs.
    """
    return _estimate(
        [_Values(place, figure.of(place.record), 1.0) for place in found], figure.reason, figure.name
    )


def ratio_of(above: Figure, below: Figure, found: Sequence[Place]) -> Estimate:
    """The ratio of the sums of two figures over the runs that have both, such as points per joule.

    A ratio of sums is what all runs together gave for what they cost; the mean of the runs' ratios would be ruled by
    the cheapest of them. A cost below zero is noise around a small one and stays in the sum: without it the sum would
    be that of the runs whose noise was high. Where the sum is not above zero there is no ratio.

    Args:
        above: the figure that is given.
        below: the figure that it costs.
        found: the planned runs.
    """
    values = []
    for place in found:
        top, bottom = above.of(place.record), below.of(place.record)
        known = top is not None and bottom is not None
        values.append(_Values(place, top if known else None, float(bottom or 0.0) if known else 0.0))

    def reason(record: Mapping[str, object] | None) -> str | None:
        return above.reason(record) or below.reason(record)

    return _estimate(values, reason, f"{above.name} per {below.unit}")


def change(figure: Figure, first: Sequence[Place], other: Sequence[Place]) -> Estimate:
    """How much a figure differs between two levels: the mean over questions of their paired differences.

    The interval is Student's t over the differences of questions (repeats are averaged first).

    Args:
        figure: the figure.
        first: the runs of the level that is compared with.
        other: the runs of the level of interest.
    """
    before, after = _by_question(figure, first), _by_question(figure, other)
    both = [key for key in after if key in before]
    one, two = (np.array([values[key] for key in both], dtype=np.float64) for values in (before, after))
    n = len(both)
    missing = len({_question(place) for place in other}) - n
    why = None if missing == 0 else f"questions without a value at both levels: {missing}"
    if n == 0:
        return Estimate(0, missing, 0, None, None, None, why or "no question is at both levels", None)
    value = float((two - one).mean())
    if n < 2:
        return Estimate(n, missing, n, value, None, None, why, _FEW)
    half = _half_width(one, two)
    if half == 0.0:
        return Estimate(n, missing, n, value, None, None, why, _ALIKE)
    return Estimate(n, missing, n, value, value - half, value + half, why, None)


@dataclass(frozen=True)
class LevelValue:
    """What one level of a model gives, and what it costs."""

    model: str
    """The model."""
    level: str
    """The level."""
    score: Estimate
    """Mean of the judge's total."""
    energy_j: Estimate
    """Mean net energy of a run."""
    latency_ms: Estimate
    """Mean latency of a run."""
    per_joule: Estimate
    """Points of the total per joule."""
    per_second: Estimate
    """Points of the total per second of latency."""
    score_change: Estimate | None
    """Change of the total against the model's first level; None at that level."""
    energy_change_j: Estimate | None
    """Change of the net energy."""
    latency_change_ms: Estimate | None
    """Change of the latency."""
    best_per_joule: str | None
    """``best``, ``not told apart`` (the 95 % interval of its paired difference from the best holds 0), ``not compared``
    (no question has both at every level, what a level costs over them is not told from zero, or there is no
    other), or None."""
    best_per_second: str | None
    """The same for points per second."""


def level_values(found: Sequence[Place]) -> tuple[LevelValue, ...]:
    """What each level of each model gives for what it costs, the best one of each model marked.

    Args:
        found: all planned runs.
    """
    groups = by_model_and_level(found)
    models: dict[str, list[str]] = {}
    for model, level in groups:
        models.setdefault(model, []).append(level)
    values: list[LevelValue] = []
    for model, levels in models.items():
        mine = {level: groups[model, level] for level in levels}
        joules = {level: ratio_of(SCORE, ENERGY, own) for level, own in mine.items()}
        seconds = {level: _per_second(own) for level, own in mine.items()}
        best_j, best_s = _best(ENERGY, mine), _best(LATENCY, mine)
        first = mine[levels[0]]
        for level in levels:
            own = mine[level]
            moved = level != levels[0]
            values.append(
                LevelValue(
                    model=model,
                    level=level,
                    score=mean_of(SCORE, own),
                    energy_j=mean_of(ENERGY, own),
                    latency_ms=mean_of(LATENCY, own),
                    per_joule=joules[level],
                    per_second=seconds[level],
                    score_change=change(SCORE, first, own) if moved else None,
                    energy_change_j=change(ENERGY, first, own) if moved else None,
                    latency_change_ms=change(LATENCY, first, own) if moved else None,
                    best_per_joule=best_j.get(level),
                    best_per_second=best_s.get(level),
                )
            )
    return tuple(values)


@dataclass(frozen=True)
class _Values:
    """What one run adds to a ratio of sums."""

    place: Place
    """The run."""
    above: float | int | None
    """Its value; None where it has none."""
    below: float
    """What it is divided by: 1 for a mean."""


def _per_second(found: Sequence[Place]) -> Estimate:
    per_ms = ratio_of(SCORE, LATENCY, found)
    value, low, high = (
        None if one is None else one * 1000.0 for one in (per_ms.value, per_ms.low, per_ms.high)
    )
    return replace(per_ms, value=value, low=low, high=high)


def _best(cost: Figure, mine: Mapping[str, Sequence[Place]]) -> dict[str, str]:
    """The level with the highest score per cost, and those that are not told apart from it.

    Only questions that have both at every level count: a level without its hard questions would win by what it lacks.
    """
    sums = {level: _sums(cost, own) for level, own in mine.items()}
    if not any(sums.values()):
        return {}
    known = [set(own) for own in sums.values()]
    both = [key for key in next(iter(sums.values())) if all(key in own for own in known)]
    tables = {level: np.array([own[key] for key in both], dtype=np.float64) for level, own in sums.items()}
    if len(mine) < 2 or not both or not all(_costs(table[:, 1]) for table in tables.values()):
        return dict.fromkeys(mine, "not compared")
    ratios = {level: float(table[:, 0].sum() / table[:, 1].sum()) for level, table in tables.items()}
    best = max(ratios, key=lambda level: ratios[level])
    others = {
        level: "not told apart"
        for level in ratios
        if level != best and not _told_apart(tables[best], tables[level])
    }
    return {best: "best", **others}


def _costs(below: NDArray[np.float64]) -> bool:
    """Whether what questions cost at a level is above zero, and that not by chance where the cost of some is below."""
    if len(below) < 2 or below.min() >= 0.0:
        return bool(below.sum() > 0.0)
    return bool(below.mean() > _half_width(np.zeros_like(below), below))


def _told_apart(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    """Whether the score per cost of two levels differs: the 95 % interval of the difference, paired by question.

    Each ratio of sums is linearised about its value, so that it is a mean of one term a question; source: Cochran
    (1977), Sampling Techniques, chapter 6. The terms of a question are subtracted before their spread is taken.

    Args:
        one: (questions, 2) score and cost of the questions at a level.
        two: those of the same questions at another.
    """
    if len(one) < 2:
        return False
    terms, ratios = [], []
    for above, below in (one.T, two.T):
        ratio = above.sum() / below.sum()
        terms.append((above - ratio * below) / below.mean())
        ratios.append(float(ratio))
    half = _half_width(terms[0], terms[1])
    return 0.0 < half < abs(ratios[0] - ratios[1])


def _sums(cost: Figure, found: Sequence[Place]) -> dict[tuple[str, int | str], tuple[float, float]]:
    """By question, the sum of the scores and of the costs of the runs that have both."""
    sums: dict[tuple[str, int | str], tuple[float, float]] = {}
    for place in found:
        top, bottom = SCORE.of(place.record), cost.of(place.record)
        if top is not None and bottom is not None:
            above, below = sums.get(_question(place), (0.0, 0.0))
            sums[_question(place)] = above + top, below + bottom
    return sums


def _half_width(first: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Half the width of Student's 95 % interval of the mean of at least two paired differences.

    0 where they are all alike but for rounding.
    """
    spread, n = float((other - first).std(ddof=1)), len(first)
    if spread <= _SAME * max(np.abs(first).max(), np.abs(other).max()):
        return 0.0
    return float(student_t_quantile(0.5 + _LEVEL / 2, n - 1) * spread / np.sqrt(n))


def _estimate(
    values: Sequence[_Values], reason: Callable[[Mapping[str, object] | None], str | None], what: str
) -> Estimate:
    there = [one for one in values if one.above is not None]
    lacking = counted(
        reason(one.place.record) or "the record gives no reason" for one in values if one.above is None
    )
    why = "; ".join(f"{_runs(count)}: {words}" for words, count in lacking.most_common()) or None
    n, missing = len(there), len(values) - len(there)
    questions = len({_question(one.place) for one in there})
    by_question: dict[tuple[str, int | str], list[float]] = {}
    for one in there:
        sums = by_question.setdefault(_question(one.place), [0.0, 0.0])
        sums[0] += float(one.above or 0.0)
        sums[1] += one.below
    below = sum(bottom for _, bottom in by_question.values())
    if not below > 0.0:
        nothing = "the runs cost nothing, so that there is no ratio" if there else None
        return Estimate(n, missing, questions, None, None, None, why, nothing)
    value = sum(top for top, _ in by_question.values()) / below
    interval = sums_bootstrap(
        np.array(list(by_question.values()), dtype=np.float64),
        _ratios,
        level=_LEVEL,
        point=value,
        what=what,
    )
    if interval.low is None or interval.high is None:
        none = _FEW if questions < 2 else _ALIKE if len({one.above for one in there}) == 1 else _FEW
        if min(bottom for _, bottom in by_question.values()) < 0.0:
            none = _NEAR_ZERO
        return Estimate(n, missing, questions, value, None, None, why, none)
    return Estimate(n, missing, questions, value, interval.low, interval.high, why, None)


def _ratios(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    above, below = sums.T
    found: NDArray[np.float64] = np.divide(above, below, out=np.full(len(sums), np.nan), where=below > 0.0)
    return found


def _by_question(figure: Figure, found: Sequence[Place]) -> dict[tuple[str, int | str], float]:
    """The mean of a figure's values by question, for the questions that have one."""
    values: dict[tuple[str, int | str], list[float]] = {}
    for place in found:
        value = figure.of(place.record)
        if value is not None:
            values.setdefault(_question(place), []).append(float(value))
    return {key: sum(one) / len(one) for key, one in values.items()}


def _question(place: Place) -> tuple[str, int | str]:
    return place.category, place.question


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
