"""What was measured, as a table for the terminal: the headline measure of each indicator, and no verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from hexgate.contract.schema import load_schema, measures
from hexgate.report.measure_words import indicator_name, label
from hexgate.report.numbers import amount, span, spread_of
from hexgate.report.text import Both, Lang, clean

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
    table = Table(*(getattr(head, lang) for head in _HEADS))
    for data in artifacts:
        name = str(data["indicator"])
        measure = str(load_schema(name)["x-headline"])
        interval = data["intervals"].get(measure)
        value = data[measure]
        if value is None:
            shown = clean(data["missing"].get(measure, "null"), most=60)
        else:
            unit = measures(name)[measure].unit
            shown = getattr(amount(value, unit, spread=spread_of(interval)), lang)
        cells = (
            getattr(indicator_name(name), lang),
            getattr(label(name, measure), lang),
            shown,
            (span(interval["low"], interval["high"]) or "") if interval else "",
            str(interval["n"]) if interval else "",
            getattr(_STATUS[data["status"]], lang),
        )
        table.add_row(*map(Text, cells))
    return table
