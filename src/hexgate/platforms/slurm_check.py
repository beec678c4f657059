"""Layers VENDOR and SERVER of Slurm: what reads a batch script without a cluster, and ``sbatch --test-only``."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

from hexgate.errors import HexgateError
from hexgate.platforms.base import Checked, Finding, Layer, Native
from hexgate.platforms.slurm_client import command_path, run, said
from hexgate.platforms.slurm_header import read_header
from hexgate.platforms.slurm_rules import minutes_of

__all__ = ["check", "dry_run"]

_TIMEOUT_S = 60
_BASH_LINE = re.compile(r"^[^:]*: line ([0-9]+): (.*)$")


def check(files: Native) -> Checked:
    """Read a script as bash, as shellcheck and as a strict sbatch would. Slurm has no validator that works offline."""
    tools = {name: command_path(name) for name in ("bash", "shellcheck")}
    found: list[Finding] = []
    for name, text in files.items():
        found += [Finding(f"{name}: line {line}", problem) for line, problem in sorted(read_header(text)[1])]
        if tools["bash"] is not None:
            found += [
                Finding(f"{name}: line {line}", problem) for line, problem in _bash(tools["bash"], text)
            ]
        if tools["shellcheck"] is not None:
            found += [
                Finding(f"{name}: line {line}", problem)
                for line, problem in _shellcheck(tools["shellcheck"], text)
            ]
    lacking = [name for name, path in tools.items() if path is None]
    skipped = (
        f"{' and '.join(lacking)} not installed; only the options were read"
        if lacking and not found
        else None
    )
    return Checked(Layer.VENDOR, tuple(found), skipped)


def _bash(bash: str, text: str) -> Iterator[tuple[int, str]]:
    ended = _read_by([bash, "-n"], text)
    for line in ended.stderr.splitlines():
        if said := _BASH_LINE.match(line):
            yield int(said[1]), said[2]


def _shellcheck(shellcheck: str, text: str) -> Iterator[tuple[int, str]]:
    ended = _read_by([shellcheck, "--shell=bash", "--format=json", "-"], text)
    for comment in json.loads(ended.stdout or "[]"):
        yield comment["line"], f"SC{comment['code']}: {comment['message']}"


def _read_by(argv: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a list, without a shell
        argv, input=text, capture_output=True, text=True, encoding="utf-8", timeout=_TIMEOUT_S, check=False
    )


def dry_run(files: Native) -> Checked:
    """Ask the controller, by ``sbatch --test-only``, and hold the time against the partition's limit.

    The limit is asked for apart: sbatch takes a job that is longer, and it then waits for ever.
    """
    if command_path("sbatch") is None:
        return Checked(Layer.SERVER, skipped="sbatch is not on the PATH")
    found: list[Finding] = []
    for name, text in files.items():
        try:
            ended = run(["sbatch", "--test-only"], text=text, refusals=True)
            if ended.returncode != 0:
                found.append(Finding(name, said(ended)))
                continue
            found += [Finding(f"{name}: line {line}", problem) for line, problem in _over_limit(text)]
        except HexgateError as error:
            return Checked(Layer.SERVER, skipped=str(error))
    return Checked(Layer.SERVER, tuple(found))


def _over_limit(text: str) -> Iterator[tuple[int, str]]:
    options = {option.name: option for option in read_header(text)[0]}
    wanted = minutes_of((options["time"].value or "") if "time" in options else "")
    if wanted is None:
        return
    named = options["partition"].value if "partition" in options else None
    shown = run(["scontrol", "show", "partition", "-o", *([named] if named else [])]).stdout
    for line in shown.splitlines():
        fields = dict(re.findall(r"(\S+?)=(\S*)", line))
        limit = minutes_of(fields.get("MaxTime", ""))
        chosen = named is not None or fields.get("Default") == "YES"
        if chosen and limit is not None and wanted > limit:
            yield (
                options["time"].line,
                f"got {wanted} minutes, expected at most {limit} in {fields['PartitionName']}: it would wait for ever",
            )
