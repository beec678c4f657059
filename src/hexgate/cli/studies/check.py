"""`hexgate study check`: whether a study is complete and holds together, with everything that does not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import columns, error_words, padded
from hexgate.cli.language import text
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.errors import ExitCode
from hexgate.study.checks.checked import Check, Status, Violation
from hexgate.study.checks.checks import CHECKS, Checks, check_study
from hexgate.study.reading import read_study

__all__ = ["command", "levels_of", "names_of", "told", "verdict"]

_SHOWN = 20
_OF_A_KIND = 3
_INDENT = "  "


def names_of(value: str | None) -> tuple[str, ...]:
    """The names of an option, with commas between."""
    return tuple(name.strip() for name in (value or "").split(",") if name.strip())


def levels_of(value: str | None) -> tuple[str, ...] | None:
    """The levels of --rising; None where it is not given."""
    return None if value is None else names_of(value)


def _violations(count: int) -> str:
    return text("1 violation" if count == 1 else f"{count} violations", f"{count} 处不符合")


def verdict(checks: Checks) -> str:
    """What does not hold, and what nobody could see, in words."""
    parts = [_violations(checks.violations)]
    for status in (Status.NOT_MADE, Status.NOT_STATED):
        count = sum(check.status is status for check in checks.checks)
        if count:
            checks_in_words = text("1 check" if count == 1 else f"{count} checks", f"{count} 项检查")
            parts.append(f"{checks_in_words}{text(' ', '')}{_status(status)}")
    return text(", ", "，").join(parts)


def _status(status: Status) -> str:
    """How a check ended, in words."""
    return {
        Status.OK: text("ok", "通过"),
        Status.VIOLATED: text("violated", "不符合"),
        Status.NOT_STATED: text("not stated", "未说明"),
        Status.NOT_MADE: text("not made", "未能执行"),
        Status.NOT_APPLICABLE: text("not applicable", "不适用"),
        Status.LEFT_OUT: text("left out", "已排除"),
    }[status]


def told(checks: Checks, *, most: int | None = None) -> list[str]:
    """The checks as lines of text.

    Args:
        checks: what they found.
        most: most violations of a check that are shown; None for all.
    """
    width = max(columns(_status(status)) for status in Status)
    lines: list[str] = []
    for check in checks.checks:
        lines.append(f"{check.name:<16}{padded(_status(check.status), width)}  {_seen(check)}".rstrip())
        shown = list(check.violations) if most is None else _examples(check.violations, most)
        lines += [f"{_INDENT}{_where(one)}: {_found(one)}" for one in shown]
        hidden = len(check.violations) - len(shown)
        if hidden:
            kinds = len(Counter(one.got for one in check.violations))
            lines.append(
                _INDENT
                + text(
                    f"… {hidden} more ({kinds} different findings in all)",
                    f"… 另有 {hidden} 项（共 {kinds} 种不同情况）",
                )
            )
        lines += [_INDENT + line for row in check.listed if (line := _listed(check, row))]
    return lines


@click.command(
    "check",
    help=text(
        "Check whether the study in FOLDER is complete and holds together: each planned run over and not failed, "
        "prompts that grow from level to level, scores in range, energy there, texts, records and table equal to the "
        "ledger, one configuration a model. What does not hold is listed with model, level and question. "
        "Exit codes: 0 all holds; 2 no study; 4 something does not hold, or a check found nothing to look at.",
        "检查 FOLDER 中的研究是否完整且前后一致：计划的运行全部完成且未失败，提示词逐级变长，分数在范围内，能耗齐全，"
        "文本、记录与结果表同账本一致，每个模型只有一种配置。不符合之处按模型、级别、题目列出。"
        "退出码：0 全部符合；2 没有研究；4 有不符合之处，或某项检查无对象可查。",
    ),
)
@FOLDER
@SPEC
@click.option(
    "--rising",
    metavar="L0,L1,…",
    help=text(
        "Levels whose prompts grow, in order; L0,L1,L2,L3 as far as the study has them where not given.",
        "提示词逐级变长的级别，按顺序；缺省时取研究中有的 L0,L1,L2,L3。",
    ),
)
@click.option(
    "--without",
    metavar="NAMES",
    help=text(
        f"Checks that are not asked for, with commas between: {', '.join(CHECKS)}.",
        f"不要求的检查，以逗号分隔：{', '.join(CHECKS)}。",
    ),
)
@click.option(
    "--json", "as_json", is_flag=True, help=text("Print all of it as JSON.", "以 JSON 输出全部内容。")
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help=text(
        f"Show every violation, and not {_SHOWN} of each check at most, of a kind {_OF_A_KIND}.",
        f"显示全部不符合之处，而不只是每项检查至多 {_SHOWN} 条、同类至多 {_OF_A_KIND} 条。",
    ),
)
def command(
    folder: Path, spec: Path | None, rising: str | None, without: str | None, as_json: bool, everything: bool
) -> int:
    """Check a study."""
    reading = read_study(folder, spec)
    checks = check_study(reading, rising=levels_of(rising), without=names_of(without))
    if as_json:
        click.echo(json.dumps(checks.to_json(), ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(told(checks, most=None if everything else _SHOWN)))
        click.echo(_concluded(checks))
    return ExitCode.OK if checks.passed else ExitCode.EVIDENCE


def _concluded(checks: Checks) -> str:
    found = verdict(checks)
    return text(
        f"{checks.planned} runs planned, {checks.over} over, {checks.failed} failed; {found}",
        f"计划 {checks.planned} 次运行，已完成 {checks.over} 次，失败 {checks.failed} 次；{found}",
    )


def _seen(check: Check) -> str:
    if check.reason is not None:
        return error_words(check.reason)
    if check.violations:
        count = _violations(len(check.violations))
        return text(f"{count}, {check.looked_at} looked at", f"{count}，共查 {check.looked_at} 项")
    return text(f"{check.looked_at} looked at", f"共查 {check.looked_at} 项")


def _examples(found: Sequence[Violation], most: int) -> list[Violation]:
    """So many violations at most, and of those that say the same a few, lest one kind hides the others."""
    alike: Counter[tuple[str, str]] = Counter()
    shown: list[Violation] = []
    for one in found:
        kind = (str(one.got), str(one.expected))
        alike[kind] += 1
        if alike[kind] <= _OF_A_KIND and len(shown) < most:
            shown.append(one)
    return shown


def _where(one: Violation) -> str:
    parts = (one.model, one.category, one.question, one.level)
    named = " ".join(str(part) for part in parts if part is not None)
    if one.repeat is not None:
        named += text(f" run {one.repeat}", f" 第 {one.repeat} 次")
    return named or text("folder", "目录")


def _found(one: Violation) -> str:
    return text(
        f"got {one.got}, expected {one.expected}",
        f"得到 {error_words(one.got)}，应为 {error_words(one.expected)}",
    )


def _listed(check: Check, row: Mapping[str, Any]) -> str | None:
    """A line of what a check saw and does not judge, where a person asks for it."""
    if check.name == "rising" and row.get("judged") is False and row["n"]:
        model, level, last = row["model"], row["level"], row["compared_with"]
        longer, shorter = row["longer"], row["not_longer"]
        return text(
            f"{model} {level}, not judged: longer than {last} for {longer} of {longer + shorter} prompts",
            f"{model} {level}（不作判断）：{longer + shorter} 个提示词中有 {longer} 个比 {last} 长",
        )
    if check.name == "configurations" and row["not_stated"]:
        names = ", ".join(row["not_stated"])
        return text(f"{row['model']}: nobody states {names}", f"{row['model']}：未说明 {names}")
    return None
