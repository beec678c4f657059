"""This machine as a platform: a job is some detached processes, and a folder that says how they are."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import InputError
from hexgate.platforms.base import Checked, Driver, Finding, Layer, Native
from hexgate.platforms.command import job_environment, part_argv
from hexgate.platforms.local_folder import local_folder
from hexgate.platforms.spec import JobSpec

__all__ = ["Local"]

_FILE = "job.json"
_UNRESOLVED = re.compile(r"\$\{[^}]*\}?|\$\(|\{indicator\}")


class Local:
    """Jobs as detached processes of this machine. Neither image nor resources mean anything here."""

    name: ClassVar[str] = "local"
    fans_out: ClassVar[bool] = True

    def render(self, spec: JobSpec) -> dict[str, str]:
        """`job.json`: each process with its command and its environment, mounts replaced by their folders."""
        if spec.fan_out:
            processes = [_process(spec, part, indicator=part) for part in spec.parts]
        else:
            processes = [_process(spec, part, shard=index) for index, part in enumerate(spec.parts)]
        job = {
            "schema": "hexgate.local_job/v1",
            "name": spec.name,
            "timeout_s": spec.timeout_s,
            "together": not spec.fan_out,
            "processes": processes,
        }
        return {_FILE: json.dumps(job, indent=2, ensure_ascii=False) + "\n"}

    def spec_findings(self, spec: JobSpec) -> Sequence[Finding]:
        """Mounts that are no folders of this machine; retries, which nobody would make."""
        found = [
            Finding(f"$.mounts[{index}].uri", f"got {mount.uri}, expected a folder of this machine, file:...")
            for index, mount in enumerate(spec.mounts)
            if local_folder(mount.uri) is None
        ]
        if spec.retries:
            found.append(Finding("$.retries.max", f"got {spec.retries}, expected 0: local jobs run once"))
        return found

    def check(self, files: Native) -> Checked:
        """The file against its schema, schemas/local_job.schema.json."""
        found = []
        for name, text in files.items():
            try:
                mistakes = schema_mistakes("local_job", parse_strict(text.encode("utf-8")))
            except NotStrictJson as error:
                mistakes = [f"$: not strict JSON ({error})"]
            for mistake in mistakes:
                path, _, problem = mistake.partition(": ")
                found.append(Finding(f"{name}: {path}", problem))
        return Checked(Layer.VENDOR, tuple(found))

    def native_findings(self, files: Native) -> Sequence[Finding]:
        """Processes that would make the same part, measure nothing, or hold what nobody fills in."""
        return [
            Finding(f"{name}: {path}", problem)
            for name, text in files.items()
            for path, problem in _native_mistakes(_processes(text))
        ]

    def dry_run(self, files: Native, spec: JobSpec | None = None) -> Checked:  # noqa: ARG002
        """Whether the programs of its processes are on this machine."""
        found = [
            Finding(f"{name}: $.processes[{index}].argv[0]", f"{argv[0]} is not a program of this machine")
            for name, text in files.items()
            for index, process in enumerate(_processes(text))
            if (argv := _argv(process)) and argv[0] != "hexgate" and shutil.which(argv[0]) is None
        ]
        return Checked(Layer.SERVER, tuple(found))

    def driver(self, spec: JobSpec | None = None) -> Driver:
        """Jobs in the folder HEXGATE_LOCAL_DIR, or ``.hexgate/local``.

        Raises:
            InputError: if a secret that the job needs is not in the environment.
        """
        from hexgate.platforms.local_driver import LocalDriver

        lacking = [name for name in (spec.secret_env if spec is not None else ()) if not os.environ.get(name)]
        if lacking:
            raise InputError(
                "the environment lacks what the job needs", where="$.secret_env", got=", ".join(lacking)
            )
        folder = Path(os.environ.get("HEXGATE_LOCAL_DIR") or Path(".hexgate") / "local")
        return LocalDriver(folder, lambda job: self.render(job)[_FILE])


def _process(
    spec: JobSpec, part: str, *, shard: int = 0, indicator: str | None = None
) -> Mapping[str, object]:
    environment = job_environment(spec, Local.name)
    # The image of the spec is not what runs here, and an artifact must not say so.
    del environment["HEXGATE_IMAGE"]
    environment["HEXGATE_SHARD"] = f"{shard}/{spec.shards}"
    if spec.run_id is not None:
        environment["HEXGATE_JOB_ID"] = spec.run_id
    folder = local_folder(spec.output.uri)
    placed = replace(spec, argv=tuple(_placed(argument, spec) for argument in spec.argv))
    argv = part_argv(placed, output=spec.output.uri if folder is None else str(folder), indicator=indicator)
    return {"part": part, "argv": argv, "env": environment}


def _placed(argument: str, spec: JobSpec) -> str:
    for mount in spec.mounts:
        folder = local_folder(mount.uri)
        if folder is not None:
            inside = rf"(?<![\w./-]){re.escape(mount.path)}(?![\w.-])"
            argument = str(folder).join(re.split(inside, argument))
    return argument


def _processes(text: str) -> list[Any]:
    try:
        value = parse_strict(text.encode("utf-8"))
    except NotStrictJson:
        return []
    found = value.get("processes") if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _argv(process: Any) -> list[str]:
    found = process.get("argv") if isinstance(process, dict) else None
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else []


def _native_mistakes(processes: Sequence[Any]) -> list[tuple[str, str]]:
    found = []
    seen: set[object] = set()
    for index, process in enumerate(processes):
        at = f"$.processes[{index}]"
        part = process.get("part") if isinstance(process, dict) else None
        if isinstance(part, str) and part in seen:
            found.append((f"{at}.part", f"{part} is made by another process too"))
        seen.add(part if isinstance(part, str) else None)
        argv = _argv(process)
        if argv and argv[:3] != ["hexgate", "platforms", "run"]:
            found.append((f"{at}.argv", "expected hexgate platforms run: nothing else publishes a part"))
        elif argv and not any("{out}" in argument for argument in argv):
            found.append((f"{at}.argv", "no {out}, so nothing that it measures would be found"))
        found += [
            (f"{at}.argv[{place}]", f"got {argument!r}: nobody fills that in")
            for place, argument in enumerate(argv)
            if _UNRESOLVED.search(argument)
        ]
    return found
