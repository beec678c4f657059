"""The section of a study's page on levels: quality and cost against the length of the prompt. Pure."""

from __future__ import annotations

import math

from hexgate.report.numbers import number
from hexgate.report.studies.charts import Spot, plane, said
from hexgate.report.studies.figures import StudyFigures
from hexgate.report.studies.levels import choices, costed
from hexgate.report.studies.measures import (
    MOST_MEASURES,
    MOST_MODELS,
    Drawing,
    axis_of,
    quality_cells,
    quality_columns,
)
from hexgate.report.studies.parts import (
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
from hexgate.report.studies.words import measure_word, word
from hexgate.report.text import Both, Lang, clean

__all__ = ["levels_section"]


def levels_section(study: StudyFigures, lang: Lang) -> Section | None:
    """By level: quality and energy against the length of the prompt, and the level that is worth its cost."""
    loads = list(dict.fromkeys(str(group.load) for group in study.by_load))
    if len(loads) < 2:
        return None
    drawings = [
        _against_length(study, one.key, measure_word(one.name), axis_of(one), lang)
        for one in study.measures[:MOST_MEASURES]
    ]
    quantities = [
        ("output_tokens", "the_output", "axis_output"),
        ("latency_s", "the_latency", "axis_latency"),
    ]
    if study.shown_energy:
        quantities.insert(0, ("energy_j", "the_energy", "axis_energy"))
    drawings += [_against_length(study, key, word(what), word(axis), lang) for key, what, axis in quantities]
    drawn = [each for each in drawings if each[1]]
    blocks: list[Charts | Note | Table] = [Charts(drawn)] if drawn else [Note([word("no_lengths")])]
    blocks.append(_levels_table(study))
    main = study.measures[0] if study.measures else None
    if main is not None and (found := choices(study, main)):
        rows = [
            [
                name_cell(one.model),
                name_cell(one.best),
                name_cell(one.thrifty),
                Cell(one.why, style="soft") if one.why else name_cell(one.enough),
                count_cell(one.questions),
            ]
            for one in found
        ]
        columns = [
            *(
                Column(word(key), numeric=False)
                for key in ("col_model", "col_best", "col_thrifty", "col_enough")
            ),
            Column(word("col_questions")),
        ]
        cost = word("cost_energy" if study.has_energy else "cost_tokens")
        blocks.append(Table(columns, rows, word("choices", measure=measure_word(main.name), cost=cost)))
        blocks.append(Note([word("choices_note", cost=cost)], style="v-unjudged"))
    return Section("levels", word("levels"), word("levels_lead"), blocks)


def _against_length(study: StudyFigures, key: str, what: Both, axis: Both, lang: Lang) -> Drawing:
    models = [group.model for group in study.models][:MOST_MODELS]
    spots = []
    lengths = _lengths(study, key)
    for group in study.by_load:
        length, found = lengths.get((group.model, str(group.load))), group.figures.get(key)
        if group.model not in models or length is None or found is None or found.mean is None:
            continue
        hint = f"{clean(group.model, 60)}, {clean(group.load, 40)}: {number(float(f'{length:.4g}'))}, "
        spots.append(
            Spot(
                x=length,
                y=found.mean,
                series=models.index(group.model),
                label=str(group.load),
                hint=hint + said(found.mean, found.ends),
                y_ends=found.ends,
            )
        )
    spots.sort(key=lambda spot: (spot.series, spot.x))
    title = word("chart_length", what=what)
    return title, plane(title, (word("axis_prompt"), axis), spots, models, lang, joined=True), Both("", "")


def _lengths(study: StudyFigures, key: str) -> dict[tuple[str, str], float]:
    """The mean length of the prompts of the runs that have a value: of another task it would say nothing."""
    seen: dict[tuple[str, str], list[float]] = {}
    for row in study.rows:
        if key in row.values and "prompt_tokens" in row.values:
            seen.setdefault((row.model, row.load), []).append(row.values["prompt_tokens"])
    return {name: math.fsum(values) / len(values) for name, values in seen.items()}


def _levels_table(study: StudyFigures) -> Table:
    main = study.measures[0] if study.measures else None
    energy, ratios = study.has_energy, costed(study, main) if main is not None else {}
    columns = [
        *(Column(word(key), numeric=False) for key in ("col_model", "col_load")),
        *(Column(word(key)) for key in ("col_answered", "col_prompt", "col_output")),
        *quality_columns(study),
        *(Column(word(key)) for key in ("col_energy", "col_latency")),
        Column(word("col_per_kj" if energy else "col_per_ktoken")),
    ]
    rows = [
        [
            name_cell(group.model),
            name_cell(group.load),
            count_cell(group.over - group.failed, word("of_planned", planned=number(group.planned))),
            *(figure_cell(group.figures[key]) for key in ("prompt_tokens", "output_tokens")),
            *quality_cells(study, group),
            *(figure_cell(group.figures[key]) for key in ("energy_j", "latency_s")),
            value_cell(found.per_cost if (found := ratios.get((group.model, str(group.load)))) else None),
        ]
        for group in study.by_load[:200]
    ]
    return Table(columns, rows, word("by_level"), sortable=True)
