"""Carries jobs on this machine. A job is a folder named after its run: what to run, that it began, how it ended."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
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
        place = self._place(run_id)
        return run_id if place is not None and (place / STARTED).exists() else None

    def spec_sha256(self, native_id: str) -> str | None:
        """Digest of the spec that a job was made from, by what its processes are told; None where they are not."""
        processes = _processes(self._read(native_id, JOB)) if self._place(native_id) is not None else []
        found = processes[0].get("env") if processes else None
        told = found.get("HEXGATE_SPEC_SHA256") if isinstance(found, dict) else None
        return told if isinstance(told, str) else None

    def submit(self, spec: JobSpec) -> str:
        """Start the job's processes, detached from this one. A job that has begun already is left as it is.

        Raises:
            PlatformFailed: if the run has another job, or they do not start.
        """
        spec = spec.with_run_id()
        run_id = spec.run_id or ""
        place = self._folder / run_id
        try:
            place.mkdir(parents=True, exist_ok=True)
            # Never over another one: that may run.
            self._write_job(place, self._rendered(spec).encode("utf-8"))
        except OSError as error:
            raise PlatformFailed(
                f"the job's folder cannot be written ({error.strerror})", where=str(place)
            ) from None
        told = self.spec_sha256(run_id)
        if told not in {None, spec.sha256}:
            raise PlatformFailed(
                "the run has a job of another spec",
                where=str(place / JOB),
                got=told,
                expected=spec.sha256,
                hint="give another --run-id",
            )
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
        wrong = _end_mistake(ended, [process["part"] for process in _processes(self._read(native_id, JOB))])
        return (
            Status(JobState.UNKNOWN, "unreadable", f"its {ENDED}: {wrong}")
            if wrong
            else _status_of_end(ended)
        )

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

    def _write_job(self, place: Path, data: bytes) -> None:
        """Write what to run, unless that stands there. What a killed submission left half written is made anew."""
        try:
            with (place / JOB).open("xb") as file:
                file.write(data)
        except FileExistsError:
            if not (place / STARTED).exists() and not _processes(self._read(place.name, JOB)):
                write_atomically(place / JOB, data)

    def _is_alive(self, native_id: str) -> bool:
        started = self._read(native_id, STARTED)
        if not isinstance(started, dict) or type(started.get("pid")) is not int:
            return False
        try:
            process = psutil.Process(started["pid"])
            # Another process may have got the number since.
            same = process.create_time() == started.get("created_at_s")
            return same and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, ValueError, OverflowError):
            return False


def _processes(job: Any) -> list[dict[str, Any]]:
    """The processes of a job, as its file has them; none where it is not one."""
    found = job.get("processes") if isinstance(job, dict) else None
    whole = isinstance(found, list) and all(
        isinstance(one, dict) and isinstance(one.get("part"), str) for one in found
    )
    return found if whole and found is not None else []


def _status_of_end(ended: Mapping[str, Any]) -> Status:
    codes: Mapping[str, int] = ended["parts"]
    failed = ", ".join(f"{part} ended with exit code {code}" for part, code in codes.items() if code)
    if ended["cancelled"]:
        return Status(JobState.CANCELLED, "cancelled", failed or None)
    if ended["timed_out"]:
        return Status(JobState.FAILED, "timed out", failed or None)
    if failed:
        return Status(JobState.FAILED, "failed", failed)
    return Status(JobState.SUCCEEDED, "succeeded")


def _end_mistake(ended: Any, parts: list[str]) -> str | None:
    """Why a record of an end is none; None where it is one. A job that was not stopped has run all of its parts."""
    if not isinstance(ended, dict):
        return "not an object"
    if type(ended.get("cancelled")) is not bool or type(ended.get("timed_out")) is not bool:
        return "it does not say whether the job was stopped"
    codes = ended.get("parts")
    if not isinstance(codes, dict) or not all(type(code) is int for code in codes.values()):
        return "no exit codes of its parts"
    stopped = ended["cancelled"] or ended["timed_out"]
    whole = codes.keys() <= set(parts) if stopped else bool(parts) and codes.keys() == set(parts)
    return None if whole else f"the parts {', '.join(codes) or 'none'}, expected {', '.join(parts) or 'some'}"
