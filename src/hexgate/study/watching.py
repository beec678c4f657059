"""The recorder beside a visit, read while it still writes: what each run used, as soon as the run is over."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hexgate.meters.base import Kind
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import PARTIAL, traces
from hexgate.meters.summary import summarise_resources
from hexgate.meters.windows import Window
from hexgate.study.energy import RunEnergy, Scales, Traces, energy_of_run
from hexgate.study.spec import Quiet
from hexgate.wire.payload import BadPayload, load_object

__all__ = ["Tail", "Watch", "power_metrics", "system_metrics"]

_MEGABYTE = 1e6
_MARGIN_NS = 2_000_000_000
_PATIENCE_S = 2.0
"""How long at most the readings up to the end of a run are waited for."""
_LOOK_EVERY_S = 0.02

_LEVELS = (
    ("cpu_percent_avg", "cpu_ratio", "mean", 100.0),
    ("cpu_percent_peak", "cpu_ratio", "max", 100.0),
    ("mem_used_avg_mb", "memory_used_bytes", "mean", 1 / _MEGABYTE),
    ("mem_used_peak_mb", "memory_used_bytes", "max", 1 / _MEGABYTE),
    ("disk_read_bytes", "disk_read_bytes", "bytes", 1.0),
    ("disk_written_bytes", "disk_written_bytes", "bytes", 1.0),
    ("server_cpu_cores_avg", "server_cpu_cores", "mean", 1.0),
    ("server_mem_peak_mb", "server_rss_bytes", "max", 1 / _MEGABYTE),
)
"""Names of figures, and the series, the statistic and the scale that each is made of."""
_GPU_LEVELS = (
    ("gpu_util_avg", "gpu_util_ratio", "mean", 100.0, False),
    ("gpu_util_peak", "gpu_util_ratio", "max", 100.0, False),
    ("gpu_mem_avg_mb", "gpu_memory_used_bytes", "mean", 1 / _MEGABYTE, True),
    ("gpu_mem_peak_mb", "gpu_memory_used_bytes", "max", 1 / _MEGABYTE, True),
    ("gpu_temperature_avg_c", "gpu_temperature_c", "mean", 1.0, False),
    ("gpu_temperature_peak_c", "gpu_temperature_c", "max", 1.0, False),
)
"""The same of GPUs, and whether they add up; what does not is the mean of the GPUs, and for a peak the highest."""


class Tail:
    """The rows of a file that another process still writes."""

    def __init__(self, path: Path) -> None:
        self._paths = (path.with_name(path.name + PARTIAL), path)
        self._done = 0

    def more(self) -> list[dict[str, Any]]:
        """The whole rows that came since the last call; none where the file is not there."""
        for path in self._paths:
            try:
                with path.open("rb") as file:
                    file.seek(self._done)
                    data = file.read()
            except OSError:
                continue
            whole = data[: data.rfind(b"\n") + 1]
            self._done += len(whole)
            return [row for line in whole.splitlines() if (row := _row(line)) is not None]
        return []


class Watch:
    """What the recorder of one visit says of its runs.

    Args:
        recorder: the recorder, running.
        scales: the domains whose energy is the model's.
    """

    def __init__(self, recorder: Recorder, scales: Scales) -> None:
        self._recorder = recorder
        self.scales = scales
        """The domains whose energy is the model's."""
        self.traces: dict[str, list[tuple[int, float]]] = {}
        """Readings of power so far, by domain."""
        self._power = Tail(recorder.power_path)
        self._resources = Tail(recorder.resources_path)
        self._rows: list[dict[str, Any]] = []
        self._reasons: dict[str, str] = {}

    def energy(self, window: Window, quiet: Quiet | None) -> RunEnergy:
        """Energy of a run that is over, its quiet edges included."""
        until_ns = window.end_ns + (0 if quiet is None else round(quiet.after_s * 1e9))
        self.read_until(until_ns)
        return energy_of_run(self.traces, self.scales, window, quiet)

    def read_until(self, until_ns: int) -> None:
        """Read the power up to an instant, and wait a moment for readings that are still to come."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            for domain, trace in traces(self._power.more()).items():
                self.traces.setdefault(domain, []).extend(trace)
            if self.scales.lack is not None or self._recorder.failure is not None:
                return
            lasts = [trace[-1][0] if trace else 0 for trace in self._own_traces()]
            if (lasts and min(lasts) >= until_ns) or time.monotonic() > deadline:
                return
            time.sleep(_LOOK_EVERY_S)

    def system(self, window: Window, energy: RunEnergy) -> tuple[dict[str, Any], dict[str, str]]:
        """The block ``system_metrics`` of a run, and why what is missing in it is."""
        for row in self._resources.more():
            self._reasons.update(row.get("missing") or {})
            self._rows.append(row)
        # What lies before this run is not asked for again.
        begin = bisect_left([row["t_ns"] for row in self._rows], window.start_ns - _MARGIN_NS)
        self._rows = self._rows[begin:]
        rows: list[Mapping[str, Any]] = list(self._rows)
        if rows:
            rows.insert(0, {"t_ns": rows[0]["t_ns"], "missing": dict(self._reasons)})
        found, missing = system_metrics(summarise_resources(rows, window))
        power, lacking = power_metrics(energy, self.traces)
        return {**found, **power}, {**missing, **lacking}

    def _own_traces(self) -> list[list[tuple[int, float]]]:
        return [self.traces.get(domain.id, []) for domain in self.scales.domains]


def power_metrics(energy: RunEnergy, traces: Traces) -> tuple[dict[str, Any], dict[str, str]]:
    """Energy and power of a run's accelerator boards, and why what is None is.

    Args:
        energy: energy of the run.
        traces: readings of power, by domain.
    """
    gpu, boards = energy.of_boards(), energy.scales.boards
    peaks = [_peak(traces.get(domain.id, ()), energy.window) for domain in boards]
    gauges = all(domain.kind is Kind.GAUGE for domain in boards)
    known = [peak for peak in peaks if peak is not None]
    found: dict[str, Any] = {
        "gpu_energy_j": None if gpu is None else gpu.gross_j,
        "gpu_power_avg_w": None if gpu is None else gpu.mean_power_w,
        "gpu_power_peak_w": sum(known) if known and gauges and len(known) == len(peaks) else None,
    }
    missing: dict[str, str] = {}
    if gpu is None:
        missing = dict.fromkeys(found, energy.reason() or "the energy of no GPU is read")
    elif found["gpu_power_peak_w"] is None:
        missing["gpu_power_peak_w"] = "a counter of energy shows no highest power"
    return found, missing


def system_metrics(summary: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Figures of a summary of resources under the names of a study's records, and why what is None is.

    Percent are 0 to 100 and megabytes 1e6 bytes, as the names say.
    """
    reasons: Mapping[str, str] = summary["missing"]
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, series, statistic, scale in _LEVELS:
        figure = summary.get(series)
        found[name] = None if figure is None else figure[statistic] * scale
        if figure is None:
            missing[name] = reasons.get(series, "the server's processes were not found on this machine")
    for name, series, statistic, scale, adds_up in _GPU_LEVELS:
        found[name] = _of_gpus(summary.get(series), statistic, scale, adds_up=adds_up)
        if found[name] is None:
            missing[name] = (
                reasons.get(series) or reasons.get(f"{series}.0") or "there is no GPU to read it of"
            )
    return found, missing


def _of_gpus(figures: Any, statistic: str, scale: float, *, adds_up: bool) -> float | None:
    if not isinstance(figures, list) or not figures or any(figure is None for figure in figures):
        return None
    values = [figure[statistic] * scale for figure in figures]
    if statistic == "max" and not adds_up:
        return float(max(values))
    joined: Callable[[list[float]], float] = sum if adds_up else _mean
    return float(joined(values))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _peak(trace: Any, window: Window) -> float | None:
    return max((value for at, value in trace if window.start_ns <= at <= window.end_ns), default=None)


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        return load_object(line)
    except BadPayload:
        # A writer that was killed may leave anything; what is no row is no reading.
        return None
