"""`hexgate study run`: the plan, its estimate, and the runs that are left of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hexgate.cli.console import Display, show_error
from hexgate.cli.errors_zh import error_in_chinese
from hexgate.cli.language import language, text
from hexgate.cli.number import Whole
from hexgate.errors import ExitCode, InputError
from hexgate.study.design import Plan, Run, Visit, make_plan
from hexgate.study.estimate import estimate
from hexgate.study.items import read_cells
from hexgate.study.runner import Carrying, Outcome, carry_out
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec

__all__ = ["command"]


@click.command(
    "run",
    help=text(
        "Carry out the study that SPEC (YAML) describes; its runs, texts and results.csv lie in the folder of --out. "
        "Started again with the same study it goes on: no run is lost, none is made twice. "
        "Exit codes: 0 all runs of this call succeeded; 2 the study, or another one in the folder; 4 all were made and "
        "some failed, or the budget is spent; 5 a server stopped answering (start it, and run the same command again); "
        "130 interrupted.",
        "执行 SPEC（YAML）描述的研究；运行记录、文本与 results.csv 保存在 --out 目录。"
        "对同一研究再次执行即继续：不丢失、不重复任何一次运行。"
        "退出码：0 本次运行全部成功；2 研究描述有误，或目录中是另一项研究；4 全部执行完但有失败，或预算用尽；"
        "5 服务停止响应（恢复后再次执行同一命令）；130 被中断。",
    ),
)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help=text("Folder of the study.", "研究的目录。"))
@click.option(
    "--plan-only",
    is_flag=True,
    help=text(
        "Print the plan and its estimate as JSON, and ask no server.",
        "只以 JSON 输出计划与估计，不访问任何服务。",
    ),
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help=text(
        "Only runs of this task in this call; can be repeated. The study stays one, and goes on later with the rest.",
        "本次只执行该任务的运行，可重复给出。研究仍是同一项，其余运行以后再继续。",
    ),
)
@click.option("--limit", type=Whole(min=1), help=text("Most runs of this call.", "本次最多执行的运行次数。"))
@click.option(
    "--parallel",
    type=Whole(1, 256),
    help=text(
        "Most models at once, each at an endpoint of its own; the study's own number where not given.",
        "同时运行的模型数上限（各自使用不同端点）；缺省时取研究描述中的值。",
    ),
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help=text(
        "Make every run again that failed; runs to which nobody answered are made again anyway.",
        "重做所有失败的运行；无人应答的运行总会重做。",
    ),
)
@click.option(
    "--rapl-root",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEXGATE_RAPL_ROOT",
    show_envvar=True,
    help=text(
        "Root of the powercap tree, where it is not the kernel's own.",
        "powercap 目录树的根（若非内核自身的）。",
    ),
)
@click.option("--quiet", is_flag=True, help=text("Say only what is wrong.", "只输出错误。"))
def command(
    spec: Path,
    out: Path | None,
    plan_only: bool,
    tasks: tuple[str, ...],
    limit: int | None,
    parallel: int | None,
    retry_failed: bool,
    rapl_root: Path | None,
    quiet: bool,
) -> int:
    """Carry out a study."""
    study = read_spec(spec)
    _refuse_unknown(tasks, study)
    plan = make_plan(study, read_cells(study))
    if plan_only:
        click.echo(json.dumps(_planned(study, plan, tasks), ensure_ascii=False, indent=2))
        return ExitCode.OK
    if out is None:
        raise InputError("--out is missing", hint="name a folder for the study, or add --plan-only")
    # What a scheduler sends ends a study as Ctrl-C does: what is measured is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Display(study.name, quiet=quiet) as display:
        watching = _Watching(study, plan, display)
        carrying = Carrying(
            tasks=tasks,
            limit=limit,
            parallel=parallel,
            retry_failed=retry_failed,
            rapl_root=rapl_root,
        )
        outcome = carry_out(study, plan, out, carrying, watching)
    return _conclude(outcome, quiet=quiet)


def _refuse_unknown(tasks: Sequence[str], spec: Spec) -> None:
    known = [task.name for task in spec.tasks]
    for name in tasks:
        if name not in known:
            raise InputError(
                "the study has no such task", where="--task", got=name, expected=f"one of {', '.join(known)}"
            )


def _planned(spec: Spec, plan: Plan, tasks: Sequence[str]) -> dict[str, Any]:
    runs = [run for run in plan.runs if not tasks or run.cell.task in tasks]
    return {
        "name": spec.name,
        "seed": spec.seed,
        "spec_sha256": spec.sha256(),
        "plan_sha256": plan.sha256(),
        "models": [model.name for model in spec.models],
        "targets": [model.target for model in spec.models],
        "tasks": [task.name for task in spec.tasks],
        "loads": [load.name for load in spec.loads],
        "quality": [one.measure for one in spec.quality],
        "judge": spec.judge is not None,
        "rating": spec.rating is not None,
        "estimate": estimate(spec, plan, runs),
        "runs": [run.to_json() for run in runs],
    }


class _Watching:
    """What a person sees of a study."""

    def __init__(self, spec: Spec, plan: Plan, display: Display) -> None:
        self._spec = spec
        self._plan = plan
        self._display = display
        self._left_s: float | None = None

    def begin(self, left: Sequence[Run], done: int) -> None:
        """Say what is to be done, and what it will take at most."""
        if done:
            self._display.note(
                text(
                    f"{done} of {len(self._plan.runs)} runs are over already",
                    f"{len(self._plan.runs)} 次运行中已完成 {done} 次",
                )
            )
        found = estimate(self._spec, self._plan, left)
        energy_kj = found["energy_kj"]
        parts = [
            text(
                f"{found['runs']} runs in {found['visits']} visits",
                f"{found['runs']} 次运行，{found['visits']} 轮",
            ),
            text(f"at most {_time(found['hours'] * 3600)}", f"最多 {_time(found['hours'] * 3600)}"),
            f"{found['disk_gb']:.2g} GB",
        ]
        if energy_kj is not None:
            parts.append(f"{energy_kj:.3g} kJ")
        self._display.note(", ".join(parts))
        for line in found["over_budget"]:
            self._display.note(text(f"more than the budget: {line}", f"超出预算：{line}"))
        self._display.start(text("runs", "运行"), len(left))

    def visit(self, visit: Visit) -> None:
        """Say whose runs come now."""
        left = (
            ""
            if self._left_s is None
            else text(f", {_time(self._left_s)} left", f"，剩余约 {_time(self._left_s)}")
        )
        self._display.note(
            text(
                f"block {visit.block}, {visit.model}: {len(visit.runs)} runs{left}",
                f"第 {visit.block} 区组，{visit.model}：{len(visit.runs)} 次运行{left}",
            )
        )

    def ran(self, record: Mapping[str, Any], left_s: float) -> None:
        """One more; and why, where it failed."""
        self._left_s = left_s
        self._display.advance()
        error = record["error"]
        if error is not None:
            name = f"{record['model']} {record['task']} {record['load']} {record['item']}"
            self._display.note(
                text(
                    f"{name} failed: {error['kind']}: {error['detail']}",
                    f"{name} 失败：{error['kind']}：{error['detail']}",
                )
            )

    def note(self, text: str) -> None:
        """One line."""
        self._display.note(text if language() == "en" else error_in_chinese(text))


def _conclude(outcome: Outcome, *, quiet: bool) -> int:
    if not quiet:
        left = outcome.planned - outcome.done
        click.echo(
            text(
                f"{outcome.made} runs made; {outcome.done} of {outcome.planned} are over, {outcome.failed} of them "
                f"failed, {left} are left",
                f"本次完成 {outcome.made} 次；共 {outcome.planned} 次，已完成 {outcome.done} 次，"
                f"其中失败 {outcome.failed} 次，剩余 {left} 次",
            ),
            err=True,
        )
        click.echo(str(outcome.results), err=True)
    if outcome.stopped is not None:
        show_error(outcome.stopped)
        return outcome.stopped.exit_code
    return ExitCode.EVIDENCE if outcome.failed else ExitCode.OK


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
