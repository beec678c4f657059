"""One measurement from start to artifact: record, close the evidence, compute from it, check, write."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from hexgate.contract.provenance import current_run_id, environment, provenance, redacted
from hexgate.errors import HexgateError, InputError
from hexgate.indicators import indicator
from hexgate.indicators.base import Job
from hexgate.indicators.recording import recorded, unwritable
from hexgate.indicators.sheet import Measured, Run, Sheet
from hexgate.targets.base import Subject

__all__ = ["Measured", "Run", "measure", "start_run", "unmeasured", "unopened"]


def start_run(command: Sequence[str], *, host_class: str | None = None) -> Run:
    """Begin a call: look at the machine once, for all its measurements.

    Raises:
        InputError: if HEXGATE_RUN_ID is set and is not an identifier of a run, or an argument is no text.
    """
    unwritten = [argument for argument in command if not _is_text(argument)]
    if unwritten:
        raise InputError(
            "an argument is not text, so no artifact could state it", got=repr(unwritten[0]), expected="UTF-8"
        )
    return Run(current_run_id(), provenance(command), environment(host_class))


def measure(name: str, job: Job, out: Path, run: Run) -> Measured:
    """Measure one indicator and leave its artifact at `out`, evidence beside it, whatever happens on the way.

    An artifact that says "not finished" is written before the first item is measured: a killed process leaves
    that, never an older artifact that looks new.

    Raises:
        InputError: if `out` cannot be written, or the measurement cannot begin; the artifact says so if it can.
        TargetFailed: if the disk fails while the artifact is written; the evidence stays.
    """
    sheet = Sheet(name, job.target.subject.to_json(), job.seed, job.confidence, out, run, job.target.opened)
    evidence = sheet.begin("the measurement did not run to its end")
    try:
        with ExitStack() as keeping:
            stopped = recorded(lambda: indicator(name).collect(job, evidence), evidence, keeping)
            if isinstance(stopped, InputError):
                sheet.fail(str(stopped), evidence, evidence.finish())
                raise stopped
            return sheet.conclude(evidence, stopped)
    except OSError as error:
        raise unwritable(error, evidence) from None


def unmeasured(
    name: str, uri: str, reason: HexgateError, out: Path, run: Run, *, seed: int, confidence: float
) -> None:
    """Leave an artifact that says why nothing could be measured, so that no older one at `out` looks new.

    Raises:
        InputError: if `out` cannot be written.
    """
    Sheet(name, unopened(uri).to_json(), seed, confidence, out, run).begin(str(reason))


def unopened(uri: str) -> Subject:
    """The subject of a target that was not opened."""
    shown = redacted([uri])[0]
    return Subject(name=shown, kind="unopened", uri=shown, sha256=None)


def _is_text(argument: str) -> bool:
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
