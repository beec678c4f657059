"""How sections of a study's page show measures of quality: as columns, as cells and as axes. Pure."""

from __future__ import annotations

from markupsafe import Markup

from hexgate.report.numbers import number
from hexgate.report.studies.figures import Group, Measured, StudyFigures
from hexgate.report.studies.parts import Cell, Column, figure_cell
from hexgate.report.studies.words import measure_word, word
from hexgate.report.text import Both

__all__ = ["MOST_MEASURES", "MOST_MODELS", "Drawing", "axis_of", "quality_cells", "quality_columns"]

MOST_MEASURES = 6
"""A section shows so many measures; the table of all cells has the others."""
MOST_MODELS = 24
"""A chart shows so many models."""
Drawing = tuple[Both, Markup, Both]
"""A chart: its title, the chart, and a note on it."""


def quality_columns(study: StudyFigures) -> list[Column]:
    """The columns of the measures that sections show."""
    return [Column(measure_word(one.name)) for one in study.measures[:MOST_MEASURES]]


def quality_cells(study: StudyFigures, group: Group) -> list[Cell]:
    """A group's cells in them."""
    return [figure_cell(group.figures.get(one.key)) for one in study.measures[:MOST_MEASURES]]


def axis_of(measure: Measured) -> Both:
    """The axis of a measure, with its range where it has one."""
    name = measure_word(measure.name)
    if not measure.higher_is_better:
        return word("axis_lower", measure=name)
    if measure.scale is None:
        return name
    return word("axis_quality", measure=name, most=number(measure.scale))
