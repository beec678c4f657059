"""The process that keeps a local job: it runs the job's commands and writes down how they ended.

    python -m hexgate.platforms.local_job --detach FOLDER    start the one below, and return once it has begun
    python -m hexgate.platforms.local_job FOLDER             keep the job of the folder, unless another one does

It outlives the command that submitted the job. The folder is all that the two have in common.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from hexgate.contract.artifact import write_atomically
from hexgate.platforms.command import runnable

__all__ = ["CANCEL", "ENDED", "JOB", "STARTED", "SUPERVISOR_LOG", "main"]

JOB = "job.json"
"""What to run."""
STARTED = "started.json"
"""That it began, and in which process. Made once: who makes it keeps the job."""
ENDED = "ended.json"
"""How it ended."""
CANCEL = "cancel"
"""That it is to stop."""
SUPERVISOR_LOG = "_keeper.log"
"""What the keeping process itself printed."""

_POLL_S = 0.1
_GRACE_S = 60.0
_START_S = 60.0
# Variables of a job around this one, which would be taken for those of its own.
_OF_A_JOB = frozenset(
    f"HEXGATE_{name}"
    for name in (
        "RUN_ID",
        "RUN_KEY",
        "SHARD",
        "SHARDS",
        "START_AT",
        "CLOCK_BOUND_S",
        "IMAGE",
        "JOB_ID",
        "SPEC_SHA256",
        "PLATFORM",
    )
)


def main(arguments: list[str]) -> int:
    """Keep a job, or start the process that does."""
    folder = Path(arguments[-1])
    return _detach(folder) if arguments[0] == "--detach" else _keep(folder)


def _detach(folder: Path) -> int:
    flags = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    with (folder / SUPERVISOR_LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "hexgate.platforms.local_job", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=flags,
        )
    until = time.monotonic() + _START_S
    while not (folder / STARTED).exists() and time.monotonic() < until:
        if process.poll() is not None:
            break
        time.sleep(_POLL_S / 5)
    return 0 if (folder / STARTED).exists() else 1


def _keep(folder: Path) -> int:
    me = psutil.Process()
    try:
        with (folder / STARTED).open("x", encoding="utf-8") as file:
            json.dump({"pid": me.pid, "created_at_s": me.create_time()}, file)
    except FileExistsError:
        return 0
    job = json.loads((folder / JOB).read_text("utf-8"))
    keeper = _Keeper(folder, job)
    if job["together"]:
        keeper.run(job["processes"])
    else:
        for process in job["processes"]:
            keeper.run([process])
    keeper.write_end()
    return 0


class _Keeper:
    """Runs the job's processes, and stops them when that is asked for or their time is over."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        self._folder = folder
        self._until = time.monotonic() + job["timeout_s"]
        self._codes: dict[str, int] = {}
        self._cancelled = False
        self._timed_out = False

    def run(self, processes: list[dict[str, Any]]) -> None:
        """Run some at the same time, to the end of the last."""
        if self._is_over():
            return
        running = {process["part"]: self._start(process) for process in processes}
        kill_at: float | None = None
        while any(process.poll() is None for process in running.values()):
            time.sleep(_POLL_S)
            if kill_at is None and self._is_over():
                kill_at = time.monotonic() + _GRACE_S
                for process in running.values():
                    process.terminate()
            elif kill_at is not None and time.monotonic() > kill_at:
                for process in running.values():
                    _kill(process)
        self._codes |= {part: _code(process.returncode) for part, process in running.items()}

    def _is_over(self) -> bool:
        self._cancelled = self._cancelled or (self._folder / CANCEL).exists()
        self._timed_out = self._timed_out or (not self._cancelled and time.monotonic() > self._until)
        return self._cancelled or self._timed_out

    def _start(self, process: dict[str, Any]) -> subprocess.Popen[bytes]:
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_A_JOB}
        with (self._folder / f"{process['part']}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                runnable(process["argv"]),
                env=inherited | process["env"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def write_end(self) -> None:
        """Write down how it ended."""
        end = {"cancelled": self._cancelled, "timed_out": self._timed_out, "parts": self._codes}
        write_atomically(self._folder / ENDED, json.dumps(end).encode("utf-8"))


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        try:
            below = psutil.Process(process.pid).children(recursive=True)
        except psutil.Error:
            below = []
        process.kill()
        for one in below:
            with suppress(psutil.Error):
                one.kill()


def _code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
