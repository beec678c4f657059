"""Which charts the report of a load has: each of what its statistics hold, none of what they lack."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from hexgate.report.load_charts import Line, distribution_chart, time_chart
from hexgate.report.load_words import word
from hexgate.report.numbers import number
from hexgate.report.svg import Mark
from hexgate.report.text import Both, Lang, same

__all__ = ["OUTCOMES", "PERCENTILES", "Chart", "load_charts"]

Json = Mapping[str, Any]
Values = Sequence[float | None]
Chart = tuple[Both, Markup]
"""What a chart shows, and the chart."""

PERCENTILES = {"p50": "P50", "p90": "P90", "p95": "P95", "p99": "P99", "p999": "P99.9"}
"""The percentiles of a load's times, and what they are called."""
OUTCOMES = {
    "ok": "k0",
    "error": "k4",
    "timeout": "k1",
    "truncated": "k3",
    "unfinished": "k5",
    "not_sent": "k6",
}
"""The outcomes of requests, and their colours."""
_SAMPLED = (
    ("chart_cpu", "axis_share", 1.0, ("cpu_ratio",)),
    ("chart_memory", "axis_gib", 2.0**30, ("memory_used_bytes", "rss_bytes")),
    ("chart_gpu", "axis_share", 1.0, ("gpu_util_ratio",)),
    ("chart_gpu_memory", "axis_gib", 2.0**30, ("gpu_memory_used_bytes", "gpu_memory_bytes")),
    ("chart_power", "axis_w", 1.0, ("power_w",)),
)
"""Charts of what was sampled: title, axis, divisor, and how the names of their series end."""
_SERIES = {
    "cpu_ratio": "line_host",
    "memory_used_bytes": "line_host",
    "process_cpu_ratio": "line_process",
    "process_rss_bytes": "line_process",
    "server_cpu_ratio": "line_server",
    "server_rss_bytes": "line_server",
}
_METRICS = {
    "requests": ("server_requests", "axis_requests"),
    "kv_cache": ("server_kv_cache", "axis_share"),
    "tokens": ("server_tokens", "axis_per_s"),
    "preemptions": ("server_preemptions", "axis_per_s"),
}
"""Title and axis of what a server says of itself."""
_MOST_LINES = 8


def load_charts(statistics: Json, lang: Lang) -> list[Chart]:
    """The charts, in the order of the page.

    Args:
        statistics: of the load, ``hexgate/load_statistics/1.x``.
        lang: the language that the page opens in.
    """
    drawn = _Drawn(statistics, lang)
    makers: tuple[Callable[[], Iterator[Chart]], ...] = (
        drawn.spreads,
        drawn.rates,
        drawn.times,
        drawn.client,
        drawn.hosts,
        drawn.server,
    )
    return [chart for maker in makers for chart in maker() if chart[1]]


class _Drawn:
    def __init__(self, statistics: Json, lang: Lang) -> None:
        self._all = statistics
        self._lang = lang
        self._series: Json = statistics["series"] or {}
        self._step: float = self._series.get("step_s", 1.0)
        self._end: float | None = self._series["bins"] * self._step if self._series else None

    def spreads(self) -> Iterator[Chart]:
        """How the times are spread."""
        times = self._all["times"]
        anchor = "due" if times["e2e_due_ms"] else "sent"
        for title, name, axis in (
            ("chart_e2e", f"e2e_{anchor}_ms", "axis_requests"),
            ("chart_ttft", f"ttft_{anchor}_ms", "axis_requests"),
            ("chart_gap", "gap_ms", "axis_events"),
        ):
            own = times[name]
            if own is not None and own["histogram"] is not None:
                marks = [
                    Mark(value, f"{PERCENTILES[key]} {number(float(f'{value:.4g}'))}")
                    for key, value in own["percentiles"].items()
                    if value > 0
                ]
                heading = word(title)
                if name.endswith(f"{anchor}_ms"):
                    heading = word("colon").join([heading, word(f"from_{anchor}")])
                drawn = distribution_chart(heading, word(axis), own["histogram"], marks, self._lang)
                zeros = own["count"] - round(sum(own["histogram"]["counts"]))
                if zeros > 0:
                    heading = word("chart_zeros", title=heading, count=number(zeros))
                yield heading, drawn

    def rates(self) -> Iterator[Chart]:
        """Rates, outcomes, tokens and requests in flight."""
        if not self._series:
            return
        sent = self._per_s(self._series["sent"])
        lines = [self._line("line_sent", sent, "k0"), self._line("line_replies", self._ended("ok"), "k2")]
        if self._series["asked_rps"] is not None:
            lines = [self._line("line_asked", self._series["asked_rps"], "k1"), *lines]
        yield self._over_time("chart_rate", "axis_per_s", lines)
        layers = [
            self._line(f"outcome_{name}", self._ended(name), style)
            for name, style in OUTCOMES.items()
            if any(self._series["outcomes"][name])
        ]
        yield self._over_time("chart_outcomes", "axis_per_s", layers, stacked=True)
        failed = [line for line in layers if line.style != "k0"]
        yield self._over_time("chart_failures", "axis_per_s", failed, stacked=True)
        yield self._over_time("chart_tokens", "axis_per_s", self._tokens())
        in_flight = [self._line("line_in_flight", self._series["in_flight"], "k0")]
        yield self._over_time("chart_in_flight", "axis_requests", in_flight)

    def _tokens(self) -> list[Line]:
        lines = []
        if any(self._series["output_tokens"]):
            tokens = self._per_s(self._series["output_tokens"])
            lines.append(self._line("line_tokens", tokens, "k0"))
        stream = self._all["stream"]
        if stream is not None:
            step = stream["step_s"]
            events = [count / step for count in stream["events"]]
            lines.append(Line(word("line_events"), events, step, stream["begin_s"], "k1"))
        return lines

    def times(self) -> Iterator[Chart]:
        """Latencies over time."""
        for title, name in (("chart_latency_time", "e2e"), ("chart_ttft_time", "ttft")):
            if self._series:
                lines = [
                    Line(same(f"P{share}"), self._series[f"{name}_p{share}_ms"], self._step, style=style)
                    for share, style in ((50, "k0"), (99, "k1"))
                ]
                yield self._over_time(title, "axis_in_ms", lines)

    def client(self) -> Iterator[Chart]:
        """How this client did."""
        lines = []
        if self._series and any(value is not None for value in self._series["dispatch_lag_max_ms"]):
            lines.append(self._line("line_dispatch", self._series["dispatch_lag_max_ms"], "k0"))
        client = self._all["client"]
        if client is not None:
            lag = Line(word("line_loop"), client["loop_lag_max_ms"], client["step_s"], style="k1")
            lines.append(lag)
        yield self._over_time("chart_lag", "axis_in_ms", lines)
        if client is not None:
            cpu = [
                Line(word("line_cpu", worker=place), values, client["step_s"], style=f"k{place % 7}")
                for place, values in enumerate(client["cpu_cores"][:_MOST_LINES])
            ]
            yield self._over_time("chart_client_cpu", "axis_cores", cpu)

    def hosts(self) -> Iterator[Chart]:
        """Resources of every host that was sampled."""
        for host in self._all["resources"]:
            for title, axis, scale, ends in _SAMPLED:
                lines = list(self._sampled(host, ends, scale))
                heading = word("colon").join([word(title), _host(host["host"])])
                yield self._over_time(heading, axis, lines)

    def _sampled(self, host: Json, ends: tuple[str, ...], scale: float) -> Iterator[Line]:
        of_gpus = "gpu" in ends[0]
        place = 0
        for name, sampled in host["lines"].items():
            series, _, device = name.partition(".")
            if not series.endswith(ends) or ("gpu" in series) is not of_gpus or place == _MOST_LINES:
                continue
            values = [None if value is None else value / scale for value in sampled]
            yield Line(_label(series, device), values, host["step_s"], style=f"k{place % 7}")
            place += 1

    def server(self) -> Iterator[Chart]:
        """What the server said of itself."""
        for metric in self._all["server"]:
            lines = [
                Line(same(name, 40), values, metric["step_s"], style=f"k{place % 7}")
                for place, (name, values) in enumerate(list(metric["lines"].items())[:_MOST_LINES])
            ]
            title, axis = _METRICS.get(metric["name"], (None, None))
            name = same(metric["name"], 80) if title is None else word(title)
            unit = same(metric["unit"] or "", 24) if axis is None else word(axis)
            yield self._over_time(word("chart_server", name=name), unit, lines)

    def _over_time(
        self, title: str | Both, axis: str | Both, lines: Sequence[Line], *, stacked: bool = False
    ) -> Chart:
        heading = word(title) if isinstance(title, str) else title
        measured = word(axis) if isinstance(axis, str) else axis
        chart = time_chart(heading, measured, lines, self._lang, stacked=stacked, end_s=self._end)
        return heading, chart

    def _line(self, name: str, values: Values, style: str) -> Line:
        return Line(word(name), values, self._step, style=style)

    def _per_s(self, counts: Sequence[float]) -> list[float]:
        return [count / self._step for count in counts]

    def _ended(self, outcome: str) -> list[float]:
        return self._per_s(self._series["outcomes"][outcome])


def _host(name: str) -> Both:
    """What a sampled host is called: the one that sent is no name of a machine."""
    return word("chart_host_client") if name == "client" else same(name, 60)


def _label(series: str, device: str) -> Both:
    """What a sampled series is called: its device where there are several."""
    if series in _SERIES:
        return word(_SERIES[series])
    if "gpu" in series and device.isdigit():
        return word("line_server_gpu" if series.startswith("server_") else "line_gpu", gpu=device)
    return same(device or series, 40)
