"""The five workbooks of a study: scores, comparison of models, energy, latency and output tokens, a sheet per model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from hexgate.study.exports.figures import (
    DIMENSIONS,
    ENERGY_FIGURES,
    LATENCY_FIGURES,
    SCORE_FIGURES,
    TOKEN_FIGURES,
    Figure,
    quality_figures,
    rationale,
    reasons,
)
from hexgate.study.exports.places import Place, places
from hexgate.study.exports.workbook_comparison import comparison_sheets
from hexgate.study.exports.workbook_file import Cell, Column, Sheet, workbook_bytes
from hexgate.study.exports.workbook_parts import (
    ABOUT,
    LEAD,
    REASON_WORDS,
    WIDE,
    Explained,
    about,
    by_model,
    column,
    explained,
    lead,
    mean_row,
    totals,
)
from hexgate.study.quality.marks import JUDGE
from hexgate.study.reading import Reading

__all__ = ["WORKBOOKS", "workbooks"]

_RUNS = "all runs"


def workbooks(reading: Reading) -> Iterator[tuple[str, bytes]]:
    """The workbooks of a study, each with its name. The same folder gives the same bytes.

    Raises:
        MissingExtra: if openpyxl is not installed.
    """
    found = places(reading)
    stamp = datetime.fromisoformat(str(reading.head["started_at"]).replace("Z", "+00:00"))
    for name, sheets in _BOOKS.items():
        title = f"{reading.spec.name}: {name.removesuffix('.xlsx')}"
        yield name, workbook_bytes(sheets(reading, found), title=title, stamp=stamp)


def _scores(reading: Reading, found: Sequence[Place]) -> list[Sheet]:
    """Each run's scores with the judge's reasons, by model."""
    others = [one for one in quality_figures(reading) if one.path[1] != JUDGE]
    figures = [*SCORE_FIGURES, *others]
    columns = [
        *LEAD,
        *(column(figure) for figure in figures),
        *(Column(f"rationale_{name}", width=WIDE) for name in DIMENSIONS),
        Column("reason", width=WIDE),
        Column("text_file", width=WIDE),
    ]
    words: list[Explained] = [
        *explained(figures),
        *(
            (
                f"rationale_{name}",
                "",
                f"why the judge gave its score of {name}",
                f"评审给出 {name} 分数的理由",
            )
            for name in DIMENSIONS
        ),
        REASON_WORDS,
        (
            "text_file",
            "",
            "the text that was scored, in the folder of the export",
            "被评分的文本（在导出目录中）",
        ),
    ]
    sheets = []
    for name, own in by_model(reading, found, [ABOUT]):
        rows: list[list[Cell]] = [
            [
                *lead(place),
                *(figure.of(place.record) for figure in figures),
                *(rationale(place.record, dimension) for dimension in DIMENSIONS),
                reasons(figures, place.record),
                place.text_file if place.ok else None,
            ]
            for place in own
        ]
        sheets.append(Sheet(name, columns, rows, totals(rows, len(LEAD), len(figures)), len(LEAD)))
    return [about(reading, "quality_scores_detailed", words), *sheets]


def _per_run(title: str, figures: Sequence[Figure]) -> Callable[[Reading, Sequence[Place]], list[Sheet]]:
    """The first figure of every run: questions by levels, by model; and a list of all runs with all figures."""
    main = figures[0]

    def sheets(reading: Reading, found: Sequence[Place]) -> list[Sheet]:
        levels = [load.name for load in reading.spec.loads]
        matrices = [
            _matrix(name, main, own, levels) for name, own in by_model(reading, found, [ABOUT, _RUNS])
        ]
        words: list[Explained] = [
            (
                f"a level [{main.unit}]",
                main.unit,
                f"{main.name}: {main.english}, a column a level",
                f"{main.name}：{main.chinese}，每个级别一列",
            ),
            *explained(figures),
            ("status", "", "ok, failed, or not made", "成功（ok）、失败（failed）或未执行（not made）"),
            ("truncated", "", "whether the reply was cut at its most tokens", "回复是否因达到词元上限被截断"),
            REASON_WORDS,
        ]
        return [about(reading, title, words), *matrices, _listed(figures, found)]

    return sheets


_BOOKS: dict[str, Callable[[Reading, Sequence[Place]], list[Sheet]]] = {
    "quality_scores_detailed.xlsx": _scores,
    "model_comparison.xlsx": comparison_sheets,
    "energy_per_run.xlsx": _per_run("energy_per_run", ENERGY_FIGURES),
    "latency_per_run.xlsx": _per_run("latency_per_run", LATENCY_FIGURES),
    "output_tokens_per_run.xlsx": _per_run("output_tokens_per_run", TOKEN_FIGURES),
}
WORKBOOKS = tuple(_BOOKS)
"""Names of the workbooks."""


def _listed(figures: Sequence[Figure], found: Sequence[Place]) -> Sheet:
    """All runs, one row each."""
    columns = [
        Column("model", width=22),
        *LEAD,
        Column("status"),
        Column("truncated"),
        *(column(one) for one in figures),
        Column("reason", width=WIDE),
        Column("run_id", width=20),
    ]
    rows: list[list[Cell]] = [
        [
            place.model,
            *lead(place),
            "not made" if place.record is None else str(place.record["status"]),
            None if place.record is None else place.record["truncated"],
            *(one.of(place.record) for one in figures),
            reasons(figures, place.record),
            place.run_id,
        ]
        for place in found
    ]
    return Sheet(_RUNS, columns, rows, frozen=1 + len(LEAD))


def _matrix(name: str, figure: Figure, own: Sequence[Place], levels: Sequence[str]) -> Sheet:
    """Questions by levels of one model, with means below."""
    category, question, _, run = LEAD
    columns = [
        category,
        question,
        run,
        *(Column(f"{level} [{figure.unit}]", figure.digits) for level in levels),
        Column("reason", width=WIDE),
    ]
    found: dict[tuple[str, int | str, int], dict[str, Place]] = {}
    for place in own:
        found.setdefault((place.category, place.question, place.repeat), {})[place.level] = place
    rows: list[list[Cell]] = []
    for key, by_level in found.items():
        values = [figure.of(by_level[level].record) if level in by_level else None for level in levels]
        why = {
            level: figure.reason(by_level[level].record) if level in by_level else "not in the plan"
            for level in levels
        }
        told = "; ".join(f"{level}: {words}" for level, words in why.items() if words)
        rows.append([*key, *values, told or None])
    categories = list(dict.fromkeys(place.category for place in own))
    means = [
        mean_row(f"mean: {one}", [row for row in rows if row[0] == one], 3, len(levels))
        for one in (categories if len(categories) > 1 else ())
    ]
    return Sheet(name, columns, rows, [*means, *totals(rows, 3, len(levels))], 3)
