"""`hexgate load`: one load on a target, or one shard of it, or loads at several rates."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from hexgate.cli.language import text
from hexgate.cli.load_display import LoadDisplay
from hexgate.cli.load_flags import GroupedLoad, all_flags
from hexgate.cli.load_options import Aims, Leaving, load_options
from hexgate.cli.opening import open_saying
from hexgate.contract.load_shard import shard_stem
from hexgate.contract.provenance import redacted
from hexgate.datasets.tokenizer import Tokenizer
from hexgate.errors import ExitCode, HexgateError, InputError
from hexgate.indicators.base import Job
from hexgate.indicators.load_beside import LOAD_STEM, remove_left
from hexgate.indicators.load_run import MEASURED_BY_LOAD, LoadOptions, measure_load, prepare
from hexgate.indicators.load_shard import run_shard, shared_run_id, unbegun_shard
from hexgate.indicators.runner import Run, start_run, unmeasured
from hexgate.load.live import Live
from hexgate.load.plans.shard import Place
from hexgate.load.start import Start
from hexgate.targets.base import Target
from hexgate.targets.registry import OpenOptions, open_target

__all__ = ["command"]


@click.command(
    "load",
    cls=GroupedLoad,
    no_args_is_help=True,
    help=text(
        "Put a load on the target TARGET, by the clock or with so many requests in flight, and leave "
        "latency_p99.json, throughput_rps.json, tables and a report in --out.",
        "对目标 TARGET 施加一次负载（按时钟发送，或保持并发），"
        "在 --out 中留下 latency_p99.json、throughput_rps.json、表格和报告。",
    ),
    epilog=text(
        "hexgate load merge DIR... --out OUT makes the artifacts of a load that ran as shards.",
        "分片运行的负载用 hexgate load merge DIR... --out OUT 合并成结果。",
    ),
)
@click.argument("target")
@all_flags
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
    parquet: bool,
    no_exports: bool,
    dialect_of: str | None,
    search: bool,
    sweep: int | None,
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
    aims = Aims(search, sweep)
    options = load_options(chosen, aims)
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
    if aims.flag and (place is not None or plan_only or metrics_port is not None or start is not None):
        raise InputError(
            f"{aims.flag} makes loads of its own",
            hint="take --shard, --start-at, --plan-only and --metrics-port out",
        )
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
    leaving = Leaving(parquet, not no_exports, dialect_of, quiet, options.max_error_ratio)
    leaving.refuse_what_is_missing()
    if options.tokenizer is not None:
        # The workers read it once the load is over: too late to find out that it is not there.
        Tokenizer.read(options.tokenizer)
    run = _run_of(start_run(sys.argv, host_class=host_class), target, place, start)
    stem = LOAD_STEM if place is None else shard_stem(place.index, place.count)
    if (killed := remove_left(out, stem)) is not None and not quiet:
        click.echo(_removed(killed), err=True)
    saying = _saying(target, place, None if aims.flag else out, run, seed, confidence)
    opened = open_saying(target, opening, saying)
    try:
        if aims.flag:
            from hexgate.cli.load_rates import at_several_rates

            return at_several_rates(Job(opened, **given), aims, out, run, leaving)
        watched = _Watched(Live(), metrics_host, metrics_port, _labels(target, place, run))
        return _carried_out(opened, given, place, out, run, start, watched, leaving)
    finally:
        opened.close()


@dataclass(frozen=True)
class _Watched:
    """The counters of a load, and where they are served."""

    live: Live
    host: str
    port: int | None
    labels: dict[str, str]

    def served(self) -> AbstractContextManager[object]:
        if self.port is None:
            return nullcontext()
        from hexgate.load.exporter import Exporter

        exporter = Exporter(self.live, self.labels, host=self.host, port=self.port)
        click.echo(f"{text('metrics', '实时指标')}: {exporter.url}", err=True)
        return exporter


def _carried_out(
    opened: Target,
    given: dict[str, Any],
    place: Place | None,
    out: Path,
    run: Run,
    start: Start | None,
    watched: _Watched,
    leaving: Leaving,
) -> int:
    with (
        watched.served(),
        LoadDisplay(watched.live, quiet=leaving.quiet, drain_s=_drain_s(given["options"])) as display,
    ):
        job = Job(opened, progress=display, **given)
        if place is None:
            measured = measure_load(job, out, run, start=start, live=watched.live)
        else:
            left = run_shard(job, place, out, run, start=start, live=watched.live)
    if place is None:
        # What tells of a load is not needed before it, and takes its time to import.
        from hexgate.cli.load_told import conclude_load

        return conclude_load(measured, out, leaving)
    if left.error is not None:
        from hexgate.cli.load_endings import show_ending

        show_ending(left.error)
    if not leaving.quiet:
        whole = left.error is not None and left.document.status == "complete"
        status = text("whole, and invalid", "完整，但无效") if whole else left.document.status
        click.echo(f"{left.document.path}: {status}", err=True)
    return ExitCode.OK if left.error is None else left.error.exit_code


def _removed(killed: Path) -> str:
    return text(
        f"removed {killed}: a load that was killed had left it there",
        f"已删除 {killed}：它是一次被强行终止的负载留下的",
    )


def _drain_s(options: LoadOptions) -> float | None:
    """The longest wait at the end; a load without a length waits for all of them."""
    has_length = options.duration_s is not None or options.stages is not None or options.ramp is not None
    return options.drain_s if has_length else None


def _place(shard: str | None) -> Place | None:
    """The shard to carry out; None for the whole load, which the only shard of one is."""
    place = None if shard is None else Place.parse(shard)
    return None if place is None or place.count == 1 else place


def _run_of(run: Run, target: str, place: Place | None, start: Start | None) -> Run:
    """This run; shards that no job has told their run agree on one by what they share."""
    if place is None or start is None or os.environ.get("HEXGATE_RUN_ID"):
        return run
    return replace(run, run_id=shared_run_id(start, place.count, redacted([target])[0]))


def _saying(
    target: str, place: Place | None, out: Path | None, run: Run, seed: int, confidence: float
) -> Callable[[HexgateError], None]:
    def say(reason: HexgateError) -> None:
        if out is None:
            return
        if place is not None:
            unbegun_shard(target, reason, place, out, run)
            return
        for name in MEASURED_BY_LOAD:
            unmeasured(name, target, reason, out / f"{name}.json", run, seed=seed, confidence=confidence)

    return say


def _labels(target: str, place: Place | None, run: Run) -> dict[str, str]:
    labels = {"run_id": run.run_id, "target": redacted([target])[0]}
    return labels if place is None else labels | {"shard": str(place)}


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
