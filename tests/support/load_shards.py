"""A load that was carried out whole, as the shards that would have recorded the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hexgate.contract.artifact import Artifact, read_artifact
from hexgate.contract.evidence import EvidenceWriter
from hexgate.contract.load_shard import ShardDocument, shard_file, shard_schema, write_shard
from hexgate.indicators.base import Job
from hexgate.indicators.load_run import LoadOptions, measure_load
from hexgate.indicators.runner import start_run
from hexgate.load.plans.plan import Plan
from hexgate.targets.registry import open_target
from support.load_records import split
from support.measuring import array

OPTIONS = LoadOptions(
    rate_rps=None,
    arrival="poisson",
    concurrency=4,
    requests=None,
    duration_s=None,
    warmup=9,
    limit_ms=300.0,
    windows=20,
    mode=None,
    max_tokens=4,
)


def whole_load(folder: Path, **options: Any) -> Path:
    """Carry out a load of the embedded model in this process, and leave its artifacts in a folder."""
    target = open_target("demo:")
    try:
        job = Job(target, data=None, options=replace(OPTIONS, **options))
        measure_load(job, folder, start_run(["hexgate", "load"]))
    finally:
        target.close()
    return folder


def shards_of(whole: Path, count: int, out: Path, **changes: Any) -> list[ShardDocument]:
    """Write the documents of `count` shards into ``out/<index>``, made of the artifacts and evidence in `whole`.

    Args:
        whole: a folder that `hexgate load` wrote.
        count: how many shards.
        out: where their folders go.
        changes: replaces keys of every document.
    """
    artifacts = [read_artifact(whole / f"{name}.json") for name in ("latency_p99", "throughput_rps")]
    first = artifacts[0]
    reader = first.evidence()
    plan = Plan.from_evidence(reader.document("plan_head"), reader.path("plan"))
    parts = split(plan, array(first, "requests"), count)
    return [
        _shard(artifacts, plan, part, index, count, out / str(index), changes)
        for index, part in parts.items()
    ]


def _shard(
    artifacts: list[Artifact],
    plan: Plan,
    records: Any,
    index: int,
    count: int,
    folder: Path,
    changes: dict[str, Any],
) -> ShardDocument:
    folder.mkdir(parents=True)
    name = shard_file(index, count)
    reader, data = artifacts[0].evidence(), artifacts[0].data
    evidence = EvidenceWriter(folder, name.removesuffix(".json"))
    evidence.document("plan_head", plan.head())
    evidence.array("plan", plan.to_array())
    evidence.array("requests", records)
    evidence.document("meters", reader.document("meters"))
    place = {"index": index, "count": count}
    evidence.document(
        "run", reader.document("run") | {"shard": place, "late_ns": 0, "host": "host", "boot": "b" * 64}
    )
    rows = evidence.rows("resources")
    for row in reader.rows("resources"):
        rows.write(row)
    if "replies" in reader.names:
        replies = evidence.rows("replies")
        for row in reader.rows("replies"):
            if row["index"] % count == index:
                replies.write(row)
    document = {
        "schema": shard_schema(),
        "shard": place,
        "status": "complete",
        "reasons": [],
        "client_health": {"starved": False, "reasons": []},
        "counts": data["counts"],
        "plan_digest": plan.digest(),
        "methods": {artifact.indicator: artifact.data["method"] for artifact in artifacts},
        "subject": data["subject"],
        "dataset": data["dataset"],
        "environment": data["environment"],
        "provenance": data["provenance"],
        "evidence": {key: file.to_json() for key, file in evidence.finish().items()},
        "run_id": data["run_id"],
        "created_at": data["created_at"],
    }
    return write_shard(folder / name, document | changes)


def with_evidence(document: ShardDocument, name: str, value: Any) -> ShardDocument:
    """A document whose array or document of evidence is another one, with the digests that fit."""
    writer = EvidenceWriter(document.path.parent, document.path.stem)
    if isinstance(value, dict):
        writer.document(name, value)
    else:
        writer.array(name, value)
    entry = {name: writer.finish()[name].to_json()}
    return altered(document, evidence=document.data["evidence"] | entry)


def altered(document: ShardDocument, **changes: Any) -> ShardDocument:
    """A document with other keys, and the id that fits."""
    data = json.loads(document.path.read_bytes())
    return write_shard(document.path, {key: data[key] for key in data if key != "shard_id"} | changes)
