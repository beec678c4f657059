"""Which level of a prompt is worth what it costs, by model. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hexgate.report.studies.figures import Measured, Row, StudyFigures, is_mixed
from hexgate.report.studies.words import word
from hexgate.report.text import Both
from hexgate.stats.bootstrap import mean_bootstrap

__all__ = ["Choice", "Costed", "choices", "costed"]

_LEAST_QUESTIONS = 10
"""Of fewer questions nothing is said: what cannot be told apart then may differ all the same."""
_Question = tuple[str, str]


@dataclass(frozen=True)
class Costed:
    """One model at one level, by the runs that have a quality."""

    quality: float
    """Their mean quality."""
    cost: float | None
    """Joules a request, or prompt and output tokens where the study has no energy; None where a run lacks it."""
    per_cost: float | None
    """Quality for a thousand of that; None where the measure has no zero, or the cost is not known."""
    by_question: Mapping[_Question, float]
    """The mean quality of each question."""


@dataclass(frozen=True)
class Choice:
    """The levels of one model that stand out."""

    model: str
    """The model."""
    best: str | None
    """The level with the best mean quality; None where the levels have no question in common."""
    thrifty: str | None
    """The one with the most quality for its cost; None where that is not known of each."""
    enough: str | None
    """The cheapest whose quality is not measurably below that of the best."""
    questions: int
    """Questions that all levels have, on which all three rest."""
    why: Both | None
    """Why there is no `enough`."""


def costed(study: StudyFigures, measure: Measured) -> dict[tuple[str, str], Costed]:
    """Each model and level that has a quality by this measure: what it gives, and what the same runs cost."""
    rows = _having(study, measure)
    return {name: _costed(own, measure, energy=study.has_energy) for name, own in rows.items()}


def _having(study: StudyFigures, measure: Measured) -> dict[tuple[str, str], list[Row]]:
    """The runs that have a quality, by model and level."""
    rows: dict[tuple[str, str], list[Row]] = {}
    for row in study.rows:
        if measure.key in row.values:
            rows.setdefault((row.model, row.load), []).append(row)
    return rows


def _costed(rows: Sequence[Row], measure: Measured, *, energy: bool) -> Costed:
    names = ("energy_j",) if energy else ("prompt_tokens", "output_tokens")
    quality = math.fsum(row.values[measure.key] for row in rows) / len(rows)
    whole = all(name in row.values for row in rows for name in names) and not (energy and is_mixed(rows))
    cost = math.fsum(row.values[name] for row in rows for name in names) / len(rows) if whole else None
    ratio = None
    if cost is not None and cost > 0 and measure.scale is not None and measure.higher_is_better:
        ratio = 1000.0 * quality / cost
    seen: dict[_Question, list[float]] = {}
    for row in rows:
        seen.setdefault(row.question, []).append(row.values[measure.key])
    means = {question: math.fsum(values) / len(values) for question, values in seen.items()}
    return Costed(quality, cost, ratio, means)


def choices(study: StudyFigures, measure: Measured) -> tuple[Choice, ...]:
    """The levels that stand out, by model; none where a model has a quality at one level alone.

    All of them are by the questions that every level has: one that fails at what is hard would look the best.
    """
    by_model: dict[str, dict[str, list[Row]]] = {group.model: {} for group in study.models}
    for (model, load), own in _having(study, measure).items():
        by_model[model][load] = own
    found = []
    for model, levels in by_model.items():
        if len(levels) < 2:
            continue
        shared = set.intersection(*({row.question for row in own} for own in levels.values()))
        if not shared:
            found.append(Choice(model, None, None, None, 0, _few(0, study.left)))
            continue
        kept = {load: [row for row in own if row.question in shared] for load, own in levels.items()}
        energy = study.has_energy
        costs = {load: _costed(own, measure, energy=energy) for load, own in kept.items()}
        found.append(_choice(model, costs, measure, study.left))
    return tuple(found)


def _few(count: int, left: int) -> Both:
    return word("enough_few_yet" if left else "enough_few", count=count, least=_LEAST_QUESTIONS)


def _choice(model: str, levels: Mapping[str, Costed], measure: Measured, left: int) -> Choice:
    turned = 1.0 if measure.higher_is_better else -1.0
    best = max(levels, key=lambda load: turned * levels[load].quality)
    questions = sorted(levels[best].by_question)
    ratios = {load: one.per_cost for load, one in levels.items() if one.per_cost is not None}
    costs = {load: one.cost for load, one in levels.items() if one.cost is not None}
    enough, why = None, None
    if len(costs) < len(levels):
        why = word("enough_no_cost")
    elif len(questions) < _LEAST_QUESTIONS:
        why = _few(len(questions), left)
    else:
        most = levels[best].by_question
        alike = [
            load
            for load, one in levels.items()
            if load == best
            or not _is_below([turned * (most[each] - one.by_question[each]) for each in questions])
        ]
        enough = min(alike, key=lambda load: costs[load])
    thrifty = max(ratios, key=lambda load: ratios[load]) if len(ratios) == len(levels) else None
    return Choice(model, best, thrifty, enough, len(questions), why)


def _is_below(lacks: Sequence[float]) -> bool:
    """Whether what is lacking to the best is above zero by its one-sided 95 % bound, paired over questions."""
    bound = mean_bootstrap(lacks, what="the difference of quality to the best level").lower_bound
    # Differences that are all equal have no bound, and need none.
    return (math.fsum(lacks) / len(lacks) if bound is None else bound) > 0.0
