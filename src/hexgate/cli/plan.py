"""`hexgate plan`: how much evidence each rule needs before it can pass, and how long that takes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hexgate.cli.language import language, text
from hexgate.cli.number import Finite
from hexgate.errors import ExitCode
from hexgate.gate.plan import plan
from hexgate.gate.policy import read_policy
from hexgate.gate.reasons import render

__all__ = ["command"]


@click.command(
    "plan",
    help=text(
        "Say how many samples, requests or repeats each rule of a policy needs before it can pass.",
        "说明策略中每条规则通过之前需要多少样本、请求或重复。",
    ),
)
@click.option(
    "--policy",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help=text("Policy, YAML.", "策略文件（YAML）。"),
)
@click.option(
    "--rate-rps",
    type=Finite(min=0, min_open=True),
    default=None,
    help=text("Items or requests per second, to say how long it takes.", "每秒样本或请求数，用于估算时长。"),
)
@click.option("--json", "as_json", is_flag=True, help=text("Print JSON.", "输出 JSON。"))
def command(policy: Path, rate_rps: float | None, *, as_json: bool) -> int:
    """Print what each rule needs, on standard output."""
    lines = plan(read_policy(policy), rate_rps=rate_rps)
    if as_json:
        click.echo(json.dumps([line.to_json() for line in lines], ensure_ascii=False, indent=2))
        return ExitCode.OK
    last = ""
    for line in lines:
        if line.rule.id != last:
            click.echo(f"{line.rule.id} {line.rule.comparator.value} {line.rule.limit:g}")
            last = line.rule.id
        needed = "-" if line.n is None else f"{line.n:,}"
        took = "" if line.duration_s is None else f"  {line.duration_s:,.0f} s"
        click.echo(f"  {needed:>9}{took}  {render(line.case, language())}")
    return ExitCode.OK
