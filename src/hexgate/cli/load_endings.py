"""How a load ended, on the terminal: why it is not complete, what failed, and what could not be read beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.text import Text

from hexgate.cli.console import console, show_error
from hexgate.cli.language import language, text
from hexgate.errors import EvidenceError, HexgateError, Interrupted
from hexgate.indicators.load_evidence import STOPPED_EARLY, WARMING
from hexgate.indicators.sheet import Measured
from hexgate.report.load_sentences import told
from hexgate.report.load_summary import commonest_failure, failed_line, summary_table
from hexgate.report.table import plain

__all__ = ["show_ending", "show_reasons", "show_summary", "unread_metrics"]

Json = Mapping[str, Any]


def show_reasons(measured: Sequence[Measured], statistics: Json | None, most: float | None) -> None:
    """Why what was measured is not complete, each reason once: what is invalid is no error of anybody.

    Args:
        measured: the artifacts.
        statistics: of the load; None where there are none.
        most: the share of failures that was allowed; None where nothing was said of it.
    """
    said: set[str] = set()
    for one in measured:
        data = one.artifact.data
        reasons = data["invalid_reasons"] if data["status"] == "invalid" else []
        # An error that is more than the reasons joined says something else, and in the target's words.
        if one.error is not None and not (reasons and isinstance(one.error, EvidenceError)):
            if one.error.what not in said:
                show_ending(one.error, during_warm_up=WARMING in data["invalid_reasons"])
            said.add(one.error.what)
            continue
        for reason in reasons:
            if reason not in said:
                click.echo(_reason(reason, most, statistics), err=True)
            said.add(reason)


def show_ending(error: HexgateError, *, during_warm_up: bool = False) -> None:
    """What ended a load, or makes it say nothing: neither somebody who stops it nor a busy machine is an error."""
    if isinstance(error, EvidenceError) and error.hint is None:
        click.echo(_invalid(error.what), err=True)
        return
    if not isinstance(error, Interrupted):
        show_error(error)
        return
    when = text(" during the warm-up", "（预热期间）") if during_warm_up else ""
    kept = text("what was measured until then is kept", "此前测得的内容已保留")
    click.echo(f"{text('stopped', '已停止')}{when}{text(': ', '：')}{kept}", err=True)


def _invalid(reason: str) -> str:
    return f"{text('invalid: ', '无效：')}{plain(told(reason, 1000)[language()])}"


def _reason(reason: str, most: float | None, statistics: Json | None) -> str:
    if most is None or not reason.startswith(STOPPED_EARLY):
        return _invalid(reason)
    lang = language()
    why = reason.removeprefix(STOPPED_EARLY)
    parts = [told(why)[lang], f"--max-error-ratio {most:g}"]
    often = None if statistics is None else commonest_failure(statistics)
    if often is not None:
        parts.append(text(f"most often: {often}", f"最常见：{told(often).zh}"))
    return f"{text('stopped: ', '已停止：')}{plain(text('; ', '；').join(parts))}"


def show_summary(statistics: Json) -> None:
    """What failed, if anything did, and the figures that people ask for first."""
    lang = language()
    failed = failed_line(statistics)
    if failed is not None:
        console().print(Text(plain(failed[lang]), style="red"), soft_wrap=True)
    console().print(summary_table(statistics, lang=lang))


def unread_metrics(measured: Measured) -> Iterator[str]:
    """A line for each endpoint of the server's metrics that did not always answer."""
    reader = measured.artifact.evidence()
    meters = reader.document("meters") if "meters" in reader.names else {}
    for endpoint in meters.get("server_metrics", ()):
        if endpoint["failure"] is None:
            continue
        url, why = endpoint["url"], endpoint["failure"]
        failed, tried = endpoint.get("failures"), endpoint.get("failures", 0) + endpoint.get("scrapes", 0)
        counted = (
            ""
            if failed is None
            else text(f"{failed} of {tried} reads failed: ", f"{tried} 次读取失败 {failed} 次：")
        )
        yield f"{text('warning: ', '警告：')}--server-metrics {url}: {counted}{why}"
