"""`hexgate study artifact`: one model of a study as an artifact that `hexgate gate` judges."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hexgate.cli.console import show_error
from hexgate.cli.language import text
from hexgate.cli.number import Finite
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.errors import ExitCode
from hexgate.indicators.sheet import Measured
from hexgate.study.artifact import Chosen, artifact_folder, write_artifact_of
from hexgate.study.reading import read_study

__all__ = ["command"]


@click.command(
    "artifact",
    help=text(
        "Make of a model's runs in the study in FOLDER the artifact power_efficiency.json with its evidence, which "
        "hexgate gate judges and hexgate recompute computes again. "
        "Exit codes: 0 all planned runs are over; 2 no such study, model, task or load; 4 the study is not over or no "
        "run succeeded (the artifact says so, and no gate passes it), or the runs are of several models or machines "
        "(no artifact).",
        "将 FOLDER 中研究里某个模型的运行做成 power_efficiency.json 及其证据，"
        "供 hexgate gate 判定、hexgate recompute 复算。"
        "退出码：0 计划内的运行均已完成；2 没有该研究、模型、任务或负载；"
        "4 研究未完成或没有成功的运行（结果会注明，门禁不会通过），或运行来自多个模型或多台机器（不写结果）。",
    ),
)
@FOLDER
@click.option(
    "--model",
    metavar="NAME",
    help=text(
        "Name of the model in the study; not needed where it has one.", "研究中模型的名称；只有一个时可省略。"
    ),
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=text(
        "Folder of the artifact; FOLDER/artifacts/NAME if not given.",
        "结果目录；缺省为 FOLDER/artifacts/NAME。",
    ),
)
@SPEC
@click.option(
    "--task",
    "tasks",
    metavar="NAME",
    multiple=True,
    help=text("Only this task; may be repeated.", "只取该任务；可重复。"),
)
@click.option(
    "--load",
    "loads",
    metavar="NAME",
    multiple=True,
    help=text("Only this load; may be repeated.", "只取该负载；可重复。"),
)
@click.option(
    "--confidence",
    type=Finite(min=0.5, max=1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help=text("Level of the intervals.", "区间的置信水平。"),
)
def command(
    folder: Path,
    model: str | None,
    out: Path | None,
    spec: Path | None,
    tasks: tuple[str, ...],
    loads: tuple[str, ...],
    confidence: float,
) -> int:
    """Write the artifact, and return 0 where it is complete."""
    reading = read_study(folder, spec)
    chosen = Chosen(model, tasks, loads, confidence)
    made = write_artifact_of(reading, chosen, out or artifact_folder(reading, chosen), sys.argv)
    click.echo(_told(made), err=True)
    click.echo(str(made.artifact.path), err=True)
    if made.error is not None:
        show_error(made.error)
        return made.error.exit_code
    return ExitCode.OK


def _told(made: Measured) -> str:
    data = made.artifact.data
    counts, joules = data["counts"], data["energy_per_request_j"]
    measured = 0 if data["study"] is None else data["study"]["measured"]
    return text(
        f"{counts['succeeded']} of {counts['requested']} runs succeeded, {counts['errored']} failed; "
        f"{measured} have an energy" + ("" if joules is None else f", {joules:.4g} J a request"),
        f"{counts['requested']} 次运行中成功 {counts['succeeded']} 次，失败 {counts['errored']} 次；"
        f"{measured} 次有能耗" + ("" if joules is None else f"，每请求 {joules:.4g} J"),
    )
