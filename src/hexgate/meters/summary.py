"""Figures of a resources file: mean, maximum and spread of each level, and what each counter moved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from hexgate.meters.rows import GPU_SERIES, GPU_SERIES_IF_ANY, SERIES, SERVER_GPU_SERIES, SERVER_SERIES
from hexgate.meters.windows import Window

__all__ = ["summarise_resources"]

_COUNTERS = {
    "disk_read_bytes": "bytes",
    "disk_written_bytes": "bytes",
    "process_cpu_s": "seconds",
    "server_cpu_s": "seconds",
}
_Point = tuple[int, float]
_Row = Mapping[str, Any]
_Figure = dict[str, float | int | None]


def summarise_resources(rows: Iterable[_Row], window: Window | None = None) -> dict[str, Any]:
    """Figures of the rows of a resources file. The same rows give the same figures, bit for bit.

    - A level, such as ``cpu_ratio``: ``{"mean", "max", "std", "samples"}`` of the samples in the window, each
      counting the same. `std` is the population's (divided by n), and None for a single sample.
    - A level of GPUs: a list of those, one for each GPU. Temperatures only where rows have them.
    - A counter, such as ``disk_read_bytes``: ``{"bytes", "bytes_per_s", "span_s", "samples"}``, by straight
      lines between samples; `span_s` is how much of the window they cover. For ``process_cpu_s`` it is
      ``seconds`` (of cores) and ``seconds_per_s``.
    - The series of a server under load (``server_``) only where rows have them: where one was looked for.
    - ``covered_ratio``: share of the window between the first sample and the last.
    - ``missing``: why, for each None, by its path.

    Args:
        rows: as the recorder wrote them, from the first.
        window: the span to look at; None for all rows.
    """
    kept = list(rows)
    reasons: dict[str, str] = {}
    for row in kept:
        reasons.update(row.get("missing", {}))
    missing: dict[str, str] = {}

    def figure(name: str, index: int | None = None) -> _Figure | None:
        path = name if index is None else f"{name}.{index}"
        points = _points(kept, name, index)
        unit = _COUNTERS.get(name)
        found = _level(points, window) if unit is None else _movement(points, window, unit)
        if isinstance(found, str):
            missing[path] = reasons.get(path, found) if not points else found
            return None
        if found.get("std", 0) is None:
            missing[f"{path}.std"] = "one sample has no spread"
        return found

    looked_for = {name for row in kept for name in row}
    single = (*SERIES, *(name for name in SERVER_SERIES if name in looked_for))
    optional = (*GPU_SERIES_IF_ANY, *SERVER_GPU_SERIES)
    several = (*GPU_SERIES, *(name for name in optional if name in looked_for))
    summary: dict[str, Any] = {name: figure(name) for name in single}
    for name in several:
        count = max((len(row[name]) for row in kept if row.get(name) is not None), default=0)
        summary[name] = [figure(name, gpu) for gpu in range(count)] if count else figure(name)
    summary["covered_ratio"] = _covered_ratio(kept, window)
    if summary["covered_ratio"] is None:
        missing["covered_ratio"] = "no window was given"
    return {**summary, "missing": missing}


def _points(rows: Sequence[_Row], name: str, index: int | None = None) -> list[_Point]:
    points: list[_Point] = []
    for row in rows:
        value = row.get(name)
        if index is not None and value is not None:
            value = value[index]
        if value is not None:
            points.append((row["t_ns"], value))
    return points


def _level(points: Sequence[_Point], window: Window | None) -> _Figure | str:
    values = [value for t_ns, value in points if window is None or window.start_ns <= t_ns <= window.end_ns]
    if not values:
        return "no sample lies in the window"
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    std = spread if len(values) > 1 else None
    return {"mean": mean, "max": max(values), "std": std, "samples": len(values)}


def _movement(points: Sequence[_Point], window: Window | None, unit: str) -> _Figure | str:
    if len(points) < 2:
        return "a counter needs two samples"
    start_ns, end_ns = points[0][0], points[-1][0]
    if window is not None:
        start_ns, end_ns = max(start_ns, window.start_ns), min(end_ns, window.end_ns)
    steps = [(one, two) for one, two in pairwise(points) if one[0] < end_ns and two[0] > start_ns]
    if end_ns <= start_ns or not steps:
        return "no sample reaches into the window"
    if any(two[1] < one[1] for one, two in steps):
        return "the counter went backwards"
    moved = math.fsum(
        (two[1] - one[1]) * (min(two[0], end_ns) - max(one[0], start_ns)) / (two[0] - one[0])
        for one, two in steps
        if two[0] > one[0]
    )
    span_s = (end_ns - start_ns) / 1e9
    return {unit: moved, f"{unit}_per_s": moved / span_s, "span_s": span_s, "samples": len(steps) + 1}


def _covered_ratio(rows: Sequence[_Row], window: Window | None) -> float | None:
    if window is None:
        return None
    if not rows:
        return 0.0
    covered_ns = min(rows[-1]["t_ns"], window.end_ns) - max(rows[0]["t_ns"], window.start_ns)
    return float(max(0, covered_ns) / (window.end_ns - window.start_ns))
