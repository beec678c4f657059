"""The artifact of one measurement: a blank one first, then its figures, computed from the evidence that is closed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import Artifact, write_artifact
from hexgate.contract.evidence import EvidenceFile, EvidenceReader, EvidenceWriter
from hexgate.contract.observed import observed_state
from hexgate.contract.provenance import utc_now
from hexgate.contract.schema import blank_values, load_schema, measures
from hexgate.errors import EvidenceError, HexgateError, InputError
from hexgate.indicators import indicator
from hexgate.indicators.base import Counts, Figures
from hexgate.meters.summary import summarise_resources

__all__ = ["NO_DATASET", "Measured", "Run", "Sheet", "common_method", "resources_block"]

NO_DATASET = {"name": None, "sha256": None, "items": None, "used": None, "limit": None, "split": None}


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


@dataclass(frozen=True)
class Sheet:
    """An artifact's place, and what it says beside its figures."""

    name: str
    """The indicator."""
    subject: Mapping[str, Any]
    """The artifact's block of that name."""
    seed: int
    """Seed of everything random."""
    confidence: float
    """Level of the intervals."""
    out: Path
    """Where the artifact lies."""
    run: Run
    """The call that it is of."""
    opened: Mapping[str, Any] = field(default_factory=dict)
    """How the target was opened: keys of the artifact's block `method`."""
    since_s: float | None = field(default_factory=time.time)
    """When the measurement began, seconds since 1970; None where nothing is measured on this machine."""
    created_at: str | None = None
    """When it was measured, UTC, to the second; None for the moment at which it is written."""

    def method(self, evidence: EvidenceWriter) -> dict[str, Any]:
        """The artifact's block of that name, as the evidence describes it."""
        return common_method(self.name, self.seed, self.confidence) | dict(self.opened) | evidence.method

    def begin(self, reason: str) -> EvidenceWriter:
        """Write an artifact that says that nothing is measured yet, and begin its evidence.

        Raises:
            InputError: if it cannot be written.
        """
        evidence = EvidenceWriter(self.out.parent, self.out.name.removesuffix(".json"))
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.fail(reason, evidence, {}, checked=False)
        except OSError as error:
            raise InputError(
                f"the artifact cannot be written ({error.strerror})",
                where=str(self.out),
                hint="give another --out",
            ) from None
        return evidence

    def fail(
        self,
        reason: str,
        evidence: EvidenceWriter,
        files: Mapping[str, EvidenceFile],
        *,
        checked: bool = True,
    ) -> Artifact:
        """Write an artifact without a figure, which says why. `checked` is that of `write_artifact`.

        Raises:
            OSError: if the disk does not take it.
        """
        blank = blank_values(self.name)
        nothing = Figures(
            values=blank,
            counts=Counts(requested=0, succeeded=0, errored=0, skipped=0),
            missing={key: reason for key in measures(self.name) if blank[key] is None},
            invalid_reasons=(reason,),
        )
        return self._write(nothing, "failed", evidence, files, checked=checked)

    def conclude(self, evidence: EvidenceWriter, stopped: HexgateError | None) -> Measured:
        """Close the evidence, compute the figures from it, check and write the artifact.

        Args:
            evidence: what was measured, with its method described; the method goes into it too.
            stopped: what ended the measurement before its end; None where it came to it.

        Raises:
            OSError: if the disk does not take it.
        """
        # A second statement of it, under a digest: what was edited in the artifact alone is noticed.
        evidence.document("method", self.method(evidence))
        files = evidence.finish()
        reader = EvidenceReader(evidence.folder, {key: file.to_json() for key, file in files.items()})
        try:
            figures = indicator(self.name).figures(self.method(evidence), reader)
        except EvidenceError as error:
            fault = stopped or error
            return Measured(self.fail(str(fault), evidence, files), fault)
        try:
            return self._written(figures, evidence, files, stopped)
        except EvidenceError as error:
            # Figures that break their own contract are our fault; what was measured must not go down with them.
            fault = EvidenceError(
                f"the figures do not hold together, which is a fault of hexgate: {error.what}",
                where=str(self.out),
                hint="the evidence is kept; please report this with it",
            )
            return Measured(self.fail(str(fault), evidence, files), fault)

    def _written(
        self,
        figures: Figures,
        evidence: EvidenceWriter,
        files: Mapping[str, EvidenceFile],
        stopped: HexgateError | None,
    ) -> Measured:
        if stopped is not None:
            figures = replace(figures, invalid_reasons=(str(stopped), *figures.invalid_reasons))
            return Measured(self._write(figures, "partial", evidence, files), stopped)
        if figures.invalid_reasons:
            artifact = self._write(figures, "invalid", evidence, files)
            return Measured(artifact, EvidenceError("; ".join(figures.invalid_reasons), where=str(self.out)))
        return Measured(self._write(figures, "complete", evidence, files), None)

    def _write(
        self,
        figures: Figures,
        status: str,
        evidence: EvidenceWriter,
        files: Mapping[str, EvidenceFile],
        *,
        checked: bool = True,
    ) -> Artifact:
        contract = load_schema(self.name)
        entries = {key: file.to_json() for key, file in sorted(files.items())}
        plan = files.get("plan")
        observed = None if self.since_s is None else observed_state(self.since_s)
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
            "subject": dict(self.subject),
            "dataset": evidence.dataset or NO_DATASET,
            "method": self.method(evidence),
            "environment": {**self.run.environment, **({} if observed is None else {"observed": observed})},
            "resources": resources_block(EvidenceReader(evidence.folder, entries)),
            "provenance": {**self.run.provenance, **({"plan_sha256": plan.sha256} if plan else {})},
            "evidence": entries,
            "trust": "native",
            "run_id": self.run.run_id,
            "created_at": self.created_at or utc_now(),
        }
        return write_artifact(self.out, data, checked=checked)


def common_method(name: str, seed: int, confidence: float) -> dict[str, Any]:
    """What the block `method` of every artifact has."""
    return {"definition": f"{name}/1", "seed": seed, "confidence": confidence}


def resources_block(evidence: EvidenceReader) -> Mapping[str, Any]:
    """The block `resources` of an artifact, computed from its evidence."""
    if "resources" not in evidence.names:
        of_shards = any(name.startswith("resources_") for name in evidence.names)
        reason = "no resource was sampled"
        if of_shards:
            reason = "each shard sampled its own host; the samples are in the evidence"
        elif "study_runs" in evidence.names:
            reason = "resources were sampled run by run: the records of the study have them"
        return {"missing": {"all": reason}}
    summary = summarise_resources(evidence.rows("resources"))
    # The samples are those of the whole run, so there is no window that they could fail to cover.
    del summary["covered_ratio"], summary["missing"]["covered_ratio"]
    return summary
