"""Files that a command leaves for people and machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.contract.artifact import write_atomically
from hexgate.errors import InputError

__all__ = ["write_text"]


def write_text(path: Path | None, content: Callable[[], str]) -> None:
    """Write a file in one step, its folders with it, and say so; nothing where no path is given.

    Raises:
        InputError: if it cannot be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content().encode("utf-8"))
    except OSError as error:
        raise InputError(f"it cannot be written ({error.strerror})", where=str(path)) from None
    click.echo(f"{text('wrote', '已写入')} {path}", err=True)
