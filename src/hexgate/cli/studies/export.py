"""`hexgate study export`: a study as tables, texts and workbooks."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.cli.studies.check import levels_of, names_of, verdict
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.cli.studies.summary import summary_text
from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.errors import ExitCode, InputError, MissingExtra
from hexgate.study.checks.checks import CHECKS, Checks, check_study
from hexgate.study.exports.export_files import (
    RESPONSES,
    SCORES,
    responses_csv,
    runs_file,
    runs_jsonl,
    scores_csv,
    write_texts,
)
from hexgate.study.exports.places import places
from hexgate.study.exports.staging import STAGE, put_in_place, staged
from hexgate.study.exports.workbooks import WORKBOOKS, workbooks
from hexgate.study.lines import write_whole
from hexgate.study.reading import Reading, read_study

__all__ = ["command"]

_CHECKS_FILE = "checks.json"
_SUMMARY = "summary_report.txt"


@click.command(
    "export",
    help=text(
        "Write the study in FOLDER as files to look at: all responses as CSV and as texts, flat rows of JSON, a "
        "summary, five workbooks with a sheet per model, and what `hexgate study check` finds. Called again it brings "
        "the same folder up to date. Exit codes: 0 written, whatever the checks find; 2 no study, a folder with other "
        "files, or openpyxl is missing; 4 the study's files do not add up.",
        "将 FOLDER 中的研究导出为便于查看的文件：全部回答的 CSV 与文本、扁平 JSON 行、摘要、按模型分表的五个工作簿，"
        "以及 hexgate study check 的结果。再次执行会更新同一目录。"
        "退出码：0 已写入（不论检查结果）；2 没有研究、目录中有其他文件，或缺少 openpyxl；4 研究的文件前后矛盾。",
    ),
)
@FOLDER
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help=text("Folder of the export.", "导出目录。")
)
@SPEC
@click.option(
    "--no-workbooks",
    is_flag=True,
    help=text("Leave the workbooks out; they need openpyxl.", "不写工作簿（工作簿需要 openpyxl）。"),
)
@click.option(
    "--rising",
    metavar="L0,L1,…",
    help=text("Levels whose prompts grow, as for check.", "提示词逐级变长的级别，同 check。"),
)
@click.option(
    "--without",
    metavar="NAMES",
    help=text(
        f"Checks that are not asked for, with commas between: {', '.join(CHECKS)}.",
        f"不要求的检查，以逗号分隔：{', '.join(CHECKS)}。",
    ),
)
@click.option("--quiet", is_flag=True, help=text("Say only what is wrong.", "只输出错误。"))
def command(
    folder: Path,
    out: Path,
    spec: Path | None,
    no_workbooks: bool,
    rising: str | None,
    without: str | None,
    quiet: bool,
) -> int:
    """Export a study."""
    reading = read_study(folder, spec)
    if not no_workbooks and find_spec("openpyxl") is None:
        raise MissingExtra("excel", "writing workbooks")
    _refuse_others(reading, out)
    checks = check_study(reading, rising=levels_of(rising), without=names_of(without))
    try:
        count = _write(reading, checks, out, with_workbooks=not no_workbooks)
    except OSError as error:
        raise InputError(f"the export cannot be written ({error.strerror})", where=str(out)) from None
    if not quiet:
        click.echo(_concluded(checks, count), err=True)
        click.echo(str(out), err=True)
    return ExitCode.OK


def _refuse_others(reading: Reading, out: Path) -> None:
    """Refuse a folder in which files of others, or of another study, would be written over.

    Raises:
        InputError: if it is one.
    """
    try:
        there = sorted(path.name for path in out.iterdir()) if out.exists() else []
    except OSError as error:
        raise InputError(f"the folder of --out cannot be read ({error.strerror})", where=str(out)) from None
    if not there:
        return
    # An export that was killed while its files were put in place has left the stage, with this file in it.
    seal = next((path for path in (out / _CHECKS_FILE, out / STAGE / _CHECKS_FILE) if path.exists()), None)
    if seal is None and there != [STAGE]:
        raise InputError(
            "the folder holds files that are of no export",
            where=str(out),
            got=", ".join(there[:5]),
            expected="a new folder, an empty one, or that of an earlier export",
            hint="name another --out",
        )
    if seal is None:
        return
    try:
        held = parse_strict(seal.read_bytes())
    except (OSError, NotStrictJson):
        held = None
    plan = held.get("plan_sha256") if isinstance(held, dict) else None
    if plan != reading.head["plan_sha256"]:
        raise InputError(
            "the folder holds the export of another study", where=str(out), hint="name another --out"
        )


def _write(reading: Reading, checks: Checks, out: Path, *, with_workbooks: bool) -> int:
    """Write all files, and put them in the place of those of an earlier export at the end.

    Raises:
        OSError: if the disk does not take them.
    """
    found = places(reading)
    with staged(out, _CHECKS_FILE) as stage:
        count = write_texts(stage, found)
        write_whole(stage / RESPONSES, responses_csv(reading, found))
        write_whole(stage / runs_file(reading), runs_jsonl(found))
        write_whole(stage / SCORES, scores_csv(found))
        write_whole(stage / _SUMMARY, summary_text(reading, checks).encode())
        for name, data in workbooks(reading) if with_workbooks else ():
            write_whole(stage / name, data)
        told = json.dumps(checks.to_json(), ensure_ascii=False, indent=2) + "\n"
        write_whole(stage / _CHECKS_FILE, told.encode())
        put_in_place(out, _CHECKS_FILE, [*WORKBOOKS, *(place.text_file for place in found)])
    return count


def _concluded(checks: Checks, count: int) -> str:
    found = verdict(checks)
    said = text(
        f"{checks.over} of {checks.planned} runs exported, {count} texts; {found}",
        f"已导出 {checks.planned} 次运行中的 {checks.over} 次，{count} 个文本；{found}",
    )
    if checks.passed:
        return said
    return said + text(f" (see {_CHECKS_FILE})", f"（见 {_CHECKS_FILE}）")
