"""What the server under load uses of this machine, where it runs on it: CPU, memory, threads and GPUs.

The server is the tree of the processes that listen at the target's address, or of a process that was named.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import psutil
import pynvml

from hexgate.meters.base import Domain, Kind, Reading, Scope, Unavailable, Unit
from hexgate.meters.nvml import Gpu, Gpus
from hexgate.meters.processes import ProcessTree, TreeUse

__all__ = ["ServerUse", "find_server"]

_SOURCE = "host"
_SERIES = {
    "server_cpu_ratio": (Kind.GAUGE, Unit.RATIO),
    "server_cpu_cores": (Kind.GAUGE, Unit.CORE),
    "server_cpu_s": (Kind.COUNTER, Unit.SECOND),
    "server_rss_bytes": (Kind.GAUGE, Unit.BYTE),
    "server_uss_bytes": (Kind.GAUGE, Unit.BYTE),
    "server_threads": (Kind.GAUGE, Unit.COUNT),
    "server_processes": (Kind.GAUGE, Unit.COUNT),
}
_GPU_UNITS = {"server_gpu_util_ratio": Unit.RATIO, "server_gpu_memory_bytes": Unit.BYTE}
_RENEW_S = 1.0
"""A server may have hundreds of threads, each of which is asked for what it started."""
_SLOW_NS = 1_000_000_000
_NEVER_NS = 2**63 - 1
_SLOW_SHARE = 100
"""Unshared memory is counted page by page: it is read so seldom that it takes at most one part in so many."""
_FIRST = "the first sample has no time before it"
_UNLISTED = "NVML lists no process of the server; in a container it cannot. gpu_{} is of the whole device"


def find_server(pid: int | None, url: str | None, measured: int | None) -> tuple[int, ...] | str:
    """The processes that the server's tree begins with, or why there are none.

    Args:
        pid: the process that was named; None to look for what listens at `url`.
        url: the target's address.
        measured: the measuring process, which can be its own server and is then no other's.
    """
    if pid is not None:
        found: tuple[int, ...] | str = (pid,)
        if not psutil.pid_exists(pid):
            return f"there is no process {pid} on this machine"
    else:
        from hexgate.meters.listener import listening_pids

        found = listening_pids(url or "")
    if not isinstance(found, str) and measured in found:
        return "the server runs in the measuring process: what it uses is in the series of that process"
    return found


class ServerUse:
    """The server's use, or why it cannot be read."""

    def __init__(
        self, roots: tuple[int, ...] | str, gpus: Gpus | Unavailable, *, apart: Collection[int]
    ) -> None:
        self._tree = None if isinstance(roots, str) else ProcessTree(roots, apart=apart, renew_s=_RENEW_S)
        self._gpus = gpus
        self._cpus = psutil.cpu_count() or 1
        self._uss_due_ns = self._gpu_due_ns = 0
        self._seen_us: dict[str, int] = {}
        self._lacks: list[Unavailable] = []
        if isinstance(roots, str):
            self._lacks += [Unavailable(_SOURCE, name, roots) for name in (*_SERIES, *_GPU_UNITS)]
        elif isinstance(gpus, Unavailable):
            self._lacks += [Unavailable(_SOURCE, name, gpus.reason, gpus.remedy) for name in _GPU_UNITS]

    def domains(self) -> Iterator[Domain]:
        """One domain a series; the series of a GPU have its UUID after a colon."""
        if self._tree is None:
            return
        lacking = {lack.what for lack in self._lacks}
        for name, (kind, unit) in _SERIES.items():
            if name in lacking:
                continue
            yield Domain(name, _SOURCE, "server", "server", Scope.SERVER, kind, unit)
        if isinstance(self._gpus, Gpus):
            for name, unit in _GPU_UNITS.items():
                for gpu in self._gpus.found:
                    domain = f"{name}:{gpu.uuid}"
                    yield Domain(domain, _SOURCE, gpu.uuid, gpu.label, Scope.SERVER, Kind.GAUGE, unit)

    def lacks(self) -> list[Unavailable]:
        """The series that cannot be read here."""
        return self._lacks

    def read(self, t_ns: int) -> Iterator[Reading]:
        """One reading of each series; of those that take long to read, only when they are due."""
        if self._tree is None:
            return
        use = self._tree.read(t_ns)
        if isinstance(use, str):
            for name in _SERIES:
                yield Reading(name, t_ns, None, f"the server's process {use}")
            return
        cores = use.cores
        reason = _FIRST if cores is None else None
        yield Reading(
            "server_cpu_ratio", t_ns, None if cores is None else min(1.0, cores / self._cpus), reason
        )
        yield Reading("server_cpu_cores", t_ns, cores, reason)
        yield Reading("server_cpu_s", t_ns, use.cpu_s)
        yield Reading("server_rss_bytes", t_ns, use.rss_bytes)
        yield Reading("server_threads", t_ns, use.threads)
        yield Reading("server_processes", t_ns, len(use.pids))
        if t_ns >= self._uss_due_ns:
            yield from self._uss(use, t_ns)
        if t_ns >= self._gpu_due_ns and isinstance(self._gpus, Gpus):
            self._gpu_due_ns = t_ns + _SLOW_NS
            yield from self._gpu_memory(self._gpus, use.pids, t_ns)
            yield from self._gpu_util(self._gpus, use.pids, t_ns)

    def _uss(self, use: TreeUse, t_ns: int) -> Iterator[Reading]:
        began_ns = time.monotonic_ns()
        try:
            total = sum(int(psutil.Process(pid).memory_full_info().uss) for pid in use.pids)
        except psutil.AccessDenied:
            reason = "the system shows unshared memory to the server's own user alone"
            self._lacks.append(Unavailable(_SOURCE, "server_uss_bytes", reason, "measure as its user"))
            self._uss_due_ns = _NEVER_NS
        except (psutil.Error, OSError):
            # One of them ended meanwhile: the next reading has those that are left.
            self._uss_due_ns = t_ns + _SLOW_NS
        else:
            yield Reading("server_uss_bytes", t_ns, total)
            self._uss_due_ns = t_ns + max(_SLOW_NS, _SLOW_SHARE * (time.monotonic_ns() - began_ns))

    def _gpu_memory(self, gpus: Gpus, pids: Collection[int], t_ns: int) -> list[Reading]:
        held: dict[str, int | str] = {}
        for gpu in gpus.found:
            try:
                sizes = [size for pid, size in gpu.memory_of_processes().items() if pid in pids]
            except pynvml.NVMLError as error:
                held[gpu.uuid] = str(error)
                continue
            if any(size is None for size in sizes):
                held[gpu.uuid] = "the driver does not tell the memory of processes apart"
            elif sizes:
                held[gpu.uuid] = sum(size or 0 for size in sizes)
        # Where one GPU lists processes of the server, another that lists none holds nothing of it.
        listed = any(isinstance(value, int) for value in held.values())
        return [
            self._of_gpu("server_gpu_memory_bytes", gpu, t_ns, held.get(gpu.uuid, 0 if listed else None))
            for gpu in gpus.found
        ]

    def _gpu_util(self, gpus: Gpus, pids: Collection[int], t_ns: int) -> list[Reading]:
        return [self._of_gpu("server_gpu_util_ratio", gpu, t_ns, self._util(gpu, pids)) for gpu in gpus.found]

    def _util(self, gpu: Gpu, pids: Collection[int]) -> float | str | None:
        try:
            samples = gpu.util_of_processes(self._seen_us.get(gpu.uuid, 0))
        except pynvml.NVMLError as error:
            return str(error)
        self._seen_us[gpu.uuid] = max(
            (at_us for _, at_us, _ in samples), default=self._seen_us.get(gpu.uuid, 0)
        )
        shares: dict[int, list[float]] = {}
        for pid, _, share in samples:
            if pid in pids:
                shares.setdefault(pid, []).append(share)
        return min(1.0, sum(sum(one) / len(one) for one in shares.values())) if shares else None

    @staticmethod
    def _of_gpu(name: str, gpu: Gpu, t_ns: int, value: float | str | None) -> Reading:
        if isinstance(value, str):
            return Reading(f"{name}:{gpu.uuid}", t_ns, None, value)
        whole = "util_ratio" if "util" in name else "memory_used_bytes"
        reason = _UNLISTED.format(whole) if value is None else None
        return Reading(f"{name}:{gpu.uuid}", t_ns, value, reason)
