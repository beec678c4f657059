"""The files of a recording: their names, their rows, and the traces read back from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hexgate.meters.base import Reading, Unavailable

__all__ = [
    "GPU_SERIES",
    "GPU_SERIES_IF_ANY",
    "PARTIAL",
    "POWER",
    "RESOURCES",
    "SERIES",
    "SERVER_GPU_SERIES",
    "SERVER_METRICS",
    "SERVER_SERIES",
    "failed_reads",
    "power_row",
    "resources_row",
    "traces",
]

RESOURCES = "resources.jsonl"
"""End of the name of the resources file: one row a sample."""
POWER = "power.jsonl"
"""End of the name of the power file: one row a reading of one domain."""
SERVER_METRICS = "server_metrics.jsonl"
"""End of the name of the file of a server's own metrics: one row a value of one series."""
PARTIAL = ".partial"
"""What follows the name of a file that is still written, or whose writers were killed."""

SERIES = (
    "cpu_ratio",
    "memory_used_bytes",
    "memory_total_bytes",
    "disk_read_bytes",
    "disk_written_bytes",
    "process_cpu_ratio",
    "process_cpu_s",
    "process_rss_bytes",
)
"""The series of which a resources row has one value each."""
GPU_SERIES = ("gpu_util_ratio", "gpu_memory_used_bytes")
"""The series of which it has a list with one value for each GPU, in the order of the domains, or null."""
GPU_SERIES_IF_ANY = ("gpu_temperature_c",)
"""Further lists of that kind, which it has only where there is a GPU."""
SERVER_SERIES = (
    "server_cpu_ratio",
    "server_cpu_cores",
    "server_cpu_s",
    "server_rss_bytes",
    "server_uss_bytes",
    "server_threads",
    "server_processes",
)
"""The series of a server under load, of which a row has one value each where there is a server to look for. What
takes long to read is read once a second: rows between have no such key."""
SERVER_GPU_SERIES = ("server_gpu_util_ratio", "server_gpu_memory_bytes")
"""What that server uses of each GPU, as far as NVML tells processes apart; read once a second."""


def resources_row(readings: Sequence[Reading], lacks: Sequence[Unavailable]) -> dict[str, Any]:
    """One sample of the host as one row: every series by name, and `missing` with a reason for each null."""
    nulls = dict.fromkeys((*SERIES, *GPU_SERIES, *(lack.what for lack in lacks)))
    row: dict[str, Any] = {"t_ns": readings[0].t_ns, **nulls}
    missing = {lack.what: lack.reason for lack in lacks}
    for reading in readings:
        series, _, device = reading.domain.partition(":")
        place = series
        if device:
            row[series] = [*(row.get(series) or ()), reading.value]
            place = f"{series}.{len(row[series]) - 1}"
        else:
            row[series] = reading.value
        if reading.value is None:
            missing[place] = reading.reason or "not read"
    return {**row, "missing": missing}


def power_row(reading: Reading) -> dict[str, Any]:
    """One reading of an energy domain as one row; a failed one has null and a reason."""
    row: dict[str, Any] = {"t_ns": reading.t_ns, "domain": reading.domain, "value": reading.value}
    return row if reading.value is not None else {**row, "reason": reading.reason}


def failed_reads(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, str]]]:
    """The failed reads of a power file by domain, as (t_ns, reason)."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        if row["value"] is None:
            found.setdefault(str(row["domain"]), []).append(
                (int(row["t_ns"]), str(row.get("reason") or "not read"))
            )
    return found


def traces(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """The rows of a power file by domain, as (t_ns, value); a failed read has no value and leaves a gap."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        trace = found.setdefault(str(row["domain"]), [])
        if row["value"] is not None:
            trace.append((int(row["t_ns"]), float(row["value"])))
    return found
