"""Submit a job once, however often the command is killed on the way and given again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hexgate.contract.provenance import utc_now
from hexgate.errors import InputError, PlatformFailed
from hexgate.platforms.base import Driver
from hexgate.platforms.handles import RUNS, Handle, HandleState, new_handle, read_handle, save_handle
from hexgate.platforms.lock import locked
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
    one: killed at any point, the same call again finds what there is and never makes a second job.

    Args:
        spec: the job. Without a run_id it gets that of a run of the same spec that is still open, or else a new one.
        platform: the platform's name.
        driver: what carries its jobs.
        path: where the handle is kept; ``.hexgate/runs/<run_id>.json`` where None.
        awaited: whether the caller waits for the job's end.
        say: is told what is taken up.

    Raises:
        InputError: if the handle's file is of another run, job or platform, or cannot be written.
        PlatformFailed: if the platform refuses the job or does not answer; the handle stays as it is.
    """
    with locked((RUNS if path is None else path.parent) / ".lock"):
        spec, path, kept = _run_of(spec, platform, driver, path)
        if kept is not None and kept.native_id is not None:
            say(f"run {kept.run_id} was submitted at {kept.submitted_at}; it is taken up again")
            if awaited and not kept.awaited:
                kept = replace(kept, awaited=True)
                save_handle(path, kept)
            return kept
        handle = kept or new_handle(spec, platform, now=utc_now(), awaited=awaited)
        save_handle(path, handle)
        native_id = driver.find(handle.run_id)
        if native_id is None:
            native_id = driver.submit(spec)
        else:
            say(f"run {handle.run_id} is on the platform already; it is taken up again")
        handle = replace(handle, native_id=native_id, state=HandleState.SUBMITTED)
        save_handle(path, handle)
        return handle


def _run_of(
    spec: JobSpec, platform: str, driver: Driver, path: Path | None
) -> tuple[JobSpec, Path, Handle | None]:
    """The spec with its run, the handle's file, and what stands there already."""
    if path is None and spec.run_id is None:
        kept = open_run(RUNS, spec, platform, driver)
        if kept is not None:
            return spec.with_run_id(kept.run_id), RUNS / f"{kept.run_id}.json", kept
    if path is None:
        spec = spec.with_run_id()
        path = RUNS / f"{spec.run_id}.json"
    if not path.exists():
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
    return spec.with_run_id(kept.run_id), path, kept


def open_run(folder: Path, spec: JobSpec, platform: str, driver: Driver) -> Handle | None:
    """The newest run of a spec that was begun and whose end nobody has seen; None where there is none.

    A run that nobody waited for is open only while the platform says that it has not ended.
    """
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            kept = read_handle(path)
        except InputError:
            continue
        if (kept.platform, kept.spec_sha256) != (platform, spec.sha256) or kept.state is HandleState.ENDED:
            continue
        if kept.native_id is None or kept.awaited:
            return kept
        try:
            if not driver.status(kept.native_id).state.ended:
                return kept
        except PlatformFailed:
            return kept
    return None
