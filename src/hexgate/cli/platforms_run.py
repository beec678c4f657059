"""`hexgate platforms run`: what every rendered job runs."""

from __future__ import annotations

import os

import click

from hexgate.cli.language import text
from hexgate.cli.number import Finite
from hexgate.platforms.common_start import Pace
from hexgate.platforms.part_run import part_job, run_part

__all__ = ["run_command"]

_LONGEST_WAIT_S = 7 * 86400.0
_LONGEST_LEAD_S = 3600.0


@click.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    help=text(
        "Inside a job: run a command, and publish what it left in {out} as this job's part of the run. The exit code "
        "is the command's.",
        "在作业内部：运行命令，把它留在 {out} 中的内容作为本作业的部分发布。退出码即命令的退出码。",
    ),
)
@click.option(
    "--output",
    required=True,
    help=text(
        "Store that the part goes to: a URI, or a mounted folder.", "结果去处：存储地址，或挂载的目录。"
    ),
)
@click.option(
    "--part", default=None, help=text("Name of the part, in a job of steps.", "部分的名字（分步作业）。")
)
@click.option(
    "--ready-timeout-s",
    type=Finite(min=0, min_open=True, max=_LONGEST_WAIT_S),
    default=Pace.ready_timeout_s,
    show_default=True,
    help=text("How long shards wait for each other.", "各分片互相等待的秒数。"),
)
@click.option(
    "--start-lead-s",
    type=Finite(min=0, min_open=True, max=_LONGEST_LEAD_S),
    default=Pace.lead_s,
    show_default=True,
    help=text("How far ahead shard 0 announces the start.", "0 号分片提前多少秒宣布开始时刻。"),
)
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(
    output: str, part: str | None, ready_timeout_s: float, start_lead_s: float, argv: tuple[str, ...]
) -> int:
    """Run the part, and return its exit code."""
    job = part_job(argv, output, os.environ, part=part, pace=Pace(ready_timeout_s, start_lead_s))
    return run_part(job, say=lambda line: click.echo(f"hexgate: {line}", err=True))
