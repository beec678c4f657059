"""Carries jobs on this machine. A job is a folder named after its run: what to run, that it began, how it ended."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from hexgate.contract.artifact import write_atomically
from hexgate.contract.canonical import NotStrictJson, parse_strict
from hexgate.errors import PlatformFailed
from hexgate.platforms.base import JobState, Status
from hexgate.platforms.local_job import CANCEL, ENDED, JOB, STARTED, SUPERVISOR_LOG
from hexgate.platforms.spec import JobSpec

__all__ = ["LocalDriver"]

_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_LOST = Status(
    JobState.UNKNOWN, "lost", "its folder is not there, or its process vanished without saying how"
)


class LocalDriver:
    """Jobs in one folder. The native id of a job is the id of its run."""

    def __init__(self, folder: Path, rendered: Callable[[JobSpec], str]) -> None:
        self._folder = folder
        self._rendered = rendered

    def find(self, run_id: str) -> str | None:
        """The run itself, if its job has begun."""
        return run_id if self._place(run_id) is not None and self._read(run_id, STARTED) is not None else None

    def submit(self, spec: JobSpec) -> str:
        """Start the job's processes, detached from this one. A job that has begun already is left as it is.

        Raises:
            PlatformFailed: if they do not start.
        """
        run_id = spec.with_run_id().run_id or ""
        place = self._folder / run_id
        try:
            place.mkdir(parents=True, exist_ok=True)
            write_atomically(place / JOB, self._rendered(spec).encode("utf-8"))
        except OSError as error:
            raise PlatformFailed(
                f"the job's folder cannot be written ({error.strerror})", where=str(place)
            ) from None
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "hexgate.platforms.local_job", "--detach", str(place)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            log = place / SUPERVISOR_LOG
            said = log.read_text("utf-8", errors="replace")[-500:].strip() if log.is_file() else ""
            raise PlatformFailed("the job did not start", where=str(place), got=said or None)
        return run_id

    def status(self, native_id: str) -> Status:
        """By its record of the end, else by its process. One that vanished without a record is lost."""
        if self._place(native_id) is None:
            return _LOST
        alive = self._is_alive(native_id)
        # Asked after in this order, an end between the two looks is not taken for a loss.
        ended = self._read(native_id, ENDED)
        if ended is None:
            return Status(JobState.RUNNING, "running") if alive else _LOST
        codes: dict[str, int] = ended["parts"]
        failed = ", ".join(f"{part} ended with exit code {code}" for part, code in codes.items() if code)
        if ended["cancelled"]:
            return Status(JobState.CANCELLED, "cancelled", failed or None)
        if ended["timed_out"]:
            return Status(JobState.FAILED, "timed out", failed or None)
        if failed:
            return Status(JobState.FAILED, "failed", failed)
        return Status(JobState.SUCCEEDED, "succeeded")

    def logs(self, native_id: str) -> Iterator[str]:
        """What its processes printed, each behind the name of its part where there are several.

        Raises:
            PlatformFailed: if there is no such job.
        """
        place = self._place(native_id)
        if place is None:
            raise PlatformFailed(
                "there is no such job on this machine", where=str(self._folder), got=native_id
            )
        logs = sorted(path for path in place.glob("*.log") if path.name != SUPERVISOR_LOG)
        for log in logs:
            prefix = f"{log.stem}: " if len(logs) > 1 else ""
            with log.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    yield prefix + line.rstrip("\n")

    def cancel(self, native_id: str) -> None:
        """Ask its processes to stop; they publish what they have.

        Raises:
            PlatformFailed: if there is no such job.
        """
        place = self._place(native_id)
        if place is None:
            raise PlatformFailed(
                "there is no such job on this machine", where=str(self._folder), got=native_id
            )
        (place / CANCEL).touch()

    def _place(self, native_id: str) -> Path | None:
        place = self._folder / native_id
        return place if _RUN_ID.fullmatch(native_id) and place.is_dir() else None

    def _read(self, native_id: str, name: str) -> Any:
        try:
            return parse_strict((self._folder / native_id / name).read_bytes())
        except (OSError, NotStrictJson):
            return None

    def _is_alive(self, native_id: str) -> bool:
        started = self._read(native_id, STARTED)
        if started is None:
            return False
        try:
            process = psutil.Process(started["pid"])
            # Another process may have got the number since.
            same = process.create_time() == started["created_at_s"]
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False
