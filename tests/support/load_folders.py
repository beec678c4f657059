"""The evidence of loads that nobody carried out, of any length, for tests of what is made of such evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.contract.canonical import sha256_file
from hexgate.contract.evidence import EvidenceReader, EvidenceWriter
from hexgate.errors import HexgateError
from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.runner import start_run
from hexgate.indicators.sheet import NO_DATASET, Sheet
from hexgate.load.plans.plan import LoadKind, Plan, open_loop
from hexgate.load.records import NEVER, RECORD, Outcome, Records
from hexgate.stats.histogram import LogHistogram

ERRORS = {
    Outcome.ERROR: "http_503: overloaded, retry in {} s",
    Outcome.TIMEOUT: "timeout: no whole reply within 300 s",
    Outcome.TRUNCATED: "truncated: the stream ended before its terminator, after {} events",
    Outcome.UNFINISHED: "unfinished: still in flight when the drain limit had passed",
    Outcome.NOT_SENT: "not_sent: the run was stopped",
}
STARTED_NS = 7_000_000_000_000
_CHUNK = 65_536
_GIB = 2**30


def plan_of(requests: int, rate_rps: float = 50.0) -> Plan:
    return open_loop(rate_rps=rate_rps, items=20, requests=requests, warmup=min(requests // 10, 50), seed=3)


def rows_of(plan: Plan, *, failing: float = 0.02, all_fail: bool = False) -> Iterator[NDArray[np.void]]:
    """Records with every outcome, a chunk at a time: streams of 40 tokens that slow down in the middle."""
    random = np.random.default_rng(5)
    number = 0
    is_open = plan.kind is LoadKind.OPEN_LOOP
    whole_s = plan.requests / 50.0
    for block in plan.blocks(_CHUNK):
        n = len(block)
        rows = np.zeros(n, dtype=RECORD)
        rows["index"] = number + np.arange(n)
        rows["item"], rows["due_ns"] = block["item"], block["due_ns"]
        rows["warmup"] = rows["index"] < plan.warmup
        begun = block["due_ns"] if is_open else (rows["index"] * 2e7).astype(np.int64)
        wave = 1.0 + 0.8 * np.exp(-(((begun / 1e9) / whole_s - 0.6) ** 2) / 0.005)
        rows["issued_ns"] = begun + random.integers(20_000, 400_000, n)
        rows["ready_ns"] = rows["issued_ns"] + random.integers(5_000, 50_000, n)
        rows["sent_ns"] = rows["ready_ns"] + random.integers(5_000, 30_000, n)
        rows["headers_ns"] = rows["sent_ns"] + (4e6 * wave * random.lognormal(0, 0.2, n)).astype(np.int64)
        first = rows["sent_ns"] + (8e7 * wave * random.lognormal(0, 0.35, n)).astype(np.int64)
        for name in ("first_event_ns", "first_token_ns", "first_answer_ns"):
            rows[name] = first
        rows["last_token_ns"] = first + (40 * 1.2e7 * wave * random.lognormal(0, 0.08, n)).astype(np.int64)
        rows["end_ns"] = rows["last_token_ns"] + random.integers(10_000, 90_000, n)
        rows["gap_max_ns"] = (3e7 * random.lognormal(0, 0.4, n)).astype(np.int64)
        rows["http_status"], rows["events"], rows["first_event_tokens"] = 200, 40, 1
        rows["prompt_tokens"], rows["output_tokens"] = random.integers(900, 4100, n), 41
        for name in (
            "cached_tokens",
            "reasoning_tokens",
            "counted_tokens",
            "server_load_ns",
            "server_total_ns",
        ):
            rows[name] = NEVER
        rows["bytes"] = random.integers(6_000, 12_000, n)
        _fail(rows, random.random(n) < (1.0 if all_fail else failing), random)
        number += n
        yield rows


def _fail(rows: NDArray[np.void], failed: NDArray[np.bool_], random: np.random.Generator) -> None:
    kinds = random.choice([1, 1, 1, 2, 3, 4, 5], len(rows))
    rows["outcome"] = np.where(failed, kinds, int(Outcome.OK))
    for name in (
        "first_event_ns",
        "first_token_ns",
        "first_answer_ns",
        "last_token_ns",
        "gap_max_ns",
        "output_tokens",
    ):
        rows[name][failed & (kinds != Outcome.TRUNCATED)] = NEVER
    for name in ("prompt_tokens", "first_event_tokens"):
        rows[name][failed] = NEVER
    rows["events"][failed] = 0
    rows["http_status"][failed] = np.where(kinds[failed] == Outcome.ERROR, 503, NEVER)
    rows["end_ns"][failed & (kinds == Outcome.UNFINISHED)] = NEVER
    unsent = failed & (kinds == Outcome.NOT_SENT)
    for name in ("issued_ns", "ready_ns", "sent_ns", "headers_ns", "end_ns", "http_status"):
        rows[name][unsent] = NEVER


def write_evidence(
    folder: Path,
    plan: Plan,
    *,
    failing: float = 0.02,
    all_fail: bool = False,
    rich: bool = True,
    stem: str = "load",
) -> dict[str, tuple[Path, int]]:
    """Write the evidence of a load: the path of each file by its name, and how many rows it has."""
    files: dict[str, tuple[Path, int]] = {}

    def path_of(name: str, end: str, rows: int = 1) -> Path:
        files[name] = folder / f"{stem}.{name}{end}", rows
        return files[name][0]

    def document(name: str, value: Any) -> None:
        path_of(name, ".evidence.json").write_text(json.dumps(value), encoding="utf-8")

    document("plan_head", plan.head())
    plan.write(path_of("plan", ".npy", len(plan)))
    last_ns = _write_requests(
        path_of("requests", ".npy", plan.requests), path_of("replies", ".jsonl"), plan, failing, all_fail
    )
    with files["replies"][0].open("rb") as lines:
        files["replies"] = files["replies"][0], sum(1 for _ in lines)
    seconds = max(last_ns // 1_000_000_000 + 1, 2)
    run = {
        "plan_digest": plan.digest(),
        "started_ns": STARTED_NS,
        "started_wall_ns": 1_768_383_041_000_000_000,
    }
    run |= {"ended_ns": last_ns, "stopped_ns": None, "stopped": None, "cpu_s": 1.5, "workers": 2}
    document("run", run)
    if rich:
        document("client", _client(seconds))
        document("stream", _stream(seconds))
        _write_samples(
            path_of("resources", ".jsonl", seconds), path_of("power", ".jsonl", 2 * seconds), seconds
        )
        document("meters", METERS)
    return files


def _write_requests(requests: Path, replies: Path, plan: Plan, failing: float, all_fail: bool) -> int:
    last_ns = 0
    words = b"The quick brown fox jumps over the lazy dog. "
    with requests.open("wb") as file, replies.open("wb") as lines:
        header = {
            "descr": np.lib.format.dtype_to_descr(RECORD),
            "fortran_order": False,
            "shape": (plan.requests,),
        }
        np.lib.format.write_array_header_1_0(file, header)
        for rows in rows_of(plan, failing=failing, all_fail=all_fail):
            rows.tofile(file)
            last_ns = max(last_ns, int(rows["end_ns"].max()), int(rows["due_ns"].max()))
            text = json.dumps(words.decode() * 4)
            for index, outcome in zip(rows["index"].tolist(), rows["outcome"].tolist(), strict=True):
                if outcome == Outcome.OK:
                    lines.write(f'{{"error":null,"index":{index},"text":{text}}}\n'.encode())
                else:
                    error = json.dumps(ERRORS[Outcome(outcome)].format(index % 7))
                    lines.write(f'{{"error":{error},"index":{index},"text":null}}\n'.encode())
    return last_ns


def _client(seconds: int) -> dict[str, Any]:
    random = np.random.default_rng(6)
    workers = []
    for worker in range(2):
        lag = LogHistogram()
        lag.record_many(random.lognormal(-2, 0.6, 100 * min(seconds, 1000)))
        rows = [
            [s + 1.0, float(random.lognormal(-1, 0.4)), float(random.normal(180, 20)), 0.4, 0, 20]
            for s in range(seconds)
        ]
        workers.append(
            {
                "worker": worker,
                "wall_s": float(seconds),
                "cpu_s": 0.2 * seconds,
                "run_delay_s": 0.01,
                "ticks": 100 * seconds,
            }
            | {
                "tick_ms": 10.0,
                "lag": lag.to_json(),
                "lag_max_ms": lag.maximum,
                "opened": 40,
                "reopened": 0,
                "died": None,
            }
            | {"backlog": {"samples": 10, "nonzero": 0, "max_bytes": 0}, "per_second": rows}
        )
    return {"workers": workers, "parent": {"cpu_s": 0.4}, "throttled_s": 0.0, "cores": 2}


def _stream(seconds: int) -> dict[str, Any]:
    random = np.random.default_rng(7)
    gaps = LogHistogram()
    gaps.record_many(12.0 * random.lognormal(0, 0.25, 50_000))
    events = random.integers(1500, 2100, seconds).tolist()
    first = random.integers(40, 60, seconds).tolist()
    per_second = {"begin_s": 0, "events": events, "ok_events": events, "first_tokens": first}
    return {"gaps_ms": gaps.to_json(), "events": sum(events), "per_second": per_second}


METERS = {
    "clock": "time.monotonic_ns",
    "domains": [
        {"id": "nvml:GPU-1", "label": "H200", "unit": "W"},
        {"id": "rapl:package-0", "label": "package-0", "unit": "J"},
    ],
}


def _write_samples(resources: Path, power: Path, seconds: int) -> None:
    with resources.open("w") as samples, power.open("w") as readings:
        for second in range(seconds):
            t_ns = STARTED_NS + second * 1_000_000_000
            row = {"t_ns": t_ns, "cpu_ratio": 0.4 + 0.1 * np.sin(second / 9), "memory_used_bytes": 9 * _GIB}
            row |= {
                "memory_total_bytes": 25 * _GIB,
                "disk_read_bytes": second * 4096,
                "disk_written_bytes": None,
            }
            row |= {"process_cpu_ratio": 0.2, "process_cpu_s": 0.2 * second, "process_rss_bytes": 1.1e8}
            row |= {
                "gpu_util_ratio": [0.9, None if second % 7 == 3 else 0.8],
                "gpu_memory_used_bytes": [60 * _GIB, 58 * _GIB],
            }
            samples.write(json.dumps(row | {"missing": {"disk_written_bytes": "not read"}}) + "\n")
            watts = 400 + 200 * np.sin(second / 11)
            readings.write(json.dumps({"t_ns": t_ns, "domain": "nvml:GPU-1", "value": watts}) + "\n")
            readings.write(
                json.dumps({"t_ns": t_ns, "domain": "rapl:package-0", "value": 50.0 * second}) + "\n"
            )


def artifact_of(files: dict[str, tuple[Path, int]], **changes: Any) -> dict[str, Any]:
    """What `LoadFolder` reads of an artifact, for evidence that no indicator has seen."""
    entries = {
        name: {"path": path.name, "sha256": sha256_file(path), "rows": rows}
        for name, (path, rows) in files.items()
    }
    method = {"confidence": 0.95, "kind": "open_loop", "arrival": "poisson", "concurrency": 0, "seed": 3}
    subject = {
        "name": "tiny",
        "uri": "http://127.0.0.1:8000/v1",
        "served_model": "tiny",
        "demonstration": False,
    }
    return {
        "indicator": "latency_p99",
        "status": "complete",
        "invalid_reasons": [],
        "remarks": [],
        "missing": {},
        "method": method,
        "subject": subject,
        "dataset": {"name": "made up"},
        "environment": {"host_class": "x86_64, 2 cores"},
        "provenance": {"tool": "hexgate 0.1.0"},
        "resources": {"cpu_ratio": {"mean": 0.4, "max": 0.5, "std": 0.1, "samples": 9}, "missing": {}},
        "evidence": entries,
        "run_id": "20260114T093012Z-4be1c09a",
    } | changes


def folder_of(folder: Path, plan: Plan, changes: dict[str, Any] | None = None, **evidence: Any) -> LoadFolder:
    """A load whose evidence lies in a folder that the test gave."""
    return folder_with(folder, write_evidence(folder, plan, **evidence), changes)


def folder_with(
    folder: Path, files: dict[str, tuple[Path, int]], changes: dict[str, Any] | None = None
) -> LoadFolder:
    artifact = artifact_of(files, **(changes or {}))
    reader = EvidenceReader(folder, artifact["evidence"])
    return LoadFolder(
        folder=folder,
        latency=artifact,
        rates=None,
        evidence=reader,
        records=Records.open(reader.path("requests")),
        plan=Plan.from_evidence(reader.document("plan_head"), reader.path("plan")),
        run=reader.document("run") if "run" in files else {},
    )


def measured_folder(folder: Path, plan: Plan, stopped: HexgateError | None = None, **evidence: Any) -> Path:
    """The two artifacts of a made-up load, computed from its evidence as those of a real one are."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = EvidenceWriter(folder, "load")
    for name, (path, rows) in write_evidence(folder, plan, **evidence).items():
        shared.adopt(name, path, rows)
    head = {key: value for key, value in plan.head().items() if key != "rows"}
    methods = {
        "latency_p99": {
            "requested": plan.timed,
            "limit_ms": 300.0,
            "percentile": "nearest rank",
            "from": "due",
        },
        "throughput_rps": {"windows": 20},
    }
    subject = {"name": "tiny", "kind": "endpoint", "uri": "http://127.0.0.1:8000/v1", "sha256": None}
    subject |= {"revision": None, "components": {}, "served_model": "tiny", "demonstration": False}
    run = start_run(["hexgate", "load"], host_class=None)
    for name, own in methods.items():
        sheet = Sheet(name, subject, 0, 0.95, folder / f"{name}.json", run)
        writer = sheet.begin("it was not measured")
        writer.describe(
            method={"mode": "text", "in_process": False, "max_tokens": 64, **own, **head},
            dataset={**NO_DATASET, "name": "made up", "items": plan.items},
        )
        writer.share(shared)
        sheet.conclude(writer, stopped)
    return folder
