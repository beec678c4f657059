"""The summary of a study in words: counts, means by model and level, what is missing, what the checks found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hexgate.cli.console import columns, error_words, padded
from hexgate.cli.language import text
from hexgate.cli.studies.check import told, verdict
from hexgate.study.checks.checks import Checks
from hexgate.study.exports.comparison import by_model_and_level, mean_of, ratio_of
from hexgate.study.exports.figures import COMPLETION_TOKENS, ENERGY, LATENCY, PROMPT_TOKENS, SCORE, Figure
from hexgate.study.exports.places import Place, places
from hexgate.study.reading import Reading
from hexgate.study.reasons import counted

__all__ = ["summary_text"]

_FIGURES = (PROMPT_TOKENS, COMPLETION_TOKENS, LATENCY, ENERGY, SCORE)
_MOST = 20


def summary_text(reading: Reading, checks: Checks) -> str:
    """The summary, in the language of the person.

    Args:
        reading: the study.
        checks: what its checks found.
    """
    found = places(reading)
    parts = [
        _head(reading, checks),
        _counts(found),
        _means(found),
        _missing(found),
        [text("Checks", "检查"), *told(checks, most=_MOST)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(reading: Reading, checks: Checks) -> list[str]:
    measures = ", ".join(sorted(reading.marks.measures)) or text("none", "无")
    return [
        text(f"Study: {checks.study}", f"研究：{checks.study}"),
        text(f"Started: {reading.head['started_at']}", f"开始时间：{reading.head['started_at']}"),
        text(f"Made with: {reading.head['tool']}", f"工具：{reading.head['tool']}"),
        text(
            f"Runs: {checks.planned} planned, {checks.over} over, {checks.failed} of them failed, "
            f"{checks.planned - checks.over} left",
            f"运行：计划 {checks.planned} 次，已完成 {checks.over} 次，其中失败 {checks.failed} 次，"
            f"剩余 {checks.planned - checks.over} 次",
        ),
        text(f"Measures of quality: {measures}", f"质量度量：{measures}"),
        text(f"Checks: {verdict(checks)}", f"检查：{verdict(checks)}"),
    ]


def _counts(found: Sequence[Place]) -> list[str]:
    levels = list(dict.fromkeys(place.level for place in found))
    models = list(dict.fromkeys(place.model for place in found))
    ok = Counter((place.model, place.level) for place in found if place.ok)
    planned = Counter((place.model, place.level) for place in found)
    rows = [[text("model", "模型"), *levels]]
    rows += [
        [model, *(f"{ok[model, level]}/{planned[model, level]}" for level in levels)] for model in models
    ]
    return [text("Runs that succeeded, of those planned", "成功次数 / 计划次数"), *_table(rows)]


def _means(found: Sequence[Place]) -> list[str]:
    head = [
        text("model", "模型"),
        text("level", "级别"),
        text("tokens in", "输入词元"),
        text("tokens out", "输出词元"),
        text("latency ms", "延迟 ms"),
        text("energy J (net)", "能耗 J（净）"),
        text("score /10", "得分 /10"),
        text("points/J", "分/J"),
    ]
    rows = [head]
    for (model, level), own in by_model_and_level(found).items():
        means = [_mean(figure, own) for figure in _FIGURES]
        ratio = ratio_of(SCORE, ENERGY, own)
        rows.append([model, level, *means, "-" if ratio.value is None else f"{ratio.value:.4g}"])
    return [
        text("Means by model and level", "按模型与级别的均值"),
        *_table(rows),
        text(
            "In brackets: how many runs have no value and are in no mean. - is not measured, and never 0.",
            "括号内：没有数值、未计入均值的运行次数。- 表示未测得，绝不等于 0。",
        ),
    ]


def _mean(figure: Figure, own: Sequence[Place]) -> str:
    one = mean_of(figure, own)
    value = "-" if one.value is None else f"{one.value:.{figure.digits}f}"
    return value if not one.missing else f"{value} ({one.missing})"


def _missing(found: Sequence[Place]) -> list[str]:
    lines = [text("What is missing, and why", "缺失的数值与原因")]
    for figure in _FIGURES:
        why = counted(one for place in found if (one := figure.reason(place.record)) is not None)
        lines += [f"{figure.name}: {count} x {error_words(reason)}" for reason, count in why.most_common()]
    return lines if len(lines) > 1 else [*lines, text("nothing", "无")]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(columns(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
