"""The flags of `hexgate load`, in groups, as its help shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hexgate.cli.language import text
from hexgate.cli.measure_options import (
    API_KEY_ENV,
    CONFIDENCE,
    DIALECT,
    HOST_CLASS,
    LIMIT,
    PROVIDER,
    QUIET,
    SEED,
    TIMEOUT_S,
    Flag,
    data_flag,
    field_flag,
    model_name_flag,
)
from hexgate.cli.number import Finite, Whole
from hexgate.indicators.latency_p99 import Options as LatencyOptions
from hexgate.indicators.throughput_rps import Options as RateOptions
from hexgate.load.measures.dialects_of import TOOLS
from hexgate.load.plans.plan import Arrival

__all__ = ["GroupedLoad", "all_flags"]

_PATH: click.Path = click.Path(path_type=Path, dir_okay=False)
_ABOVE_0 = Finite(min=0, min_open=True)
_FROM_0 = Finite(min=0)
_RATIO = Finite(min=0, max=1)
_DEFAULT_POINTS = 10


def _flag(*names: str, en: str, zh: str, **keys: Any) -> Flag:
    return click.option(*names, help=text(en, zh), **keys)


def _load() -> tuple[Flag, ...]:
    return (
        field_flag(RateOptions, "rate_rps", "--rate"),
        field_flag(RateOptions, "concurrency"),
        _flag(
            "--stages",
            metavar="R:S,...",
            en="Rates one after the other, each for so many seconds: 10:30,100:60; a stage may be a ramp, 10..100:30.",
            zh="逐段速率及各自秒数：10:30,100:60；一段也可以是斜坡 10..100:30。",
        ),
        _flag(
            "--ramp",
            metavar="A..B:S",
            en="From one rate to another in so many seconds: 10..500:120.",
            zh="在若干秒内由一个速率升（降）到另一个：10..500:120。",
        ),
        _flag(
            "--replay",
            type=_PATH,
            en="Send at the instants of a trace (JSON Lines with timestamp, or due_s), and as many tokens as it says.",
            zh="按轨迹文件的时刻（JSON Lines，字段 timestamp 或 due_s）及其 token 数发送。",
        ),
        _flag(
            "--time-scale",
            type=_ABOVE_0,
            en="Multiply every instant of the trace: 0.5 goes twice as fast. [1]",
            zh="轨迹时刻乘以该数：0.5 即两倍速。[1]",
        ),
        _flag(
            "--arrival",
            type=click.Choice([Arrival.CONSTANT.value, Arrival.POISSON.value, Arrival.GAMMA.value]),
            en=f"How requests at a rate are spaced. [{Arrival.POISSON.value}]",
            zh=f"按速率发送时的到达过程。[{Arrival.POISSON.value}]",
        ),
        _flag(
            "--burstiness",
            type=_ABOVE_0,
            en="Shape of gamma arrivals: below 1 in bursts, 1 Poisson, above 1 more evenly.",
            zh="伽马到达的形状：小于 1 成簇，1 为泊松，大于 1 更均匀。",
        ),
        field_flag(RateOptions, "duration_s", "--duration"),
        field_flag(LatencyOptions, "requests", default=False),
        field_flag(RateOptions, "load_warmup", "--warmup"),
        _flag(
            "--max-in-flight",
            type=Whole(min=1),
            en="Cap on what a load by the clock has in flight; what waits for a slot is charged for it. [no cap]",
            zh="按时钟发送时的并发上限；等待空位的时间计入延迟。[不限]",
        ),
        _flag(
            "--max-error-ratio",
            type=_RATIO,
            en="Stop once more than this share of the requests has failed.",
            zh="失败比例超过该值即停止。",
        ),
        _flag(
            "--drain-s",
            type=_FROM_0,
            en="Longest wait after the last send, in a load with a duration or one that is stopped; what is in flight "
            "after that is unfinished. Where --requests or a trace ends it, each request has its --timeout-s. [60]",
            zh="有时长的负载或被停止的负载，在最后一次发送后等待在途请求的最长秒数；仍未结束的记为未完成。"
            "由 --requests 或轨迹结束的负载，每个请求等到自己的 --timeout-s。[60]",
        ),
    )


def _requests() -> tuple[Flag, ...]:
    return (
        model_name_flag("--model", "--model-name"),
        data_flag("--prompts"),
        LIMIT,
        _flag(
            "--input-tokens",
            metavar="N|A..B",
            en="Prompts of so many tokens: 1000, or 1000..4096; by --tokenizer, else by the server's own counts.",
            zh="提示的 token 数：1000 或 1000..4096；按 --tokenizer 计，否则按服务端计数校准。",
        ),
        _flag(
            "--tokenizer",
            type=_PATH,
            en="A model's tokenizer.json, to count the tokens of prompts and replies.",
            zh="模型的 tokenizer.json，用于计提示与回复的 token 数。",
        ),
        _flag(
            "--turns",
            type=Whole(min=1),
            en="Requests of a conversation; rates and counts are then of conversations. [1]",
            zh="每个对话的轮数；此时速率和数量以对话计。[1]",
        ),
        _flag(
            "--think-s",
            type=_FROM_0,
            en="Seconds from a reply to the next turn. [0]",
            zh="收到回复到下一轮的秒数。[0]",
        ),
        _flag("--system", en="System message, where the data has none.", zh="系统消息（数据中没有时使用）。"),
        field_flag(RateOptions, "max_tokens"),
        _flag(
            "--temperature",
            type=_FROM_0,
            en="Sampling temperature. [0: greedy]",
            zh="采样温度。[0：贪心]",
        ),
        _flag(
            "--top-p",
            type=Finite(min=0, max=1, min_open=True),
            en="Nucleus mass. [the server's]",
            zh="核采样概率。[服务端默认]",
        ),
        _flag(
            "--ignore-eos",
            is_flag=True,
            default=None,
            en="Ask for replies of exactly --max-tokens, where the server can do that.",
            zh="要求每个回复恰为 --max-tokens（服务端支持时）。",
        ),
        _flag(
            "--extra-body",
            metavar="JSON",
            en='Further fields of every request body: {"top_k": 5}.',
            zh='请求体的其他字段：{"top_k": 5}。',
        ),
        field_flag(RateOptions, "mode"),
        SEED,
    )


def _target() -> tuple[Flag, ...]:
    return (
        API_KEY_ENV,
        DIALECT,
        TIMEOUT_S,
        _flag(
            "--workers",
            type=Whole(min=1),
            en="Processes that send. [one a core, where the load can use them]",
            zh="发送进程数。[每核一个，按负载所需]",
        ),
        _flag(
            "--proxy",
            metavar="URL",
            en="Send through an HTTP proxy. Slower: by httpx.",
            zh="经 HTTP 代理发送（用 httpx，较慢）。",
        ),
        _flag(
            "--http2",
            is_flag=True,
            default=None,
            en="Speak HTTP/2. Slower: by httpx.",
            zh="使用 HTTP/2（用 httpx，较慢）。",
        ),
        _flag(
            "--server-pid",
            type=Whole(min=1),
            en="Process of the server, on this machine. [what listens at TARGET, where that is here]",
            zh="本机上的服务端进程。[在 TARGET 地址监听的本机进程]",
        ),
        _flag(
            "--server-metrics",
            metavar="URL",
            multiple=True,
            en="Prometheus endpoint of the server, such as http://host:8000/metrics; may be given several times.",
            zh="服务端的 Prometheus 地址，如 http://host:8000/metrics；可多次给出。",
        ),
        PROVIDER,
        HOST_CLASS,
    )


def _limits() -> tuple[Flag, ...]:
    return (
        _flag(
            "--slo",
            metavar="TERMS",
            en="What is to be kept, in quotes: 'ttft_ms.p99<=500,tpot_ms.p99<=50,error_ratio<=0.01'.",
            zh="须保持的指标，加引号：'ttft_ms.p99<=500,tpot_ms.p99<=50,error_ratio<=0.01'。",
        ),
        _flag(
            "--search",
            is_flag=True,
            en="Find the highest rate that keeps --slo; --rate is the first one tried, --duration the longest probe.",
            zh="搜索满足 --slo 的最高速率；--rate 为起始速率，--duration 为单次探测最长秒数。",
        ),
        _flag(
            "--sweep",
            is_flag=False,
            flag_value=_DEFAULT_POINTS,
            type=Whole(2, 1000),
            metavar="[N]",
            en=f"Measure N rates from low to --rate, or else to what the target serves at most. [{_DEFAULT_POINTS}]",
            zh=f"由低到高测 N 个速率，最高为 --rate，否则为目标的最大吞吐。[{_DEFAULT_POINTS}]",
        ),
        field_flag(LatencyOptions, "limit_ms"),
        field_flag(RateOptions, "windows"),
        CONFIDENCE,
    )


def _output() -> tuple[Flag, ...]:
    return (
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            default=None,
            help=text("Folder of the artifacts.", "存放结果的目录。"),
        ),
        _flag(
            "--token-times",
            is_flag=True,
            default=None,
            en="Keep with each reply when each token of it came.",
            zh="随每个回复保存其每个 token 到达的时刻。",
        ),
        _flag("--parquet", is_flag=True, en="Leave requests.parquet too.", zh="另存 requests.parquet。"),
        _flag(
            "--no-exports",
            is_flag=True,
            en="Leave the artifacts with their evidence alone: no tables, no statistics, no report.",
            zh="只留结果与证据：不生成表格、统计和报告。",
        ),
        _flag(
            "--dialect-of",
            type=click.Choice(sorted(TOOLS)),
            en="Print the same load under another tool's definitions.",
            zh="按其他工具的定义打印同一次负载的数字。",
        ),
        click.option(
            "--metrics-port",
            type=Whole(0, 65535),
            default=None,
            help=text(
                "Serve live metrics in OpenMetrics on this port; 0 takes a free one.",
                "在此端口以 OpenMetrics 提供实时指标；0 表示任选空闲端口。",
            ),
        ),
        click.option(
            "--metrics-host",
            default="127.0.0.1",
            show_default=True,
            help=text("Address of the live metrics.", "实时指标的监听地址。"),
        ),
        click.option(
            "--plan-only",
            is_flag=True,
            help=text(
                "Print the plan as JSON and send no request of it.", "只打印计划（JSON），不发送其中的请求。"
            ),
        ),
        QUIET,
    )


def _shards() -> tuple[Flag, ...]:
    return (
        click.option(
            "--shard",
            "shard",
            default=None,
            envvar="HEXGATE_SHARD",
            metavar="I/N",
            help=text(
                "Carry out shard I of N, from 0, and leave load-shard-I-of-N.json; 0/1 is the whole. [HEXGATE_SHARD]",
                "只执行 N 个分片中的第 I 个（从 0 起），留下 load-shard-I-of-N.json；0/1 即整个负载。[HEXGATE_SHARD]",
            ),
        ),
        click.option(
            "--start-at",
            "start_at",
            default=None,
            envvar="HEXGATE_START_AT",
            metavar="T",
            help=text(
                "The instant that all shards count from, RFC 3339 in UTC. [HEXGATE_START_AT]",
                "所有分片共同的起始时刻，RFC 3339，UTC。[HEXGATE_START_AT]",
            ),
        ),
        click.option(
            "--clock-bound-s",
            type=_FROM_0,
            default=None,
            envvar="HEXGATE_CLOCK_BOUND_S",
            help=text(
                "The most by which this clock differs from that of shard 0, seconds. [HEXGATE_CLOCK_BOUND_S]",
                "本机时钟与 0 号分片的时钟之差的上限，秒。[HEXGATE_CLOCK_BOUND_S]",
            ),
        ),
    )


_GROUPS: tuple[tuple[tuple[str, str], Callable[[], tuple[Flag, ...]]], ...] = (
    (("The load", "负载"), _load),
    (("The requests", "请求"), _requests),
    (("The target", "目标"), _target),
    (("What is to be kept", "要求"), _limits),
    (("What it leaves", "输出"), _output),
    (("Shards", "分片"), _shards),
)


def all_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command every flag, group after group."""
    for _, flags in reversed(_GROUPS):
        for flag in reversed(flags()):
            function = flag(function)
    return function


class GroupedLoad(click.Command):
    """The command itself, its flags in groups; its first argument ``merge`` makes it the command that merges shards."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of the command that the arguments name."""
        if args[:1] == ["merge"]:
            from hexgate.cli.load_merge import merge_command

            return merge_command.make_context(f"{info_name} merge", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The flags, group after group."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        for (en, zh), flags in _GROUPS:
            rows = [row for one in options[: len(flags())] if (row := one.get_help_record(ctx))]
            options = options[len(flags()) :]
            with formatter.section(text(en, zh)):
                formatter.write_dl(rows)
        if rows := [row for one in options if (row := one.get_help_record(ctx))]:
            with formatter.section(text("Help", "帮助")):
                formatter.write_dl(rows)
