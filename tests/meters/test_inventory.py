from __future__ import annotations

from typing import Any

from hexgate.meters.base import Domain, Unavailable
from hexgate.meters.inventory import inventory


def test_what_there_is_and_what_is_missing(powercap: Any, no_driver: None) -> None:
    powercap.zone("intel-rapl:0", "package-0")
    found = inventory(rapl_root=powercap.root)
    ids = {entry.id for entry in found if isinstance(entry, Domain)}
    lacks = {entry.meter: entry for entry in found if isinstance(entry, Unavailable)}
    assert {"rapl:package-0", "cpu_ratio", "process_rss_bytes"} <= ids
    assert lacks["nvml"].remedy
    assert "rapl" not in lacks


def test_with_a_gpu(nvml: Any, powercap: Any) -> None:
    nvml.add("GPU-a")
    ids = {entry.id for entry in inventory(rapl_root=powercap.root) if isinstance(entry, Domain)}
    assert {"nvml:GPU-a", "gpu_util_ratio:GPU-a"} <= ids
