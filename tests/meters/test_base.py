from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from hexgate.errors import InputError
from hexgate.meters.base import (
    METERS,
    Domain,
    Kind,
    MeterOptions,
    Scope,
    Unit,
    open_meters,
)


def test_domain_survives_json() -> None:
    domain = Domain(
        "rapl:package-0", "rapl", "package-0", "package-0", Scope.PACKAGE, Kind.COUNTER, Unit.JOULE,
        resolution=61e-6, update_s=0.001, wrap_range_j=262143.3, max_power_w=2000.0, systematic_ratio=0.05,
    )  # fmt: skip
    assert Domain.from_json(domain.to_json()) == domain


@pytest.mark.parametrize("name", METERS)
def test_registry_names_what_exists(name: str) -> None:
    module, _, function = METERS[name].partition(":")
    assert callable(getattr(import_module(module), function))


def test_unknown_meter_is_told_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="nvml, rapl, host"):
        open_meters(["wattmeter"], MeterOptions())


def test_listing_meters_and_the_recorder_import_nothing_heavy() -> None:
    code = (
        "import sys; import hexgate.meters.base, hexgate.meters.recorder, hexgate.meters.windows, "
        "hexgate.meters.summary, hexgate.meters.inventory; "
        "print([name for name in ('numpy', 'psutil', 'pynvml') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
