"""`hexgate platforms collect`: bring a run's artifacts here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import click

from hexgate.cli.language import text
from hexgate.contract.collected import PartState, expectation_mistakes
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import ExitCode, InputError
from hexgate.platforms.collect import Expected, collect_run, expectation
from hexgate.platforms.handles import find_handle
from hexgate.stores.registry import open_store

__all__ = ["collect_and_say", "collect_command"]


def collect_and_say(store_uri: str, expected: Expected, dest: Path) -> int:
    """Collect, say what came and what did not, and what comes next.

    Returns:
        0 if every part is there and whole, 4 otherwise.

    Raises:
        InputError, StoreFailed: as `collect_run` does.
    """
    collected = collect_run(
        open_store(store_uri), expected, dest, say=lambda line: click.echo(line, err=True)
    )
    found = sum(part.state is PartState.FOUND for part in collected.parts)
    count = len(collected.expected)
    click.echo(
        text(
            f"run {collected.run_id}: {found} of {count} parts are here, in {dest}",
            f"运行 {collected.run_id}：{count} 个部分中已有 {found} 个，在 {dest}",
        ),
        err=True,
    )
    gate = f"hexgate gate {dest} --policy FILE"
    if all(part.startswith("shard-") for part in collected.expected):
        click.echo(f"{text('next', '下一步')}: hexgate load merge {dest} --out {dest}-merged", err=True)
        gate = f"hexgate gate {dest} {dest}-merged --policy FILE"
    click.echo(f"{text('next', '下一步')}: {gate}", err=True)
    return ExitCode.OK if collected.whole else ExitCode.EVIDENCE


@click.command(
    "collect",
    help=text(
        "Bring the parts of a run here, with digests checked. Exit code 4 if any is missing or wrong; what came is "
        "kept.",
        "收集一次运行的各部分并核对摘要。有缺失或错误时退出码为 4；已到的会保留。",
    ),
)
@click.argument("handle", required=False)
@click.option(
    "--out",
    "dest",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help=text("Folder for the parts and collected.json.", "存放各部分与 collected.json 的目录。"),
)
@click.option(
    "--from",
    "store_uri",
    default=None,
    help=text("Store that holds the run, instead of the handle's.", "存放结果的存储，代替句柄中的。"),
)
@click.option("--run-id", default=None, help=text("The run, without a handle.", "运行编号（没有句柄时）。"))
@click.option(
    "--expect",
    default=None,
    help=text(
        "The parts that it must have, without a handle: main, or names separated by commas.",
        "必须有的部分（没有句柄时）：main，或以逗号分隔的名字。",
    ),
)
@click.option(
    "--until",
    default=None,
    help=text("What ended after this instant is late; RFC 3339.", "在此时刻之后结束的算迟到；RFC 3339。"),
)
def collect_command(
    handle: str | None,
    dest: Path,
    store_uri: str | None,
    run_id: str | None,
    expect: str | None,
    until: str | None,
) -> int:
    """Collect by a handle, or by the name of a run."""
    deadline = None if until is None else _instant(until)
    if handle is None:
        if store_uri is None or run_id is None or expect is None:
            raise click.UsageError(
                text(
                    "give a handle, or --from, --run-id and --expect",
                    "请给出句柄，或 --from、--run-id 与 --expect",
                )
            )
        return collect_and_say(store_uri, _expected(run_id, expect, deadline), dest)
    if run_id is not None or expect is not None:
        raise click.UsageError(
            text("--run-id and --expect stand in the handle", "--run-id 与 --expect 已在句柄中")
        )
    address, kept, _ = find_handle(handle)
    if kept is None:
        raise InputError(
            "nothing here knows what that job must leave",
            got=str(address),
            hint="give the handle's file, or --from, --run-id and --expect",
        )
    return collect_and_say(store_uri or kept.output, expectation(kept, until=deadline), dest)


def _expected(run_id: str, expect: str, until: str | None) -> Expected:
    names = tuple(name.strip() for name in expect.split(","))
    form = {
        "schema": "hexgate.collected/v1",
        "run_id": run_id,
        "source": "",
        "expected": list(names),
        "until": None,
        "collected_at": "2026-01-01T00:00:00Z",
        "parts": [],
    }
    mistakes = schema_mistakes("collected", form) + expectation_mistakes(names)
    if mistakes:
        raise InputError("; ".join(mistakes), where="--run-id, --expect")
    return replace(Expected(run_id, names), until=until)


def _instant(value: str) -> str:
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        utc = found.astimezone(timezone.utc) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None:
        raise InputError(
            "not an instant",
            where="--until",
            got=repr(value),
            expected="RFC 3339 such as 2026-01-31T12:00:00Z",
        )
    return f"{utc.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
