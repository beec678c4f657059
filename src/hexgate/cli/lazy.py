"""A group of commands that are named in a table and imported when one is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import click

from hexgate.cli.language import text

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """Commands by name, each with a line of help in both languages."""

    def __init__(
        self, table: Mapping[str, tuple[str, str]], place: Callable[[str], str], *args: Any, **keys: Any
    ) -> None:
        super().__init__(*args, **keys)
        self._table = table
        self._place = place

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None if there is none of that name."""
        if cmd_name not in self._table:
            return None
        module, _, name = self._place(cmd_name).partition(":")
        found = getattr(import_module(module), name)
        return found if isinstance(found, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table, as help shows it."""
        with formatter.section(text("Commands", "命令")):
            formatter.write_dl([(name, text(*words)) for name, words in self._table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line, or say which one may be meant."""
        if args and args[0] not in self._table and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], self._table, n=1)
            hint = text(f"; did you mean {close[0]}?", f"；是否指 {close[0]}？") if close else ""
            raise click.UsageError(
                text(f"there is no command {args[0]!r}{hint}", f"没有命令 {args[0]!r}{hint}"), ctx
            )
        return super().resolve_command(ctx, args)
