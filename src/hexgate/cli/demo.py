"""`hexgate demo`: the six indicators on the embedded default, the gate and the report, in one go."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hexgate.cli.gate import Outputs, conclude
from hexgate.cli.language import text
from hexgate.cli.run import Request, measure_all, open_and_say
from hexgate.errors import ExitCode
from hexgate.indicators import INDICATORS
from hexgate.indicators.runner import start_run
from hexgate.resources import shipped
from hexgate.targets.registry import OpenOptions

__all__ = ["command"]

_OPTIONS = {
    # Declared, not measured: the artifact calls what comes of it an estimate, and the policy only tracks it.
    "watts_per_core": 10.0,
    # Short enough for a demonstration, long enough for an interval.
    "duration_s": 5.0,
    "power_duration_s": 5.0,
    "idle_s": 2.0,
}


@click.command(
    "demo",
    help=text(
        "Measure the embedded default, judge it by the demonstration policy, and leave a report. Under a minute.",
        "测量内置模型，按演示策略判定，生成报告。不到一分钟。",
    ),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-report"),
    show_default=True,
    help=text("Folder for artifacts, verdict and report.", "结果、结论与报告的目录。"),
)
def command(out: Path) -> int:
    """Run the demonstration, and return the gate's exit code."""
    artifacts = out / "artifacts"
    request = Request(data="demo:", limit=None, seed=0, confidence=0.95, given=dict(_OPTIONS), table=False)
    outs = {name: artifacts / f"{name}.json" for name in INDICATORS}
    run = start_run(sys.argv)
    target = open_and_say("demo:", OpenOptions(), request, outs, run)
    try:
        code = measure_all(INDICATORS, target, request, outs, run)
    finally:
        target.close()
    if code == ExitCode.INTERRUPTED:
        return code
    verdict = conclude(
        [artifacts],
        shipped("examples/demo-policy.yaml"),
        Outputs(out / "report.html", out / "summary.md", out / "gate.xml", out / "verdict.json"),
    )
    click.echo(f"{text('report', '报告')}: {(out / 'report.html').resolve()}", err=True)
    return verdict.exit_code
