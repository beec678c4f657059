"""What was measured, as a table for the terminal: the headline measure of each indicator, and no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from hexgate.contract.schema import load_schema
from hexgate.report.measure_words import brief_label, indicator_name, short_name
from hexgate.report.shown import is_estimated, shown
from hexgate.report.strings import text
from hexgate.report.table import Figures, add_columns, below, cell
from hexgate.report.text import Both, Lang, same

__all__ = ["measured_table"]

_HEADS = (
    Both("Indicator", "指标"),
    Both("Measure", "度量"),
    Both("Value", "数值"),
    Both("Interval", "区间"),
    Both("n", "n"),
    Both("Status", "状态"),
)
_STATUS = {
    "complete": Both("complete", "完整"),
    "partial": Both("partial", "不完整"),
    "invalid": Both("invalid", "无效"),
    "failed": Both("failed", "失败"),
}


def measured_table(artifacts: Sequence[Mapping[str, Any]], *, lang: Lang) -> Table:
    """One row for each artifact: its headline measure with unit, two-sided interval and status."""
    table = Figures(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    heads = [head[lang] for head in _HEADS]
    add_columns(table, heads[:2], heads[2:4], heads[4:])
    absent = []
    for data in artifacts:
        name = str(data["indicator"])
        measure = str(load_schema(name)["x-headline"])
        figure = shown(data, measure, judged=False, told=False)
        notes = [text("estimated")] if is_estimated(data, measure) and data[measure] is not None else []
        table.add_row(
            Text(indicator_name(name)[lang]),
            Text(brief_label(name, measure)[lang]),
            cell(figure.value, lang, notes=notes),
            cell(same(figure.interval or ""), lang),
            cell(figure.n or same(""), lang),
            Text(_STATUS[data["status"]][lang]),
        )
        absent.append((short_name(name), figure.missing))
    below(table, absent, lang)
    return table
