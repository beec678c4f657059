"""One measurement from start to artifact: record, close the evidence, compute from it, check, write."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import Artifact, write_artifact
from hexgate.contract.evidence import EvidenceFile, EvidenceReader, EvidenceWriter
from hexgate.contract.provenance import environment, new_run_id, provenance, redacted, utc_now
from hexgate.contract.schema import blank_values, load_schema, measures
from hexgate.errors import EvidenceError, HexgateError, InputError, Interrupted, TargetFailed
from hexgate.indicators import indicator
from hexgate.indicators.base import Counts, Figures, Job
from hexgate.meters.recorder import Recorder
from hexgate.meters.summary import summarise_resources
from hexgate.targets.base import Subject, Target
from hexgate.targets.card import Card

__all__ = ["Measured", "Run", "measure", "resources_block", "start_run", "unmeasured"]

_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_NO_DATASET = {"name": None, "sha256": None, "items": None, "used": None, "limit": None, "split": None}


@dataclass(frozen=True)
class Run:
    """What the measurements of one call have in common."""

    run_id: str
    """The call's identifier."""
    provenance: Mapping[str, Any]
    """The artifact's block of that name, but for the plan."""
    environment: Mapping[str, Any]
    """The artifact's block of that name."""


@dataclass(frozen=True)
class Measured:
    """What one measurement left."""

    artifact: Artifact
    """The artifact on the disk."""
    error: HexgateError | None
    """Why it is not complete, or None where it is."""


def start_run(command: Sequence[str], *, host_class: str | None = None) -> Run:
    """Begin a call: look at the machine once, for all its measurements."""
    return Run(new_run_id(), provenance(command), environment(host_class))


def measure(name: str, job: Job, out: Path, run: Run) -> Measured:
    """Measure one indicator and leave its artifact at `out`, evidence beside it, whatever happens on the way.

    An artifact that says "not finished" is written before the first item is measured: a killed process leaves
    that, never an older artifact that looks new.

    Raises:
        InputError: if `out` cannot be written, or the measurement cannot begin; the artifact says so if it can.
        TargetFailed: if the disk fails while the artifact is written; the evidence stays.
    """
    sheet = _Sheet(name, job, out, run)
    evidence = _begin(sheet, "the measurement did not run to its end")
    try:
        with ExitStack() as keeping:
            stopped = _collect(name, job, evidence, keeping)
            if isinstance(stopped, InputError):
                sheet.write(_nothing(name, str(stopped)), "failed", evidence, evidence.finish())
                raise stopped
            # A second statement of it, under a digest: what was edited in the artifact alone is noticed.
            evidence.document("method", sheet.method(evidence))
            return _conclude(sheet, evidence, stopped)
    except OSError as error:
        raise TargetFailed(
            f"the artifact cannot be written ({error.strerror}); what was measured is kept as it stands there",
            where=str(out.parent),
            hint="make room and measure again",
        ) from None


def unmeasured(
    name: str, uri: str, reason: HexgateError, out: Path, run: Run, *, seed: int, confidence: float
) -> None:
    """Leave an artifact that says why nothing could be measured, so that no older one at `out` looks new.

    Raises:
        InputError: if `out` cannot be written.
    """
    shown = redacted([uri])[0]
    target = Target(shown, Subject(name=shown, kind="unopened", uri=shown, sha256=None), Card())
    job = Job(target, data=None, options=None, seed=seed, confidence=confidence)
    _begin(_Sheet(name, job, out, run), str(reason))


def _begin(sheet: _Sheet, reason: str) -> EvidenceWriter:
    out = sheet.out
    evidence = EvidenceWriter(out.parent, out.name.removesuffix(".json"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sheet.write(_nothing(sheet.name, reason), "failed", evidence, {})
    except OSError as error:
        raise InputError(
            f"the artifact cannot be written ({error.strerror})", where=str(out), hint="give another --out"
        ) from None
    return evidence


@dataclass(frozen=True)
class _Sheet:
    """An artifact's place, and what it says beside its figures."""

    name: str
    job: Job
    out: Path
    run: Run

    def method(self, evidence: EvidenceWriter) -> dict[str, Any]:
        common = {"definition": f"{self.name}/1", "seed": self.job.seed, "confidence": self.job.confidence}
        return common | evidence.method

    def write(
        self, figures: Figures, status: str, evidence: EvidenceWriter, files: Mapping[str, EvidenceFile]
    ) -> Artifact:
        contract = load_schema(self.name)
        entries = {key: file.to_json() for key, file in sorted(files.items())}
        plan = files.get("plan")
        data = {
            "schema": f"hexgate/{self.name}/{contract['x-version']}",
            "indicator": self.name,
            **{key: figures.values[key] for key in contract["x-own"]},
            "status": status,
            "invalid_reasons": list(figures.invalid_reasons),
            "counts": vars(figures.counts),
            "intervals": {key: interval.to_json() for key, interval in figures.intervals.items()},
            "missing": dict(figures.missing),
            "cannot_certify": dict(figures.cannot_certify),
            "subject": self.job.target.subject.to_json(),
            "dataset": evidence.dataset or _NO_DATASET,
            "method": self.method(evidence),
            "environment": self.run.environment,
            "resources": resources_block(EvidenceReader(evidence.folder, entries)),
            "provenance": {**self.run.provenance, "plan_sha256": plan.sha256 if plan else None},
            "evidence": entries,
            "trust": "native",
            "run_id": self.run.run_id,
            "created_at": utc_now(),
        }
        return write_artifact(self.out, data)


def _nothing(name: str, reason: str) -> Figures:
    blank = blank_values(name)
    return Figures(
        values=blank,
        counts=Counts(requested=0, succeeded=0, errored=0, skipped=0),
        missing={key: reason for key in measures(name) if blank[key] is None},
        invalid_reasons=(reason,),
    )


def _collect(name: str, job: Job, evidence: EvidenceWriter, keeping: ExitStack) -> HexgateError | None:
    recorder = Recorder(evidence.folder, evidence.stem, pid=os.getpid())
    stopped: HexgateError | None = None
    interrupted = Interrupted("the run was stopped", hint="what was measured until then is kept")
    try:
        with recorder:
            try:
                indicator(name).collect(job, evidence)
            except KeyboardInterrupt:
                keeping.enter_context(_undisturbed())
                stopped = interrupted
    except KeyboardInterrupt:
        stopped = interrupted
    except HexgateError as error:
        stopped = error
    except OSError as error:
        if error.errno not in _DISK_FAULTS:
            raise
        stopped = TargetFailed(
            f"the evidence cannot be written ({error.strerror}); what was written before is kept",
            where=str(evidence.folder),
            hint="make room and measure again",
        )
    for kind, rows in recorder.rows.items():
        evidence.adopt(kind, evidence.folder / f"{evidence.stem}.{kind}.jsonl", rows)
    evidence.document("meters", recorder.to_json())
    return stopped


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No second interrupt while what was measured is kept: that takes a moment, and is lost if it is cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _conclude(sheet: _Sheet, evidence: EvidenceWriter, stopped: HexgateError | None) -> Measured:
    files = evidence.finish()
    reader = EvidenceReader(evidence.folder, {key: file.to_json() for key, file in files.items()})
    try:
        figures = indicator(sheet.name).figures(sheet.method(evidence), reader)
    except EvidenceError as error:
        fault = stopped or error
        return Measured(sheet.write(_nothing(sheet.name, str(fault)), "failed", evidence, files), fault)
    try:
        return _written(sheet, figures, evidence, files, stopped)
    except EvidenceError as error:
        # Figures that break their own contract are our fault; what was measured must not go down with them.
        fault = EvidenceError(
            f"the figures do not hold together, which is a fault of hexgate: {error.what}",
            where=str(sheet.out),
            hint="the evidence is kept; please report this with it",
        )
        return Measured(sheet.write(_nothing(sheet.name, str(fault)), "failed", evidence, files), fault)


def _written(
    sheet: _Sheet,
    figures: Figures,
    evidence: EvidenceWriter,
    files: Mapping[str, EvidenceFile],
    stopped: HexgateError | None,
) -> Measured:
    if stopped is not None:
        figures = replace(figures, invalid_reasons=(str(stopped), *figures.invalid_reasons))
        return Measured(sheet.write(figures, "partial", evidence, files), stopped)
    if figures.invalid_reasons:
        artifact = sheet.write(figures, "invalid", evidence, files)
        return Measured(artifact, EvidenceError("; ".join(figures.invalid_reasons), where=str(sheet.out)))
    return Measured(sheet.write(figures, "complete", evidence, files), None)


def resources_block(evidence: EvidenceReader) -> Mapping[str, Any]:
    """The block `resources` of an artifact, computed from its evidence."""
    if "resources" not in evidence.names:
        return {"missing": {"all": "no resource was sampled"}}
    summary = summarise_resources(evidence.rows("resources"))
    # The samples are those of the whole run, so there is no window that they could fail to cover.
    del summary["covered_ratio"], summary["missing"]["covered_ratio"]
    return summary
