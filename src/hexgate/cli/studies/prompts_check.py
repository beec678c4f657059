"""`hexgate study prompts check`: counts and lengths of the prompts of a prompt-length study."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.console import error_words
from hexgate.cli.language import text
from hexgate.cli.studies.prompts_told import lengths, said_in_language
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import ExitCode
from hexgate.study.prompts.check import check_prompts, read_prompts
from hexgate.study.prompts.levels import LEVELS

__all__ = ["command"]


@click.command(
    "check",
    help=text(
        "Show how many questions each category of PROMPTS (a folder of CSV files, or one table) has, how long its "
        "levels are, and each level that is not longer than the one before: L0 < L1 < L2 < L3, in characters and with "
        "--tokenizer in tokens. Exit codes: 0 complete and rising; 2 the files have mistakes; 4 a level does not rise.",
        "显示 PROMPTS（CSV 目录或单个表格）中每类的题数与各级长度，并列出不比前一级长的级别："
        "应有 L0 < L1 < L2 < L3，按字符数比较，给出 --tokenizer 时也按 token 数比较。"
        "退出码：0 齐全且递增；2 文件有误；4 有级别未递增。",
    ),
)
@click.argument("prompts", type=click.Path(path_type=Path))
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help=text(
        "The model's tokenizer.json, to count tokens too.", "模型的 tokenizer.json，用于同时统计 token 数。"
    ),
)
def command(prompts: Path, tokenizer: Path | None) -> int:
    """Check prompts."""
    counter = None if tokenizer is None else Tokenizer.read(tokenizer)
    rows = said_in_language(read_prompts, prompts).rows
    checked = check_prompts(rows, counter)
    click.echo(lengths(checked, counter))
    questions, total = len(rows), len(rows) * len(LEVELS)
    click.echo(
        text(
            f"\n{questions} questions x {len(LEVELS)} levels = {total} prompts; "
            f"P is the longest level of {checked.longest_padded} questions",
            f"\n{questions} 题 × {len(LEVELS)} 级 = {total} 条提示词；其中 {checked.longest_padded} 题的 P 级最长",
        )
    )
    if not checked.not_rising:
        click.echo(text("L0 < L1 < L2 < L3 holds for every question", "所有题目均满足 L0 < L1 < L2 < L3"))
        return ExitCode.OK
    click.echo(
        text(
            f"levels not longer than the one before: {len(checked.not_rising)}",
            f"不比前一级长的级别：{len(checked.not_rising)} 处",
        )
    )
    for where, what in checked.not_rising:
        click.echo(f"  {where}: {error_words(what)}")
    return ExitCode.EVIDENCE
