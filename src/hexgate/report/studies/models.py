"""The sections of a study's page on models as such: profiles, distributions, configurations, and the table of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.report.numbers import number
from hexgate.report.studies.figures import Figure, Group, Measured, StudyFigures
from hexgate.report.studies.parts import (
    DASH,
    Cell,
    Charts,
    Column,
    Note,
    Section,
    Table,
    count_cell,
    figure_cell,
    name_cell,
    value_cell,
)
from hexgate.report.studies.reasons import reason_words
from hexgate.report.studies.shapes import MOST_TICKS, Profile, Strip, profiles, strips
from hexgate.report.studies.words import measure_word, word
from hexgate.report.text import Both, Lang, same
from hexgate.study.reading import Reading

__all__ = [
    "cells_section",
    "configurations_of",
    "distributions_section",
    "models_section",
    "profiles_section",
]

_TOGETHER = 4
"""Models on one radar."""
_MOST_MODELS = 24
_MOST_MEASURES = 6
_CONFIGURATION = (
    "served_model",
    "server",
    "server_version",
    "digest",
    "family",
    "parameters",
    "quantization",
    "context_length",
    "num_ctx",
    "size_bytes",
    "offload_ratio",
)
_BETTER_LOW = {"energy_j": "col_energy", "latency_s": "col_latency", "ttft_s": "col_ttft"}
"""Quantities of which less is better, and what their columns are called."""


def configurations_of(reading: Reading) -> dict[str, dict[str, Any]]:
    """What each model was in its first visit, by model; models without a visit are left out."""
    found: dict[str, dict[str, Any]] = {}
    for visit in reading.visits.values():
        found.setdefault(str(visit["model"]), dict(visit.get("configuration") or {}))
    return found


def profiles_section(study: StudyFigures, lang: Lang) -> Section:
    """Each model on several axes, and the values that they stand for."""
    names: list[tuple[Both, Both, Both, str, Measured | None]] = [
        (
            measure_word(one.name),
            measure_word(one.name),
            word("norm_scale", most=number(one.scale or 0.0)),
            one.key,
            one,
        )
        for one in study.measures[:_MOST_MEASURES]
        if one.scale is not None and one.higher_is_better
    ]
    names += [
        (word(f"radar_{key}"), word(name), word("norm_least"), key, None)
        for key, name in _BETTER_LOW.items()
        if key != "energy_j" or study.shown_energy
    ]
    names += [
        (word("col_speed"), word("col_speed"), word("norm_most"), "tokens_per_s", None),
        (word("radar_answered"), word("radar_answered"), word("norm_share"), "answered", None),
    ]
    names = [one for one in names if any(_raw(group, one[3]) is not None for group in study.models)]
    axes = [one for one in names if any(_share(study, group, *one[3:]) is not None for group in study.models)]
    rows = [
        Profile(group.model, [_share(study, group, *one[3:]) for one in axes], place)
        for place, group in enumerate(study.models[:_MOST_MODELS])
        if group.over
    ]
    drawn = [
        (word("radar"), shown, Both("", ""))
        for first in range(0, len(rows), _TOGETHER)
        if (shown := profiles(word("radar"), [one[0] for one in axes], rows[first : first + _TOGETHER], lang))
    ]
    columns = [
        Column(word("col_axis"), numeric=False),
        Column(word("col_norm"), numeric=False),
        *(Column(same(group.model, 60)) for group in study.models[:_MOST_MODELS]),
    ]
    table = [
        [
            Cell(name),
            Cell(norm, style="soft"),
            *(
                value_cell(_raw(group, key), _shown(_share(study, group, key, measure)))
                for group in study.models[:_MOST_MODELS]
            ),
        ]
        for _, name, norm, key, measure in names
    ]
    blocks: list[Charts | Note | Table] = [Charts(drawn)] if drawn else [Note([word("no_radar")])]
    if table:
        blocks.append(Table(columns, table, word("radar_table")))
    return Section("profiles", word("profiles"), word("profiles_lead"), blocks)


def _raw(group: Group, key: str) -> float | None:
    if key == "answered":
        return (group.over - group.failed) / group.over if group.over else None
    found = group.figures.get(key)
    return None if found is None else found.mean


def _share(study: StudyFigures, group: Group, key: str, measure: Measured | None) -> float | None:
    """A value as a share of its scale, or of the best of several models'; None where there is none."""
    value = _raw(group, key)
    if value is None or key == "answered":
        return value
    if measure is not None and measure.scale:
        return min(max(value / measure.scale, 0.0), 1.0)
    others = [found for one in study.models if (found := _raw(one, key)) is not None]
    if len(others) < 2:
        # The best of one is no evidence that it is good.
        return None
    if key in _BETTER_LOW:
        return min(others) / value if min(others) > 0 else None
    return value / max(others) if max(others) > 0 else None


def _shown(share: float | None) -> str:
    return "" if share is None else f"→ {share:.2f}"


def distributions_section(study: StudyFigures, lang: Lang) -> Section:
    """All runs of each model, not means alone."""
    series = {group.model: place for place, group in enumerate(study.models[:_MOST_MODELS])}
    quantities: list[tuple[str, Both, Both]] = [
        ("latency_s", word("the_latency"), word("axis_latency")),
        ("ttft_s", word("the_ttft"), word("axis_ttft")),
        ("tokens_per_s", word("the_speed"), word("axis_speed")),
    ]
    if study.shown_energy or not study.has_energy:
        quantities.append(("energy_j", word("the_energy"), word("axis_energy")))
    quantities += [
        (one.key, measure_word(one.name), measure_word(one.name)) for one in study.measures[:_MOST_MEASURES]
    ]
    drawn, lacking = [], []
    for key, what, axis in quantities:
        values: dict[str, list[float]] = {model: [] for model in series}
        for row in study.rows:
            if key in row.values and row.model in values:
                values[row.model].append(row.values[key])
        rows = [Strip(model, sorted(own), series[model]) for model, own in values.items() if own]
        shown = strips(word("chart_runs", what=what), axis, rows, lang)
        if shown:
            drawn.append((word("chart_runs", what=what), shown, Both("", "")))
        else:
            lacking.append(word("none_of", what=what, reason=_reason(study, key)))
    blocks: list[Charts | Note | Table] = [Charts(drawn)] if drawn else []
    if lacking:
        blocks.append(Note(lacking, word("not_there")))
    lead = word("distributions_lead", most=MOST_TICKS)
    return Section("distributions", word("distributions"), lead, blocks)


def _reason(study: StudyFigures, key: str) -> Both:
    figures: list[Figure] = [group.figures[key] for group in study.models if key in group.figures]
    reasons = dict.fromkeys(reason for figure in figures for reason, _ in figure.missing[:1])
    return Both("; ", "；").join([reason_words(reason) for reason in list(reasons)[:3]] or [word("no_runs")])


def models_section(reading: Reading, configurations: Mapping[str, Mapping[str, Any]]) -> Section:
    """How each model was served."""
    columns = [Column(word("col_model"), numeric=False)]
    columns += [Column(word(f"conf_{key}"), numeric=key in _NUMERIC) for key in _CONFIGURATION]
    rows = []
    for model in reading.spec.models:
        own = configurations.get(model.name)
        cells = [_fact(own, key) for key in _CONFIGURATION]
        rows.append([name_cell(model.name), *cells])
    return Section("models", word("models"), word("models_lead"), [Table(columns, rows)])


_NUMERIC = frozenset({"parameters", "context_length", "num_ctx", "size_bytes", "offload_ratio"})


def _fact(own: Mapping[str, Any] | None, key: str) -> Cell:
    style = "num" if key in _NUMERIC else ""
    value = None if own is None else own.get(key)
    if own is None or value is None:
        reason = (own or {}).get("missing", {}).get(key)
        under = word("no_visits") if own is None else reason_words(reason or "", 120)
        return Cell(DASH, under if key == _CONFIGURATION[0] or own is not None else "", style=f"{style} soft")
    under_ = word("declared") if key in own.get("declared", ()) else ""
    if key == "parameters":
        return Cell(f"{number(float(f'{float(value) / 1e9:.4g}'))} × 10⁹", under_, style=style)
    if key == "size_bytes":
        return Cell(f"{number(float(f'{float(value) / 1e9:.4g}'))} GB", under_, style=style)
    if key == "digest":
        return Cell(same(str(value).removeprefix("sha256:")[:12]), under_, style="mono")
    if key in _NUMERIC:
        return Cell(number(float(f"{float(value):.6g}")), under_, style=style)
    return Cell(same(value, 80), under_, style=style)


def cells_section(study: StudyFigures) -> Section:
    """Every cell: model, task and load."""
    measures = study.measures
    columns = [Column(word(key), numeric=False) for key in ("col_model", "col_task", "col_load")]
    columns += [Column(word("col_answered")), *(Column(measure_word(one.name)) for one in measures)]
    columns += [Column(word(key)) for key in _CELL_COLUMNS]
    columns.append(Column(word("col_missing"), numeric=False))
    rows = [_cell_row(group, measures) for group in study.cells]
    blocks: list[Table | Note] = [Table(columns, rows, sortable=True)]
    if study.cells_left_out:
        blocks.append(Note([word("cells_left_out", count=study.cells_left_out, shown=len(study.cells))]))
    return Section("cells", word("cells"), word("cells_lead"), blocks)


_CELL_COLUMNS = (
    "col_energy",
    "col_latency",
    "col_ttft",
    "col_speed",
    "col_prompt",
    "col_output",
)


def _cell_row(group: Group, measures: Sequence[Measured]) -> list[Cell]:
    figures = group.figures
    return [
        name_cell(group.model),
        name_cell(group.task),
        name_cell(group.load),
        count_cell(group.over - group.failed, word("of_planned", planned=number(group.planned))),
        *(figure_cell(figures.get(one.key)) for one in measures),
        *(figure_cell(figures[key]) for key in ("energy_j", "latency_s", "ttft_s", "tokens_per_s")),
        *(figure_cell(figures[key]) for key in ("prompt_tokens", "output_tokens")),
        _missing_cell(group, measures),
    ]


def _missing_cell(group: Group, measures: Sequence[Measured]) -> Cell:
    """What a cell lacks: failures, and values of answered runs, by quantity."""
    answered = group.over - group.failed
    lacks = []
    for key, name in (
        *((one.key, measure_word(one.name)) for one in measures),
        ("energy_j", word("the_energy")),
        ("latency_s", word("the_latency")),
    ):
        figure = group.figures.get(key)
        if figure is not None and figure.n < answered:
            lacks.append(word("lacks", what=name, count=answered - figure.n))
    if group.failed:
        lacks.insert(0, word("cell_failed", count=group.failed))
    total = math.fsum(float(answered - figure.n) for figure in group.figures.values() if figure.n < answered)
    if not lacks:
        return Cell("", sort="0")
    return Cell(Both("; ", "；").join(lacks), sort=repr(total + group.failed), style="small")
