"""Carries jobs on a node with the docker command: DOCKER_HOST says which node, also ``ssh://user@node``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from hexgate.errors import InputError, PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.docker_node_argv import LABEL_RUN, LABEL_SHARDS, Here, container_names, docker_options
from hexgate.platforms.spec import JobSpec
from hexgate.stores.retry import with_retries

__all__ = ["DockerDriver", "ask_docker", "docker_program"]

_T = TypeVar("_T")
_PATIENCE_S = 900
"""A pull may take long; anything else answers at once."""
_PASSING = (
    "cannot connect to the docker daemon",
    "connection refused",
    "connection reset",
    "error during connect",
    "too many requests",
    "toomanyrequests",
    "internal server error",
    "service unavailable",
    "server error",
    "unexpected eof",
    ": eof",
    "i/o timeout",
    "tls handshake timeout",
)
_LOST = ("no such container", "no such object")
_STATES = {
    "created": JobState.PENDING,
    "running": JobState.RUNNING,
    "paused": JobState.RUNNING,
    "restarting": JobState.RUNNING,
    "removing": JobState.RUNNING,
    "dead": JobState.FAILED,
}
_SIGTERM, _SIGKILL, _TIMED_OUT = 143, 137, 124


class _Refused(PlatformFailed):
    """A call that the engine, or the way to it, refused."""

    def __init__(self, call: str, said: str) -> None:
        super().__init__(
            f"docker {call} failed",
            got=" ".join(said.split())[:500] or "no reason",
            hint="docker info shows whether the engine of DOCKER_HOST answers",
        )
        self._said = said.lower()

    def says(self, *words: str) -> bool:
        return any(word in self._said for word in words)


class DockerDriver:
    """A `hexgate.platforms.base.Driver`.

    A native id is ``hexgate-<run_id>``, the name of the job's container; those of shards have a number behind it.
    """

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._docker = docker_program()

    def find(self, run_id: str) -> str | None:
        """The job of a run, if each of its containers was started; else `submit` does what is left of it."""
        found = _patiently(lambda: self._inspected(run_id))
        whole = len(found) == _shards(found) and all(each["State"]["Status"] != "created" for each in found)
        return f"hexgate-{run_id}" if found and whole else None

    def submit(self, spec: JobSpec) -> str:
        """Create every container, then start them. Done again, it does what is left to do.

        Raises:
            InputError: if the environment lacks a secret of the spec.
            PlatformFailed: if the engine refuses the job or does not answer.
        """
        absent = [name for name in spec.secret_env if name not in os.environ]
        if absent:
            raise InputError("environment variables of $.secret_env are not set", got=", ".join(absent))
        here = Here(user=f"{os.getuid()}:{os.getgid()}")
        names = container_names(spec)
        for shard, name in enumerate(names):
            options = docker_options(spec, self._platform, here, shard)
            _patiently(lambda name=name, options=options: self._create(name, options))  # type: ignore[misc]
        for name in names:
            _patiently(lambda name=name: self._start(name))  # type: ignore[misc]
        return f"hexgate-{spec.run_id}"

    def _create(self, name: str, options: Sequence[str]) -> None:
        try:
            self._ask("create", *options)
        except _Refused as refused:
            # An earlier try made it, and its answer was lost on the way.
            if not (refused.says("already in use") and name in str(refused)):
                raise

    def _start(self, name: str) -> None:
        # One that has ended already would run a second time.
        if self._ask("container", "inspect", "--format", "{{.State.Status}}", name).strip() == "created":
            self._ask("start", name)

    def status(self, native_id: str) -> Status:
        """Of all containers of the job: one that is missing makes it lost, one that failed makes it failed."""
        found = _patiently(lambda: self._inspected(_run_of(native_id)))
        if not found or len(found) < _shards(found):
            return Status(JobState.UNKNOWN, "lost", f"{len(found)} of {_shards(found)} containers are there")
        statuses = [_status(each["State"]) for each in found]
        for state in (
            JobState.UNKNOWN,
            JobState.RUNNING,
            JobState.PENDING,
            JobState.FAILED,
            JobState.CANCELLED,
        ):
            for status in statuses:
                if status.state is state:
                    return status
        return statuses[0]

    def logs(self, native_id: str) -> Iterator[str]:
        """What the containers printed, on both streams, each line behind the container's name if there are several.

        Raises:
            PlatformFailed: if the engine does not know the job, or does not answer.
        """
        names = _patiently(lambda: self._containers(_run_of(native_id)))
        if not names:
            raise PlatformFailed("the engine does not know the job", where=native_id)
        for name in names:
            said = _patiently(lambda name=name: self._ask("logs", name, both=True))  # type: ignore[misc]
            for line in said.splitlines():
                yield line if len(names) == 1 else f"{name}: {line}"

    def cancel(self, native_id: str) -> None:
        """Stop the containers: SIGTERM, and SIGKILL a minute later."""
        names = _patiently(lambda: self._containers(_run_of(native_id)))
        if names:
            _patiently(lambda: self._ask("stop", "--time", "60", *names))

    def _containers(self, run_id: str) -> list[str]:
        said = self._ask("ps", "--all", "--filter", f"label={LABEL_RUN}={run_id}", "--format", "{{.Names}}")
        return sorted(said.split(), key=lambda name: (len(name), name))

    def _inspected(self, run_id: str) -> list[dict[str, Any]]:
        names = self._containers(run_id)
        try:
            found: list[dict[str, Any]] = (
                json.loads(self._ask("container", "inspect", *names)) if names else []
            )
        except _Refused as refused:
            # Removed since it was listed.
            if refused.says(*_LOST):
                return []
            raise
        return found

    def _ask(self, *arguments: str, both: bool = False) -> str:
        return ask_docker(self._docker, *arguments, both=both)


def docker_program() -> str:
    """The docker command.

    Raises:
        InputError: if it is not installed.
    """
    found = shutil.which("docker")
    if found is None:
        raise InputError(
            "the docker command is not installed",
            hint="install Docker's client, or run run.sh on the node itself",
        )
    return found


def ask_docker(program: str, *arguments: str, both: bool = False) -> str:
    """What one call of the docker command prints; with `both`, also on its standard error.

    Raises:
        PlatformFailed: if it fails, or does not end.
    """
    try:
        done = subprocess.run(  # noqa: S603
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if both else subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PlatformFailed(f"docker {arguments[0]} did not end within {_PATIENCE_S} s") from None
    if done.returncode != 0:
        raise _Refused(arguments[0], done.stdout if both else done.stderr)
    return done.stdout


def _patiently(call: Callable[[], _T]) -> _T:
    return with_retries(call, transient=lambda error: isinstance(error, _Refused) and error.says(*_PASSING))


def _run_of(native_id: str) -> str:
    return native_id.removeprefix("hexgate-")


def _shards(found: Sequence[dict[str, Any]]) -> int:
    return max((int((each["Config"].get("Labels") or {}).get(LABEL_SHARDS, 1)) for each in found), default=1)


def _status(state: dict[str, Any]) -> Status:
    """One container's state, as `docker inspect` has it."""
    native = str(state.get("Status", ""))
    if native != "exited":
        return Status(_STATES.get(native, JobState.UNKNOWN), native or "no state", state.get("Error") or None)
    code = int(state.get("ExitCode", -1))
    if code == 0:
        return Status(JobState.SUCCEEDED, "exited (0)")
    why = state.get("Error") or None
    if state.get("OOMKilled"):
        why = "the container ran out of its memory"
    elif code == _TIMED_OUT:
        why = "it ran longer than the spec's timeout_s"
    cancelled = code in {_SIGTERM, _SIGKILL} and not state.get("OOMKilled")
    return Status(JobState.CANCELLED if cancelled else JobState.FAILED, f"exited ({code})", why)
