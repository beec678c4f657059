"""`hexgate study prompts convert`: from a spreadsheet to the CSV files of the categories."""

from __future__ import annotations

from pathlib import Path

import click

from hexgate.cli.console import error_words
from hexgate.cli.language import text
from hexgate.cli.studies.prompts_told import said_in_language, show_files
from hexgate.contract.canonical import sha256_file
from hexgate.errors import ExitCode
from hexgate.study.prompts.levels import write_prompts
from hexgate.study.prompts.table import read_table

__all__ = ["command"]


@click.command(
    "convert",
    help=text(
        "Convert TABLE (.xlsx, .csv or .tsv) to DIR/<category>_prompts_hierarchical.csv. Its columns are found by "
        "their names, English or Chinese: one row a question with columns L0, L1, L2, L3 and P, or one row a prompt "
        "with a column level; one sheet for all, or one a category. Every row that cannot be used is told with its "
        "sheet and number, and then nothing is written. Exit codes: 0 written; 2 the table has mistakes.",
        "把 TABLE（.xlsx、.csv 或 .tsv）转换为 DIR/<类别>_prompts_hierarchical.csv。列按中英文名称识别："
        "每行一题（L0、L1、L2、L3、P 各一列），或每行一条提示词（另有级别列）；可全部在一张工作表，也可每类一张。"
        "所有不可用的行都会列出工作表与行号，此时不写任何文件。退出码：0 已写入；2 表格有误。",
    ),
)
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help=text("Folder of the CSV files.", "CSV 文件所在目录。"),
)
def command(table: Path, out: Path) -> int:
    """Convert a table of prompts."""
    found = said_in_language(lambda path: read_table([path], path), table)
    for where, why in found.left_out:
        click.echo(
            text(f"left out: {where}: {why}", f"未使用：{error_words(where)}：{error_words(why)}"), err=True
        )
    how = {"made_by": "table", "file": table.name, "sha256": sha256_file(table)}
    written = write_prompts(out, found.rows, how)
    show_files(out, written, found.rows)
    return ExitCode.OK
