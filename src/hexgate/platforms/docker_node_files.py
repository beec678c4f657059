"""run.sh of a node: rendered from a job spec, read back, and checked."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import sha256_bytes
from hexgate.platforms.base import Checked, Finding, Layer, Native
from hexgate.platforms.cloud_rules import env_findings, image_findings
from hexgate.platforms.docker_node_argv import gpus_of, host_path
from hexgate.platforms.spec import JobSpec, Mode

__all__ = [
    "FILE",
    "check_script",
    "job_block",
    "joined",
    "read_block",
    "render_script",
    "script_findings",
    "script_of",
]

FILE = "run.sh"
_BEGIN, _END = "# ---- the job", "# ---- end of the job"
_HEAD = """#!/usr/bin/env bash
# Runs a hexgate evaluation in a container on this machine: --help says how, --dry-run what it would do.
# Made by `hexgate platforms render`. Change the job here, or give flags; leave the program below as it is.
set -euo pipefail

"""
_PROGRAMS = Path(__file__).parent / "programs"
_NAME = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
_NAMES = {
    *(
        "PLATFORM",
        "RUN_ID",
        "SPEC_SHA256",
        "IMAGE",
        "ARGV",
        "ENV",
        "SECRET_ENV",
        "MOUNTS",
        "OUT",
        "OUTPUT",
        "GPUS",
        "CPUS",
    ),
    *("MEMORY_MIB", "SHM_MIB", "TIMEOUT_S", "SHARDS", "LABELS", "NETWORK", "RUN_AS"),
}
_LISTS = {"ARGV", "ENV", "SECRET_ENV", "MOUNTS", "LABELS"}
_DEVICES = re.compile(r"""--gpus[ =]"?(device=\d+,[\d,]+)""")
_SECRET_FLAG = re.compile(
    r"(?:--env|-e)[ =]['\"]?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>[^\s'\"$][^\s'\"]*)"
)


def render_script(spec: JobSpec, platform: str) -> str:
    """run.sh: the job, and the program that runs it. It is whole in itself: a node needs nothing else."""
    assignments = [_assignment(name, value) for name, value in job_block(spec, platform).items()]
    job = "\n".join([_BEGIN, *assignments, _END]) + "\n"
    return f"{_HEAD}{job}JOB_SHA256={sha256_bytes(job.encode())}\n\n{program(platform)}"


def program(platform: str) -> str:
    """What stands below the job in every run.sh of a platform."""
    own = ("power_mode", platform) if platform == "jetson" else (platform,)
    return joined(FILE, "shell", "common", *own, "main")


def joined(file: str, *parts: str) -> str:
    """Parts of programs one below the other, as one that calls itself by its file's name."""
    return "\n".join([f"ME={file}\n", *((_PROGRAMS / f"{name}.sh").read_text("utf-8") for name in parts)])


def job_block(spec: JobSpec, platform: str) -> dict[str, str | list[str]]:
    """The job as run.sh's variables."""
    block: Mapping[str, Any] = spec.block(platform)
    return {
        "PLATFORM": platform,
        "RUN_ID": spec.run_id or "",
        "SPEC_SHA256": spec.sha256,
        "IMAGE": spec.image.pinned,
        "ARGV": list(spec.argv),
        "ENV": [f"{name}={value}" for name, value in spec.env.items()],
        "SECRET_ENV": list(spec.secret_env),
        "MOUNTS": [
            f"{mount.name}=type=bind,source={host_path(mount.uri)},target={mount.path}"
            + (",readonly" if mount.mode is Mode.RO else "")
            for mount in spec.mounts
        ],
        "OUT": (host_path(spec.output.uri) or "") if spec.output.path else "",
        "OUTPUT": spec.output.inside,
        "GPUS": gpus_of(spec, platform),
        "CPUS": f"{spec.resources.cpu:g}",
        "MEMORY_MIB": str(spec.resources.memory_mib),
        "SHM_MIB": str(spec.resources.shm_mib),
        "TIMEOUT_S": str(spec.timeout_s),
        "SHARDS": str(spec.shards),
        "LABELS": [f"{name}={value}" for name, value in spec.labels.items()],
        "NETWORK": str(block.get("network", "none")),
        **({"NUMA": str(block.get("numa", "auto"))} if platform == "dgx" else {}),
        "RUN_AS": str(block.get("user", "")),
    }


def _assignment(name: str, value: str | list[str]) -> str:
    shown = shlex.quote(value) if isinstance(value, str) else f"({' '.join(map(_item, value))})"
    # shellcheck takes a dollar in single quotes for a mistake; here it is meant.
    meant = "# shellcheck disable=SC2016\n" if "$" in shown else ""
    return f"{meant}{name}={shown}"


def _item(item: str) -> str:
    # A bare comma between words is taken for a mistake by shellcheck.
    return f"'{item}'" if "," in item and shlex.quote(item) == item else shlex.quote(item)


def read_block(text: str) -> tuple[dict[str, str | list[str]], list[Finding]]:
    """The job in a run.sh, as its user has changed it, and what in it is no plain assignment."""
    lines = text.splitlines()
    try:
        begin, end = lines.index(_BEGIN), lines.index(_END)
    except ValueError:
        return {}, [Finding(FILE, f"the lines '{_BEGIN}' and '{_END}' around the job are gone")]
    found: dict[str, str | list[str]] = {}
    problems: list[Finding] = []
    for number, line in enumerate(lines[begin + 1 : end], begin + 2):
        where = f"{FILE}: line {number}"
        match = _NAME.fullmatch(line.strip())
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match is None:
            problems.append(Finding(where, f"got {line.strip()[:60]!r}, expected NAME=value"))
            continue
        name, value = match.groups()
        listed = value.startswith("(") and value.endswith(")")
        try:
            words = shlex.split(value[1:-1] if listed else value, comments=True)
        except ValueError as error:
            problems.append(Finding(where, f"{name} cannot be read ({error})"))
            continue
        if listed != (name in _LISTS) or (not listed and len(words) > 1):
            problems.append(
                Finding(where, f"{name}: expected {'a list in ( )' if name in _LISTS else 'one value'}")
            )
            continue
        found[name] = words if listed else "".join(words)
    return found, problems


def check_script(files: Native) -> Checked:
    """Layer VENDOR. Nobody publishes a validator for such scripts: bash parses it, and shellcheck reads it."""
    bash, shellcheck = shutil.which("bash"), _shellcheck()
    if bash is None:
        return Checked(Layer.VENDOR, skipped="there is no bash on this machine")
    text = script_of(files)
    parsed = _run([bash, "-n", "/dev/stdin"], text)
    findings = [Finding(f"{FILE}: {place}", problem) for place, problem in _said_by_bash(parsed.stderr)]
    if findings:
        return Checked(Layer.VENDOR, tuple(findings))
    if shellcheck is None:
        return Checked(Layer.VENDOR, skipped="bash parses it, but shellcheck is not installed")
    read = _run([shellcheck, "--format=gcc", "--shell=bash", "-"], text)
    return Checked(Layer.VENDOR, tuple(_said_by_shellcheck(read.stdout)))


def _shellcheck() -> str | None:
    return shutil.which("shellcheck") or shutil.which("shellcheck", path=str(Path(sys.executable).parent))


def _run(argv: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        argv, input=text, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )


def _said_by_bash(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        place, _, problem = line.partition(": ")[2].partition(": ")
        if not problem.startswith("`"):
            yield place or "bash", problem or line


def _said_by_shellcheck(text: str) -> Iterator[Finding]:
    for line in text.splitlines():
        match = re.fullmatch(r"-:(\d+):\d+: (\w+): (.*)", line)
        if match:
            yield Finding(f"{FILE}: line {match[1]}", match[3])


def script_of(files: Native) -> str:
    """The script among native files: the only one, whatever a user calls it."""
    return next(iter(files.values()))


def script_findings(files: Native, platform: str) -> Iterator[Finding]:
    """Layer RULES: the job in the script, and what its text must and must not hold."""
    text = script_of(files)
    block, problems = read_block(text)
    yield from problems
    yield from _block_findings(block, platform)
    yield from _text_findings(text, platform)


def _block_findings(block: Mapping[str, str | list[str]], platform: str) -> Iterator[Finding]:
    if not block:
        return
    expected = _NAMES | ({"NUMA"} if platform == "dgx" else set())
    for name in sorted(expected - block.keys()):
        yield Finding(f"{FILE}: {name}", "is missing")
    for name in sorted(block.keys() - expected):
        yield Finding(f"{FILE}: {name}", "there is no such variable in a job")
    yield from image_findings(block.get("IMAGE"), f"{FILE}: IMAGE")
    argv = block.get("ARGV", [])
    if argv == [] or not any("{out}" in word for word in argv):
        yield Finding(f"{FILE}: ARGV", "no {out}, so nothing that it measures would be found")
    for entry in block.get("ENV", []):
        name, equals, value = entry.partition("=")
        if not equals:
            yield Finding(f"{FILE}: ENV", f"got {name}, expected NAME=value")
        yield from env_findings(name, value, f"{FILE}: ENV {name}", block.get("IMAGE"))
    for name in block.get("SECRET_ENV", []):
        if "=" in name:
            yield Finding(f"{FILE}: SECRET_ENV", "a value stands in it, expected a name alone")
    yield from _mount_findings(block)
    output = str(block.get("OUTPUT", ""))
    if output.startswith("/") and not block.get("OUT"):
        yield Finding(
            f"{FILE}: OUT", f"no folder of this machine is bound to {output}: what is measured is lost"
        )
    if "://" in output and block.get("NETWORK") == "none":
        yield Finding(f"{FILE}: NETWORK", f"got none, and the job uploads to {output}, expected host")
    gpus = r"all|none" if platform == "jetson" else r"all|none|\d+(,\d+)*"
    forms = {"GPUS": gpus, "NETWORK": "none|host", "TIMEOUT_S": "[1-9][0-9]*", "SHARDS": "[1-9][0-9]*"}
    for name, form in forms.items():
        if name in block and not re.fullmatch(form, str(block[name])):
            yield Finding(f"{FILE}: {name}", f"got {block[name]!r}, expected the form {form}")


def _mount_findings(block: Mapping[str, str | list[str]]) -> Iterator[Finding]:
    for entry in block.get("MOUNTS", []):
        match = re.fullmatch(
            r"([a-z][a-z0-9_]*)=type=bind,source=([^,\"]*),target=(/[^,\"]+?)(,readonly)?", entry
        )
        if match is None:
            yield Finding(
                f"{FILE}: MOUNTS", f"got {entry!r}, expected NAME=type=bind,source=/…,target=/…[,readonly]"
            )
        elif not match[2].startswith("/"):
            yield Finding(
                f"{FILE}: MOUNTS {match[1]}", f"got the source {match[2]}, expected an absolute path"
            )
        elif match[1] in {"model", "data"} and not match[4]:
            yield Finding(
                f"{FILE}: MOUNTS {match[1]}",
                "is writable, expected ,readonly: a run must not change it",
            )


def _text_findings(text: str, platform: str) -> Iterator[Finding]:
    code = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if not line.lstrip().startswith("#")
    ]
    whole = "\n".join(line for _, line in code)
    if not re.search(r"^\s*set -\w*e\w*.*-?o? ?pipefail", whole, re.MULTILINE):
        yield Finding(FILE, "no `set -euo pipefail`: a step that failed would go unnoticed")
    if not re.search(r"^\s*trap finish EXIT\b", whole, re.MULTILINE):
        yield Finding(FILE, "no `trap finish EXIT`: what it pins would not be put back")
    if platform == "jetson" and "--runtime nvidia --gpus all" not in whole:
        yield Finding(
            FILE,
            "no `--runtime nvidia --gpus all`: on a Jetson either flag alone gives no CUDA",
        )
    for number, line in code:
        where = f"{FILE}: line {number}"
        if re.search(r"--privileged\b", line):
            yield Finding(where, "--privileged gives the job the whole machine")
        if "docker.sock" in line:
            yield Finding(where, "the engine's socket in the job gives it the whole machine")
        if re.search(r"COMMAND\[@\].*\|\s*tee\b|\bdocker run\b.*\|\s*tee\b", line):
            yield Finding(
                where, "the output of the job goes through tee: its exit code and its signals are lost"
            )
        if match := _DEVICES.search(line):
            problem = f"--gpus {match[1]} asks for the first device alone, expected --gpus '\"{match[1]}\"'"
            yield Finding(where, problem)
        if (
            platform == "jetson"
            and "--gpus all" in line
            and "--runtime nvidia" not in line
            and "none" not in line
        ):
            yield Finding(where, "--gpus all without --runtime nvidia: a Jetson refuses it")
        if match := _SECRET_FLAG.search(line):
            yield from env_findings(match["name"], match["value"], where, match["value"])
