"""What the page of a study is built of: sections of charts, tables and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from markupsafe import Markup

from hexgate.report.numbers import number, span
from hexgate.report.studies.figures import Figure
from hexgate.report.text import Both, same

__all__ = [
    "DASH",
    "Block",
    "Cell",
    "Charts",
    "Column",
    "Note",
    "Section",
    "Table",
    "count_cell",
    "figure_cell",
    "name_cell",
    "value_cell",
]

DASH = "–"
"""What stands where there is no figure."""
_REPEATS = "ʳ"
_MOST_NAME = 80


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: Both | str | Markup
    """What stands in it."""
    under: Both | str = ""
    """What stands below that, smaller."""
    sort: str = ""
    """What it is sorted by: a number as Python writes it, or a text; empty sorts last."""
    style: str = ""
    """Its class."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: Both
    """What it holds."""
    numeric: bool = True
    """Whether it holds numbers, which stand at the right."""


@dataclass(frozen=True)
class Table:
    """A table."""

    columns: Sequence[Column]
    """Its columns; the first names the row."""
    rows: Sequence[Sequence[Cell]]
    """Its rows."""
    caption: Both | None = None
    """What it shows."""
    sortable: bool = False
    """Whether a reader may sort and filter it."""
    shape: ClassVar[str] = "table"


@dataclass(frozen=True)
class Charts:
    """Charts beside each other, each with what it shows and a note that may be empty."""

    drawings: Sequence[tuple[Both, Markup, Both]]
    """The charts."""
    folded: Both | None = None
    """What they are, where they are shown only when a reader asks for them."""
    shape: ClassVar[str] = "charts"


@dataclass(frozen=True)
class Note:
    """Something to know before the figures are used."""

    lines: Sequence[Both]
    """What."""
    title: Both | None = None
    """What it is about."""
    style: str = "v-missing"
    """Its colour."""
    shape: ClassVar[str] = "note"


Block: TypeAlias = Table | Charts | Note


@dataclass(frozen=True)
class Section:
    """One section."""

    id: str
    """Its anchor."""
    title: Both
    """Its heading."""
    lead: Both
    """What it says, and how to read it."""
    blocks: Sequence[Block]
    """What is in it."""


def name_cell(name: str | None) -> Cell:
    """A name from outside."""
    if name is None:
        return Cell(DASH, style="soft")
    shown = same(name, _MOST_NAME)
    return Cell(shown, sort=shown.en)


def value_cell(value: float | None, under: Both | str = "", *, spread: float | None = None) -> Cell:
    """A number in four digits; with a spread, in the digits that this leaves."""
    if value is None:
        return Cell(DASH, under, style="num soft")
    shown = number(float(f"{value:.4g}")) if spread is None else number(value, spread=spread)
    return Cell(shown, under, repr(float(value)), "num")


def count_cell(count: int, under: Both | str = "") -> Cell:
    """A number of things."""
    return Cell(number(count), under, str(count), "num")


def figure_cell(figure: Figure | None) -> Cell:
    """A mean, below it its interval, and how many runs it is of where answered ones lack it; a dash where none is."""
    if figure is None or figure.mean is None:
        return value_cell(None)
    few = f"n = {figure.n}" if figure.lacking else ""
    if figure.ends is None:
        return value_cell(figure.mean, few)
    low, high = figure.ends
    shown = number(figure.mean, spread=(high - low) / 2)
    below = (span(low, high) or "") + (_REPEATS if figure.over == "repeats" else "")
    return Cell(shown, ", ".join(filter(None, (below, few))), repr(figure.mean), "num")
