"""What a person sees while a command runs: progress, notes and errors, all on standard error."""

from __future__ import annotations

import sys
import unicodedata
from types import TracebackType
from typing import TYPE_CHECKING

import click

from hexgate.cli.language import language, text
from hexgate.errors import HexgateError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["Display", "columns", "console", "error_words", "padded", "show_error"]


def console() -> Console:
    """A console on standard error, which is where text for people goes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show_error(error: HexgateError) -> None:
    """One error, in the order that a person asks: what, where, got, expected, what next."""
    lines = [f"{text('error', '错误')}: {error_words(error.what)}"]
    parts = (
        (text("where", "位置"), error.where),
        (text("got", "得到"), error.got and error_words(error.got)),
        (text("expected", "应为"), error.expected and error_words(error.expected)),
        (text("next", "下一步"), error.hint and error_words(error.hint)),
    )
    lines += [f"  {label}: {value}" for label, value in parts if value]
    click.echo("\n".join(lines), err=True)


def error_words(words: str) -> str:
    """A sentence of an error, or a reason, in the language of the person; as it is where it has no twin."""
    if language() == "en":
        return words
    from hexgate.cli.errors_zh import error_in_chinese

    return error_in_chinese(words)


def columns(words: str) -> int:
    """How many columns of a terminal a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in words)


def padded(words: str, width: int) -> str:
    """A text, with spaces up to so many columns."""
    return words + " " * (width - columns(words))


class Display:
    """Progress of a measurement: bars on a terminal, a line for each stage elsewhere, nothing when quiet."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self._title = title
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        if not quiet and sys.stderr.isatty():
            self._bars = _progress()
            self._task = self._bars.add_task(title, total=None)

    def __enter__(self) -> Display:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def start(self, what: str, total: int | None) -> None:
        """A new stage begins."""
        if self._bars is not None and self._task is not None:
            self._bars.reset(self._task, total=total, description=f"{self._title}: {what}")
        elif not self._quiet:
            click.echo(f"{self._title}: {what}", err=True)

    def advance(self, steps: int = 1) -> None:
        """So many steps of the stage are done."""
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task, steps)

    def note(self, text: str) -> None:
        """One line for the person who watches."""
        if self._bars is not None:
            self._bars.console.print(f"{self._title}: {text}", markup=False, soft_wrap=True)
        elif not self._quiet:
            click.echo(f"{self._title}: {text}", err=True)


def _progress() -> Progress:
    # Only a terminal has bars, and their library takes its time to import.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(),
        transient=True,
    )
