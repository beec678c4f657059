"""The section of a study's page on the judge: its four dimensions, how sure it is of itself, and who it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hexgate.report.numbers import is_number, number
from hexgate.report.studies.parts import (
    Cell,
    Charts,
    Column,
    Note,
    Section,
    Table,
    count_cell,
    name_cell,
    value_cell,
)
from hexgate.report.studies.reasons import reason_words
from hexgate.report.studies.shapes import Stack, stacks
from hexgate.report.studies.words import word
from hexgate.report.text import Both, Lang, clean, same
from hexgate.study.quality.marks import JUDGE
from hexgate.study.reading import Reading

__all__ = ["DIMENSIONS", "Judged", "judge_section", "judged_groups", "noise_of"]

DIMENSIONS = ("factuality", "helpfulness", "structure", "conciseness")
"""The dimensions of the judge, each from 0 to 2.5."""
_WITHOUT = "total_without_conciseness"
_MOST_BARS = 40
_MOST_CHARTS = 12
_MOST_ROWS = 200
_MOST_FACTS = 24
_MOST_DEPTH = 4
_HUNDREDTHS = 0.1
"""Means of half points are shown to the hundredth."""


@dataclass(frozen=True)
class Judged:
    """What the judge says of a model at one level."""

    model: str
    """The model."""
    load: str
    """The level."""
    runs: int
    """Runs with a mark, or with a reason why there is none."""
    totals: Sequence[float]
    """The totals, 0 to 10, of runs that have one."""
    parts: Mapping[str, Sequence[float]]
    """The values of each dimension, and of the total without conciseness."""
    missing: Mapping[str, int]
    """Each reason why there is no total, and how often."""


def judged_groups(reading: Reading) -> tuple[Judged, ...]:
    """The judge's marks by model and level, in the order of the study; groups without any are left out."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in reading.records:
        if (mark := record["quality"].get(JUDGE)) is not None:
            found.setdefault((record["model"], record["load"]), []).append(mark)
    names = [(model.name, load.name) for model in reading.spec.models for load in reading.spec.loads]
    return tuple(_judged(*name, found[name]) for name in names if name in found)


def _judged(model: str, load: str, marks: Sequence[Mapping[str, Any]]) -> Judged:
    having = [mark for mark in marks if is_number(mark["value"])]
    parts = {
        name: [float(mark["parts"][name]) for mark in having if is_number(mark["parts"].get(name))]
        for name in (*DIMENSIONS, _WITHOUT)
    }
    reasons = Counter(str(mark["reason"]) for mark in marks if not is_number(mark["value"]))
    return Judged(model, load, len(marks), [float(mark["value"]) for mark in having], parts, dict(reasons))


def noise_of(reading: Reading) -> tuple[float, int] | None:
    """How far totals of one answer, judged more than once, scatter.

    Returns:
        The standard deviation of one judgement, pooled over answers, and how many answers it rests on; None where no
        answer was judged twice.
    """
    squares, freedom, answers = 0.0, 0, 0
    for record in reading.records:
        mark = record["quality"].get(JUDGE)
        totals = [] if mark is None else list(_totals(mark["parts"].get("repeats")))
        if len(totals) > 1:
            mean = math.fsum(totals) / len(totals)
            squares += math.fsum((total - mean) ** 2 for total in totals)
            freedom += len(totals) - 1
            answers += 1
    return (math.sqrt(squares / freedom), answers) if freedom else None


def _totals(repeats: Any) -> Iterator[float]:
    """The totals of repeats that have all four dimensions."""
    for each in repeats if isinstance(repeats, list) else ():
        points = [each.get(name) for name in DIMENSIONS] if isinstance(each, dict) else []
        known = [float(point) for point in points if is_number(point)]
        if len(known) == len(DIMENSIONS):
            yield math.fsum(known)


def judge_section(reading: Reading, lang: Lang) -> Section | None:
    """The section; None where no judge has marked anything."""
    groups = judged_groups(reading)
    if not groups:
        return None
    blocks: list[Charts | Note | Table] = []
    several = len(reading.spec.loads) > 1
    if drawn := _drawn([one for one in groups if _whole(one)], lang, several=several):
        blocks.append(Charts(drawn))
    blocks.append(_table(groups))
    noise = noise_of(reading)
    if noise is None:
        blocks.append(Note([word("no_noise")]))
    else:
        spread, answers = noise
        shown = number(float(f"{spread:.3g}"))
        blocks.append(Note([word("noise", spread=shown, answers=number(answers))], style="v-unjudged"))
    missing: Counter[str] = Counter()
    for one in groups:
        missing.update(one.missing)
    if missing:
        rows = [
            [Cell(reason_words(reason), style="said"), count_cell(count)]
            for reason, count in missing.most_common(24)
        ]
        columns = [Column(word("col_reason"), numeric=False), Column(word("col_runs"))]
        blocks.append(Table(columns, rows, word("judge_missing")))
    identity = reading.marks.measures.get(JUDGE)
    if identity is not None:
        facts = [
            [Cell(same(name, 60)), Cell(same(value, 200), style="mono")]
            for name, value in list(_flat(identity.identity))[:_MOST_FACTS]
        ]
        columns = [Column(word("col_fact"), numeric=False), Column(word("col_value"), numeric=False)]
        blocks.append(Table(columns, facts, word("judge_who")))
    return Section("judge", word("judge"), word("judge_lead"), blocks)


def _whole(one: Judged) -> bool:
    """Whether every total has all of its dimensions."""
    return bool(one.totals) and all(len(one.parts[name]) == len(one.totals) for name in DIMENSIONS)


def _drawn(groups: Sequence[Judged], lang: Lang, *, several: bool) -> list[tuple[Both, Markup, Both]]:
    """One chart of all models; with several loads, one of each model."""
    charts: dict[str | None, list[Stack]] = {}
    for one in groups:
        charts.setdefault(one.model if several else None, []).append(_stack(one, several=several))
    found = []
    for model, bars in list(charts.items())[:_MOST_CHARTS]:
        title = word("judge_chart") if model is None else word("judge_chart_of", model=same(model, 60))
        parts = [word(name) for name in DIMENSIONS]
        drawn = stacks(title, word("axis_judge"), parts, bars[:_MOST_BARS], 10.0, lang)
        found.append((title, drawn, Both("", "")))
    return found


def _stack(one: Judged, *, several: bool) -> Stack:
    means = [_mean(one.parts[part]) or 0.0 for part in DIMENSIONS]
    return Stack(one.load if several else one.model, means, number(math.fsum(means), spread=_HUNDREDTHS))


def _table(groups: Sequence[Judged]) -> Table:
    columns = [
        *(Column(word(key), numeric=False) for key in ("col_model", "col_load")),
        Column(word("col_scored")),
        Column(word("col_total")),
        *(Column(word(name)) for name in DIMENSIONS),
        Column(word("col_without")),
    ]
    rows = [
        [
            name_cell(one.model),
            name_cell(one.load),
            count_cell(len(one.totals), word("of_planned", planned=number(one.runs))),
            value_cell(_mean(one.totals), spread=_HUNDREDTHS),
            *(value_cell(_mean(one.parts[name]), spread=_HUNDREDTHS) for name in (*DIMENSIONS, _WITHOUT)),
        ]
        for one in groups[:_MOST_ROWS]
    ]
    return Table(columns, rows, word("judge_table"), sortable=True)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _flat(block: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """What is in a mapping, by path."""
    for name, value in block.items():
        place = f"{path}.{name}" if path else str(name)
        if isinstance(value, Mapping) and depth < _MOST_DEPTH:
            yield from _flat(value, place, depth + 1)
        else:
            yield place, clean(value, 200)
