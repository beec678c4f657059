"""Submit a job once, however often the command is killed on the way and given again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hexgate.contract.provenance import utc_now
from hexgate.errors import InputError
from hexgate.platforms.base import Driver, TellsSpec
from hexgate.platforms.handles import RUNS, Handle, HandleState, new_handle, read_handle, save_handle
from hexgate.platforms.lock import locked, run_lock
from hexgate.platforms.spec import JobSpec

__all__ = ["open_run", "submit_job"]


def submit_job(
    spec: JobSpec,
    platform: str,
    driver: Driver,
    path: Path | None = None,
    *,
    awaited: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Handle:
    """Submit the job of a spec, or take up the one that an earlier call of the same submitted.

    The handle is saved before the platform is asked, and the platform is asked for a job of the run before it is given
    one: killed at any point, the same call again finds what there is and never makes a second job while that goes on.

    Args:
        spec: the job. Without a run_id it gets that of a run of the same spec that still goes on, or else a new one.
        platform: the platform's name.
        driver: what carries its jobs.
        path: where the handle is kept; ``.hexgate/runs/<run_id>.json`` where None.
        awaited: whether the caller waits for the job's end.
        say: is told what is taken up, and what has ended.

    Raises:
        InputError: if the handle's file is of another run, job or platform, or of one that ended and was not asked for;
            if a handle beside it cannot be read; if the run has a job of another spec; or if it cannot be written.
        PlatformFailed: if the platform refuses the job or does not answer; the handle stays as it is.
    """
    with locked((RUNS if path is None else path.parent) / ".lock"):
        spec, path, kept = _run_of(spec, platform, driver, path, say)
        handle = kept or new_handle(spec, platform, now=utc_now(), awaited=awaited)
        # Another folder may have a handle of the same run.
        with locked(run_lock(platform, handle.run_id)):
            if kept is not None and kept.native_id is not None:
                say(f"run {kept.run_id} was submitted at {kept.submitted_at}; it is taken up again")
                return kept
            save_handle(path, handle)
            native_id = driver.find(handle.run_id)
            if native_id is None:
                native_id = driver.submit(spec)
            else:
                _refuse_other(driver, native_id, spec)
                say(f"run {handle.run_id} is on the platform already; it is taken up again")
            handle = replace(handle, native_id=native_id, state=HandleState.SUBMITTED)
            save_handle(path, handle)
            return handle


def _refuse_other(driver: Driver, native_id: str, spec: JobSpec) -> None:
    told = driver.spec_sha256(native_id) if isinstance(driver, TellsSpec) else None
    if told not in {None, spec.sha256}:
        raise InputError(
            "the run has a job of another spec on the platform",
            where=str(spec.run_id),
            got=told,
            expected=spec.sha256,
            hint="give another --run-id",
        )


def _run_of(
    spec: JobSpec, platform: str, driver: Driver, path: Path | None, say: Callable[[str], None]
) -> tuple[JobSpec, Path, Handle | None]:
    """The spec with its run, the handle's file, and what stands there already."""
    if path is None and spec.run_id is None:
        kept = open_run(RUNS, spec, platform, driver, say)
        if kept is not None:
            return spec.with_run_id(kept.run_id), RUNS / f"{kept.run_id}.json", kept
    if path is None:
        spec = spec.with_run_id()
        path = RUNS / f"{spec.run_id}.json"
    if not os.path.lexists(path):
        return spec.with_run_id(), path, None
    kept = read_handle(path)
    same = (kept.platform, kept.spec_sha256) == (platform, spec.sha256)
    if not same or spec.run_id not in {None, kept.run_id}:
        raise InputError(
            "the handle is of another job",
            where=str(path),
            got=f"run {kept.run_id} of {kept.job} on {kept.platform}",
            hint="name another --handle, or another --run-id",
        )
    if spec.run_id is None and _has_ended(kept, driver):
        raise InputError(
            "the handle is of a run that has ended",
            where=str(path),
            got=f"run {kept.run_id}",
            hint=f"name another --handle for a new run, or take this one up with --run-id {kept.run_id}",
        )
    return spec.with_run_id(kept.run_id), path, kept


def open_run(
    folder: Path, spec: JobSpec, platform: str, driver: Driver, say: Callable[[str], None] = lambda _: None
) -> Handle | None:
    """The newest run of a spec that was begun and has not ended; None where there is none.

    Raises:
        InputError: if a handle in the folder cannot be read: what it stands for may be the run.
        PlatformFailed: if the platform does not say whether a run has ended.
    """
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            kept = read_handle(path)
        except InputError as error:
            raise InputError(
                "a handle cannot be read, so nobody knows whether its job goes on",
                where=str(path),
                got=str(error),
                hint="look with the platform's own tool, then move the file away; or give --run-id",
            ) from None
        if (kept.platform, kept.spec_sha256) != (platform, spec.sha256) or kept.state is HandleState.ENDED:
            continue
        if not _has_ended(kept, driver):
            return kept
        say(
            f"run {kept.run_id} of the same spec has ended; collect it: hexgate platforms collect {path} --out DIR"
        )
    return None


def _has_ended(kept: Handle, driver: Driver) -> bool:
    """Whether the job of a handle has ended. One that the platform never got has not: it can still be given it."""
    if kept.state is HandleState.ENDED:
        return True
    native_id = kept.native_id or driver.find(kept.run_id)
    return native_id is not None and driver.status(native_id).state.ended
