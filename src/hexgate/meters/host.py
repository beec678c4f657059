"""Resources of the whole host, of the measured process, of the server under load and of the GPUs.

A use ratio is the share of the time since the sample before, so the first sample has none. Ratios are of all
logical CPUs together, for processes too. The measured process counts with all that it started, such as the workers
of a load, but for the sampler itself and the server. In a container, CPU, memory and disks are the host's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping

import psutil
import pynvml

from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Reading, Scope, Unavailable, Unit
from hexgate.meters.nvml import Gpu, Gpus, open_gpus
from hexgate.meters.processes import ProcessTree
from hexgate.meters.rows import GPU_SERIES
from hexgate.meters.server import ServerUse, find_server

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
    "gpu_temperature_c": (Unit.CELSIUS, Gpu.temperature_c),
}
_FIRST = "the first sample has no time before it"


class HostMeter:
    """What the operating system and NVML say of the use of this machine."""

    name = NAME

    def __init__(
        self,
        pid: int | None,
        gpus: Gpus | Unavailable,
        server: ServerUse | None = None,
        *,
        apart: Iterable[int] = (),
    ) -> None:
        self._gpus = gpus
        self._server = server
        self._tree = None if pid is None else ProcessTree([pid], apart={*apart, os.getpid()} - {pid})
        self._lacks: dict[str, Unavailable] = {}
        self._cpus = psutil.cpu_count() or 1
        self._cpu_before: dict[str, float] | None = None
        if isinstance(gpus, Unavailable):
            self._lack(GPU_SERIES, gpus.reason, gpus.remedy)
        if pid is None:
            self._lack(_PROCESS, "the measured process is not on this machine", None)
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
        if self._server is not None:
            found += self._server.domains()
        return tuple(found)

    def lacks(self) -> tuple[Unavailable, ...]:
        """The series that this machine does not show."""
        return (*self._lacks.values(), *(self._server.lacks() if self._server is not None else ()))

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
        if self._tree is not None:
            readings += self._process_readings(self._tree, t_ns)
        if self._server is not None:
            readings += self._server.read(t_ns)
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

    def _process_readings(self, tree: ProcessTree, t_ns: int) -> list[Reading]:
        use = tree.read(t_ns)
        if isinstance(use, str):
            reason = f"the measured process {use}"
            return [Reading(name, t_ns, None, reason) for name in _PROCESS]
        # CPU time comes in clock ticks: over a short interval it can exceed what the interval holds.
        share = None if use.cores is None else min(1.0, use.cores / self._cpus)
        return [
            Reading("process_cpu_ratio", t_ns, share, _FIRST if share is None else None),
            Reading("process_cpu_s", t_ns, use.cpu_s),
            Reading("process_rss_bytes", t_ns, use.rss_bytes),
        ]

    def close(self) -> None:
        """Let go of NVML."""
        if isinstance(self._gpus, Gpus):
            self._gpus.close()


def open_meter(options: MeterOptions) -> Meter | Unavailable:
    """Open the host's resources; `options.pid` is the measured process."""
    gpus = open_gpus()
    if options.server_pid is None and options.server_url is None:
        return HostMeter(options.pid, gpus)
    roots = find_server(options.server_pid, options.server_url, options.pid)
    own = () if options.pid is None else (options.pid,)
    server = ServerUse(roots, gpus, apart=(*own, os.getpid()))
    return HostMeter(options.pid, gpus, server, apart=() if isinstance(roots, str) else roots)


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
