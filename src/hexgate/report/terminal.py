"""The verdict for the terminal: the six indicators as a table, and the conclusion in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from hexgate.report.measure_words import brief_label, short_name
from hexgate.report.reading import see
from hexgate.report.strings import text
from hexgate.report.table import Figures, add_columns, below, cell, plain
from hexgate.report.text import Lang, same
from hexgate.report.view import Finding, IndicatorView, interval_name

__all__ = ["render_conclusion", "render_table"]

_COLOURS = {
    Finding.PASS: "green",
    Finding.FAIL: "bold red",
    Finding.INCONCLUSIVE: "yellow",
    Finding.INVALID: "magenta",
    Finding.MISSING: "cyan",
    Finding.UNJUDGED: "dim",
}


def render_table(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], *, lang: Lang) -> Table:
    """One line an indicator: what was measured, its interval, its limit and the verdict.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
        lang: its language.
    """
    view = see(verdict, artifacts)
    interval = interval_name(rule.interval for rule in view.rules)
    table = Figures(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    add_columns(
        table,
        [text(name)[lang] for name in ("indicator", "measure")],
        [text("value")[lang], plain(interval[lang]), text("limit")[lang]],
        [text("verdict")[lang]],
    )
    for indicator in view.indicators:
        table.add_row(*_row(indicator, lang))
    absent = [(short_name(each.name), each.headline.missing) for each in view.indicators]
    below(table, absent, lang)
    return table


def render_conclusion(
    verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], *, lang: Lang
) -> Text:
    """The verdict and what decided it, what is wrong with the set, and what to do next: a line each.

    What every verdict under the same policy would say as well is left to the reports.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
        lang: its language.
    """
    view = see(verdict, artifacts)
    colour = "yellow" if view.accepted else _COLOURS[view.finding]
    head = Text.assemble((plain(view.word[lang]), colour), text("colon")[lang])
    lines = [head + Text(plain(view.decided[lang]))]
    lines += [Text(plain(line[lang])) for line in (*view.problems, *view.pressing, view.then)]
    return Text("\n").join(lines)


def _row(indicator: IndicatorView, lang: Lang) -> list[Text]:
    figure, chief = indicator.headline, indicator.chief
    colour = "yellow" if indicator.accepted else _COLOURS[indicator.finding]
    return [
        Text(plain(short_name(indicator.name)[lang])),
        Text(plain(brief_label(indicator.name, indicator.headline_measure)[lang])),
        cell(figure.value, lang, notes=figure.notes, soft=not figure.judged),
        cell(same(figure.interval or "-"), lang),
        cell(same("-") if chief is None else chief.limit_text, lang),
        Text(plain(indicator.standing[lang]), style=colour),
    ]
