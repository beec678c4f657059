"""The figures of a study's report: means with intervals, of models, levels, tasks and cells. Pure.

Means are over the runs that were answered and have the value. Intervals are cluster bootstraps over questions, since
repeats of one question, and its levels, are no independent observations; where there is one question alone, they are
over its repeats and say nothing of other questions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.report.numbers import is_number
from hexgate.stats.bootstrap import cluster_bootstrap, mean_bootstrap
from hexgate.stats.interval import Interval
from hexgate.study.quality.marks import JUDGE
from hexgate.study.rating.basis import device_of
from hexgate.study.reading import Reading
from hexgate.study.reasons import counted

__all__ = [
    "FAILED",
    "MIXED",
    "MOST_CELLS",
    "QUANTITIES",
    "Figure",
    "Group",
    "Measured",
    "Row",
    "StudyFigures",
    "figure",
    "is_mixed",
    "quality_key",
    "study_figures",
]

MOST_CELLS = 400
"""A page shows at most so many cells, and says how many more there are."""

QUANTITIES: Mapping[str, tuple[str, ...]] = {
    "latency_s": ("latency_seconds",),
    "ttft_s": ("first_token_seconds",),
    "tokens_per_s": ("throughput_tokens_per_sec",),
    "energy_j": ("energy", "gross_j"),
    "net_j": ("energy", "net_j"),
    "prompt_tokens": ("api_metrics", "prompt_eval_count"),
    "output_tokens": ("api_metrics", "eval_count"),
}
"""Where a record has what the report shows beside quality."""

_SURE = frozenset({"latency_s", "energy_j"})
"""Quantities whose means get an interval, beside quality."""
_SURE_OF_MODELS = _SURE | {"ttft_s", "tokens_per_s"}
"""Those of a model as a whole."""
_SCALES: Mapping[str, float | None] = {
    JUDGE: 10.0,
    "exact_match": 1.0,
    "contains": 1.0,
    "token_f1": 1.0,
    "code_tests": 1.0,
    "bartscore": None,
    "bertscore": None,
    "rouge": 1.0,
    "distinct": 1.0,
    "repetition": None,
    "self_bleu": None,
}
"""Measures in the order in which they are shown, with the greatest value of those where more is better, from 0 on."""
_MOST_RESAMPLES, _LEAST_RESAMPLES, _DRAWS = 2000, 400, 400_000
FAILED = "the run failed"
UNSCORED = "it has not been scored"
UNSAID = "no reason is stated"
MIXED = "its runs were made on several devices or meters"
_METERED = frozenset({"energy_j", "net_j"})


@dataclass(frozen=True)
class Row:
    """One run that is over, as the report needs it."""

    model: str
    """The model."""
    task: str
    """The task."""
    load: str
    """The load, or level."""
    item: str
    """The question."""
    ok: bool
    """Whether it was answered."""
    values: Mapping[str, float]
    """What is known of it, by key of `QUANTITIES` or `quality_key`."""
    missing: Mapping[str, str]
    """Why, for each key that has no value; keys that are not meant for it are in neither."""
    device: str | None
    """On what it ran, with its power mode where that is known."""
    scope: str | None
    """What its energy covers, such as ``board+package``; None where there is none."""
    warm: bool
    """Whether the server took part of its prompt from its cache."""

    @property
    def question(self) -> tuple[str, str]:
        """What it asks, whatever the level: the cluster of the intervals."""
        return self.task, self.item


@dataclass(frozen=True)
class Measured:
    """A measure of quality that this study has."""

    name: str
    """Its name."""
    higher_is_better: bool
    """Whether a higher value is better."""
    tasks: frozenset[str]
    """The tasks of which it has marks."""
    scale: float | None
    """Its greatest value, where it goes from 0 to that; else None."""

    @property
    def key(self) -> str:
        """Its key among the figures."""
        return quality_key(self.name)


@dataclass(frozen=True)
class Figure:
    """A mean, or why there is none."""

    mean: float | None
    """Over runs; None where no run has the value."""
    interval: Interval | None
    """Of the mean; None where there are too few to say."""
    over: str | None
    """What the interval is over: ``questions``, or ``repeats`` of one question."""
    n: int
    """Runs with a value; 0 where they have no common mean."""
    missing: tuple[tuple[str, int], ...]
    """Each reason why runs have none, and how many, the most first."""

    @property
    def lacking(self) -> int:
        """Runs that were answered and have no value, or none that goes with the others."""
        return sum(count for reason, count in self.missing if reason != FAILED)

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the two-sided interval, where there are two."""
        own = self.interval
        return None if own is None or own.low is None or own.high is None else (own.low, own.high)


@dataclass(frozen=True)
class Group:
    """The runs of a model, or of those of one task, one load or both."""

    model: str
    """The model."""
    task: str | None
    """The task; None for all."""
    load: str | None
    """The load; None for all."""
    planned: int
    """Runs of the plan."""
    over: int
    """Runs that are over."""
    failed: int
    """Of these, runs without an answer."""
    figures: Mapping[str, Figure]
    """By key; a measure of quality that no task of it has is left out."""


@dataclass(frozen=True)
class StudyFigures:
    """All that the report counts."""

    rows: tuple[Row, ...]
    """The runs that are over."""
    measures: tuple[Measured, ...]
    """The measures of quality, the judge first, what is right before how varied it is."""
    models: tuple[Group, ...]
    """By model, in the order of the study."""
    by_load: tuple[Group, ...]
    """By model and load."""
    by_task: tuple[Group, ...]
    """By model and task."""
    cells: tuple[Group, ...]
    """By model, task and load; at most `MOST_CELLS`."""
    cells_left_out: int
    """Cells beyond that."""

    @property
    def left(self) -> int:
        """How many of the planned runs are not over."""
        return sum(group.planned - group.over for group in self.models)

    @property
    def has_energy(self) -> bool:
        """Whether any run has an energy."""
        return any("energy_j" in row.values for row in self.rows)

    @property
    def bases(self) -> tuple[str, ...]:
        """The different devices and scopes of energy, in words: energies of several have no common axis."""
        found = {f"{row.device or '?'}, {row.scope}" for row in self.rows if row.scope is not None}
        return tuple(sorted(found))

    @property
    def shown_energy(self) -> bool:
        """Whether the energies of all models may stand on one axis."""
        return len(self.bases) == 1


def quality_key(measure: str) -> str:
    """The key of a measure of quality among figures."""
    return f"quality:{measure}"


def study_figures(reading: Reading) -> StudyFigures:
    """Count a study, as far as it has come."""
    measures = _measures(reading)
    rows = tuple(
        _row(record, measures, device_of(reading.visits.get(record["visit"]))) for record in reading.records
    )
    spec = reading.spec
    models, tasks, loads = ([one.name for one in part] for part in (spec.models, spec.tasks, spec.loads))
    planned = Counter((run.model, run.cell.task, run.cell.load) for run in reading.plan.runs)
    by_cell: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        by_cell.setdefault((row.model, row.task, row.load), []).append(row)

    def group(model: str, task: str | None, load: str | None) -> Group:
        names = [
            (model, each, other)
            for each in ([task] if task else tasks)
            for other in ([load] if load else loads)
        ]
        own = [row for name in names for row in by_cell.get(name, ())]
        return Group(
            model=model,
            task=task,
            load=load,
            planned=sum(planned[name] for name in names),
            over=len(own),
            failed=sum(not row.ok for row in own),
            figures=_figures(
                own,
                [one for one in measures if task is None or task in one.tasks],
                _SURE if task or load else _SURE_OF_MODELS,
            ),
        )

    cells = [(model, task, load) for model in models for task in tasks for load in loads]
    return StudyFigures(
        rows=rows,
        measures=measures,
        models=tuple(group(model, None, None) for model in models),
        by_load=tuple(group(model, None, load) for model in models for load in loads),
        by_task=tuple(group(model, task, None) for model in models for task in tasks),
        cells=tuple(group(*cell) for cell in cells[:MOST_CELLS]),
        cells_left_out=max(len(cells) - MOST_CELLS, 0),
    )


def figure(rows: Sequence[Row], key: str, *, sure: bool = True) -> Figure:
    """The mean of some runs.

    Args:
        rows: the runs.
        key: of `QUANTITIES` or `quality_key`.
        sure: whether it gets an interval.
    """
    # In an order of their own, so that the draws of an interval do not depend on that of the runs.
    having = sorted((row for row in rows if key in row.values), key=lambda row: row.question)
    if key in _METERED and is_mixed(having):
        return Figure(None, None, None, 0, ((MIXED, len(having)),))
    reasons = counted(row.missing[key] for row in rows if key in row.missing).most_common()
    if not having:
        return Figure(None, None, None, 0, tuple(reasons))
    values = [row.values[key] for row in having]
    interval, over = _interval(values, [row.question for row in having], key) if sure else (None, None)
    return Figure(math.fsum(values) / len(values), interval, over, len(values), tuple(reasons))


def is_mixed(rows: Sequence[Row]) -> bool:
    """Whether energies of some runs are of several devices or scopes of a meter: their mean would be of none."""
    return len({(row.device, row.scope) for row in rows if row.scope is not None}) > 1


def _interval(
    values: Sequence[float], questions: Sequence[tuple[str, str]], key: str
) -> tuple[Interval | None, str | None]:
    count = len(set(questions))
    if count > 1:
        # More clusters need fewer draws to be as sure of the percentiles, and each draw costs more.
        resamples = min(_MOST_RESAMPLES, max(_LEAST_RESAMPLES, _DRAWS // count))
        ones = [1.0] * len(values)
        found = cluster_bootstrap(values, ones, questions, resamples=resamples, what=f"the mean of {key}")
        return found, "questions"
    if len(values) > 1:
        return mean_bootstrap(values, what=f"the mean of {key}, repeats of one question"), "repeats"
    return None, None


def _figures(rows: Sequence[Row], measures: Sequence[Measured], sure: frozenset[str]) -> dict[str, Figure]:
    quantities = {key: figure(rows, key, sure=key in sure) for key in QUANTITIES}
    return quantities | {one.key: figure(rows, one.key) for one in measures}


def _measures(reading: Reading) -> tuple[Measured, ...]:
    tasks: dict[str, set[str]] = {}
    for record in reading.records:
        for name in record["quality"]:
            tasks.setdefault(name, set()).add(record["task"])
    known = reading.marks.measures
    found = [
        Measured(name, known[name].higher_is_better, frozenset(own), _SCALES.get(name))
        for name, own in tasks.items()
        if name in known
    ]
    order = {name: place for place, name in enumerate(_SCALES)}
    return tuple(sorted(found, key=lambda one: (order.get(one.name, len(order)), one.name)))


def _row(record: Mapping[str, Any], measures: Sequence[Measured], device: str | None) -> Row:
    ok = record["status"] == "ok"
    reasons = record["missing"]
    values: dict[str, float] = {}
    missing: dict[str, str] = {}

    def take(key: str, value: Any, reason: str) -> None:
        if ok and is_number(value):
            values[key] = float(value)
        else:
            missing[key] = reason if ok else FAILED

    for key, path in QUANTITIES.items():
        take(key, _at(record, path), str(reasons.get(".".join(path), UNSAID)))
    for one in measures:
        if record["task"] in one.tasks:
            mark = record["quality"].get(one.name)
            if mark is None:
                take(one.key, None, UNSCORED)
            else:
                take(one.key, mark["value"], str(mark["reason"]))
    scopes = {str(each["scope"]) for each in record["energy"].get("domains") or ()}
    return Row(
        model=record["model"],
        task=record["task"],
        load=record["load"],
        item=record["item"],
        ok=ok,
        values=values,
        missing=missing,
        device=device,
        scope="+".join(sorted(scopes)) if "energy_j" in values else None,
        warm=record["prompt_state"] == "warm",
    )


def _at(record: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = record
    for name in path:
        value = value.get(name)
    return value
