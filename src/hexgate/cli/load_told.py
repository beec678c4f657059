"""What `hexgate load` says and leaves at the end: figures, the SLO, tables, the report, another tool's figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from hexgate.cli.console import console, show_error
from hexgate.cli.language import language, text
from hexgate.cli.load_endings import show_reasons, show_summary, unread_metrics
from hexgate.cli.load_options import Leaving
from hexgate.cli.load_outputs import folder_statistics, write_exports, write_load_report
from hexgate.cli.run import gravest_code, show_measured
from hexgate.errors import HexgateError
from hexgate.indicators.load_probe import judge_folder
from hexgate.indicators.sheet import Measured
from hexgate.load.measures.slo import Slo
from hexgate.load.measures.slo_judge import Judged, Kept
from hexgate.load.measures.translate import SHARES, Translated, Translation, translate
from hexgate.load.records import Records
from hexgate.report.load_sentences import chinese
from hexgate.report.numbers import number

__all__ = ["conclude_load", "judged_lines", "leave", "translated", "translation_notes"]


def conclude_load(measured: Sequence[Measured], out: Path, leaving: Leaving) -> int:
    """Say what one load measured, and leave what goes with it, however it ended.

    Returns:
        The exit code of what was measured.
    """
    first = measured[0]
    try:
        statistics = folder_statistics(out)
    except HexgateError:
        # Told below, by what writes them.
        statistics = None
    show_reasons(measured, statistics, leaving.max_error_ratio)
    if not leaving.quiet:
        if statistics is not None:
            show_summary(statistics)
        show_measured(measured)
        for line in unread_metrics(first):
            click.echo(line, err=True)
    if not leaving.quiet and first.artifact.data["method"].get("slo"):
        judged, reasons = judge_folder(first, Slo.from_json(first.artifact.data["method"]["slo"]))
        if reasons:
            nothing = "the client did not keep up, so this says nothing of the target:"
            click.echo(text(nothing, "客户端未能跟上，下列结果不说明目标："), err=True)
        for line in judged_lines(judged):
            click.echo(line, err=True)
    if leaving.exports:
        leave(out, leaving)
    if leaving.dialect_of is not None:
        reader = first.artifact.evidence()
        if "requests" in reader.names:
            found = translate(Records.open(reader.path("requests")), leaving.dialect_of)
            for table in translated(found):
                console().print(table)
            for line in translation_notes(found):
                click.echo(f"  {line}", err=True)
    return gravest_code(measured)


def leave(folder: Path, leaving: Leaving) -> None:
    """Write the tables and the report of a load. What cannot be written is said, and does not undo the load."""
    try:
        written = write_exports(folder, parquet=leaving.parquet)
        written.append(write_load_report(folder, lang=language()))
    except HexgateError as error:
        show_error(error)
        return
    if not leaving.quiet:
        for path in written:
            click.echo(f"{path}", err=True)


def judged_lines(judged: Sequence[Judged]) -> list[str]:
    """A line for each term: whether the load kept it, and by which numbers."""
    return [
        f"{_KEPT[one.kept]()}  {one.term}{text(': ', '：')}{text(one.why, chinese(one.why))}"
        for one in judged
    ]


_KEPT = {
    Kept.MET: lambda: text("met", "达到"),
    Kept.MISSED: lambda: text("not met", "未达到"),
    Kept.UNDECIDED: lambda: text("undecided", "无法判定"),
    Kept.UNMEASURED: lambda: text("not measured", "未测得"),
}


def translated(found: Translation) -> list[Table]:
    """A load under another tool's definitions, as tables: the figures of requests, then those of the run."""
    title = text(
        f"The same load as {found.tool.title} defines it, milliseconds",
        f"按 {found.tool.title} 的定义（毫秒）",
    )
    # One column of space, as formula and figures are to stand in 80 columns.
    requests = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", title=title, title_justify="left"
    )
    heads = ["", text("definition", "定义"), "n", text("mean", "均值"), "std"]
    for head in heads + [f"p{share * 100:g}" for share in SHARES]:
        requests.add_column(head, justify="left" if head in heads[:2] else "right")
    for one in found.requests:
        cells = [number(one.n), *(_short(value) for value in (one.mean, one.std, *one.percentiles))]
        if one.mean is None:
            cells = [number(one.n), *(["-"] * (2 + len(SHARES)))]
        requests.add_row(Text(one.measure.name), Text(_labelled(one.measure.formula)), *cells)
    rates = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for rate in found.rates:
        value = "-" if rate.value is None else f"{_short(rate.value)}{rate.unit and ' ' + rate.unit}"
        rates.add_row(Text(_labelled(rate.name)), value)
    return [requests, rates]


def translation_notes(found: Translation) -> list[str]:
    """What the symbols are, what cannot be had and why, and what differs from the tool's own figures."""
    said = {one.measure.name: note for one in found.requests if (note := _noted(one))}
    said |= {
        rate.name: text(*rate.why) for rate in found.rates if rate.value is None or rate.name == "duration"
    }
    return [_symbols(), *(f"{_labelled(name)}{text(': ', '：')}{note}" for name, note in said.items())]


_LABELS = {
    "requests": "请求数",
    "output tokens": "输出 token",
    "prompt tokens": "提示词 token",
    "duration": "时长",
    "request throughput": "请求吞吐",
    "output token throughput": "输出 token 吞吐",
    "total token throughput": "总 token 吞吐",
    "each event gap": "每个事件间隔",
    "each event gap, pooled": "全部回复的每个事件间隔",
    "gaps of tokens, 0 within an event": "token 间隔，同一事件内为 0",
    "(l - t0) / received events": "(l - t0) / 收到的事件数",
}
"""Labels that are words; a tool's own names and its formulas stay as they are."""


def _labelled(name: str) -> str:
    return text(name, _LABELS.get(name, name))


def _noted(one: Translated) -> str:
    said = one.missing or one.measure.note
    return "" if said is None else text(*said)


def _short(value: float | None) -> str:
    return "-" if value is None else number(float(f"{value:.4g}"))


def _symbols() -> str:
    return text(
        "s due, t0 sent, a first event, f first token, l last token, u usage event, e end, h handled, n output tokens, "
        "n1 those in the first event",
        "s 计划时刻，t0 发送，a 首个事件，f 首个 token，l 末个 token，u 用量事件，e 结束，h 处理完，n 输出 token 数，"
        "n1 首个事件的 token 数",
    )
