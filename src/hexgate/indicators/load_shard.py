"""One shard of a load: its part of the plan carried out from the common start, and the document that it leaves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import sha256_bytes
from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.contract.load_shard import ShardDocument, shard_file, shard_schema, shard_stem, write_shard
from hexgate.contract.observed import observed_state
from hexgate.contract.provenance import utc_now
from hexgate.errors import EvidenceError, HexgateError, InputError
from hexgate.indicators.base import Job
from hexgate.indicators.load_account import untold
from hexgate.indicators.load_evidence import LoadEvidence
from hexgate.indicators.load_run import Prepared, limits_of, prepare, recorder_of
from hexgate.indicators.recording import recorded, unwritable
from hexgate.indicators.runner import unopened
from hexgate.indicators.sheet import NO_DATASET, Run, common_method
from hexgate.indicators.workload import carry_out
from hexgate.load.live import Live
from hexgate.load.measures.health import client_health
from hexgate.load.plans.shard import Place, Shard
from hexgate.load.records import Outcome, Records
from hexgate.load.start import Start

__all__ = ["ShardLeft", "run_shard", "shared_run_id", "unbegun_shard"]


@dataclass(frozen=True)
class ShardLeft:
    """What a shard left."""

    document: ShardDocument
    """Its document."""
    error: HexgateError | None
    """Why its load cannot be judged, as far as this shard knows; None where it can."""


def shared_run_id(start: Start, count: int, uri: str) -> str:
    """The run of shards that nobody gave one: made of what they have in common, so that they agree on it."""
    stamp = start.at[:19].replace("-", "").replace(":", "")
    return f"{stamp}Z-{sha256_bytes(f'{start.wall_ns} {count} {uri}'.encode())[:8]}"


def unbegun_shard(uri: str, reason: HexgateError, place: Place, folder: Path, run: Run) -> None:
    """Leave a document that says why the shard did not begin, so that no older one looks new.

    Raises:
        InputError: if it cannot be written.
    """
    _Draft(unopened(uri).to_json(), place, folder, run).fail(str(reason))


@dataclass(frozen=True)
class _Draft:
    """A shard's document, and what it says whatever was measured."""

    subject: Mapping[str, Any]
    place: Place
    folder: Path
    run: Run
    ready: Prepared | None = None
    methods: Mapping[str, Any] | None = None
    since_s: float = field(default_factory=time.time)

    @property
    def path(self) -> Path:
        return self.folder / shard_file(self.place.index, self.place.count)

    def fail(self, reason: str, evidence: EvidenceWriter | None = None) -> ShardDocument:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return self.write("failed", [reason], evidence)
        except OSError as error:
            raise InputError(
                f"the shard cannot be written ({error.strerror})",
                where=str(self.path),
                hint="give another --out",
            ) from None

    def write(
        self, status: str, reasons: list[str], evidence: EvidenceWriter | None, **measured: Any
    ) -> ShardDocument:
        files = {} if evidence is None else evidence.finish()
        plan = files.get("plan")
        observed = observed_state(self.since_s)
        nothing = {"client_health": None, "counts": None}
        return write_shard(
            self.path,
            {
                "schema": shard_schema(),
                "shard": vars(self.place),
                "status": status,
                "reasons": reasons,
                **nothing,
                **measured,
                "plan_digest": self.ready.plan.digest() if self.ready else None,
                "methods": self.methods or {},
                "subject": self.subject,
                "dataset": self.ready.load.dataset if self.ready else NO_DATASET,
                "environment": {
                    **self.run.environment,
                    **({} if observed is None else {"observed": observed}),
                },
                "provenance": {**self.run.provenance, "plan_sha256": plan.sha256 if plan else None},
                "evidence": {key: file.to_json() for key, file in sorted(files.items())},
                "run_id": self.run.run_id,
                "created_at": utc_now(),
            },
        )


def run_shard(
    job: Job, place: Place, folder: Path, run: Run, *, start: Start | None = None, live: Live | None = None
) -> ShardLeft:
    """Carry out one shard of a load and leave its document in `folder`, whatever happens on the way.

    Raises:
        HexgateError: if it cannot begin; the document says so if it can be written.
        TargetFailed: if the disk fails while the document is written; the evidence stays.
    """
    subject = job.target.subject.to_json()
    try:
        ready = prepare(job)
        shard = ready.plan.shard(place.index, place.count)
    except HexgateError as error:
        _Draft(subject, place, folder, run).fail(str(error))
        raise
    evidence = EvidenceWriter(folder, shard_stem(place.index, place.count))
    methods = {
        name: common_method(name, job.seed, job.confidence) | job.target.opened | dict(method)
        for name, method in ready.methods.items()
    }
    draft = _Draft(subject, place, folder, run, ready, methods)
    draft.fail("the shard did not run to its end")

    recorder = recorder_of(job, evidence)

    def collect() -> None:
        what = f"shard {place} of {ready.what}"
        carry_out(
            job,
            ready.plan,
            ready.load,
            evidence,
            what,
            shard=shard,
            start=start,
            live=live,
            ready=recorder.wait,
            **limits_of(job.options),
        )

    try:
        with ExitStack() as keeping:
            stopped = recorded(collect, evidence, keeping, recorder=recorder)
            if isinstance(stopped, InputError):
                draft.fail(str(stopped), evidence)
                raise stopped
            return _left(draft, shard, evidence, stopped)
    except OSError as error:
        raise unwritable(error, evidence) from None


def _left(draft: _Draft, shard: Shard, evidence: EvidenceWriter, stopped: HexgateError | None) -> ShardLeft:
    files = {key: file.to_json() for key, file in evidence.finish().items()}
    reader = EvidenceReader(evidence.folder, files)
    if not {"requests", "run"} <= files.keys():
        fault = stopped or EvidenceError("the load did not come to an orderly end")
        return ShardLeft(draft.fail(str(fault), evidence), fault)
    records = Records.open(reader.path("requests"))
    if stopped is not None and all((rows["outcome"] == Outcome.NOT_SENT).all() for rows in records.chunks()):
        return ShardLeft(draft.fail(str(stopped), evidence), stopped)
    plan = shard.plan
    in_process = bool(draft.methods and draft.methods["latency_p99"]["in_process"])
    client = reader.document("client") if "client" in files else None
    health = client_health(records, plan, client=client, in_process=in_process, slots=shard.concurrency)
    reasons = (*health.reasons, *(() if in_process else untold(client, reader.document("run"))))
    counts = LoadEvidence(plan, records, {}).counts(shard.timed)
    document = draft.write(
        "complete" if stopped is None else "partial",
        [] if stopped is None else [str(stopped)],
        evidence,
        client_health={"starved": bool(reasons), "reasons": list(reasons)},
        counts=vars(counts),
    )
    if stopped is None and reasons:
        return ShardLeft(document, EvidenceError("; ".join(reasons), where=str(document.path)))
    return ShardLeft(document, stopped)
