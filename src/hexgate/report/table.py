"""What the tables of the terminal have in common: columns of numbers that never break, in ASCII where it can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from hexgate.report.numbers import THIN
from hexgate.report.strings import text
from hexgate.report.text import Both, Lang

__all__ = ["Figures", "add_columns", "below", "cell", "plain"]

_ROOM = 72

# Consoles that do not speak UTF-8 can still show these.
_PLAIN = str.maketrans(
    {THIN: " ", "\u2212": "-", "–": "-", "≥": ">=", "≤": "<=", "×": "x", "—": "-", "∅": "-"}
)


def plain(content: str, lang: Lang = "en") -> str:
    """One line for any console; both ends of an interval with a word between them, as a dash may be a minus."""
    between = " 至 " if lang == "zh" else " to "
    return " ".join(content.replace(f"{THIN}–{THIN}", between).translate(_PLAIN).split("\n"))


class Figures(Table):
    """A table whose numbers do not break, unless the terminal is so narrow that words would vanish beside them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for column in self.columns:
            column.no_wrap = column.justify == "right" and options.max_width >= _ROOM
        yield from super().__rich_console__(console, options)


def add_columns(table: Table, first: Iterable[str], numbers: Iterable[str], last: Iterable[str]) -> None:
    """Add columns: words, numbers at the right, and words again."""
    for name in first:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", overflow="fold")
    for name in last:
        table.add_column(name, overflow="fold")


def cell(value: Both, lang: Lang, *, notes: Sequence[Both] = (), soft: bool = False) -> Text:
    """A value with the words that stand beside it, a line each."""
    lines = [plain(value[lang], lang), *(plain(note[lang]) for note in notes)]
    # Of its own: a number that no column has room for is folded rather than cut.
    return Text("\n".join(lines), style="dim" if soft else "", no_wrap=False)


def below(table: Table, absent: Iterable[tuple[Both, Both | None]], lang: Lang) -> None:
    """Under a table: why there is no value, by name, where there is a reason."""
    word, colon = text("not_measured")[lang], text("colon")[lang]
    lines = [
        plain(f"{name[lang]}{colon}{word}{colon}{reason[lang]}")
        for name, reason in absent
        if reason is not None
    ]
    if lines:
        table.caption = Text("\n".join(lines))
        table.caption_justify = "left"
