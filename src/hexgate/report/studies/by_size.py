"""The section of a study's page on size and quantisation. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from hexgate.report.numbers import number
from hexgate.report.studies.charts import Spot, plane, said
from hexgate.report.studies.figures import Figure, Group, StudyFigures, is_mixed
from hexgate.report.studies.measures import MOST_MEASURES, axis_of, quality_columns
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
from hexgate.report.studies.words import measure_word, word
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["sizes_section"]


def sizes_section(study: StudyFigures, configurations: dict[str, dict[str, Any]], lang: Lang) -> Section:
    """By number of parameters, and by quantisation."""
    models = [group.model for group in study.models]
    sizes = {
        name: float(own["parameters"]) / 1e9 for name, own in configurations.items() if own.get("parameters")
    }
    blocks: list[Charts | Note | Table] = []
    figures: list[tuple[str, Both, Both]] = []
    if study.shown_energy:
        figures.append(("energy_j", word("the_energy"), word("axis_energy")))
    figures += [(one.key, measure_word(one.name), axis_of(one)) for one in study.measures[:MOST_MEASURES]]
    figures.append(("tokens_per_s", word("the_speed"), word("axis_speed")))
    drawn = []
    for key, what, axis in figures:
        spots = [
            _sized(group, found, models, sizes[group.model])
            for group in study.models
            if group.model in sizes
            and (found := group.figures.get(key)) is not None
            and found.mean is not None
        ]
        title = word("chart_size", what=what)
        shown = plane(title, (word("axis_size"), axis), spots, (), lang) if len(spots) > 1 else Markup()
        drawn.append((title, shown, Both("", "")))
    if kept := [each for each in drawn if each[1]]:
        blocks.append(Charts(kept))
    without = [name for name in models if name not in sizes]
    if without:
        blocks.append(Note([word("no_size", models=same(", ".join(without), 300))]))
    blocks.append(_quantizations(study, configurations))
    return Section("sizes", word("sizes"), word("sizes_lead"), blocks)


def _sized(group: Group, found: Figure, models: Sequence[str], size: float) -> Spot:
    mean = found.mean or 0.0
    hint = f"{clean(group.model, 60)}: {number(float(f'{size:.4g}'))}, {said(mean, found.ends)}"
    return Spot(size, mean, models.index(group.model), group.model, hint, y_ends=found.ends)


def _quantizations(study: StudyFigures, configurations: dict[str, dict[str, Any]]) -> Table:
    by_kind: dict[str | None, list[Group]] = {}
    for group in study.models:
        by_kind.setdefault(configurations.get(group.model, {}).get("quantization"), []).append(group)

    def mean(groups: Sequence[Group], key: str) -> float | None:
        values = [group.figures[key].mean if key in group.figures else None for group in groups]
        known = [value for value in values if value is not None]
        if key == "energy_j" and is_mixed(
            [row for row in study.rows if row.model in {one.model for one in groups}]
        ):
            return None
        return math.fsum(known) / len(known) if len(known) == len(values) else None

    rows = [
        [
            name_cell(kind),
            count_cell(len(groups)),
            Cell(same(", ".join(clean(group.model, 60) for group in groups), 300)),
            *(value_cell(mean(groups, one.key)) for one in study.measures[:MOST_MEASURES]),
            *(value_cell(mean(groups, key)) for key in ("energy_j", "latency_s", "tokens_per_s")),
        ]
        for kind, groups in by_kind.items()
    ]
    columns = [
        Column(word("col_quantization"), numeric=False),
        Column(word("col_models_count")),
        Column(word("col_models"), numeric=False),
        *quality_columns(study),
        *(Column(word(key)) for key in ("col_energy", "col_latency", "col_speed")),
    ]
    return Table(columns, rows, word("by_quantization"))
