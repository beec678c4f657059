"""The shards of a load as one load: both artifacts, made of the records of all, and nothing averaged."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.contract.load_shard import ShardDocument, shard_files
from hexgate.errors import EvidenceError, HexgateError, InputError
from hexgate.indicators.load_beside import LOAD_STEM, remove_left
from hexgate.indicators.load_clocks import Clocks
from hexgate.indicators.load_evidence import ShardRun
from hexgate.indicators.load_run import MEASURED_BY_LOAD
from hexgate.indicators.load_shards import ShardSet
from hexgate.indicators.recording import unwritable
from hexgate.indicators.runner import unmeasured
from hexgate.indicators.sheet import Measured, Run, Sheet
from hexgate.load.gather import merged_stream
from hexgate.load.measures.merge import merge_records
from hexgate.load.plans.plan import Plan
from hexgate.load.plans.shard import Place
from hexgate.load.records import Records

__all__ = ["merge_shards"]

# What the readers of JSON, of arrays and of plans say of bytes that no shard of ours wrote.
_UNREADABLE = (InputError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def merge_shards(folders: Sequence[Path], out: Path, run: Run) -> list[Measured]:
    """Leave the two artifacts of a load whose shards lie in `folders`.

    Args:
        folders: folders with a shard's document, or with a folder for each part, such as a collected run.
        out: where the artifacts and their evidence go.
        run: this call; the artifacts get the run of the shards, and their environment.

    Raises:
        EvidenceError: if there is no shard, or they do not belong together; the artifacts then say so.
        InputError: if `out` cannot be written, or is where a shard lies.
        TargetFailed: if the disk fails while it is written.
    """
    if out.is_dir() and shard_files(out):
        raise InputError(
            "a shard lies in --out, where the gate would find it beside what it was merged into",
            where=str(out),
            hint="give another folder",
        )
    shown = ", ".join(map(str, folders))

    def say(reason: HexgateError) -> None:
        for name in MEASURED_BY_LOAD:
            unmeasured(name, shown, reason, out / f"{name}.json", run, seed=0, confidence=0.95)

    remove_left(out)
    say(HexgateError("the shards were not merged"))
    evidence = EvidenceWriter(out, LOAD_STEM)
    try:
        return _merged(ShardSet.found(folders), evidence, run)
    except EvidenceError as error:
        say(error)
        raise
    except _UNREADABLE as error:
        fault = EvidenceError(
            f"the evidence is not what a shard writes ({type(error).__name__}: {error})",
            where=shown,
            hint="load again; evidence is never edited",
        )
        say(fault)
        raise fault from error
    except OSError as error:
        raise unwritable(error, evidence) from None


def _merged(shards: ShardSet, evidence: EvidenceWriter, run: Run) -> list[Measured]:
    whole = Run(
        shards.run_id,
        {**run.provenance, "parents": [document.data["shard_id"] for document in shards.documents]},
        shards.environment() if shards.measured else run.environment,
    )
    lacks = {index: why for index in range(shards.count) if (why := shards.lacking(index)) is not None}
    if not shards.measured:
        raise EvidenceError(
            "no shard measured anything: " + "; ".join(f"shard {i}/{shards.count} {lacks[i]}" for i in lacks)
        )
    clocks = _write_evidence(shards, lacks, evidence)
    first = next(iter(shards.measured.values()))
    stopped = _not_whole(lacks, shards.count)
    measured = []
    for name in MEASURED_BY_LOAD:
        method = first.data["methods"][name]
        path = evidence.folder / f"{name}.json"
        sheet = Sheet(
            name,
            first.data["subject"],
            method["seed"],
            method["confidence"],
            path,
            whole,
            since_s=None,
            created_at=shards.created_at,
        )
        writer = sheet.begin("the shards were not merged")
        writer.describe(
            method={**method, "shards": shards.count, "clock": clocks}, dataset=first.data["dataset"]
        )
        writer.share(evidence)
        measured.append(sheet.conclude(writer, stopped))
    return measured


def _not_whole(lacks: Mapping[int, str], count: int) -> EvidenceError | None:
    if not lacks:
        return None
    named = ", ".join(f"{index}/{count}" for index in lacks)
    return EvidenceError(
        f"the load is not whole: of its {count} shards, {len(lacks)} did not come whole ({named})"
    )


def _write_evidence(shards: ShardSet, lacks: Mapping[int, str], evidence: EvidenceWriter) -> str:
    """Write what all shards recorded, and say what is known of their clocks."""
    readers = {index: _whole(document) for index, document in shards.measured.items()}
    plans = [_plan_of(document, readers[index]) for index, document in shards.measured.items()]
    parts = {index: Records.open(reader.path("requests")) for index, reader in readers.items()}
    workers = {index: int(reader.document("run").get("workers") or 1) for index, reader in readers.items()}
    plan = plans[0]
    evidence.document("plan_head", plan.head())
    plan.write(evidence.array_path("plan"))
    evidence.adopt("plan", evidence.array_path("plan"), len(plan))
    merged = evidence.array_path("requests")
    evidence.adopt("requests", merged, merge_records(plan, shards.count, parts, merged, workers))
    told = [
        ShardRun(
            Place(index, shards.count),
            readers[index].document("run") if index in readers else None,
            lacks.get(index),
            shards.measured[index].data["environment"]["host_class"] if index in readers else None,
            shards.measured[index].data["environment"].get("observed") if index in readers else None,
        ).to_json()
        for index in range(shards.count)
    ]
    _refuse_other_starts(shards, told)
    evidence.document("run", {"plan_digest": plan.digest(), "shards": told})
    if all("replies" in reader.names for reader in readers.values()):
        _join(evidence, "replies", [(document, "replies") for document in shards.measured.values()])
    for index, document in shards.measured.items():
        if "resources" in readers[index].names:
            _join(evidence, f"resources_{index}", [(document, "resources")])
        for name in ("meters", "client"):
            if name in readers[index].names:
                evidence.document(f"{name}_{index}", readers[index].document(name))
    streams = [reader.document("stream") for reader in readers.values() if "stream" in reader.names]
    # What one shard did not record, all of them together do not know.
    stream = merged_stream(streams) if len(streams) == len(readers) else None
    if stream is not None:
        evidence.document("stream", stream)
    return Clocks.of([one["run"] for one in told if one["run"]]).describe()


def _refuse_other_starts(shards: ShardSet, told: Sequence[Mapping[str, Any]]) -> None:
    starts = {one["run"]["start_at"]: shards.measured[one["index"]].path for one in told if one["run"]}
    if len(starts) > 1:
        raise EvidenceError(
            f"two shards are not of one load: they count from {' and '.join(sorted(map(str, starts)))}",
            where=" and ".join(map(str, starts.values())),
            hint="merge shards that had the same --start-at",
        )


def _whole(document: ShardDocument) -> EvidenceReader:
    """The evidence of a shard, once every file of it is the one that was written."""
    reader = document.evidence()
    for name in sorted(reader.names):
        reader.path(name)
    return reader


def _plan_of(document: ShardDocument, evidence: EvidenceReader) -> Plan:
    """The plan of a shard, which is the whole plan."""
    plan = Plan.from_evidence(evidence.document("plan_head"), evidence.path("plan"))
    carried = evidence.document("run")["plan_digest"]
    if not plan.digest() == document.data["plan_digest"] == carried:
        raise EvidenceError("the plan is not the one that the shard states", where=str(document.path))
    return plan


def _join(evidence: EvidenceWriter, name: str, files: Sequence[tuple[ShardDocument, str]]) -> None:
    """The rows of several files, one after the other, as one file of evidence."""
    path = evidence.folder / f"{evidence.stem}.{name}.jsonl"
    rows = 0
    with path.open("wb") as joined:
        for document, own in files:
            entry = document.data["evidence"][own]
            with (document.path.parent / entry["path"]).open("rb") as part:
                shutil.copyfileobj(part, joined)
            rows += entry["rows"]
    evidence.adopt(name, path, rows)
