"""`hexgate study score`: the runs of a study marked by measures of quality."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from hexgate.cli.console import Display, show_error
from hexgate.cli.language import text
from hexgate.cli.studies.options import FOLDER, SPEC
from hexgate.cli.studies.tallies import measures_without_value, show_left, show_tallies
from hexgate.errors import ExitCode
from hexgate.study.quality.scoring import Scored, Scoring, score_study

__all__ = ["command"]


@click.command(
    "score",
    help=text(
        "Mark the runs of the study in FOLDER by the measures of its block `quality`; marks lie in quality.jsonl, and "
        "in the raw records and results.csv. Do it when all runs are over: a measure at work beside them would spend "
        "energy on the measured machine. Started again it goes on, and marks runs that were added. "
        "Exit codes: 0 every run has its mark; 2 a measure, its options or the folder; 4 a measure cannot be carried "
        "out on this machine, or has no value of any run; 5 the disk takes no more; 130 interrupted.",
        "按研究的 quality 一节为 FOLDER 中的运行评分；分数保存在 quality.jsonl，并写入原始记录与 results.csv。"
        "请在所有运行完成后执行：评分同时进行会在被测机器上耗能。再次执行即继续，也会为新增的运行评分。"
        "退出码：0 每次运行都有分数；2 度量、选项或目录有误；4 有度量无法执行或没有任何数值；5 磁盘写满；130 被中断。",
    ),
)
@FOLDER
@SPEC
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="NAME",
    help=text(
        "Only this measure; may be repeated. One that the study does not name is taken without options.",
        "只用该度量，可重复给出；研究中没有的度量以默认选项执行。",
    ),
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help=text("Only runs of this task; may be repeated.", "只评该任务的运行，可重复给出。"),
)
@click.option(
    "--again",
    is_flag=True,
    help=text("Mark runs again that have a mark already.", "对已有分数的运行重新评分。"),
)
@click.option("--quiet", is_flag=True, help=text("Say only what is wrong.", "只输出错误。"))
def command(
    folder: Path,
    spec: Path | None,
    measures: tuple[str, ...],
    tasks: tuple[str, ...],
    again: bool,
    quiet: bool,
) -> int:
    """Mark the runs of a study."""
    # What a scheduler sends ends it as Ctrl-C does: what is marked is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Display(text("score", "评分"), quiet=quiet) as display:
        scored = score_study(folder, _Watching(display), Scoring(measures, tasks, again), spec)
    return _conclude(scored, quiet=quiet)


class _Watching:
    """What a person sees of it."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def begin(self, measure: str, due: int, done: int) -> None:
        """Say what is to be marked."""
        self._display.start(
            text(
                f"{measure}: {due} runs, {done} marked before", f"{measure}：{due} 次运行，此前已评 {done} 次"
            ),
            due,
        )

    def marked(self, count: int) -> None:
        """So many more."""
        self._display.advance(count)


def _conclude(scored: Scored, *, quiet: bool) -> int:
    if not quiet:
        show_tallies(scored.tallies)
        show_left(scored.left)
        click.echo(text(f"{scored.given} marks given", f"给出 {scored.given} 个分数"), err=True)
        click.echo(str(scored.results), err=True)
    for measure, error in scored.unable.items():
        click.echo(text(f"{measure} was not carried out:", f"{measure} 未能执行："), err=True)
        show_error(error)
    if scored.stopped is not None:
        show_error(scored.stopped)
        return scored.stopped.exit_code
    empty = measures_without_value(scored.tallies)
    for measure in empty:
        if measure not in scored.unable:
            click.echo(
                text(f"{measure} has no value of any run", f"{measure} 没有任何一次运行的数值"), err=True
            )
    return ExitCode.EVIDENCE if scored.unable or empty else ExitCode.OK
