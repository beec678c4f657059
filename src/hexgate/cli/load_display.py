"""What a person sees while a load runs: a few lines on the terminal, made of two looks at its counters."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import click

from hexgate.cli.console import console
from hexgate.cli.language import language, text
from hexgate.load.live import BOUNDS_S, Live, Seen
from hexgate.load.records import Outcome
from hexgate.report.load_sentences import chinese
from hexgate.report.numbers import THIN, number

if TYPE_CHECKING:
    from rich.live import Live as Screen
    from rich.table import Table

__all__ = ["LoadDisplay", "display_lines"]

_LOOKS_PER_S = 4
_SPAN_S = 3.0
"""Rates are those of the last seconds, so that the lines neither jump nor lag."""
_BAR = 24
_DASH = "-"


def display_lines(before: Seen, now: Seen, *, drain_s: float | None = None) -> list[tuple[str, str]]:
    """The lines of the display: what each is of, and what it says.

    Args:
        before: the counters some seconds ago; what is said of "now" is what happened since.
        now: the counters.
        drain_s: the longest wait for what is in flight at the end; None where nothing bounds it.
    """
    span_s = now.elapsed_s - before.elapsed_s
    ended = sum(now.outcomes) - sum(before.outcomes)
    return [
        (text("warm-up", "预热") if _is_warm_up(now) else _PHASES[now.phase](), _progress(now, drain_s)),
        (text("rate", "速率"), _rate(now, _per_s(now.issued - before.issued, span_s))),
        (text("finished", "完成"), _per_second(_per_s(ended, span_s))),
        (text("in flight", "在途"), number(now.in_flight)),
        ("TTFT", _times(before.ttft_buckets, now.ttft_buckets, now.ttft_sum_s - before.ttft_sum_s)),
        (
            text("latency", "延迟"),
            _times(before.buckets, now.buckets, now.latency_sum_s - before.latency_sum_s),
        ),
        (text("output", "输出"), _output(before, now, span_s)),
        (text("failures", "失败"), _failures(now)),
        (text("this client", "本机"), _client(before, now, span_s)),
    ]


_PHASES = {
    "starting": lambda: text("starting", "启动"),
    "running": lambda: text("running", "运行"),
    "draining": lambda: text("draining", "收尾"),
    "reading": lambda: text("reading replies", "解析回复"),
    "done": lambda: text("done", "结束"),
}


def _is_warm_up(now: Seen) -> bool:
    return now.phase == "running" and now.issued < now.warmup


def _progress(now: Seen, drain_s: float | None) -> str:
    ended = sum(now.outcomes)
    if now.phase == "reading":
        return text(
            f"{number(now.replies_read)} of {number(ended)} replies",
            f"{number(now.replies_read)} / {number(ended)} 个回复",
        )
    length = f"{now.elapsed_s:.0f} s"
    if _is_warm_up(now):
        first = min(ended, now.warmup)
        return text(
            f"{number(first)} of {number(now.warmup)} requests  {length}",
            f"{number(first)} / {number(now.warmup)} 个请求  {length}",
        )
    if now.phase == "draining" and drain_s is not None:
        length += text(f" (waits at most {_short(drain_s)} s)", f"（最多等 {_short(drain_s)} 秒）")
    if not now.planned:
        return text(f"{length}  {number(ended)} requests", f"{length}  {number(ended)} 个请求")
    share = min(ended / now.planned, 1.0)
    full = round(share * _BAR)
    bar = f"[{'=' * full}{' ' * (_BAR - full)}] {100 * share:3.0f} %  {length}"
    planned = number(now.planned)
    return text(f"{bar}  {number(ended)} of {planned} requests", f"{bar}  {number(ended)} / {planned} 个请求")


def _rate(now: Seen, sent_rps: float | None) -> str:
    sent = _per_second(sent_rps)
    if now.asked_rps is None or now.phase != "running":
        return text(f"{sent} sent", f"实发 {sent}")
    asked = _short(now.asked_rps)
    said = text(f"{sent} of {asked} asked", f"实发 {sent}，要求 {asked}")
    behind = now.due - now.issued
    return said + (text(f", {number(behind)} behind", f"，落后 {number(behind)}") if behind > 1 else "")


def _times(before: Sequence[int], now: Sequence[int], sum_s: float) -> str:
    """Mean, median and 95th percentile of what was counted between two looks, as their buckets have them."""
    counts = [new - old for old, new in zip(before, now, strict=True)]
    total = sum(counts)
    if total <= 0:
        return _DASH
    median, high = _bound(counts, 0.5), _bound(counts, 0.95)
    mean = _short(1e3 * sum_s / total)
    return text(f"mean {mean} ms, p50 {median}, p95 {high}", f"均值 {mean} ms，P50 {median}，P95 {high}")


def _bound(counts: Sequence[int], share: float) -> str:
    rank, passed = share * sum(counts), 0
    for bound, count in zip(BOUNDS_S, counts, strict=False):
        passed += count
        if passed >= rank:
            return f"<= {_short(1e3 * bound)} ms"
    return f"> {_short(1e3 * BOUNDS_S[-1])} ms"


def _output(before: Seen, now: Seen, span_s: float) -> str:
    """Events with text a second: those of the replies that were read meanwhile, for all that came."""
    read, events = now.sampled - before.sampled, now.events - before.events
    came = _per_s(now.outcomes[Outcome.OK] - before.outcomes[Outcome.OK], span_s)
    amount = _per_s(now.bytes - before.bytes, span_s)
    size = _DASH if amount is None else f"{_short(amount / 1e6)} MB/s"
    if came is None or read <= 0 or events <= 0:
        return size
    pieces = _short(came * events / read)
    return text(f"about {pieces} tokens/s, {size}", f"约 {pieces} token/s，{size}")


def _failures(now: Seen) -> str:
    ended = sum(now.outcomes)
    bad = [
        (text("errors", "错误"), now.outcomes[Outcome.ERROR]),
        (text("time-outs", "超时"), now.outcomes[Outcome.TIMEOUT]),
        (text("cut short", "不完整"), now.outcomes[Outcome.TRUNCATED]),
        (text("unfinished", "未完成"), now.outcomes[Outcome.UNFINISHED]),
        (text("not sent", "未发送"), now.outcomes[Outcome.NOT_SENT]),
    ]
    total = sum(count for _, count in bad)
    if not total:
        return "0"
    named = text(", ", "，").join(f"{name} {number(count)}" for name, count in bad if count)
    return f"{number(total)} ({_short(100 * total / ended)} %){text(': ', '：')}{named}"


def _client(before: Seen, now: Seen, span_s: float) -> str:
    lag = _short(1e3 * now.loop_lag_max_s)
    parts = [text(f"loop lag {lag} ms", f"循环滞后 {lag} ms")]
    if now.lag_max_s is not None:
        late = _short(1e3 * now.lag_max_s)
        parts.insert(0, text(f"at most {late} ms late", f"发送最多迟 {late} ms"))
    cores = _per_s(now.cpu_s - before.cpu_s, span_s)
    if cores is not None:
        used = _short(cores)
        by = "1 worker" if now.workers == 1 else f"{now.workers} workers"
        parts.append(text(f"{used} cores by {by}", f"{now.workers} 个工作进程用 {used} 核"))
    return text(", ", "，").join(parts)


def _per_s(count: float, span_s: float) -> float | None:
    return count / span_s if span_s > 0 else None


def _per_second(rate: float | None) -> str:
    return _DASH if rate is None else f"{_short(rate)}/s"


def _short(value: float) -> str:
    """Three digits are as many as an eye takes in."""
    return number(float(f"{value:.3g}"))


def _titled(name: str, said: str) -> str:
    # The table of sentences takes its time to compile: whoever reads English does not wait for it.
    return f"{name}：{chinese(said)}" if language() == "zh" else f"{name}: {said}"


class LoadDisplay:
    """The progress of a load: lines that renew themselves on a terminal, one for each stage elsewhere, none when quiet.

    Nothing is drawn where standard error is no terminal. The counters are read from a thread of the display's own
    and without a lock, so that the load never waits for it.

    Args:
        live: the counters of the load.
        title: what the lines are of.
        quiet: whether to say nothing at all.
        drain_s: the longest wait for what is in flight at the end; None where nothing bounds it.
    """

    def __init__(
        self, live: Live, *, title: str = "load", quiet: bool = False, drain_s: float | None = None
    ) -> None:
        self._live = live
        self._name = chinese(title) if language() == "zh" else title
        self._title = self._name
        self._quiet = quiet
        self._drain_s = drain_s
        self._looks: deque[Seen] = deque()
        self._lock = threading.Lock()
        self._screen: Screen | None = None
        if not quiet and sys.stderr.isatty():
            # Only a terminal has a screen, and its library takes its time to import.
            from rich.live import Live as Screen

            self._screen = Screen(
                get_renderable=self._panel,
                console=console(),
                refresh_per_second=_LOOKS_PER_S,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> LoadDisplay:
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.stop()

    def start(self, what: str, total: int | None) -> None:  # noqa: ARG002
        """A new stage begins; how many requests it has, the counters say too."""
        self._title = _titled(self._name, what).replace(THIN, " ")
        if self._screen is None and not self._quiet:
            click.echo(self._title, err=True)

    def advance(self, steps: int = 1) -> None:
        """So many requests are over; the counters say so themselves."""

    def note(self, text: str) -> None:
        """One line for the person who watches."""
        said = _titled(self._name, text)
        if self._screen is not None:
            self._screen.console.print(said, markup=False, soft_wrap=True)
        elif not self._quiet:
            click.echo(said, err=True)

    def _panel(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        from hexgate.report.table import plain

        with self._lock:
            now = self._live.seen()
            self._looks.append(now)
            while len(self._looks) > 2 and now.elapsed_s - self._looks[1].elapsed_s >= _SPAN_S:
                self._looks.popleft()
            lines = display_lines(self._looks[0], now, drain_s=self._drain_s)
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="ellipsis", no_wrap=True)
        table.title = Text(self._title)
        table.title_justify = "left"
        for name, said in lines:
            table.add_row(Text(plain(name), style="dim"), Text(plain(said)))
        return table
