"""The sections of a study's page on quality and energy: against each other by model and level, and by task. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hexgate.report.numbers import number
from hexgate.report.studies.charts import Spot, plane, said
from hexgate.report.studies.dots import MOST_ROWS, Place, dots
from hexgate.report.studies.fields import Dot, Field, fields
from hexgate.report.studies.figures import Group, Measured, StudyFigures
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
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["energy_section", "tasks_section"]


def energy_section(study: StudyFigures, alike: StudyFigures, suite: str, lang: Lang) -> Section:
    """Quality against energy, with the front, by model and by model and level; `alike` has the means of the table."""
    blocks: list[Charts | Note | Table] = []
    drawings: list[Drawing] = []
    several = len({group.load for group in study.by_load}) > 1
    for measure in study.measures[:MOST_MEASURES]:
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
    if more := study.measures[MOST_MEASURES:]:
        names = Both(", ", "、").join([measure_word(one.name) for one in more])
        blocks.append(Note([word("more_measures", names=names)]))
    return Section("energy", word("energy"), word("energy_lead"), blocks)


def _field(study: StudyFigures, field: Field, lang: Lang, *, by_load: bool) -> Drawing:
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
        (axis, axis_of(field.measure)),
        spots,
        names[:MOST_MODELS] if by_load or len(names) > 6 else (),
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
        *quality_columns(study),
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
        *quality_cells(study, group),
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
            *quality_cells(study, group),
            *(figure_cell(group.figures[key]) for key in ("energy_j", "latency_s")),
            figure_cell(group.figures["output_tokens"]),
        ]
        for group in sorted(study.by_task, key=lambda group: tasks.index(str(group.task)))
    ]
    columns = [Column(word(key), numeric=False) for key in ("col_task", "col_model")]
    columns += [Column(word("col_answered")), *quality_columns(study)]
    columns += [Column(word(key)) for key in ("col_energy", "col_latency", "col_output")]
    blocks.append(Table(columns, rows[:200], word("by_task"), sortable=True))
    return Section("tasks", word("tasks"), word("tasks_lead"), blocks)


def _shown_figures(study: StudyFigures) -> list[tuple[str, Both, Both]]:
    """What charts by task show: the measures, and energy or, where there is none, latency."""
    found = [
        (one.key, word("chart_by_task", what=measure_word(one.name)), axis_of(one))
        for one in study.measures[:MOST_MEASURES]
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
) -> Drawing:
    models = [group.model for group in study.models][:MOST_MODELS]
    key, title, axis = what
    rows: dict[str, list[Place]] = {name: [] for name in names}
    for group in groups:
        found = group.figures.get(key)
        if found is not None and found.mean is not None and group.model in models:
            hint = f"{clean(group.model, 60)} {said(found.mean, found.ends)}"
            rows[name_of(group)].append(Place(found.mean, found.ends, models.index(group.model), hint))
    return title, dots(title, axis, list(rows.items()), models, lang), Both("", "")
