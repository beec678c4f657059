"""`hexgate load`: one load on a target, or one shard of it, that leaves latency_p99 and throughput_rps."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import Display, show_error
from hexgate.cli.language import text
from hexgate.cli.load_merge import merge_command
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
    data_flag,
    field_flag,
    model_name_flag,
)
from hexgate.cli.number import Finite
from hexgate.cli.run import conclude_measured, open_saying
from hexgate.contract.provenance import redacted
from hexgate.errors import ExitCode, HexgateError, InputError
from hexgate.indicators.base import Job
from hexgate.indicators.latency_p99 import Options as LatencyOptions
from hexgate.indicators.load_run import MEASURED_BY_LOAD, LoadOptions, measure_load, prepare
from hexgate.indicators.load_shard import run_shard, shared_run_id, unbegun_shard
from hexgate.indicators.runner import Run, start_run, unmeasured
from hexgate.indicators.throughput_rps import Options as RateOptions
from hexgate.load.exporter import Exporter
from hexgate.load.live import Live
from hexgate.load.shard import Place
from hexgate.load.start import Start
from hexgate.targets.registry import OpenOptions, open_target

__all__ = ["command"]


class _Load(click.Command):
    """The command itself, whose first argument ``merge`` makes it the command that merges shards."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["merge"]:
            return merge_command.make_context(f"{info_name} merge", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(
    "load",
    cls=_Load,
    no_args_is_help=True,
    help=text(
        "Put one load on the target TARGET, by the clock or with so many requests in flight, and leave "
        "latency_p99.json and throughput_rps.json in --out.",
        "对目标 TARGET 施加一次负载（按时钟发送，或保持并发），"
        "在 --out 中留下 latency_p99.json 和 throughput_rps.json。",
    ),
    epilog=text(
        "hexgate load merge DIR... --out OUT makes the artifacts of a load that ran as shards.",
        "分片运行的负载用 hexgate load merge DIR... --out OUT 合并成结果。",
    ),
)
@click.argument("target")
@model_name_flag("--model")
@field_flag(RateOptions, "rate_rps", "--rate")
@field_flag(RateOptions, "arrival")
@field_flag(RateOptions, "concurrency")
@field_flag(RateOptions, "duration_s", "--duration")
@field_flag(LatencyOptions, "requests", default=False)
@field_flag(RateOptions, "load_warmup", "--warmup")
@data_flag("--prompts")
@LIMIT
@field_flag(RateOptions, "max_tokens")
@field_flag(RateOptions, "mode")
@field_flag(LatencyOptions, "limit_ms")
@field_flag(RateOptions, "windows")
@SEED
@CONFIDENCE
@TIMEOUT_S
@API_KEY_ENV
@DIALECT
@PROVIDER
@HOST_CLASS
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help=text("Folder of the artifacts.", "存放结果的目录。"),
)
@click.option(
    "--shard",
    "shard",
    default=None,
    envvar="HEXGATE_SHARD",
    metavar="I/N",
    help=text(
        "Carry out shard I of N, from 0, and leave load-shard-I-of-N.json; 0/1 is the whole. [HEXGATE_SHARD]",
        "只执行 N 个分片中的第 I 个（从 0 起），留下 load-shard-I-of-N.json；0/1 即整个负载。[HEXGATE_SHARD]",
    ),
)
@click.option(
    "--start-at",
    "start_at",
    default=None,
    envvar="HEXGATE_START_AT",
    metavar="T",
    help=text(
        "The instant that all shards count from, RFC 3339 in UTC. [HEXGATE_START_AT]",
        "所有分片共同的起始时刻，RFC 3339，UTC。[HEXGATE_START_AT]",
    ),
)
@click.option(
    "--clock-bound-s",
    type=Finite(min=0),
    default=None,
    envvar="HEXGATE_CLOCK_BOUND_S",
    help=text(
        "The most by which this clock differs from that of shard 0, seconds. [HEXGATE_CLOCK_BOUND_S]",
        "本机时钟与 0 号分片的时钟之差的上限，秒。[HEXGATE_CLOCK_BOUND_S]",
    ),
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=None,
    help=text(
        "Serve live metrics in OpenMetrics on this port; 0 takes a free one.",
        "在此端口以 OpenMetrics 提供实时指标；0 表示任选空闲端口。",
    ),
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    help=text("Address of the live metrics.", "实时指标的监听地址。"),
)
@click.option(
    "--plan-only",
    is_flag=True,
    help=text("Print the plan as JSON and send nothing.", "只打印计划（JSON），不发送请求。"),
)
@QUIET
def command(
    target: str,
    model_name: str | None,
    data: str | None,
    limit: int | None,
    seed: int,
    confidence: float,
    timeout_s: float,
    api_key_env: str | None,
    dialect: str | None,
    provider: str | None,
    host_class: str | None,
    out: Path | None,
    shard: str | None,
    start_at: str | None,
    clock_bound_s: float | None,
    metrics_port: int | None,
    metrics_host: str,
    plan_only: bool,
    quiet: bool,
    **chosen: Any,
) -> int:
    """Load, and return the exit code."""
    options = _options(chosen)
    place = _place(shard)
    start = None if start_at is None else Start.parse(start_at, clock_bound_s)
    opening = OpenOptions(
        model_name=model_name,
        api_key_env=api_key_env,
        timeout_s=timeout_s,
        dialect=dialect,
        provider=provider,
    )
    given: dict[str, Any] = {"data": data, "options": options, "limit": limit}
    given |= {"seed": seed, "confidence": confidence}
    if plan_only:
        return _show_plan(target, opening, given, place)
    if out is None:
        raise InputError("--out is missing", hint="name a folder for the artifacts, or add --plan-only")
    if place is not None and start is None:
        raise InputError(
            "a shard needs the instant that all shards count from",
            hint="add the same --start-at to every shard, some seconds ahead",
        )
    if start is not None:
        start.refuse_unless_near(time.time_ns())
    run = _run_of(start_run(sys.argv, host_class=host_class), target, place, start)
    opened = open_saying(target, opening, _saying(target, place, out, run, seed, confidence))
    live = None if metrics_port is None else Live()
    try:
        served = _served(live, metrics_host, metrics_port, _labels(target, place, run))
        with served, Display("load", quiet=quiet) as display:
            job = Job(opened, progress=display, **given)
            if place is not None:
                left = run_shard(job, place, out, run, start=start, live=live)
            else:
                measured = measure_load(job, out, run, start=start, live=live)
    finally:
        opened.close()
    if place is None:
        return conclude_measured(measured, quiet=quiet)
    if left.error is not None:
        show_error(left.error)
    if not quiet:
        click.echo(f"{left.document.path}: {left.document.status}", err=True)
    return ExitCode.OK if left.error is None else left.error.exit_code


def _place(shard: str | None) -> Place | None:
    """The shard to carry out; None for the whole load, which the only shard of one is."""
    place = None if shard is None else Place.parse(shard)
    return None if place is None or place.count == 1 else place


def _options(chosen: dict[str, Any]) -> LoadOptions:
    """The options of the load: what was given, and else what the indicators have by default."""
    given = {name: value for name, value in chosen.items() if value is not None}
    _refuse_both(given, "rate_rps", "--rate", "concurrency", "--concurrency")
    _refuse_both(given, "duration_s", "--duration", "requests", "--requests")
    if "arrival" in given and "rate_rps" not in given:
        raise InputError(
            "--arrival needs --rate", hint="without a rate, the end of one request sends the next"
        )
    rate, latency = RateOptions(), LatencyOptions()
    warmup = given.pop("load_warmup", rate.load_warmup)
    default = LoadOptions(
        rate_rps=None,
        arrival=rate.arrival,
        concurrency=rate.concurrency,
        requests=None,
        duration_s=None if "requests" in given else rate.duration_s,
        warmup=warmup,
        limit_ms=latency.limit_ms,
        windows=rate.windows,
        mode=rate.mode,
        max_tokens=rate.max_tokens,
    )
    return replace(default, **given)


def _refuse_both(given: dict[str, Any], one: str, flag: str, other: str, other_flag: str) -> None:
    if one in given and other in given:
        raise InputError(f"{flag} and {other_flag} exclude each other", hint="give one of them")


def _run_of(run: Run, target: str, place: Place | None, start: Start | None) -> Run:
    """This run; shards that no job has told their run agree on one by what they share."""
    if place is None or start is None or os.environ.get("HEXGATE_RUN_ID"):
        return run
    return replace(run, run_id=shared_run_id(start, place.count, redacted([target])[0]))


def _saying(
    target: str, place: Place | None, out: Path, run: Run, seed: int, confidence: float
) -> Callable[[HexgateError], None]:
    def say(reason: HexgateError) -> None:
        if place is not None:
            unbegun_shard(target, reason, place, out, run)
            return
        for name in MEASURED_BY_LOAD:
            unmeasured(name, target, reason, out / f"{name}.json", run, seed=seed, confidence=confidence)

    return say


def _labels(target: str, place: Place | None, run: Run) -> dict[str, str]:
    labels = {"run_id": run.run_id, "target": redacted([target])[0]}
    return labels if place is None else labels | {"shard": str(place)}


def _served(
    live: Live | None, host: str, port: int | None, labels: dict[str, str]
) -> AbstractContextManager[object]:
    if live is None or port is None:
        return nullcontext()
    exporter = Exporter(live, labels, host=host, port=port)
    click.echo(f"{text('metrics', '实时指标')}: {exporter.url}", err=True)
    return exporter


def _show_plan(target: str, opening: OpenOptions, given: dict[str, Any], place: Place | None) -> int:
    opened = open_target(target, options=opening)
    try:
        plan = prepare(Job(opened, **given)).plan
    finally:
        opened.close()
    shown: dict[str, Any] = {"digest": plan.digest(), **plan.head(), "timed": plan.timed}
    window = plan.window_ns
    shown["window_s"] = None if window is None else [edge / 1e9 for edge in window]
    if place is not None:
        own = plan.shard(place.index, place.count)
        shown["shard"] = vars(place) | {
            "rows": len(own.rows),
            "timed": own.timed,
            "concurrency": own.concurrency,
        }
    click.echo(json.dumps(shown, indent=2, allow_nan=False))
    return ExitCode.OK
