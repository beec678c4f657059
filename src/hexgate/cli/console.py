"""What a person sees while a command runs: progress, notes and errors, all on standard error."""

from __future__ import annotations

import sys
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hexgate.cli.language import text
from hexgate.errors import HexgateError

__all__ = ["Display", "console", "show_error"]


def console() -> Console:
    """A console on standard error, which is where text for people goes."""
    return Console(stderr=True, highlight=False)


def show_error(error: HexgateError) -> None:
    """One error, in the order that a person asks: what, where, got, expected, what next."""
    lines = [f"{text('error', '错误')}: {error.what}"]
    parts = (
        (text("where", "位置"), error.where),
        (text("got", "得到"), error.got),
        (text("expected", "应为"), error.expected),
        (text("next", "下一步"), error.hint),
    )
    lines += [f"  {label}: {value}" for label, value in parts if value]
    click.echo("\n".join(lines), err=True)


class Display:
    """Progress of a measurement: bars on a terminal, a line for each stage elsewhere, nothing when quiet."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self._title = title
        self._quiet = quiet
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console(),
            transient=True,
            disable=quiet or not sys.stderr.isatty(),
        )
        self._task = None if self._bars.disable else self._bars.add_task(title, total=None)

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def start(self, what: str, total: int | None) -> None:
        """A new stage begins."""
        if self._task is not None:
            self._bars.reset(self._task, total=total, description=f"{self._title}: {what}")
        elif not self._quiet:
            click.echo(f"{self._title}: {what}", err=True)

    def advance(self, steps: int = 1) -> None:
        """So many steps of the stage are done."""
        if self._task is not None:
            self._bars.advance(self._task, steps)

    def note(self, text: str) -> None:
        """One line for the person who watches."""
        if not self._quiet:
            self._bars.console.print(f"{self._title}: {text}", markup=False, soft_wrap=True)
