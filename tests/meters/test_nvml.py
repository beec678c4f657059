from __future__ import annotations

from typing import Any

import pynvml
import pytest

from hexgate.meters.base import Kind, Meter, MeterOptions, Scope, Unavailable, Unit
from hexgate.meters.nvml import open_meter

UNSUPPORTED = -pynvml.NVML_ERROR_NOT_SUPPORTED


def _open() -> Meter:
    meter = open_meter(MeterOptions())
    assert not isinstance(meter, Unavailable)
    return meter


def test_energy_counter_comes_first(nvml: Any) -> None:
    board = nvml.add("GPU-a", energy_mj=123_456_789)
    meter = _open()
    [domain] = meter.domains()
    assert (domain.id, domain.device, domain.label) == ("nvml:GPU-a", "GPU-a", "NVIDIA Test 100")
    assert (domain.scope, domain.kind, domain.unit) == (Scope.BOARD, Kind.COUNTER, Unit.JOULE)
    assert domain.max_power_w == 10_000.0, "a leap beyond it is no energy"
    assert domain.wrap_range_j is None
    board.energy_mj += 1_500
    [reading] = meter.read()
    assert reading.value == pytest.approx(123_458.289)
    meter.close()


def test_momentary_power_where_there_is_no_counter(nvml: Any) -> None:
    nvml.add("GPU-a", energy_mj=UNSUPPORTED)
    meter = _open()
    [domain] = meter.domains()
    assert (domain.kind, domain.unit, domain.averaging_s) == (Kind.GAUGE, Unit.WATT, 0.0)
    assert [reading.value for reading in meter.read()] == [301.0]
    meter.close()


def test_averaged_power_is_the_last_way_and_is_flagged(nvml: Any) -> None:
    nvml.add("GPU-a", energy_mj=UNSUPPORTED, instant_mw=UNSUPPORTED)
    meter = _open()
    [domain] = meter.domains()
    assert (domain.kind, domain.averaging_s) == (Kind.GAUGE, 1.0)
    assert [reading.value for reading in meter.read()] == [299.0]
    meter.close()


def test_each_gpu_has_its_own_way_and_a_lost_one_takes_none_with_it(nvml: Any) -> None:
    nvml.add("GPU-a")
    nvml.add("lost")
    nvml.add("GPU-c", energy_mj=UNSUPPORTED)
    nvml.add("GPU-d", energy_mj=UNSUPPORTED, instant_mw=UNSUPPORTED, average_mw=UNSUPPORTED)
    meter = _open()
    assert {domain.id: domain.kind for domain in meter.domains()} == {
        "nvml:GPU-a": Kind.COUNTER,
        "nvml:GPU-c": Kind.GAUGE,
    }
    lost, blind = meter.lacks()
    assert lost.what == "GPU 1"
    assert "lost" in lost.reason.lower()
    assert "GPU-d" in blind.what
    assert blind.remedy
    meter.close()


def test_failed_read_has_a_reason_and_no_value(nvml: Any) -> None:
    board = nvml.add("GPU-a")
    meter = _open()
    board.energy_mj = -pynvml.NVML_ERROR_GPU_IS_LOST
    [reading] = meter.read()
    assert reading.value is None
    assert reading.reason
    board.energy_mj = 6_000_000
    assert [reading.value for reading in meter.read()] == [6000.0]
    meter.close()


def test_no_driver_is_told_with_a_remedy(no_driver: None) -> None:
    lack = open_meter(MeterOptions())
    assert isinstance(lack, Unavailable)
    assert "Not Found" in lack.reason
    assert "--gpus all" in str(lack.remedy)


@pytest.mark.usefixtures("nvml")
def test_driver_without_gpu_is_told() -> None:
    lack = open_meter(MeterOptions())
    assert isinstance(lack, Unavailable)
    assert "none" in lack.reason
