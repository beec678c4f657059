"""An estimate of energy where nothing can be measured: declared watts times measured CPU time.

It is labelled as an estimate, never made unless asked for, and comparable with no measured figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from hexgate.errors import InputError
from hexgate.meters.base import Basis

__all__ = ["Estimate", "estimate_energy"]


@dataclass(frozen=True)
class Estimate:
    """Estimated energy of a process."""

    basis: ClassVar[Basis] = Basis.ESTIMATED
    energy_j: float
    """Joules by the declaration."""
    cpu_s: float
    """Measured CPU time of the process, in core seconds."""
    watts_per_busy_core: float
    """Declared watts that one busy core draws."""

    @property
    def method(self) -> str:
        """How it was made, in words."""
        return f"{self.cpu_s:.3f} s of CPU time at a declared {self.watts_per_busy_core:g} W a busy core"


def estimate_energy(cpu_s: float, *, watts_per_busy_core: float) -> Estimate:
    """Joules of a process from its CPU time and a declared power.

    Args:
        cpu_s: CPU time of the process in the window, in core seconds.
        watts_per_busy_core: what one busy core draws, as the user declares it.

    Raises:
        InputError: if the declared power is not above 0.
        ValueError: if the CPU time is negative or not finite.
    """
    if not (math.isfinite(watts_per_busy_core) and watts_per_busy_core > 0):
        raise InputError(
            "the declared power of a busy core is not a power",
            got=f"{watts_per_busy_core:g} W",
            expected="more than 0 W",
        )
    if not (math.isfinite(cpu_s) and cpu_s >= 0):
        raise ValueError(f"{cpu_s} s is not a CPU time")
    return Estimate(cpu_s * watts_per_busy_core, cpu_s, watts_per_busy_core)
