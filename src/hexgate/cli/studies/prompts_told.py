"""What the commands about prompts tell: files, lengths and mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from hexgate.cli.console import columns, error_words, padded
from hexgate.cli.language import text
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.study.prompts.check import Checked, check_prompts
from hexgate.study.prompts.levels import LEVELS, Leveled, PromptMistakes, prompt_files

__all__ = ["lengths", "said_in_language", "show_files"]

_T = TypeVar("_T")
_WIDTH = 11
_UNITS = {
    "characters": ("median characters", "字符数中位数"),
    "tokens": ("median tokens", "token 数中位数"),
}


def said_in_language(read: Callable[[Path], _T], path: Path) -> _T:
    """Read prompts; their mistakes come in the language of the person.

    Raises:
        PromptMistakes: as `read` does, each in that language.
    """
    try:
        return read(path)
    except PromptMistakes as error:
        said = [(error_words(where), error_words(what)) for where, what in error.mistakes]
        raise PromptMistakes(error.file, said) from None


def show_files(folder: Path, written: Sequence[Path], rows: Sequence[Leveled]) -> None:
    """Name the files that were written, what else lies there, and how many levels do not rise."""
    questions = len(rows)
    click.echo(
        text(
            f"{questions} questions at {len(LEVELS)} levels in {len(written)} files:",
            f"{questions} 道题 × {len(LEVELS)} 级，共 {len(written)} 个文件：",
        )
    )
    for path in written:
        click.echo(f"  {path}")
    for path in sorted(set(prompt_files(folder)) - set(written)):
        note = text(f"{path} is not of this set; remove it", f"{path} 不属于本次结果，请删除")
        click.echo(note, err=True)
    checked = check_prompts(rows)
    if checked.not_rising:
        count = len(checked.not_rising)
        click.echo(
            text(
                f"levels not longer than the one before: {count}; see: hexgate study prompts check {folder}",
                f"不比前一级长的级别：{count} 处，详见：hexgate study prompts check {folder}",
            ),
            err=True,
        )


def lengths(checked: Checked, tokenizer: Tokenizer | None) -> str:
    """Questions and median lengths by category and level, as a table for each unit."""
    tables = []
    for unit in ("characters", *(["tokens"] if tokenizer is not None else [])):
        head = [text("category", "类别"), text("questions", "题数"), *LEVELS]
        body = [
            [
                one.category,
                str(one.questions),
                *(f"{one.median[unit][level]:.0f}" for level in LEVELS),
            ]
            for one in checked.categories
        ]
        named = text(*_UNITS[unit])
        tables.append(f"{named}\n" + _aligned([head, *body]))
    return "\n\n".join(tables)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    first = max(columns(row[0]) for row in rows)
    lines = (padded(row[0], first) + "".join(_right(cell) for cell in row[1:]) for row in rows)
    return "\n".join(lines)


def _right(cell: str) -> str:
    return " " * (_WIDTH - columns(cell)) + cell
