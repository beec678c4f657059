"""GPUs whose power is known for every instant, and a library of ours in place of NVIDIA's that shows them.

`Waveform` is the truth; `Sensed` is what a board's sensors make of it. The tests of the first layer put the latter
under the official binding in their own process. Those of the second compile ``nvml_stub.c``, which computes the same,
and let whole programs find it where they look for the driver's library.
"""

from __future__ import annotations

import os
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "libnvidia-ml.so.1"
NS_PER_S = 1_000_000_000
PJ_PER_J = 1_000_000_000_000
PJ_PER_MJ = 1_000_000_000


@dataclass(frozen=True)
class Waveform:
    """Power in steps; before them it is the first's, after them the last's."""

    steps: tuple[tuple[int, int], ...]
    """Nanoseconds and milliwatts of each."""

    @classmethod
    def of(cls, steps: Iterable[tuple[float, float]]) -> Waveform:
        """From seconds and watts."""
        return cls(tuple((round(seconds * NS_PER_S), round(watts * 1e3)) for seconds, watts in steps))

    @cached_property
    def _begins(self) -> tuple[list[int], list[int]]:
        """When each step begins, in ns, and the energy until then, in pJ."""
        times, energies, t_ns, energy_pj = [], [], 0, 0
        for ns, mw in self.steps:
            times.append(t_ns)
            energies.append(energy_pj)
            t_ns += ns
            energy_pj += ns * mw
        return times, energies

    def _step(self, t_ns: int) -> int:
        return max(0, bisect_right(self._begins[0], t_ns) - 1)

    def power_mw(self, t_ns: int) -> int:
        """Power at an instant."""
        return self.steps[self._step(t_ns)][1]

    def energy_pj(self, t_ns: int) -> int:
        """Energy from the begin to an instant; below 0 before the begin. Exact."""
        step = self._step(t_ns)
        times, energies = self._begins
        return energies[step] + (t_ns - times[step]) * self.steps[step][1]

    def energy_j(self, start_ns: int, end_ns: int) -> float:
        """Energy between two instants after the begin."""
        return (self.energy_pj(end_ns) - self.energy_pj(start_ns)) / PJ_PER_J


@dataclass(frozen=True)
class Sensed:
    """What the sensors of a board show of its power. Instants are nanoseconds after the begin of the waveform."""

    uuid: str
    waveform: Waveform
    name: str = "NVIDIA Stub 100"
    latch_ns: int = 100_000_000
    """How often counter and power are refreshed."""
    phase_ns: int = 0
    """When first."""
    average_ns: int = NS_PER_S
    """How much of the past the averaged power covers."""
    counter_mj: int = 5_000_000
    """The counter at the begin."""
    capability: tuple[int, int] = (9, 0)
    lacks: tuple[str, ...] = ()
    """Of ``counter``, ``instant``, ``power`` and ``memory``."""
    is_mig: bool = False
    reset_ns: int | None = None
    """When the counter begins at 0 again, as it does when the driver is loaded anew."""
    lost_ns: int | None = None
    """When the board falls off the bus."""

    def latched_ns(self, t_ns: int) -> int:
        """The last instant at which the sensors were refreshed."""
        return t_ns - (t_ns - self.phase_ns) % self.latch_ns

    def energy_mj(self, t_ns: int) -> int:
        """What the counter shows."""
        at_ns = self.latched_ns(t_ns)
        if self.reset_ns is not None and at_ns >= self.reset_ns:
            return (self.waveform.energy_pj(at_ns) - self.waveform.energy_pj(self.reset_ns)) // PJ_PER_MJ
        return (self.counter_mj * PJ_PER_MJ + self.waveform.energy_pj(at_ns)) // PJ_PER_MJ

    def instant_mw(self, t_ns: int) -> int:
        """What the momentary power shows."""
        return self.waveform.power_mw(self.latched_ns(t_ns))

    def average_mw(self, t_ns: int) -> int:
        """What the averaged power shows: a moving average without weights."""
        at_ns = self.latched_ns(t_ns)
        energy_pj = self.waveform.energy_pj(at_ns) - self.waveform.energy_pj(at_ns - self.average_ns)
        return energy_pj // self.average_ns

    def lines(self) -> list[str]:
        """The board as nvml_stub.c reads it."""
        made = [f"board {self.uuid}", f"name {self.name}", f"latch_ns {self.latch_ns}"]
        made += [
            f"phase_ns {self.phase_ns}",
            f"average_ns {self.average_ns}",
            f"counter_mj {self.counter_mj}",
        ]
        made += [f"capability {self.capability[0]} {self.capability[1]}", f"mig {int(self.is_mig)}"]
        made += [f"lacks {what}" for what in self.lacks]
        made += [] if self.reset_ns is None else [f"reset_ns {self.reset_ns}"]
        made += [] if self.lost_ns is None else [f"lost_ns {self.lost_ns}"]
        return made + [f"step {ns} {mw}" for ns, mw in self.waveform.steps]


def compiled(compiler: str, folder: Path) -> Path:
    """The folder with the library, compiled from nvml_stub.c.

    Raises:
        RuntimeError: if the compiler refuses.
    """
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fPIC", "-shared"]
    command += [f"-Wl,-soname,{LIBRARY}", "-o", str(folder / LIBRARY), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{compiler} refused {SOURCE.name}:\n{done.stderr}")
    return folder


def shown(library: Path, description: Path, boards: Sequence[Sensed]) -> dict[str, str]:
    """Write down what the library in a folder shows, and give the variables with which a program finds both."""
    lines = [line for board in boards for line in board.lines()]
    description.write_text("\n".join(lines) + "\n", encoding="ascii")
    path = os.pathsep.join(filter(None, [str(library), os.environ.get("LD_LIBRARY_PATH")]))
    return {"LD_LIBRARY_PATH": path, "HEXGATE_NVML_STUB": str(description)}


def begin(description: Path, start_ns: int) -> None:
    """Let the waveforms begin at an instant of `time.monotonic_ns`; until then nothing moves."""
    new = description.with_name(f"{description.name}.new")
    new.write_text(f"{start_ns}\n", encoding="ascii")
    new.replace(description.with_name(f"{description.name}.start"))
