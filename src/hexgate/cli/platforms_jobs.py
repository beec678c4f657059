"""`hexgate platforms submit`, `status`, `logs` and `cancel`: a job while it is on its platform."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.cli.number import Finite
from hexgate.cli.platforms_collect import collect_and_say
from hexgate.cli.platforms_files import platform_option, set_option, show_layers
from hexgate.contract.provenance import new_run_id
from hexgate.errors import ExitCode, InputError, JobSpecError
from hexgate.platforms import platform
from hexgate.platforms.base import Driver, JobState, Status
from hexgate.platforms.collect import expectation
from hexgate.platforms.handles import (
    RUNS,
    Address,
    Handle,
    HandleState,
    find_handle,
    save_handle,
)
from hexgate.platforms.spec import parse_spec, read_spec
from hexgate.platforms.submit import submit_job
from hexgate.platforms.validate import check_job
from hexgate.platforms.wait import wait_for

__all__ = ["cancel_command", "logs_command", "status_command", "submit_command"]

_SECONDS = Finite(min=0, min_open=True)

_timeout_option = click.option(
    "--timeout-s",
    type=_SECONDS,
    default=None,
    help=text(
        "Wait no longer than this; the job goes on. Exit code 5.", "最多等待这么久；作业继续运行。退出码 5。"
    ),
)
_poll_option = click.option(
    "--poll-s",
    type=_SECONDS,
    default=10.0,
    show_default=True,
    help=text("Longest time between two looks.", "两次查看的最长间隔秒数。"),
)
_handle_argument = click.argument("handle")


@click.command(
    "submit",
    help=text(
        "Submit the job of SPEC and print its address. Given again, it finds the same job while that goes on.",
        "提交 SPEC 的作业并打印其地址。中途被杀后再次执行，只要作业未结束，找到的是同一个作业。",
    ),
)
@click.argument("spec", type=click.Path(path_type=Path, dir_okay=False))
@platform_option
@set_option
@click.option(
    "--run-id",
    default=None,
    help=text(
        "The run that the job belongs to, or new; without it, the spec's, or a run of it that has not ended.",
        "作业所属的运行编号，或 new；不给则用描述中的编号，或该描述尚未结束的运行。",
    ),
)
@click.option(
    "--handle",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help=text(f"File for the handle. [{RUNS}/<run id>.json]", f"句柄文件。[{RUNS}/<运行编号>.json]"),
)
@click.option("--wait", is_flag=True, help=text("Wait for the job's end.", "等待作业结束。"))
@click.option(
    "--collect",
    "dest",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help=text(
        "With --wait: collect into this folder, however it ended.",
        "与 --wait 同用：无论如何结束都收集到此目录。",
    ),
)
@_timeout_option
@_poll_option
@click.option(
    "--dry-run", is_flag=True, help=text("Only check it, in all four layers.", "只做四层校验，不提交。")
)
def submit_command(
    spec: Path,
    name: str,
    changes: tuple[str, ...],
    run_id: str | None,
    path: Path | None,
    dest: Path | None,
    timeout_s: float | None,
    poll_s: float,
    *,
    wait: bool,
    dry_run: bool,
) -> int:
    """Check, submit, and where it is asked for wait and collect."""
    if dest is not None and not wait:
        raise click.UsageError(text("--collect needs --wait", "--collect 需要 --wait"))
    job = read_spec(spec, changes)
    if run_id is not None:
        given = job.to_json() | {"run_id": new_run_id() if run_id == "new" else run_id}
        job = parse_spec(given, "--run-id")
    chosen = platform(name)
    report = check_job(spec.name, job, chosen, ask_server=dry_run)
    if dry_run:
        show_layers(report, err=True)
        return ExitCode.INPUT if report.mistakes else ExitCode.OK
    if report.mistakes:
        raise JobSpecError(str(spec), report.mistakes)
    driver = chosen.driver(job)
    handle = submit_job(job, name, driver, path, awaited=wait, say=_note)
    known = _Known(driver, _address(handle), handle, path or RUNS / f"{handle.run_id}.json")
    _note(text(f"run {handle.run_id}; handle {known.path}", f"运行 {handle.run_id}；句柄 {known.path}"))
    click.echo(str(known.address))
    if not wait:
        return ExitCode.OK
    code = _follow(known, timeout_s, poll_s)
    if dest is None:
        return code
    collected = collect_and_say(handle.output, expectation(handle), dest)
    return code or collected


@click.command(
    "status",
    help=text(
        "How the job of HANDLE is. Exit code 5 if it failed, was cancelled, or is not known.",
        "HANDLE 的作业状态。失败、被取消或未知时退出码为 5。",
    ),
)
@_handle_argument
@click.option("--wait", is_flag=True, help=text("Wait for its end.", "等待其结束。"))
@_timeout_option
@_poll_option
@click.option("--json", "as_json", is_flag=True, help=text("Print it as JSON.", "以 JSON 打印。"))
def status_command(handle: str, timeout_s: float | None, poll_s: float, *, wait: bool, as_json: bool) -> int:
    """Look once, or until it has ended."""
    known = _known(handle)
    status = _waited(known, timeout_s, poll_s) if wait else known.driver.status(known.address.native_id)
    known.saw(status)
    if as_json:
        value = {
            "platform": known.address.platform,
            "native_id": known.address.native_id,
            "run_id": known.handle.run_id if known.handle is not None else None,
            "state": status.state.value,
            "native": status.native,
            "reason": status.reason,
        }
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        click.echo(_shown(status))
    return _code(status)


@click.command("logs", help=text("What the job of HANDLE printed so far.", "HANDLE 的作业到目前为止的输出。"))
@_handle_argument
def logs_command(handle: str) -> int:
    """Print the lines on standard output."""
    known = _known(handle)
    for line in known.driver.logs(known.address.native_id):
        click.echo(line)
    return ExitCode.OK


@click.command(
    "cancel",
    help=text(
        "Stop the job of HANDLE; what it measured is published.", "停止 HANDLE 的作业；已测得的会发布。"
    ),
)
@_handle_argument
def cancel_command(handle: str) -> int:
    """Ask the platform to stop it."""
    known = _known(handle)
    known.driver.cancel(known.address.native_id)
    _note(text(f"{known.address} is asked to stop", f"已请求停止 {known.address}"))
    return ExitCode.OK


@dataclass(frozen=True)
class _Known:
    """A job, and what carries it."""

    driver: Driver
    address: Address
    handle: Handle | None
    path: Path | None

    def saw(self, status: Status) -> None:
        """Keep in mind that somebody was told how it ended."""
        if status.state.ended and self.handle is not None and self.path is not None:
            save_handle(self.path, replace(self.handle, state=HandleState.ENDED))


def _known(handle: str) -> _Known:
    address, kept, path = find_handle(handle)
    return _Known(platform(address.platform).driver(), address, kept, path)


def _address(handle: Handle) -> Address:
    if handle.address is None:
        raise InputError("the job has no address yet", got=handle.run_id, hint="give the same submit again")
    return handle.address


def _follow(known: _Known, timeout_s: float | None, poll_s: float) -> ExitCode:
    status = _waited(known, timeout_s, poll_s)
    known.saw(status)
    return _code(status)


def _waited(known: _Known, timeout_s: float | None, poll_s: float) -> Status:
    try:
        return wait_for(
            known.driver,
            known.address,
            timeout_s=timeout_s,
            poll_s=poll_s,
            say=lambda status: _note(f"{known.address}: {_shown(status)}"),
        )
    except KeyboardInterrupt:
        again = f"hexgate platforms status {known.address} --wait"
        _note(text(f"the job goes on; wait for it with {again}", f"作业仍在运行；继续等待：{again}"))
        raise


def _shown(status: Status) -> str:
    words = {
        JobState.PENDING: ("pending", "等待中"),
        JobState.RUNNING: ("running", "运行中"),
        JobState.SUCCEEDED: ("succeeded", "成功"),
        JobState.FAILED: ("failed", "失败"),
        JobState.CANCELLED: ("cancelled", "已取消"),
        JobState.UNKNOWN: ("unknown", "未知"),
    }
    said = text(*words[status.state])
    native = "" if status.native == status.state.value else f" ({status.native})"
    return f"{said}{native}" + (f": {status.reason}" if status.reason else "")


def _code(status: Status) -> ExitCode:
    bad = {JobState.FAILED, JobState.CANCELLED, JobState.UNKNOWN}
    return ExitCode.TARGET if status.state in bad else ExitCode.OK


def _note(line: str) -> None:
    click.echo(line, err=True)
