"""The part runner: what every job runs. It runs the command, and publishes what that left, whatever happens."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.contract.collected import TOLD_BY_ARTIFACTS
from hexgate.contract.provenance import current_run_id, new_run_id, utc_now
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import ExitCode, HexgateError, InputError, Interrupted
from hexgate.platforms.command import runnable
from hexgate.platforms.common_start import Pace, agree_on_start
from hexgate.platforms.shard import ShardPlace, find_shard
from hexgate.stores.keys import is_key
from hexgate.stores.parts import MANIFEST, PartHead, publish
from hexgate.stores.registry import open_store

__all__ = ["PartJob", "part_job", "run_part"]

_LONGEST_PATH = 512
_CANNOT_RUN, _NOT_FOUND = 126, 127
# On Windows a wait without an end lets no signal through.
_LOOK_EVERY_S = 1.0 if os.name == "nt" else None
_HANG_UP = getattr(signal, "SIGHUP", None)
# What a job's environment around this one may say, and what holds only where this one says it again.
_OF_SHARDS = ("HEXGATE_SHARD", "HEXGATE_START_AT", "HEXGATE_CLOCK_BOUND_S")


@dataclass(frozen=True)
class PartJob:
    """One part of a run, as its job is told to make it."""

    argv: tuple[str, ...]
    """The command; ``{out}`` in it is filled in."""
    output: str
    """The store that the part goes to: a URI, or a folder."""
    part: str
    """The part's name."""
    run_id: str
    """The run."""
    place: ShardPlace | None = None
    """Which shard it is."""
    spec_sha256: str | None = None
    """Digest of the job spec."""
    image: str | None = None
    """The container image."""
    platform: str | None = None
    """The platform."""
    job_id: str | None = None
    """The platform's own id of the job."""
    pace: Pace = field(default_factory=Pace)
    """How its shards wait for each other."""


def part_job(
    argv: Sequence[str],
    output: str,
    environ: Mapping[str, str],
    *,
    part: str | None = None,
    pace: Pace | None = None,
) -> PartJob:
    """The part that this process is to make, by its arguments and the job's environment.

    The run is ``HEXGATE_RUN_ID``; else it is derived from ``HEXGATE_RUN_KEY``, a text that all parts of one run share,
    such as the platform's id of the job; else it is a new one.

    Raises:
        InputError: if the environment contradicts itself, a shard or a step has no run in common with the others, or
            the command does not say where it measures into.
    """
    if not any("{out}" in argument for argument in argv):
        raise InputError(
            "the command has no {out}, so nothing that it measures would be found",
            got=" ".join(argv) or "no command",
            expected="hexgate platforms run --output URI -- hexgate run ... --out {out}",
        )
    place = find_shard(environ)
    if part is not None and place is not None:
        raise InputError("a step of its own and a shard at once", got=f"--part {part}, shard {place}")
    run_id = _run_id(environ, alone=part is None and place is None)
    return PartJob(
        argv=tuple(argv),
        output=output,
        part=part or (place.part if place is not None else "main"),
        run_id=run_id,
        place=place,
        spec_sha256=environ.get("HEXGATE_SPEC_SHA256") or None,
        image=environ.get("HEXGATE_IMAGE") or None,
        platform=environ.get("HEXGATE_PLATFORM") or None,
        job_id=environ.get("HEXGATE_JOB_ID") or None,
        pace=pace or Pace(),
    )


def _run_id(environ: Mapping[str, str], *, alone: bool) -> str:
    key = environ.get("HEXGATE_RUN_KEY")
    if environ.get("HEXGATE_RUN_ID") or (alone and not key):
        return current_run_id()
    if not key:
        raise InputError(
            "one of several parts does not know which run it belongs to",
            where="HEXGATE_RUN_ID",
            expected="the same identifier in every part",
            hint="set it, or set HEXGATE_RUN_KEY to a text that they share, such as the platform's id of the job",
        )
    digest = hashlib.sha256(key.encode()).hexdigest()
    # No part knows when the run began, so that the time in the identifier is none.
    return f"19700101T000000Z-{digest[:8]}"


def run_part(job: PartJob, *, say: Callable[[str], None] = lambda _: None) -> int:
    """Run the command, and publish everything that it left: its files first, the manifest last.

    SIGTERM and SIGINT go on to the command, SIGHUP as SIGTERM; its partial results are then published as they are.
    Where publishing fails, what was measured stays on this machine, and `say` is told where. What no manifest can name
    (a link out of the folder, a special file, a name that is no key, its own ``manifest.json``) is kept here too; the
    rest is published, with an exit code after which nothing counts the part as found.

    Returns:
        The exit code of the command, 128 + n where signal n ended it; 5 where publishing failed; 70 where something
        could not be published and the command's own code would let the part count.

    Raises:
        InputError: if the output is no store, or what the environment says fits in no manifest; nothing was run.
        StoreFailed: if the store does not take a file before the command begins; nothing was run.
        TargetFailed: if the shards find no common start; nothing was run.
        Interrupted: if it was stopped before the command began.
    """
    say = _unfailing(say)
    store = open_store(job.output)
    _refuse_unfit(job)
    say(f"run {job.run_id}, part {job.part}, into {store.uri}")
    attempt = new_run_id()
    environment = {name: value for name, value in os.environ.items() if name not in _OF_SHARDS}
    environment["HEXGATE_RUN_ID"] = job.run_id
    with _Child() as child:
        if job.place is None:
            # A store that takes nothing is better known before an hour of measuring than after it.
            store.put_bytes(f"{job.run_id}/.ready/{job.part}-{attempt}", attempt.encode())
        else:
            start = agree_on_start(store, job.run_id, job.place, attempt, job.pace, say)
            environment |= {"HEXGATE_SHARD": str(job.place), "HEXGATE_START_AT": start.at}
            if start.clock_bound_s is not None:
                environment["HEXGATE_CLOCK_BOUND_S"] = f"{start.clock_bound_s:.6f}"
        scratch = Path(tempfile.mkdtemp(prefix="hexgate-part-"))
        started_at = utc_now()
        code = child.run(_filled(job.argv, scratch), environment, say)
        say(f"the command ended with exit code {code}")
        try:
            if _set_apart(scratch, say) and code in TOLD_BY_ARTIFACTS:
                code = ExitCode.INTERNAL
                say(f"the part is not whole, and is published with exit code {code:d}")
            manifest = publish(store, scratch, _head(job, code, started_at))
        except (HexgateError, OSError) as error:
            say(f"not published: {error}")
            say(f"what was measured is kept in {scratch}")
            return code if code >= ExitCode.INTERNAL else ExitCode.TARGET
    shutil.rmtree(scratch, ignore_errors=True)
    say(f"published {len(manifest['files'])} files as {job.run_id}/{job.part}/{manifest['attempt']}")
    return code


def _unfailing(say: Callable[[str], None]) -> Callable[[str], None]:
    """The same, but a terminal that went away is no reason to publish nothing."""

    def quietly(line: str) -> None:
        with suppress(OSError):
            say(line)

    return quietly


def _set_apart(scratch: Path, say: Callable[[str], None]) -> bool:
    """Move what cannot be published out of a folder, and return whether there was any."""
    aside: Path | None = None
    # What linked to one of them links to nothing afterwards, and goes too.
    while odd := _odd(scratch):
        aside = aside or Path(tempfile.mkdtemp(prefix="hexgate-odd-"))
        for number, (path, why) in enumerate(odd, len(list(aside.iterdir()))):
            say(
                f"not published: {path.relative_to(scratch).as_posix()!a} {why}; kept as {aside / str(number)}"
            )
            path.rename(aside / str(number))
    return aside is not None


def _odd(scratch: Path) -> list[tuple[Path, str]]:
    """What no manifest can name, or nobody can read, and why."""
    found: list[tuple[Path, str]] = []
    inside = os.path.realpath(scratch)
    for parent, folders, names in os.walk(scratch):
        for name in (*folders, *names):
            path = Path(parent, name)
            told = path.relative_to(scratch).as_posix()
            if path.is_symlink() and path.is_dir():
                found.append((path, "is a symbolic link to a folder"))
            elif not Path(os.path.realpath(path)).is_relative_to(inside):
                found.append((path, "is a symbolic link to the outside"))
            elif not is_key(told) or ".." in told or len(told) > _LONGEST_PATH:
                found.append((path, "cannot be a key of a store"))
            elif name in folders:
                continue
            elif not path.is_file() or not os.access(path, os.R_OK):
                found.append((path, "is no file that can be read"))
            elif told == MANIFEST:
                found.append((path, "has the name of the part's own manifest"))
        folders[:] = [name for name in folders if Path(parent, name) not in dict(found)]
    return found


def _head(job: PartJob, code: int, started_at: str) -> PartHead:
    return PartHead(
        run_id=job.run_id,
        part=job.part,
        shard=None if job.place is None else (job.place.index, job.place.count),
        exit_code=code,
        spec_sha256=job.spec_sha256,
        image=job.image,
        platform=job.platform,
        platform_job_id=job.job_id,
        started_at=started_at,
        ended_at=utc_now(),
    )


def _refuse_unfit(job: PartJob) -> None:
    """Refuse now what no manifest could say in the end."""
    head = vars(_head(job, 0, utc_now())) | {"shard": None}
    mistakes = schema_mistakes(
        "part", {"schema": "hexgate.part/v1"} | head | {"attempt": new_run_id(), "files": []}
    )
    if mistakes:
        raise InputError(
            "the part would break its schema:\n  " + "\n  ".join(mistakes), where="HEXGATE_*, --part"
        )


def _filled(argv: Sequence[str], scratch: Path) -> list[str]:
    return runnable([argument.replace("{out}", str(scratch)) for argument in argv])


class _Child:
    """The command's process, and where the signals go that are to stop this one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._began = False
        self._stopped_by: int | None = None
        self._before: list[tuple[signal.Signals, Any]] = []

    def __enter__(self) -> _Child:
        self._before = [(number, signal.signal(number, self._stop)) for number in _stops()]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _stop(self, signum: int, frame: object) -> None:  # noqa: ARG002
        """Before the command begins nothing is lost; while it runs it is told; after it, publishing goes on."""
        if not self._began:
            raise Interrupted("stopped before the command began")
        if self._process is None:
            self._stopped_by = signum
        elif self._process.returncode is None:
            self._tell(self._process, signum)

    @staticmethod
    def _tell(process: subprocess.Popen[bytes], signum: int) -> None:
        if os.name == "nt" or signum == _HANG_UP:
            process.terminate()
        else:
            process.send_signal(signum)

    def run(self, command: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None]) -> int:
        """Run a command to its end and return its exit code, as a shell would give it."""
        self._began = True
        try:
            # A session of its own: Ctrl-C at a terminal would else reach it twice.
            self._process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603
        except OSError as error:
            say(f"the command cannot be run ({error.strerror}): {command[0]}")
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN
        if self._stopped_by is not None:
            self._tell(self._process, self._stopped_by)
        code = _wait(self._process)
        return 128 - code if code < 0 else min(code, 255)


def _stops() -> tuple[signal.Signals, ...]:
    """The signals that go on to the command: that of a closed terminal too, unless nohup has it ignored."""
    stops = (signal.SIGTERM, signal.SIGINT)
    if _HANG_UP is None or signal.getsignal(_HANG_UP) is signal.SIG_IGN:
        return stops
    return (*stops, _HANG_UP)


def _wait(process: subprocess.Popen[bytes]) -> int:
    while process.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_EVERY_S)
    return process.returncode
