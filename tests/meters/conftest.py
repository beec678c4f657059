"""Machines to measure that are not there: a powercap tree, and an NVML library in place of the driver's."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pynvml
import pytest


class PowercapTree:
    """A powercap tree in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "intel-rapl").mkdir()

    def zone(
        self, zone: str, name: str, *, energy_uj: int = 1_000_000, range_uj: int = 262_143_328_850
    ) -> Path:
        """Add a zone; returns the path of its counter."""
        folder = self.root / zone
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n", encoding="ascii")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n", encoding="ascii")
        counter = folder / "energy_uj"
        self.put(counter, energy_uj)
        return counter

    @staticmethod
    def put(counter: Path, energy_uj: int) -> None:
        """Set a counter in one step, as the kernel does."""
        new = counter.with_suffix(".new")
        new.write_text(f"{energy_uj}\n", encoding="ascii")
        os.replace(new, counter)  # noqa: PTH105


@pytest.fixture
def powercap(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path / "powercap")


Shown = int | Callable[[], int]


def _now(shown: Shown) -> int:
    return shown if isinstance(shown, int) else shown()


class _Refused(Exception):
    """A board answers nothing but an error."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Board:
    """A GPU behind the fake library. A value below 0 is an error code; one that is called is what is shown just now."""

    uuid: str
    name: str = "NVIDIA Test 100"
    energy_mj: Shown = 5_000_000
    instant_mw: Shown = 301_000
    average_mw: Shown = 299_000
    module_mw: Shown = -pynvml.NVML_ERROR_NOT_SUPPORTED
    util_percent: int = 37
    memory_used: int = 3 * 2**30
    processes: dict[int, int] = field(default_factory=dict)
    samples: list[tuple[int, int, int]] = field(default_factory=list)
    process_error: int = 0
    capability: tuple[int, int] | int = (9, 0)
    mig: int = -pynvml.NVML_ERROR_NOT_SUPPORTED
    temperature_c: int = 45
    error: Shown = 0
    """What every function of it returns instead of an answer, where it is not 0."""
    handle: ctypes.Structure = field(default_factory=pynvml.struct_c_nvmlDevice_t)


class _Function:
    """What ctypes gives for a symbol: callable, and open for attributes such as restype."""

    def __init__(self, call: Callable[..., int]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> int:
        try:
            return self._call(*arguments)
        except _Refused as refused:
            return refused.code


class FakeNvml:
    """An object in place of the ctypes library, so that the official binding itself is exercised."""

    def __init__(self) -> None:
        self.boards: list[Board] = []
        self.open_count = 0
        self.init_error = 0

    def add(self, uuid: str, **state: Any) -> Board:
        """Put one more GPU into the machine."""
        self.boards.append(Board(uuid, **state))
        return self.boards[-1]

    def __getattr__(self, symbol: str) -> _Function:
        # An AttributeError here is what the binding takes for a function that the driver does not have.
        return _Function(object.__getattribute__(self, f"_{symbol}"))

    def _board(self, handle: Any) -> Board:
        address = ctypes.addressof(handle.contents)
        board = next(board for board in self.boards if ctypes.addressof(board.handle) == address)
        if code := _now(board.error):
            raise _Refused(code)
        return board

    def _nvmlInitWithFlags(self, flags: int) -> int:  # noqa: N802
        self.open_count += 1 if self.init_error == 0 else 0
        return self.init_error

    def _nvmlShutdown(self) -> int:  # noqa: N802
        self.open_count -= 1
        return 0

    def _nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.boards)
        return 0

    def _nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:  # noqa: N802
        board = self.boards[index.value]
        handle._obj.contents = board.handle
        return pynvml.NVML_ERROR_GPU_IS_LOST if board.uuid == "lost" else 0

    def _nvmlDeviceGetUUID(self, handle: Any, buffer: Any, _length: Any) -> int:  # noqa: N802
        buffer.value = self._board(handle).uuid.encode()
        return 0

    def _nvmlDeviceGetName(self, handle: Any, buffer: Any, _length: Any) -> int:  # noqa: N802
        buffer.value = self._board(handle).name.encode()
        return 0

    def _nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:  # noqa: N802
        return _put(value, self._board(handle).energy_mj)

    def _nvmlDeviceGetPowerUsage(self, handle: Any, value: Any) -> int:  # noqa: N802
        return _put(value, self._board(handle).average_mw)

    def _nvmlDeviceGetFieldValues(self, handle: Any, _count: Any, values: Any) -> int:  # noqa: N802
        board = self._board(handle)
        answer = values._obj[0]
        assert answer.fieldId == 186
        power_mw = _now(board.instant_mw if answer.scopeId == 0 else board.module_mw)
        answer.nvmlReturn = max(0, -power_mw)
        answer.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        answer.value.uiVal = max(0, power_mw)
        return 0

    def _nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: N802
        percent = self._board(handle).util_percent
        rates._obj.gpu = max(0, percent)
        return max(0, -percent)

    def _nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, found: Any) -> int:  # noqa: N802
        board = self._board(handle)
        if board.process_error or not board.processes:
            count._obj.value = 0
            return board.process_error
        if found is None:
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        for place, (pid, size) in enumerate(board.processes.items()):
            found[place].pid, found[place].usedGpuMemory = pid, size
        count._obj.value = len(board.processes)
        return 0

    def _nvmlDeviceGetProcessUtilization(self, handle: Any, found: Any, count: Any, since: Any) -> int:  # noqa: N802
        board = self._board(handle)
        wanted = [sample for sample in board.samples if sample[1] > since.value]
        if board.process_error or not wanted:
            return board.process_error or pynvml.NVML_ERROR_NOT_FOUND
        count._obj.value = len(wanted)
        if found is None:
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        for place, (pid, at_us, percent) in enumerate(wanted):
            found[place].pid, found[place].timeStamp, found[place].smUtil = pid, at_us, percent
        return 0

    def _nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:  # noqa: N802
        _put(pending, 0)
        return _put(current, self._board(handle).mig)

    def _nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> int:  # noqa: N802
        capability = self._board(handle).capability
        if isinstance(capability, int):
            return -capability
        return _put(major, capability[0]) + _put(minor, capability[1])

    def _nvmlDeviceGetTemperatureV(self, handle: Any, temperature: Any) -> int:  # noqa: N802
        assert temperature._obj.version == pynvml.nvmlTemperature_v1
        celsius = self._board(handle).temperature_c
        temperature._obj.temperature = celsius
        return max(0, -celsius)

    def _nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        used = self._board(handle).memory_used
        memory._obj.used = max(0, used)
        return max(0, -used)


def _put(reference: Any, shown: Shown) -> int:
    value = _now(shown)
    reference._obj.value = max(0, value)
    return max(0, -value)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    library = FakeNvml()
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    yield library
    assert library.open_count == 0, "NVML was not given back as often as it was taken"


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "CDLL", missing)
