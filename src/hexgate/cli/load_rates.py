"""`hexgate load --search` and `--sweep`: what a person sees of loads at several rates, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.table import Table

from hexgate.cli.console import console, show_error
from hexgate.cli.language import language, text
from hexgate.cli.load_display import LoadDisplay
from hexgate.cli.load_options import Aims, Leaving
from hexgate.cli.load_outputs import write_rates_report
from hexgate.cli.load_told import leave
from hexgate.errors import ExitCode, HexgateError
from hexgate.indicators.base import Job, Progress
from hexgate.indicators.load_probe import Step
from hexgate.indicators.load_search import Searched, Swept, run_search, run_sweep
from hexgate.indicators.sheet import Run
from hexgate.load.live import Live
from hexgate.load.measures.search import Ended, Probe, Verdict
from hexgate.load.measures.slo_judge import Kept
from hexgate.report.load_sentences import chinese
from hexgate.report.numbers import number

__all__ = ["at_several_rates"]


def at_several_rates(job: Job, aims: Aims, out: Path, run: Run, leaving: Leaving) -> int:
    """Search or sweep, say what was found, and return the exit code."""

    @contextmanager
    def watch(title: str) -> Iterator[tuple[Progress, Live]]:
        live = Live()
        with LoadDisplay(live, title=title, quiet=leaving.quiet) as display:
            yield display, live

    def say(line: str) -> None:
        if not leaving.quiet:
            click.echo(line, err=True)

    if aims.search:
        searched = run_search(job, out, run, watch, lambda probe: say(_probe_line(probe)))
        return _conclude_search(searched, out, leaving)
    swept = run_sweep(job, out, run, watch, lambda step: say(_step_line(step)), points=aims.sweep or 0)
    return _conclude_sweep(swept, out, leaving)


def _probe_line(probe: Probe) -> str:
    verdict = {
        Verdict.MET: text("met", "达到"),
        Verdict.MISSED: text("not met", "未达到"),
        Verdict.UNDECIDED: text("undecided", "无法判定"),
        Verdict.INVALID: text("client too slow", "客户端过慢"),
    }[probe.answer.verdict]
    why = text(probe.answer.why, chinese(probe.answer.why))
    return f"  {_short(probe.rate_rps)}/s, {_short(probe.seconds)} s: {verdict} ({why})"


def _step_line(step: Step) -> str:
    shown = ", ".join(
        f"{_in_a_line(text(*_COLUMNS[name]))} {_short(step.figures[name])}"
        for name in _TOLD
        if step.figures[name] is not None
    )
    busy = text("; this client did not keep up", "；客户端未跟上") if step.reasons else ""
    return f"  {_short(step.rate_rps)}/s: {shown}{busy}"


def _in_a_line(heading: str) -> str:
    return heading.replace("\n/", "/").replace("\n", " ")


def _conclude_search(searched: Searched, out: Path, leaving: Leaving) -> int:
    found = searched.found
    if not leaving.quiet:
        console().print(_table(searched.steps))
        click.echo(_found_line(searched), err=True)
        click.echo(f"{searched.path}", err=True)
    _leave_page(searched.path, leaving)
    if searched.folder is not None and leaving.exports:
        leave(out / searched.folder, leaving)
    return _code(
        searched.error, stopped=found.ended is Ended.STOPPED, client=found.ended is Ended.CLIENT
    ) or (ExitCode.OK if found.rate_rps is not None else ExitCode.INCONCLUSIVE)


def _found_line(searched: Searched) -> str:
    found, slo = searched.found, searched.slo
    rate = "" if found.rate_rps is None else _short(found.rate_rps)
    shown = text(f"{rate}/s keeps {slo}", f"{rate}/s 满足 {slo}")
    none = text(f"no rate was shown to keep {slo}", f"没有速率被证明满足 {slo}")
    best = none if found.rate_rps is None else shown
    match found.ended:
        case Ended.FOUND:
            above = "" if found.above_rps is None else _short(found.above_rps)
            return best + text(f"; of {above}/s that could not be shown", f"；{above}/s 未能证明")
        case Ended.MOST:
            return best + text("; nothing higher was tried", "；未再试更高速率")
        case Ended.CLIENT:
            return best + text(
                "; this machine cannot send faster, so the target may well keep it at more",
                "；本机无法发送得更快，目标也许能承受更高速率",
            )
        case Ended.STOPPED:
            return best + text("; the search was stopped before its end", "；搜索中途停止")
        case _:
            return best


def _conclude_sweep(swept: Swept, out: Path, leaving: Leaving) -> int:
    if not leaving.quiet:
        console().print(_table(swept.points))
        if swept.served_rps is not None:
            rate = _short(swept.served_rps)
            click.echo(text(f"served at most: {rate}/s", f"最大吞吐：{rate}/s"), err=True)
        for line in _ended_lines(swept):
            click.echo(line, err=True)
        click.echo(f"{swept.path}", err=True)
    _leave_page(swept.path, leaving)
    if leaving.exports:
        quiet = Leaving(parquet=leaving.parquet, quiet=True)
        for step in swept.points:
            leave(out / step.folder, quiet)
    return _code(swept.error, stopped=swept.ended == "stopped", client=swept.ended == "client") or ExitCode.OK


def _leave_page(document: Path, leaving: Leaving) -> None:
    """Write the page of a search or a sweep. What cannot be written is said, and does not undo the loads."""
    if not leaving.exports:
        return
    try:
        written = write_rates_report(document, language())
    except HexgateError as error:
        show_error(error)
        return
    if not leaving.quiet:
        click.echo(f"{written}", err=True)


def _ended_lines(swept: Swept) -> list[str]:
    """Why a sweep did not come to its end, and what was measured twice."""
    last = swept.points[-1] if swept.points else None
    rates = ", ".join(f"{_short(step.rate_rps)}/s" for step in swept.retried)
    if swept.ended == "client" and last is not None and last.reasons:
        rate = _short(last.rate_rps)
        return [
            text(
                f"the sweep ended at {rate}/s: this client did not keep up, twice; higher rates ask more of it",
                f"扫描在 {rate}/s 处结束：客户端两次都未跟上，更高的速率要求更多",
            ),
            f"{text('invalid: ', '无效：')}{text(last.reasons[0], chinese(last.reasons[0]))}",
        ]
    if swept.ended == "stopped":
        return [text("the sweep was stopped before its end", "扫描中途停止")]
    if not rates:
        return []
    return [
        text(
            f"measured twice, as this client did not keep up at first: {rates}",
            f"因客户端起初未跟上而测了两次：{rates}",
        )
    ]


def _code(error: HexgateError | None, *, stopped: bool, client: bool) -> int:
    """The exit code of what did not come to its end; 0 where it did."""
    if error is not None:
        show_error(error)
        return error.exit_code
    if stopped:
        return ExitCode.INTERRUPTED
    return ExitCode.EVIDENCE if client else ExitCode.OK


_COLUMNS = {
    "rps": ("served\n/s", "完成\n/s"),
    "output_tokens_per_s": ("tokens\n/s", "token\n/s"),
    "ttft_p50_ms": ("TTFT\np50", "TTFT\np50"),
    "ttft_p99_ms": ("TTFT\np99", "TTFT\np99"),
    "tpot_p50_ms": ("TPOT\np50", "TPOT\np50"),
    "p50_ms": ("p50\nms", "p50\nms"),
    "p99_ms": ("p99\nms", "p99\nms"),
    "error_ratio": ("errors", "错误率"),
}
_TOLD = ("rps", "ttft_p99_ms", "tpot_p50_ms", "p99_ms", "error_ratio")
"""What is told of a load of a sweep when it is over; the table has the rest."""


def _table(steps: Sequence[Step]) -> Table:
    """One row for each load, in order of rate."""
    # In 80 columns: the headings in two lines, and one column of space.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(text("asked\n/s", "要求\n/s"), justify="right", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    shown = [name for name in _COLUMNS if any(step.figures[name] is not None for step in steps)]
    for name in shown:
        table.add_column(text(*_COLUMNS[name]), justify="right", no_wrap=True)
    table.add_column("SLO", no_wrap=True)
    for step in sorted(steps, key=lambda one: (one.rate_rps, one.seconds)):
        figures = [_short(step.figures[name]) for name in shown]
        table.add_row(_short(step.rate_rps), _short(step.seconds), *figures, _kept(step))
    return table


def _kept(step: Step) -> str:
    if step.reasons:
        return text("client slow", "客户端慢")
    kept = {one.kept for one in step.judged}
    if not kept:
        return "-"
    if Kept.MISSED in kept:
        return text("not met", "未达到")
    return text("met", "达到") if kept == {Kept.MET} else text("undecided", "无法判定")


def _short(value: float | None) -> str:
    return "-" if value is None else number(float(f"{value:.3g}"))
