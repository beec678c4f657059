"""What a load left in a folder: its two artifacts, or one of them, and the evidence that both name."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.artifact import Artifact, read_artifact
from hexgate.contract.evidence import EvidenceReader
from hexgate.errors import EvidenceError
from hexgate.load.plans.plan import Plan
from hexgate.load.records import RECORD, Records

__all__ = ["LoadFolder", "read_load_folder", "reply_lines", "with_errors"]

_NO_ERROR = b'"error":null'
_CACHE_KIB = 2048
_LATER = 1 << 62


@dataclass(frozen=True)
class LoadFolder:
    """The artifacts of one load, and what they were computed from."""

    folder: Path
    """Where they lie."""
    latency: Mapping[str, Any] | None
    """The artifact `latency_p99`; None where there is none."""
    rates: Mapping[str, Any] | None
    """The artifact `throughput_rps`; None where there is none."""
    evidence: EvidenceReader
    """The evidence that both name."""
    records: Records
    """One row for each request; none where nothing was sent."""
    plan: Plan | None
    """The plan; None where the load did not come so far."""
    run: Mapping[str, Any]
    """The run, as `RunInfo.to_json` has it, or the runs of several shards; empty where it had no orderly end."""

    @property
    def artifact(self) -> Mapping[str, Any]:
        """One of the artifacts: for what both say alike."""
        return self.latency or self.rates or {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The content ids of the artifacts."""
        return tuple(str(each["artifact_id"]) for each in (self.latency, self.rates) if each is not None)

    @property
    def started_ns(self) -> int | None:
        """The instant that the records count from, on the clock of the samples; None where nobody knows."""
        started = self.run.get("started_ns")
        return None if started is None else int(started)

    @property
    def stopped_ns(self) -> int | None:
        """When the load, or the first of its shards, was stopped before its end; None where none was."""
        runs = [shard["run"] for shard in self.run.get("shards", ()) if shard["run"]] or [self.run]
        return min((run["stopped_ns"] for run in runs if run.get("stopped_ns") is not None), default=None)

    def samples(self) -> list[tuple[str, str, int | None]]:
        """The files of resource samples: the name of each, whose they are, and the start on its clock."""
        starts = {
            f"resources_{shard['index']}": (f"shard {shard['index']}", (shard["run"] or {}).get("started_ns"))
            for shard in self.run.get("shards", ())
        }
        found = []
        for name in sorted(self.evidence.names):
            if name == "resources":
                found.append((name, "client", self.started_ns))
            elif name in starts:
                found.append((name, *starts[name]))
        return found


def read_load_folder(folder: Path) -> LoadFolder:
    """Read what a load left, however it ended.

    Raises:
        EvidenceError: if there is no artifact of a load, or one of its files is not what was written.
    """
    found: dict[str, Artifact] = {}
    for name in ("latency_p99", "throughput_rps"):
        path = folder / f"{name}.json"
        if path.is_file():
            found[name] = read_artifact(path)
    if not found:
        raise EvidenceError(
            "there is no artifact of a load in this folder",
            where=str(folder),
            expected="latency_p99.json or throughput_rps.json",
            hint="give the --out of hexgate load",
        )
    evidence = next(iter(found.values())).evidence()
    names = evidence.names
    head = evidence.document("plan_head") if {"plan_head", "plan"} <= names else None
    return LoadFolder(
        folder=folder,
        latency=found["latency_p99"].data if "latency_p99" in found else None,
        rates=found["throughput_rps"].data if "throughput_rps" in found else None,
        evidence=evidence,
        records=Records.open(evidence.path("requests"))
        if "requests" in names
        else Records.of(np.empty(0, dtype=RECORD)),
        plan=None if head is None else Plan.from_evidence(head, evidence.path("plan")),
        run=evidence.document("run") if "run" in names else {},
    )


def reply_lines(load: LoadFolder) -> Iterator[bytes]:
    """The lines of the replies, as they were written; none where no reply was kept."""
    if "replies" in load.evidence.names:
        with load.evidence.path("replies").open("rb") as file:
            yield from file


def with_errors(load: LoadFolder, size: int) -> Iterator[tuple[NDArray[np.void], dict[int, str]]]:
    """The records, `size` at a time, and why those of them failed that did, by number.

    The lines of several shards, or of several threads, come in another order. They are sorted on the disk, so that
    a load of which every request failed takes no more memory than any other.
    """
    texts = _sorted_errors(load)
    number, error = next(texts, (_LATER, ""))
    for rows in load.records.chunks(size):
        last = int(rows["index"][-1])
        errors: dict[int, str] = {}
        while number <= last:
            errors[number] = error
            number, error = next(texts, (_LATER, ""))
        yield rows, errors


def _sorted_errors(load: LoadFolder) -> Iterator[tuple[int, str]]:
    with (
        tempfile.TemporaryDirectory(prefix="hexgate-errors-") as folder,
        closing(sqlite3.connect(Path(folder) / "errors", isolation_level=None)) as base,
    ):
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            base.execute(f"PRAGMA {pragma}")
        base.execute("CREATE TABLE errors (request INTEGER PRIMARY KEY, error TEXT NOT NULL)")
        base.execute("BEGIN")
        base.executemany("INSERT OR REPLACE INTO errors VALUES (?, ?)", _errors(load))
        yield from base.execute("SELECT request, error FROM errors ORDER BY request")


def _errors(load: LoadFolder) -> Iterator[tuple[int, str]]:
    for line in reply_lines(load):
        if _NO_ERROR not in line:
            reply = json.loads(line)
            yield int(reply["index"]), str(reply["error"])
