"""One run of one untrusted program in a sandbox: its limits, how it ended, and how it is started."""

from __future__ import annotations

import base64
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.errors import InputError
from hexgate.scorers.sandbox_filter import MACHINES, filter_code, pivot_root_number
from hexgate.scorers.sandbox_view import FOLDER, GIVEN, Language

__all__ = ["Ended", "Ending", "Limits", "SandboxFault", "launch"]

_GRACE_S = 10.0
_MIB = 1 << 20
# Bootstraps of the keeper: hexgate's own folder comes last on the path, so that nothing beside it hides the library.
_KEEPER = "import sys; sys.path.append({path!r}); from hexgate.scorers.sandbox_child import main; main()"


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Raises:
        InputError: for a limit below the least that lets a program run at all.
    """

    wall_s: float = 10.0
    """Seconds from the making of the sandbox to its end."""
    cpu_s: int = 10
    """CPU seconds of each process."""
    memory_bytes: int = 512 * _MIB
    """Address space of each process, and memory of all together, without that of files and of the kernel."""
    folder_bytes: int = 64 * _MIB
    """Size of its folder, which lies in memory and is not counted above."""
    folder_files: int = 1024
    """Files and folders in its folder."""
    file_bytes: int = 16 * _MIB
    """Size of each file."""
    open_files: int = 64
    """Open descriptors of each process."""
    processes: int = 16
    """Processes and threads."""
    output_bytes: int = _MIB
    """What is kept of each of standard output and standard error; more ends the program."""

    def __post_init__(self) -> None:
        least = {
            "wall_s": 0.1,
            "cpu_s": 1,
            "memory_bytes": 64 * _MIB,
            "folder_bytes": 4096,
            "folder_files": 2,
            "file_bytes": 4096,
            "open_files": 16,
            "processes": 1,
            "output_bytes": 4096,
        }
        for name, value in least.items():
            got = getattr(self, name)
            if not value <= got < float("inf"):
                raise InputError(
                    "a limit of a sandbox that lets no program run",
                    where=f"limits.{name}",
                    got=str(got),
                    expected=f"at least {value}",
                )


class Ending(str, Enum):
    """How a program ended."""

    EXITED = "exited"
    """By itself."""
    SIGNALLED = "signalled"
    """By a signal that was none of the sandbox's."""
    TIMEOUT = "timeout"
    """It used up its time, or its CPU time."""
    MEMORY = "memory"
    """Its processes together took more memory than they may."""
    OUTPUT = "output"
    """It wrote more than is kept."""


@dataclass(frozen=True)
class Ended:
    """A program that has ended, and nothing of it lives."""

    how: Ending
    """How it ended."""
    exit_code: int | None
    """What it ended with; None where it did not end by itself."""
    signal: int | None
    """The signal that ended it; None where none did, or the sandbox ended it."""
    stdout: bytes
    """What it wrote to standard output, up to the limit."""
    stderr: bytes
    """What it wrote to standard error, up to the limit."""
    wall_s: float
    """Seconds from the making of the sandbox to its end."""
    cpu_s: float
    """CPU seconds of all its processes."""
    shared: tuple[str, ...]
    """Kinds of namespace that it shared with the outside: none, else the sandbox has a hole."""

    @property
    def reason(self) -> str:
        """How it ended, in words."""
        if self.how is Ending.EXITED:
            return f"it ended with exit code {self.exit_code}"
        if self.how is Ending.SIGNALLED:
            return f"it was ended by {_signal_name(self.signal or 0)}"
        return {
            Ending.TIMEOUT: "it used up its time",
            Ending.MEMORY: "it took more memory than it may",
            Ending.OUTPUT: "it wrote more than it may",
        }[self.how]


class SandboxFault(Exception):
    """A sandbox could not be made; the program was not started."""

    def __init__(self, step: str, number: int | None, text: str) -> None:
        super().__init__(text)
        self.step = step
        """What failed: ``unshare``, ``uid_map``, ``mount …`` and the like."""
        self.number = number
        """The kernel's error number; None where it was none of the kernel's."""


def launch(
    language: Language, limits: Limits, *, files: Mapping[str, str], command: tuple[str, ...], given: bytes
) -> Ended:
    """Run a program in a sandbox of its own, and wait until nothing of it lives.

    Args:
        language: whose interpreter runs it.
        limits: what it may use.
        files: texts by name, which lie read-only in the folder `GIVEN`; the names are the caller's, never a model's.
        command: the name of one of them, which is run, and arguments.
        given: what it reads on standard input.

    Raises:
        SandboxFault: if the sandbox could not be made; then nothing was run.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in MACHINES:
        raise SandboxFault("machine", None, f"no sandbox is known for {sys.platform} on {machine}")
    with tempfile.TemporaryDirectory(prefix="hexgate-sandbox-") as root:
        spec = {
            "parent": os.getpid(),
            "root": root,
            "view": asdict(language.view),
            "folder": FOLDER,
            "given": GIVEN,
            "files": dict(files),
            "command": [*language.command, f"{GIVEN}/{command[0]}", *command[1:]],
            "environment": dict(language.environment),
            "stdin": base64.b64encode(given).decode(),
            "limits": asdict(limits),
            "rlimits": _rlimits(limits),
            "filter": filter_code(machine).hex(),
            "pivot_root": pivot_root_number(machine),
        }
        return _ended(_keep(json.dumps(spec), limits.wall_s + _GRACE_S))


def _keep(spec: str, limit_s: float) -> dict[str, Any]:
    """What the keeper says.

    Raises:
        SandboxFault: if it says that it could not make the sandbox, or nothing.
    """
    path = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-I", "-S", "-B", "-c", _KEEPER.format(path=path)]
    try:
        # A session of its own, so that an interrupt from the keyboard comes to us alone, and we end it.
        done = subprocess.run(  # noqa: S603 - our own file by our own interpreter
            command,
            input=spec.encode(),
            capture_output=True,
            timeout=limit_s,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        raise SandboxFault("keeper", None, f"the keeper of the sandbox did not answer: {why}") from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.decode("utf-8", errors="replace").strip().rpartition("\n")[2]
        raise SandboxFault("keeper", None, f"the keeper of the sandbox broke off: {said}") from None
    if "fault" in answer:
        fault = answer["fault"]
        raise SandboxFault(fault["step"], fault["errno"], fault["text"])
    return answer


def _ended(answer: Mapping[str, Any]) -> Ended:
    exit_code, number = None, None
    if answer["ending"] is not None:
        how = Ending(answer["ending"])
    elif "status" not in answer:
        raise SandboxFault("first", None, "the first process of the sandbox was ended from outside")
    else:
        code = os.waitstatus_to_exitcode(answer["status"])
        how = Ending.EXITED if code >= 0 else Ending.SIGNALLED
        exit_code, number = (code, None) if code >= 0 else (None, -code)
        if number == signal.SIGXCPU:
            how, number = Ending.TIMEOUT, None
    outside, inside = answer["outside"], answer.get("inside", {})
    return Ended(
        how=how,
        exit_code=exit_code,
        signal=number,
        stdout=base64.b64decode(answer["stdout"]),
        stderr=base64.b64decode(answer["stderr"]),
        wall_s=answer["wall_s"],
        cpu_s=answer["cpu_s"],
        shared=tuple(kind for kind, name in outside.items() if inside.get(kind) == name),
    )


def _rlimits(limits: Limits) -> dict[str, tuple[int, int]]:
    """Soft and hard limits by the names of the module `resource`."""
    same = {
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_NOFILE": limits.open_files,
        # Where the program has the user of its keeper and of process 1, they count as well.
        "RLIMIT_NPROC": limits.processes + 2,
    }
    # The signal of the soft limit can be ignored, that of the hard one cannot.
    return {
        **{name: (value, value) for name, value in same.items()},
        "RLIMIT_CPU": (limits.cpu_s, limits.cpu_s + 1),
    }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
