from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pynvml
import pytest

from hexgate.meters.base import Meter, MeterOptions, Unavailable
from hexgate.meters.host import open_meter
from hexgate.meters.rows import GPU_SERIES, SERIES, resources_row


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def _open(pid: int | None) -> Meter:
    meter = open_meter(MeterOptions(pid=pid))
    assert not isinstance(meter, Unavailable)
    return meter


def _row(meter: Meter) -> dict[str, Any]:
    return resources_row(meter.read(), meter.lacks())


def _burn(until_s: float) -> None:
    """Use so much CPU time of this process."""
    begin = time.process_time()
    while time.process_time() - begin < until_s:
        pass


def test_row_has_every_series_and_a_reason_for_each_null(no_driver: None) -> None:
    meter = _open(os.getpid())
    row = _row(meter)
    assert set(row) == {"t_ns", "missing", *SERIES, *GPU_SERIES}
    assert {name for name in (*SERIES, *GPU_SERIES) if row[name] is None} == set(row["missing"])
    assert row["missing"]["cpu_ratio"] == "the first sample has no time before it"
    assert "NVML" in row["missing"]["gpu_util_ratio"]
    assert 0 < row["memory_used_bytes"] < row["memory_total_bytes"] == psutil.virtual_memory().total


def test_use_is_measured_between_samples(no_driver: None) -> None:
    meter = _open(os.getpid())
    before = _row(meter)
    _burn(0.2)
    after = _row(meter)
    used_s = after["process_cpu_s"] - before["process_cpu_s"]
    wall_s = (after["t_ns"] - before["t_ns"]) / 1e9
    cpus = psutil.cpu_count() or 1
    assert used_s >= 0.18  # clock ticks of 10 ms
    assert after["process_cpu_ratio"] == pytest.approx(min(1.0, used_s / wall_s / cpus))
    assert 0 < after["cpu_ratio"] <= 1
    assert "cpu_ratio" not in after["missing"]


def test_process_that_ends_leaves_reasons_and_no_zeros(
    sleeper: subprocess.Popen[bytes], no_driver: None
) -> None:
    meter = _open(sleeper.pid)
    assert _row(meter)["process_rss_bytes"] > 0
    sleeper.kill()
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)
    for _ in range(2):  # first a zombie that nobody has waited for, then nothing at all
        row = _row(meter)
        for name in ("process_cpu_ratio", "process_cpu_s", "process_rss_bytes"):
            assert row[name] is None
            assert row["missing"][name] == "the measured process has ended"
        sleeper.wait()


def test_no_process_to_measure_is_said(no_driver: None) -> None:
    meter = _open(None)
    assert _row(meter)["missing"]["process_cpu_s"] == "the measured process is not on this machine"


def test_container_without_disk_counters(no_driver: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    row = _row(_open(os.getpid()))
    assert row["disk_read_bytes"] is None
    assert row["missing"]["disk_read_bytes"] == "the system shows no disk counters"


def test_gpus_by_uuid_and_each_function_for_itself(nvml: Any) -> None:
    nvml.add("GPU-a", util_percent=37, memory_used=3, temperature_c=61)
    nvml.add("GPU-b", util_percent=-pynvml.NVML_ERROR_NOT_SUPPORTED, memory_used=5)
    meter = _open(os.getpid())
    row = _row(meter)
    assert row["gpu_util_ratio"] == [0.37, None]
    assert row["gpu_memory_used_bytes"] == [3, 5]
    assert row["gpu_temperature_c"] == [61, 45]
    assert "gpu_util_ratio.1" in row["missing"]
    gpu_domains = [domain.id for domain in meter.domains() if ":" in domain.id]
    assert gpu_domains == [
        "gpu_util_ratio:GPU-a",
        "gpu_util_ratio:GPU-b",
        "gpu_memory_used_bytes:GPU-a",
        "gpu_memory_used_bytes:GPU-b",
        "gpu_temperature_c:GPU-a",
        "gpu_temperature_c:GPU-b",
    ]
    meter.close()


def test_domains_and_lacks_together_are_all_series(no_driver: None) -> None:
    meter = _open(os.getpid())
    named = {domain.id for domain in meter.domains()} | {lack.what for lack in meter.lacks()}
    assert named == {*SERIES, *GPU_SERIES}


def test_temperature_by_the_older_function_where_there_is_no_newer_one(nvml: Any) -> None:
    def older(_handle: Any, sensor: Any, celsius: Any) -> int:
        assert sensor.value == pynvml.NVML_TEMPERATURE_GPU
        celsius._obj.value = 52
        return 0

    nvml.add("GPU-a", temperature_c=-pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    nvml._nvmlDeviceGetTemperature = older
    meter = _open(os.getpid())
    assert _row(meter)["gpu_temperature_c"] == [52]
    meter.close()


def test_temperature_that_cannot_be_read_has_a_reason(nvml: Any) -> None:
    nvml.add("GPU-a", temperature_c=-pynvml.NVML_ERROR_NOT_SUPPORTED)
    meter = _open(os.getpid())
    row = _row(meter)
    assert row["gpu_temperature_c"] == [None]
    assert row["missing"]["gpu_temperature_c.0"] == "Not Supported"
    meter.close()
