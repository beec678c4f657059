"""Resources of the whole host, of the measured process and of the GPUs, each sample without waiting.

A use ratio is the share of the time since the sample before, so the first sample has none. Ratios are of all
logical CPUs together, for the process too; children of the process are not in its figures. In a container,
CPU, memory and disks are the host's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import psutil
import pynvml

from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Reading, Scope, Unavailable, Unit
from hexgate.meters.nvml import Gpu, Gpus, open_gpus

__all__ = ["HostMeter", "open_meter"]

NAME = "host"
_HOST = {
    "cpu_ratio": (Kind.GAUGE, Unit.RATIO),
    "memory_used_bytes": (Kind.GAUGE, Unit.BYTE),
    "memory_total_bytes": (Kind.GAUGE, Unit.BYTE),
    "disk_read_bytes": (Kind.COUNTER, Unit.BYTE),
    "disk_written_bytes": (Kind.COUNTER, Unit.BYTE),
}
_PROCESS = {
    "process_cpu_ratio": (Kind.GAUGE, Unit.RATIO),
    "process_cpu_s": (Kind.COUNTER, Unit.SECOND),
    "process_rss_bytes": (Kind.GAUGE, Unit.BYTE),
}
_GPU: Mapping[str, tuple[Unit, Callable[[Gpu], float | int]]] = {
    "gpu_util_ratio": (Unit.RATIO, Gpu.util_ratio),
    "gpu_memory_used_bytes": (Unit.BYTE, Gpu.memory_used_bytes),
}
_FIRST = "the first sample has no time before it"


class HostMeter:
    """What the operating system and NVML say of the use of this machine."""

    name = NAME

    def __init__(self, pid: int | None, gpus: Gpus | Unavailable) -> None:
        self._gpus = gpus
        self._process: psutil.Process | None = None
        self._lacks: dict[str, Unavailable] = {}
        self._cpus = psutil.cpu_count() or 1
        self._cpu_before: dict[str, float] | None = None
        self._process_before: tuple[int, float] | None = None
        if isinstance(gpus, Unavailable):
            self._lack(_GPU, gpus.reason, gpus.remedy)
        if pid is None:
            self._lack(_PROCESS, "the measured process is not on this machine", None)
        else:
            try:
                self._process = psutil.Process(pid)
            except psutil.Error as error:
                self._lack(_PROCESS, _why(error), None)
        if _disk_bytes() is None:
            self._lack(
                ("disk_read_bytes", "disk_written_bytes"),
                "the system shows no disk counters",
                "measure on the host",
            )

    def _lack(self, series: Iterable[str], reason: str, remedy: str | None) -> None:
        for name in series:
            self._lacks[name] = Unavailable(NAME, name, reason, remedy)

    def domains(self) -> tuple[Domain, ...]:
        """One domain a series; the series of a GPU have its UUID after a colon."""
        found = [
            Domain(name, NAME, scope.value, scope.value, scope, kind, unit)
            for group, scope in ((_HOST, Scope.HOST), (_PROCESS, Scope.PROCESS))
            for name, (kind, unit) in group.items()
            if name not in self._lacks
        ]
        if isinstance(self._gpus, Gpus):
            found += [
                Domain(f"{name}:{gpu.uuid}", NAME, gpu.uuid, gpu.label, Scope.BOARD, Kind.GAUGE, unit)
                for name, (unit, _) in _GPU.items()
                for gpu in self._gpus.found
            ]
        return tuple(found)

    def lacks(self) -> tuple[Unavailable, ...]:
        """The series that this machine does not show."""
        return tuple(self._lacks.values())

    def read(self) -> list[Reading]:
        """One sample of every series, all with one stamp."""
        t_ns = time.monotonic_ns()
        memory = psutil.virtual_memory()
        readings = [
            self._cpu(t_ns),
            # total - available, because what psutil calls "used" has changed its meaning over time
            Reading("memory_used_bytes", t_ns, memory.total - memory.available),
            Reading("memory_total_bytes", t_ns, memory.total),
        ]
        if "disk_read_bytes" not in self._lacks:
            disk = _disk_bytes()
            reason = None if disk else "the system shows no disk counters any more"
            read, written = disk or (None, None)
            readings += [
                Reading("disk_read_bytes", t_ns, read, reason),
                Reading("disk_written_bytes", t_ns, written, reason),
            ]
        if self._process is not None:
            readings += self._process_readings(self._process, t_ns)
        if isinstance(self._gpus, Gpus):
            readings += [
                _gpu_reading(f"{name}:{gpu.uuid}", t_ns, read_value, gpu)
                for name, (_, read_value) in _GPU.items()
                for gpu in self._gpus.found
            ]
        return readings

    def _cpu(self, t_ns: int) -> Reading:
        times = psutil.cpu_times()._asdict()
        before, self._cpu_before = self._cpu_before, times
        if before is None:
            return Reading("cpu_ratio", t_ns, None, _FIRST)
        # Linux may take back time that it had booked as waiting; guests' time is in user and nice already.
        spent = {kind: max(0.0, times[kind] - before[kind]) for kind in times if not kind.startswith("guest")}
        total_s = sum(spent.values())
        if total_s <= 0:
            return Reading("cpu_ratio", t_ns, None, "the CPU clocks did not move since the sample before")
        busy_s = sum(seconds for kind, seconds in spent.items() if kind not in {"idle", "iowait"})
        return Reading("cpu_ratio", t_ns, min(1.0, busy_s / total_s))

    def _process_readings(self, process: psutil.Process, t_ns: int) -> list[Reading]:
        try:
            with process.oneshot():
                times = process.cpu_times()
                rss_bytes = process.memory_info().rss
            if not process.is_running() or rss_bytes == 0:
                raise psutil.NoSuchProcess(process.pid)
        except psutil.Error as error:
            return [Reading(name, t_ns, None, _why(error)) for name in _PROCESS]
        cpu_s = times.user + times.system
        before, self._process_before = self._process_before, (t_ns, cpu_s)
        ratio = Reading("process_cpu_ratio", t_ns, None, _FIRST)
        if before is not None:
            share = (cpu_s - before[1]) / ((t_ns - before[0]) / 1e9) / self._cpus
            # CPU time comes in clock ticks: over a short interval it can exceed what the interval holds.
            ratio = Reading("process_cpu_ratio", t_ns, min(1.0, share))
        return [
            ratio,
            Reading("process_cpu_s", t_ns, cpu_s),
            Reading("process_rss_bytes", t_ns, rss_bytes),
        ]

    def close(self) -> None:
        """Let go of NVML."""
        if isinstance(self._gpus, Gpus):
            self._gpus.close()


def open_meter(options: MeterOptions) -> Meter | Unavailable:
    """Open the host's resources; `options.pid` is the measured process."""
    return HostMeter(options.pid, open_gpus())


def _gpu_reading(domain: str, t_ns: int, read: Callable[[Gpu], float | int], gpu: Gpu) -> Reading:
    try:
        return Reading(domain, t_ns, read(gpu))
    except pynvml.NVMLError as error:
        return Reading(domain, t_ns, None, str(error))


def _disk_bytes() -> tuple[int, int] | None:
    try:
        counters = psutil.disk_io_counters()
    except (OSError, RuntimeError, NotImplementedError):
        return None
    return None if counters is None else (counters.read_bytes, counters.write_bytes)


def _why(error: psutil.Error) -> str:
    if isinstance(error, psutil.AccessDenied):
        return "the measured process belongs to someone else"
    return "the measured process has ended"
