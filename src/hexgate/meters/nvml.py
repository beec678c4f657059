"""NVIDIA GPUs through NVML: an energy counter where the board has one, else its power.

A function is judged by calling it, not by the age of the board, and one that fails is left out alone. Figures
are of whole boards: NVML sees neither CPUs nor switches, fans and power supplies, and under MIG no single
instance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pynvml

from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Reading, Scope, Unavailable, Unit

__all__ = ["Gpu", "Gpus", "open_gpus", "open_meter"]

NAME = "nvml"
_SYSTEMATIC_RATIO = 0.05
"""The +/-5 % that NVIDIA states for boards for which it states anything."""
_MEMBERS = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
}


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine."""

    handle: Any
    """What NVML's functions want."""
    uuid: str
    """Identity that survives reboots and masks."""
    label: str
    """Product name."""

    def energy_j(self) -> float:
        """Joules since the driver was loaded. Raises NVMLError."""
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3

    def momentary_power_w(self) -> float:
        """Watts now. Raises NVMLError."""
        [field] = pynvml.nvmlDeviceGetFieldValues(self.handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])
        if field.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(field.nvmlReturn)
        member = _MEMBERS.get(field.valueType)
        if member is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return float(getattr(field.value, member)) / 1e3

    def averaged_power_w(self) -> float:
        """Watts, on most boards averaged over the last second. Raises NVMLError."""
        return float(pynvml.nvmlDeviceGetPowerUsage(self.handle)) / 1e3

    def util_ratio(self) -> float:
        """Share of the driver's last sample period in which any kernel ran. Raises NVMLError."""
        return float(pynvml.nvmlDeviceGetUtilizationRates(self.handle).gpu) / 100

    def memory_used_bytes(self) -> int:
        """Bytes of its memory that are allocated. Raises NVMLError."""
        return int(pynvml.nvmlDeviceGetMemoryInfo(self.handle).used)

    def memory_of_processes(self) -> dict[int, int | None]:
        """Bytes that each process with a context holds; None where the driver does not say. Raises NVMLError."""
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(self.handle)
        return {
            int(one.pid): None if one.usedGpuMemory is None else int(one.usedGpuMemory) for one in running
        }

    def util_of_processes(self, since_us: int) -> list[tuple[int, int, float]]:
        """Process, instant (microseconds) and share of multiprocessor time of each sample since. Raises NVMLError.

        Samples are of the driver's own sample periods; a process that did nothing in them has none.
        """
        samples = pynvml.nvmlDeviceGetProcessUtilization(self.handle, since_us)
        return [(int(one.pid), int(one.timeStamp), float(one.smUtil) / 100) for one in samples]


@dataclass(frozen=True)
class Gpus:
    """NVML, initialised once."""

    found: tuple[Gpu, ...]
    """The GPUs that answer, in NVML's order."""
    lacks: tuple[Unavailable, ...]
    """Those that do not."""

    def close(self) -> None:
        """End the use of NVML."""
        pynvml.nvmlShutdown()


def open_gpus() -> Gpus | Unavailable:
    """Initialise NVML and find every GPU."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Unavailable(
            NAME,
            "NVIDIA GPUs",
            f"NVML cannot be used ({error})",
            "where there is an NVIDIA GPU: install its driver; in a container, start it with --gpus all and "
            "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        )
    found: list[Gpu] = []
    lacks: list[Unavailable] = []
    for index in range(_device_count()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = str(pynvml.nvmlDeviceGetUUID(handle))
        except pynvml.NVMLError as error:
            lacks.append(Unavailable(NAME, f"GPU {index}", f"it does not answer ({error})", "see nvidia-smi"))
            continue
        try:
            label = str(pynvml.nvmlDeviceGetName(handle))
        except pynvml.NVMLError:
            label = uuid
        found.append(Gpu(handle, uuid, label))
    if found:
        return Gpus(tuple(found), tuple(lacks))
    pynvml.nvmlShutdown()
    return lacks[0] if lacks else Unavailable(NAME, "NVIDIA GPUs", "the driver knows of none", None)


def _device_count() -> int:
    try:
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


@dataclass(frozen=True)
class _Way:
    """One way to learn a board's energy."""

    read: Callable[[Gpu], float]
    kind: Kind
    unit: Unit
    averaging_s: float


_WAYS = (
    _Way(Gpu.energy_j, Kind.COUNTER, Unit.JOULE, 0.0),
    _Way(Gpu.momentary_power_w, Kind.GAUGE, Unit.WATT, 0.0),
    _Way(Gpu.averaged_power_w, Kind.GAUGE, Unit.WATT, 1.0),
)


class _NvmlMeter:
    name = NAME

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus
        self._sources: list[tuple[Domain, Gpu, _Way]] = []
        self._lacks = list(gpus.lacks)
        for gpu in gpus.found:
            self._probe(gpu)

    def _probe(self, gpu: Gpu) -> None:
        refusals: list[str] = []
        for way in _WAYS:
            try:
                way.read(gpu)
            except pynvml.NVMLError as error:
                refusals.append(str(error))
                continue
            self._sources.append((_domain(gpu, way), gpu, way))
            return
        self._lacks.append(
            Unavailable(
                NAME,
                f"energy of {gpu.label} ({gpu.uuid})",
                "neither energy counter nor power can be read: " + "; ".join(dict.fromkeys(refusals)),
                "measure on the physical board; most virtual GPUs do not show their power",
            )
        )

    def domains(self) -> tuple[Domain, ...]:
        return tuple(domain for domain, _, _ in self._sources)

    def lacks(self) -> tuple[Unavailable, ...]:
        return tuple(self._lacks)

    def read(self) -> list[Reading]:
        readings: list[Reading] = []
        for domain, gpu, way in self._sources:
            before_ns = time.monotonic_ns()
            value: float | None = None
            reason: str | None = None
            try:
                value = way.read(gpu)
            except pynvml.NVMLError as error:
                reason = str(error)
            readings.append(Reading(domain.id, (before_ns + time.monotonic_ns()) // 2, value, reason))
        return readings

    def close(self) -> None:
        self._gpus.close()


def _domain(gpu: Gpu, way: _Way) -> Domain:
    return Domain(
        id=f"nvml:{gpu.uuid}",
        source=NAME,
        device=gpu.uuid,
        label=gpu.label,
        scope=Scope.BOARD,
        kind=way.kind,
        unit=way.unit,
        resolution=1e-3,
        update_s=0.1,
        averaging_s=way.averaging_s,
        systematic_ratio=_SYSTEMATIC_RATIO,
    )


def open_meter(_options: MeterOptions) -> Meter | Unavailable:
    """Open NVML for reading energy."""
    gpus = open_gpus()
    if isinstance(gpus, Unavailable):
        return gpus
    return _NvmlMeter(gpus)
