from __future__ import annotations

import math

import pytest

from hexgate.errors import InputError
from hexgate.meters.base import Basis
from hexgate.meters.estimate import estimate_energy


def test_declared_watts_times_measured_core_seconds() -> None:
    estimate = estimate_energy(12.5, watts_per_busy_core=8.0)
    assert estimate.energy_j == 100.0
    assert estimate.basis is Basis.ESTIMATED
    assert "declared 8 W" in estimate.method


@pytest.mark.parametrize("watts", [0.0, -1.0, math.nan, math.inf])
def test_power_that_is_none_is_refused(watts: float) -> None:
    with pytest.raises(InputError):
        estimate_energy(1.0, watts_per_busy_core=watts)


@pytest.mark.parametrize("cpu_s", [-0.1, math.nan])
def test_time_that_is_none_is_refused(cpu_s: float) -> None:
    with pytest.raises(ValueError, match="not a CPU time"):
        estimate_energy(cpu_s, watts_per_busy_core=8.0)
