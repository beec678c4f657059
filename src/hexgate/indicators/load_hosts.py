"""How the hosts of a load did, over time: its client, its stream of events, and what was sampled of each host."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hexgate.indicators.load_folder import LoadFolder
from hexgate.indicators.load_series import MOST_BINS, binned, mean_in_bins
from hexgate.stats.histogram import LogHistogram

__all__ = ["client_series", "gap_histogram", "host_series", "loop_lag_histogram", "stream_series"]

Json = Mapping[str, Any]
_NS = 1e9
_FEWEST_SAMPLES = 2


def gap_histogram(load: LoadFolder) -> LogHistogram | None:
    """The gaps between events with text, in milliseconds; None where nobody recorded them."""
    if "stream" not in load.evidence.names:
        return None
    return LogHistogram.from_json(load.evidence.document("stream")["gaps_ms"])


def stream_series(load: LoadFolder) -> dict[str, Any] | None:
    """Events with text over time; None where nobody counted them."""
    if "stream" not in load.evidence.names:
        return None
    counts = load.evidence.document("stream")["per_second"]
    made = binned(counts["events"], begin_s=float(counts["begin_s"]), every_s=1.0)
    return {"begin_s": made["begin_s"], "step_s": made["step_s"], "events": made["values"]}


def loop_lag_histogram(load: LoadFolder) -> LogHistogram | None:
    """How late the event loops of all workers were, in milliseconds, one value a tick; None where nobody looked."""
    if "client" not in load.evidence.names:
        return None
    merged = LogHistogram()
    for worker in _living(load):
        merged.merge(LogHistogram.from_json(worker["lag"]))
    return merged


def client_series(load: LoadFolder) -> dict[str, Any] | None:
    """Loop lag (the longest of all workers) and cores in use (of each worker) over time; None where nobody looked."""
    if "client" not in load.evidence.names:
        return None
    workers = _living(load)
    seconds = math.ceil(max((row[0] for worker in workers for row in worker["per_second"]), default=0.0))
    if not seconds:
        return None
    group = math.ceil(seconds / MOST_BINS)
    bins = math.ceil(seconds / group)
    lag: list[float | None] = [None] * bins
    cores: list[list[float | None]] = []
    for worker in workers:
        used_s, covered_s = [0.0] * bins, [0.0] * bins
        for begin_s, end_s, lag_ms, cpu_ms in _spans(worker):
            for place, inside_s in _overlaps(begin_s, end_s, group):
                covered_s[place] += inside_s
                used_s[place] += cpu_ms / 1e3 * inside_s / (end_s - begin_s)
                if inside_s >= min(end_s - begin_s, group) / 2:
                    lag[place] = max(lag[place] or 0.0, lag_ms)
        cores.append([used / long if long else None for used, long in zip(used_s, covered_s, strict=True)])
    return {"step_s": float(group), "loop_lag_max_ms": lag, "cpu_cores": cores}


def _spans(worker: Json) -> Iterator[tuple[float, float, float, float]]:
    """What a worker told of each second, which it told at its end: begin, end, longest lag, processor time (ms)."""
    begin_s = 0.0
    for end_s, lag_ms, cpu_ms, *_ in worker["per_second"]:
        if end_s > begin_s:
            yield begin_s, end_s, lag_ms, cpu_ms
            begin_s = end_s


def _overlaps(begin_s: float, end_s: float, step_s: int) -> Iterator[tuple[int, float]]:
    """The bins that a span lies in, and how much of it in each: no span is exactly a second."""
    for place in range(int(begin_s // step_s), math.ceil(end_s / step_s)):
        yield place, min(end_s, (place + 1) * step_s) - max(begin_s, place * step_s)


def _living(load: LoadFolder) -> list[Json]:
    """What each worker told of itself; one that ended before its time told nothing."""
    workers = load.evidence.document("client")["workers"]
    return [worker for worker in workers if worker.get("died") is None]


def host_series(load: LoadFolder, step_s: float, bins: int) -> list[dict[str, Any]]:
    """What was sampled of each host over time, each series as the mean of every bin.

    Args:
        load: the load.
        step_s: length of a bin, at least.
        bins: how many of them there are from the start of the load to its end.
    """
    found = []
    for name, host, started_ns in load.samples():
        if started_ns is None:
            continue
        # A bin holds at least two samples, so that none is empty by chance.
        rows = int(load.artifact["evidence"][name]["rows"])
        group = max(math.ceil(_FEWEST_SAMPLES * bins / max(rows, 1)), 1)
        step, count = step_s * group, math.ceil(bins / group)
        lines = mean_in_bins(_levels(load, name, started_ns), step, count)
        if name == "resources" and {"power", "meters"} <= load.evidence.names:
            lines |= mean_in_bins(_watts(load, started_ns), step, count)
        if lines:
            found.append({"host": host, "step_s": step, "lines": lines})
    return found


def _levels(load: LoadFolder, name: str, started_ns: int) -> Iterator[tuple[float, dict[str, float]]]:
    for row in load.evidence.rows(name):
        values: dict[str, float] = {}
        for key, value in row.items():
            if not key.endswith(("_ratio", "_bytes")) or key.startswith("disk_"):
                continue
            several = value if isinstance(value, list) else [value]
            for place, each in enumerate(several):
                if each is not None:
                    values[f"{key}.{place}" if isinstance(value, list) else key] = float(each)
        yield (row["t_ns"] - started_ns) / _NS, values


def _watts(load: LoadFolder, started_ns: int) -> Iterator[tuple[float, dict[str, float]]]:
    """Power of every domain: as read, or by how far its energy counter moved."""
    domains = {str(domain["id"]): domain for domain in load.evidence.document("meters")["domains"]}
    before: dict[str, tuple[int, float]] = {}
    for row in load.evidence.rows("power"):
        domain = domains.get(str(row["domain"]))
        if domain is None or row["value"] is None:
            continue
        at_ns, value = int(row["t_ns"]), float(row["value"])
        label = f"power_w.{domain['label']}"
        if domain["unit"] == "W":
            yield (at_ns - started_ns) / _NS, {label: value}
            continue
        earlier = before.get(row["domain"])
        before[row["domain"]] = at_ns, value
        # A counter that wrapped, or was begun again, says nothing of this span.
        if domain["unit"] == "J" and earlier is not None and value >= earlier[1] and at_ns > earlier[0]:
            yield (at_ns - started_ns) / _NS, {label: (value - earlier[1]) * _NS / (at_ns - earlier[0])}
