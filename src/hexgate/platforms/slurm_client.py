"""Slurm's own commands: found on the PATH, run with a time limit, tried again where the controller may come back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hexgate.errors import InputError, PlatformFailed
from hexgate.stores.retry import with_retries

__all__ = ["ControllerSilent", "command_path", "require", "run", "said"]

_TIMEOUT_S = 60
_HINT = "run hexgate where sinfo answers, such as on a login node"
_MAY_PASS = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Connection reset",
    "Zero Bytes were transmitted or received",
    "Unexpected message received",
    "Message receive failure",
    "Slurm temporarily unable",
    "Resource temporarily unavailable",
    "Slurm backup controller in standby mode",
)
_NO_CLUSTER = (
    "Could not establish a configuration source",
    "Unable to process configuration file",
    "Munge encode failed",
    "Protocol authentication error",
    "Incompatible versions of client and server code",
)
"""The controller cannot be asked from here, whatever the job."""
_KEPT = {"SBATCH_ACCOUNT", "SBATCH_CLUSTERS", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION"}


class ControllerSilent(PlatformFailed):
    """The controller did not answer; whether it did what it was asked is not known."""


def command_path(name: str) -> str | None:
    """Where a command lies: on the PATH, or beside this Python, where packages put theirs."""
    beside = Path(sys.executable).with_name(name)
    return shutil.which(name) or (str(beside) if os.access(beside, os.X_OK) else None)


def require(name: str) -> str:
    """The path of a command of Slurm.

    Raises:
        InputError: if it is not on the PATH.
    """
    path = command_path(name)
    if path is None:
        raise InputError(
            f"{name} is not on the PATH",
            hint="run hexgate where Slurm's commands are, such as on a login node",
        )
    return path


def run(
    argv: Sequence[str], *, text: str | None = None, refusals: bool = False, once: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm.

    Variables SBATCH_* of the environment would silently win over the file's own options. Those that say where a job
    goes and who pays are kept.

    Args:
        argv: the command; its first word is looked for on the PATH.
        text: its standard input.
        refusals: whether the caller reads the exit code; otherwise one that is not 0 is an error.
        once: whether it must not be done twice.

    Raises:
        InputError: if there is no such command.
        ControllerSilent: if the controller does not answer.
        PlatformFailed: if the command refuses, or knows no cluster.
    """
    path = require(argv[0])
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("SBATCH_") or name in _KEPT
    }

    def attempt() -> subprocess.CompletedProcess[str]:
        try:
            ended = subprocess.run(  # noqa: S603 - a list, without a shell
                [path, *argv[1:]],
                input=text if text is not None else "",
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=_TIMEOUT_S,
                env=kept,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ControllerSilent(f"{argv[0]} did not end within {_TIMEOUT_S} s") from None
        if ended.returncode != 0 and any(words in ended.stderr for words in _MAY_PASS):
            raise ControllerSilent(f"{argv[0]}: {said(ended)}", hint=_HINT)
        if ended.returncode != 0 and any(words in ended.stderr for words in _NO_CLUSTER):
            raise PlatformFailed(f"{argv[0]} finds no Slurm controller", got=said(ended), hint=_HINT)
        return ended

    ended = with_retries(
        attempt, transient=lambda error: isinstance(error, ControllerSilent), attempts=1 if once else 4
    )
    if ended.returncode != 0 and not refusals:
        raise PlatformFailed(f"{argv[0]}: {said(ended)}", got=f"exit code {ended.returncode}")
    return ended


def said(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command said, on one line, without its name before each of its lines."""
    lines = (
        re.sub(r"^[a-z]+: (?:(?:error|fatal): )?", "", line.strip())
        for line in (ended.stderr or ended.stdout).splitlines()
    )
    return "; ".join(line for line in lines if line) or "no message"
