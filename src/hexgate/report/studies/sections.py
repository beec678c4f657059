"""The sections of a study's page on quality and energy: against each other, by task, by level, by size, by model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from hexgate.report.numbers import number
from hexgate.report.studies.charts import Spot, plane, said
from hexgate.report.studies.dots import MOST_ROWS, Place, dots
from hexgate.report.studies.fields import Dot, Field, fields
from hexgate.report.studies.figures import Figure, Group, Measured, StudyFigures, is_mixed
from hexgate.report.studies.levels import choices, costed
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
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["energy_section", "levels_section", "sizes_section", "tasks_section"]

_MOST_MEASURES = 6
_MOST_MODELS = 24
_Drawing = tuple[Both, Markup, Both]


def energy_section(study: StudyFigures, alike: StudyFigures, suite: str, lang: Lang) -> Section:
    """Quality against energy, with the front, by model and by model and level; `alike` has the means of the table."""
    blocks: list[Charts | Note | Table] = []
    drawings: list[_Drawing] = []
    several = len({group.load for group in study.by_load}) > 1
    for measure in study.measures[:_MOST_MEASURES]:
        for by_load in (False, True) if several else (False,):
            found = fields(study, measure, suite, by_load=by_load)
            drawings.extend(_field(study, field, lang, by_load=by_load) for field in found)
    if drawn := [each for each in drawings if each[1]]:
        blocks.append(Charts(drawn))
    elif not study.has_energy:
        blocks.append(Note([word("no_front_energy")]))
    elif not study.measures:
        blocks.append(Note([word("no_front_quality")]))
    apart = [each[2] for each in drawings if not each[1]]
    if apart:
        blocks.append(Note(apart, word("not_comparable")))
    blocks.append(_models_table(alike))
    if more := study.measures[_MOST_MEASURES:]:
        names = Both(", ", "、").join([measure_word(one.name) for one in more])
        blocks.append(Note([word("more_measures", names=names)]))
    return Section("energy", word("energy"), word("energy_lead"), blocks)


def _field(study: StudyFigures, field: Field, lang: Lang, *, by_load: bool) -> _Drawing:
    names = [group.model for group in study.models]
    spots, steps = [], []
    for dot in field.dots:
        if dot.energy.mean is None or dot.quality.mean is None:
            continue
        spots.append(_spot(dot, names, field.measure, lang))
        if dot.on_front:
            steps.append((dot.energy.mean, dot.quality.mean))
    what = measure_word(field.measure.name)
    title = word("chart_front_levels" if by_load else "chart_front", measure=what)
    axis = word("axis_energy")
    shown = plane(
        title,
        (axis, _axis(field.measure)),
        spots,
        names[:_MOST_MODELS] if by_load or len(names) > 6 else (),
        lang,
        front=sorted(steps) if field.measure.higher_is_better else (),
    )
    note = [
        word(
            "field_note",
            shared=number(field.shared),
            most=number(field.most),
            device=same(field.basis.device, 80),
            scope=same(field.basis.scope, 60),
        ),
        *field.remarks[:8],
    ]
    return title, shown, Both(" ", "").join(note)


def _spot(dot: Dot, names: Sequence[str], measure: Measured, lang: Lang) -> Spot:
    name = clean(dot.model if dot.load is None else f"{dot.model}, {dot.load}", 120)
    energy, quality = dot.energy.mean or 0.0, dot.quality.mean or 0.0
    hint = f"{name}: {said(energy, dot.energy.ends)} J, {measure_word(measure.name)[lang]} "
    return Spot(
        x=energy,
        y=quality,
        series=names.index(dot.model),
        label=dot.model if dot.load is None else dot.load,
        hint=hint + said(quality, dot.quality.ends),
        x_ends=dot.energy.ends,
        y_ends=dot.quality.ends,
        hollow=not dot.on_front,
    )


def _models_table(study: StudyFigures) -> Table:
    columns = [
        Column(word("col_model"), numeric=False),
        Column(word("col_answered")),
        *_quality_columns(study),
        *(Column(word(key)) for key in ("col_energy", "col_net", "col_per_token", "col_latency", "col_ttft")),
        *(Column(word(key)) for key in ("col_speed", "col_prompt", "col_output")),
    ]
    return Table(columns, [_model_row(study, group) for group in study.models], word("by_model"))


def _model_row(study: StudyFigures, group: Group) -> list[Cell]:
    figures = group.figures
    energy, tokens = figures["energy_j"].mean, figures["output_tokens"].mean
    own = [row.values for row in study.rows if row.model == group.model]
    # Both means have to be of the same runs, or their ratio is of none.
    same_runs = all(("energy_j" in values) == ("output_tokens" in values) for values in own)
    per_token = energy / tokens if energy is not None and same_runs and tokens else None
    return [
        name_cell(group.model),
        count_cell(group.over - group.failed, word("of_planned", planned=number(group.planned))),
        *_quality_cells(study, group),
        figure_cell(figures["energy_j"]),
        figure_cell(figures["net_j"]),
        value_cell(per_token),
        *(figure_cell(figures[key]) for key in ("latency_s", "ttft_s", "tokens_per_s")),
        *(figure_cell(figures[key]) for key in ("prompt_tokens", "output_tokens")),
    ]


def tasks_section(study: StudyFigures, lang: Lang) -> Section:
    """By task: who gives and costs what at which."""
    tasks = list(dict.fromkeys(str(group.task) for group in study.by_task))
    blocks: list[Charts | Note | Table] = []
    drawn = [
        each
        for key, title, axis in _shown_figures(study)
        if (
            each := _dots(
                study, study.by_task, tasks, lambda group: str(group.task), (key, title, axis), lang
            )
        )[1]
    ]
    if drawn:
        blocks.append(Charts(drawn))
    if len(tasks) > MOST_ROWS:
        blocks.append(Note([word("more_rows", count=len(tasks) - MOST_ROWS)]))
    rows = [
        [
            name_cell(group.task),
            name_cell(group.model),
            count_cell(group.over - group.failed, word("of_planned", planned=number(group.planned))),
            *_quality_cells(study, group),
            *(figure_cell(group.figures[key]) for key in ("energy_j", "latency_s")),
            figure_cell(group.figures["output_tokens"]),
        ]
        for group in sorted(study.by_task, key=lambda group: tasks.index(str(group.task)))
    ]
    columns = [Column(word(key), numeric=False) for key in ("col_task", "col_model")]
    columns += [Column(word("col_answered")), *_quality_columns(study)]
    columns += [Column(word(key)) for key in ("col_energy", "col_latency", "col_output")]
    blocks.append(Table(columns, rows[:200], word("by_task"), sortable=True))
    return Section("tasks", word("tasks"), word("tasks_lead"), blocks)


def _shown_figures(study: StudyFigures) -> list[tuple[str, Both, Both]]:
    """What charts by task show: the measures, and energy or, where there is none, latency."""
    found = [
        (one.key, word("chart_by_task", what=measure_word(one.name)), _axis(one))
        for one in study.measures[:_MOST_MEASURES]
    ]
    if study.shown_energy:
        return [*found, ("energy_j", word("chart_by_task", what=word("the_energy")), word("axis_energy"))]
    return [*found, ("latency_s", word("chart_by_task", what=word("the_latency")), word("axis_latency"))]


def _dots(
    study: StudyFigures,
    groups: Sequence[Group],
    names: Sequence[str],
    name_of: Callable[[Group], str],
    what: tuple[str, Both, Both],
    lang: Lang,
) -> _Drawing:
    models = [group.model for group in study.models][:_MOST_MODELS]
    key, title, axis = what
    rows: dict[str, list[Place]] = {name: [] for name in names}
    for group in groups:
        found = group.figures.get(key)
        if found is not None and found.mean is not None and group.model in models:
            hint = f"{clean(group.model, 60)} {said(found.mean, found.ends)}"
            rows[name_of(group)].append(Place(found.mean, found.ends, models.index(group.model), hint))
    return title, dots(title, axis, list(rows.items()), models, lang), Both("", "")


def levels_section(study: StudyFigures, lang: Lang) -> Section | None:
    """By level: quality and energy against the length of the prompt, and the level that is worth its cost."""
    loads = list(dict.fromkeys(str(group.load) for group in study.by_load))
    if len(loads) < 2:
        return None
    drawings = [
        _against_length(study, one.key, measure_word(one.name), _axis(one), lang)
        for one in study.measures[:_MOST_MEASURES]
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


def _against_length(study: StudyFigures, key: str, what: Both, axis: Both, lang: Lang) -> _Drawing:
    models = [group.model for group in study.models][:_MOST_MODELS]
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
        *_quality_columns(study),
        *(Column(word(key)) for key in ("col_energy", "col_latency")),
        Column(word("col_per_kj" if energy else "col_per_ktoken")),
    ]
    rows = [
        [
            name_cell(group.model),
            name_cell(group.load),
            count_cell(group.over - group.failed, word("of_planned", planned=number(group.planned))),
            *(figure_cell(group.figures[key]) for key in ("prompt_tokens", "output_tokens")),
            *_quality_cells(study, group),
            *(figure_cell(group.figures[key]) for key in ("energy_j", "latency_s")),
            value_cell(found.per_cost if (found := ratios.get((group.model, str(group.load)))) else None),
        ]
        for group in study.by_load[:200]
    ]
    return Table(columns, rows, word("by_level"), sortable=True)


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
    figures += [(one.key, measure_word(one.name), _axis(one)) for one in study.measures[:_MOST_MEASURES]]
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
            *(value_cell(mean(groups, one.key)) for one in study.measures[:_MOST_MEASURES]),
            *(value_cell(mean(groups, key)) for key in ("energy_j", "latency_s", "tokens_per_s")),
        ]
        for kind, groups in by_kind.items()
    ]
    columns = [
        Column(word("col_quantization"), numeric=False),
        Column(word("col_models_count")),
        Column(word("col_models"), numeric=False),
        *_quality_columns(study),
        *(Column(word(key)) for key in ("col_energy", "col_latency", "col_speed")),
    ]
    return Table(columns, rows, word("by_quantization"))


def _quality_columns(study: StudyFigures) -> list[Column]:
    return [Column(measure_word(one.name)) for one in study.measures[:_MOST_MEASURES]]


def _quality_cells(study: StudyFigures, group: Group) -> list[Cell]:
    return [figure_cell(group.figures.get(one.key)) for one in study.measures[:_MOST_MEASURES]]


def _axis(measure: Measured) -> Both:
    """The axis of a measure, with its range where it has one."""
    name = measure_word(measure.name)
    if not measure.higher_is_better:
        return word("axis_lower", measure=name)
    if measure.scale is None:
        return name
    return word("axis_quality", measure=name, most=number(measure.scale))
