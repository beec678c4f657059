"""NVIDIA GPUs through NVML: an energy counter where the board has one, else its power.

A function is judged by calling it, not by the age of the board, and one that fails is left out alone: a machine that
shows no GPU memory still shows its energy. Figures are of whole boards: NVML sees neither CPUs nor switches, fans and
power supplies, and under MIG no single instance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynvml

from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Reading, Scope, Unavailable, Unit

__all__ = ["Gpu", "Gpus", "open_gpus", "open_meter"]

NAME = "nvml"
_SYSTEMATIC_RATIO = 0.05
"""The +/-5 % that NVIDIA states for boards for which it states anything."""
_UPDATE_S = 0.1
"""Of counters and power, as the authors of ML.ENERGY found it on current boards; NVIDIA states none."""
_MOST_POWER_W = 10_000.0
"""Several times what the largest board or module draws: a counter that leaps beyond it was set."""
_AVERAGING_S = 1.0
_GA100 = (8, 0)
"""Compute capability of the GA100, the last board whose power usage NVIDIA describes as momentary."""
_MODULE_SCOPE = 1
"""NVML_POWER_SCOPE_MODULE, which older bindings do not name."""
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
        """Watts of the board now. Raises NVMLError."""
        return self._power_field_w(pynvml.NVML_FI_DEV_POWER_INSTANT)

    def module_power_w(self) -> float:
        """Watts of the module of GPU and CPU now, where there is one. Raises NVMLError."""
        return self._power_field_w((pynvml.NVML_FI_DEV_POWER_INSTANT, _MODULE_SCOPE))

    def _power_field_w(self, asked: int | tuple[int, int]) -> float:
        [field] = pynvml.nvmlDeviceGetFieldValues(self.handle, [asked])
        if field.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(field.nvmlReturn)
        member = _MEMBERS.get(field.valueType)
        if member is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return float(getattr(field.value, member)) / 1e3

    def power_w(self) -> float:
        """Watts of the board, averaged over the last `averaging_s`. Raises NVMLError."""
        return float(pynvml.nvmlDeviceGetPowerUsage(self.handle)) / 1e3

    def averaging_s(self) -> float:
        """Over how many past seconds `power_w` averages: one, but on GA100 and older boards none.

        So NVIDIA describes nvmlDeviceGetPowerUsage. GA100 is told from the other boards of its generation by its
        compute capability. Where that cannot be read it is one second: the answer that makes windows wary.
        """
        try:
            capability = pynvml.nvmlDeviceGetCudaComputeCapability(self.handle)
        except pynvml.NVMLError:
            return _AVERAGING_S
        return 0.0 if tuple(capability) <= _GA100 else _AVERAGING_S

    def is_divided(self) -> bool:
        """Whether MIG divides it into instances."""
        try:
            current, _pending = pynvml.nvmlDeviceGetMigMode(self.handle)
        except pynvml.NVMLError:
            return False
        return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)

    def util_ratio(self) -> float:
        """Share of the driver's last sample period in which any kernel ran. Raises NVMLError."""
        return float(pynvml.nvmlDeviceGetUtilizationRates(self.handle).gpu) / 100

    def memory_used_bytes(self) -> int:
        """Bytes of its memory that are allocated. Raises NVMLError."""
        return int(pynvml.nvmlDeviceGetMemoryInfo(self.handle).used)

    def temperature_c(self) -> int:
        """Degrees Celsius of its core. Raises NVMLError."""
        try:
            return int(pynvml.nvmlDeviceGetTemperatureV(self.handle, pynvml.NVML_TEMPERATURE_GPU))
        except (
            AttributeError,
            pynvml.NVMLError_FunctionNotFound,
        ):  # a binding or a driver from before this one
            return int(pynvml.nvmlDeviceGetTemperature(self.handle, pynvml.NVML_TEMPERATURE_GPU))

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
        """End the use of NVML; a driver that is gone has ended it already."""
        with suppress(pynvml.NVMLError):
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
    try:
        count = int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError as error:
        count = 0
        lacks.append(Unavailable(NAME, "NVIDIA GPUs", f"they cannot be counted ({error})", "see nvidia-smi"))
    for index in range(count):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = str(pynvml.nvmlDeviceGetUUID(handle))
        except pynvml.NVMLError as error:
            lacks.append(Unavailable(NAME, f"GPU {index}", f"it does not answer ({error})", "see nvidia-smi"))
            continue
        try:
            label = str(pynvml.nvmlDeviceGetName(handle))
        except (pynvml.NVMLError, UnicodeDecodeError):
            label = uuid
        found.append(Gpu(handle, uuid, label))
    gpus = Gpus(tuple(found), tuple(lacks))
    if found:
        return gpus
    gpus.close()
    return lacks[0] if lacks else Unavailable(NAME, "NVIDIA GPUs", "the driver knows of none", None)


@dataclass(frozen=True)
class _Way:
    """One way to learn a board's energy."""

    read: Callable[[Gpu], float]
    kind: Kind
    unit: Unit
    scope: Scope = Scope.BOARD
    averaging_s: Callable[[Gpu], float] = lambda _: 0.0


_WAYS = (
    _Way(Gpu.energy_j, Kind.COUNTER, Unit.JOULE),
    _Way(Gpu.momentary_power_w, Kind.GAUGE, Unit.WATT),
    _Way(Gpu.power_w, Kind.GAUGE, Unit.WATT, averaging_s=Gpu.averaging_s),
    # Where GPU and CPU share a module, the module's power may be all that is shown.
    _Way(Gpu.module_power_w, Kind.GAUGE, Unit.WATT, scope=Scope.MODULE),
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
                value = way.read(gpu)
            except pynvml.NVMLError as error:
                refusals.append(str(error))
                continue
            if way.kind is Kind.GAUGE and value <= 0:
                refusals.append("it shows 0 W")
                continue
            self._sources.append((_domain(gpu, way), gpu, way))
            if gpu.is_divided():
                self._lacks.append(_undivided(gpu))
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


def _undivided(gpu: Gpu) -> Unavailable:
    return Unavailable(
        NAME,
        f"energy of single MIG instances of {gpu.label} ({gpu.uuid})",
        "NVML shows the energy of the whole board: what is measured is of all its instances together",
        "for the energy of one instance, let no other be at work, and read the board's figure as its own",
    )


def _domain(gpu: Gpu, way: _Way) -> Domain:
    return Domain(
        id=f"nvml:{gpu.uuid}",
        source=NAME,
        device=gpu.uuid,
        label=gpu.label,
        scope=way.scope,
        kind=way.kind,
        unit=way.unit,
        resolution=1e-3,
        update_s=_UPDATE_S,
        averaging_s=way.averaging_s(gpu),
        max_power_w=_MOST_POWER_W if way.kind is Kind.COUNTER else None,
        systematic_ratio=_SYSTEMATIC_RATIO,
    )


def open_meter(_options: MeterOptions) -> Meter | Unavailable:
    """Open NVML for reading energy."""
    gpus = open_gpus()
    if isinstance(gpus, Unavailable):
        return gpus
    return _NvmlMeter(gpus)
