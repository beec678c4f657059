"""The verdict for the terminal: the six indicators as a table, and the conclusion in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from hexgate.report.measure_words import label, short_name
from hexgate.report.reading import see
from hexgate.report.strings import text
from hexgate.report.text import Lang
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
# Consoles that do not speak UTF-8 can still show these.
_PLAIN = str.maketrans(
    {"\u202f": " ", "\u2212": "-", "–": "-", "≥": ">=", "≤": "<=", "×": "x", "—": "-", "∅": "-"}
)


def render_table(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], *, lang: Lang) -> Table:
    """One line an indicator: what was measured, its interval, its limit and the verdict.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
        lang: its language.
    """
    view = see(verdict, artifacts)
    interval = interval_name(rule.interval for rule in view.rules)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(text("indicator")[lang], overflow="fold")
    table.add_column(text("measure")[lang], overflow="fold")
    table.add_column(text("value")[lang], justify="right", overflow="fold")
    table.add_column(_plain(interval[lang]), justify="right", overflow="fold")
    table.add_column(text("limit")[lang], justify="right", overflow="fold")
    table.add_column(text("verdict")[lang], overflow="fold")
    for indicator in view.indicators:
        table.add_row(*_row(indicator, lang))
    return table


def render_conclusion(
    verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], *, lang: Lang
) -> Text:
    """The verdict, what decided it, what else a reader must know, and what to do next: a line each.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
        lang: its language.
    """
    view = see(verdict, artifacts)
    head = Text.assemble((_plain(view.finding.word[lang]).plain, _COLOURS[view.finding]), ": ")
    lines = [head + _plain(view.decided[lang])]
    lines += [_plain(line[lang]) for line in (*view.problems, *view.notes, view.then)]
    return Text("\n").join(lines)


def _row(indicator: IndicatorView, lang: Lang) -> list[Text]:
    value, ends = indicator.headline
    chief = indicator.chief
    return [
        _plain(short_name(indicator.name)[lang]),
        _plain(label(indicator.name, indicator.headline_measure)[lang]),
        _plain(value[lang]),
        _plain(ends or "-"),
        _plain("-" if chief is None else chief.limit_text[lang]),
        Text(indicator.standing[lang], style=_COLOURS[indicator.finding]),
    ]


def _plain(content: str) -> Text:
    return Text(" ".join(content.translate(_PLAIN).split("\n")))
