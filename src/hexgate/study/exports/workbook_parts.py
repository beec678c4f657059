"""What the workbooks of a study share: the first sheet that explains, the columns of a run's place, rows of means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hexgate.study.exports.figures import Figure
from hexgate.study.exports.places import Place
from hexgate.study.exports.spreadsheet import sheet_names
from hexgate.study.exports.workbook_file import Cell, Column, Sheet
from hexgate.study.reading import Reading

__all__ = [
    "ABOUT",
    "LEAD",
    "REASON_WORDS",
    "WIDE",
    "Explained",
    "about",
    "by_model",
    "column",
    "explained",
    "headed",
    "lead",
    "mean_row",
    "totals",
]

ABOUT = "about"
"""Name of the first sheet."""
WIDE = 40.0
"""Width of a column of sentences."""
LEAD = (
    Column("category", width=16),
    Column("question_id", width=13),
    Column("level", width=9),
    Column("run", width=7),
)
"""The first columns of a sheet with one row a run."""
Explained = tuple[str, str, str, str]
"""Name of a column, its unit, what it is, and the same in Chinese."""
REASON_WORDS: Explained = ("reason", "", "why cells of the row are empty", "该行单元格为空的原因")
"""What the column of reasons is."""
_PLACE_WORDS = (
    ("category", "the task; in a study of prompt lengths the category of the question", "任务（问题类别）"),
    ("question_id", "id of the item", "题目编号"),
    ("level", "the load; in a study of prompt lengths the level of the prompt", "负载（提示词级别）"),
    ("run", "which repeat it is", "第几次重复"),
)


def about(reading: Reading, title: str, columns: Sequence[Explained]) -> Sheet:
    """What a workbook holds: which study, which columns, what an empty cell means.

    Args:
        reading: the study.
        title: what the workbook is called.
        columns: its columns beside those of a run's place.
    """
    planned, over = len(reading.plan.runs), len(reading.records)
    failed = sum(record["status"] != "ok" for record in reading.records)
    measures = "; ".join(f"{name} {one.sha256[:12]}" for name, one in sorted(reading.marks.measures.items()))
    stated = (
        ("workbook", "", title),
        ("study", "", reading.spec.name),
        ("started", "UTC", str(reading.head["started_at"])),
        ("plan", "sha256", str(reading.head["plan_sha256"])),
        ("tool", "", str(reading.head["tool"])),
    )
    rows: list[Explained] = [
        *((name, unit, value, value) for name, unit, value in stated),
        (
            "runs",
            "",
            f"{planned} planned, {over} over, {failed} of them failed",
            f"计划 {planned} 次，已完成 {over} 次，其中失败 {failed} 次",
        ),
        ("measures of quality", "", measures or "none", measures or "无"),
        (
            "an empty cell",
            "",
            "could not be measured, which is never 0; the column reason says why",
            "无法测得（绝不等于 0），原因见 reason 列",
        ),
        *((name, "", english, chinese) for name, english, chinese in _PLACE_WORDS),
        *columns,
    ]
    titles = [
        Column("name", width=28),
        Column("unit"),
        Column("what it is", width=80),
        Column("说明", width=60),
    ]
    return Sheet(ABOUT, titles, rows, frozen=1)


def by_model(
    reading: Reading, found: Sequence[Place], taken: Sequence[str]
) -> Iterator[tuple[str, list[Place]]]:
    """The name of each model's sheet, and the model's places.

    Args:
        reading: the study.
        found: all places.
        taken: names of the other sheets.
    """
    models = [model.name for model in reading.spec.models]
    for name, model in zip(sheet_names(models, taken), models, strict=True):
        yield name, [place for place in found if place.model == model]


def lead(place: Place) -> list[Cell]:
    """The cells of the columns `LEAD`."""
    return [place.category, place.question, place.level, place.repeat]


def headed(figure: Figure, what: str = "") -> str:
    """A header with the unit, such as ``mean latency_ms [ms]``."""
    unit = f" [{figure.unit}]" if figure.unit else ""
    return f"{what} {figure.name}{unit}".strip()


def column(figure: Figure) -> Column:
    """The column of a figure."""
    return Column(headed(figure), figure.digits)


def explained(figures: Sequence[Figure]) -> list[Explained]:
    """What figures are, for `about`."""
    return [(figure.name, figure.unit, figure.english, figure.chinese) for figure in figures]


def totals(rows: Sequence[Sequence[Cell]], begin: int, count: int) -> list[list[Cell]]:
    """Mean, number of values and number of empty cells, for `count` columns from `begin` on; none for no rows."""
    if not rows:
        return []
    known = [sum(row[place] is not None for row in rows) for place in range(begin, begin + count)]
    left: list[Cell] = [None] * (begin - 1)
    right: list[Cell] = [None] * (len(rows[0]) - begin - count)
    return [
        mean_row("mean: all", rows, begin, count),
        ["n", *left, *known, *right],
        ["missing", *left, *(len(rows) - one for one in known), *right],
    ]


def mean_row(label: str, rows: Sequence[Sequence[Cell]], begin: int, count: int) -> list[Cell]:
    """The mean of `count` columns from `begin` on, each over the cells that hold a number.

    Args:
        label: what stands in the first column.
        rows: the rows; at least one.
        begin: the first column, from 0.
        count: how many.
    """
    means: list[Cell] = []
    for place in range(begin, begin + count):
        cells = [row[place] for row in rows]
        values = [float(cell) for cell in cells if isinstance(cell, (int, float))]
        means.append(sum(values) / len(values) if values else None)
    return [label, *([None] * (begin - 1)), *means, *([None] * (len(rows[0]) - begin - count))]
