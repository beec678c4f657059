"""CPU packages and their memory through the kernel's powercap tree (Intel and AMD RAPL).

Packages are read, and the memory beside them; cores and the like lie inside a package. The platform domain
(psys) contains the packages and is read only where there are none. The energy is of whole sockets, other
tenants included.
Layout: https://docs.kernel.org/power/powercap/powercap.html
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Reading, Scope, Unavailable, Unit

__all__ = ["RaplMeter", "open_meter"]

NAME = "rapl"
POWERCAP = Path("/sys/class/powercap")
_ZONE = re.compile(r"^intel-rapl(-mmio)?(:\d+){1,2}$")
_MOST_WATTS = 2000.0
"""More than a socket with its memory draws."""
_SYSTEMATIC_RATIO = 0.05
_MOST_BYTES = 64
"""More than a counter of 64 bits has digits."""
_WATCHED = {"dram": Scope.DRAM, "psys": Scope.PSYS}

ReadText = Callable[[Path], str]
"""Reads one attribute file; raises OSError."""


def _read_text(path: Path) -> str:
    return path.read_text(encoding="ascii")


@dataclass(frozen=True)
class _Zone:
    folder: Path
    device: str
    """``package-0``, ``package-0-dram``, ``psys``: the same for every way to reach it."""
    scope: Scope


class _Counter:
    """One attribute file that is kept open: the kernel makes its value anew for each read from its begin.

    A file that is there no more, or was replaced by another of its name, is opened again.
    https://docs.kernel.org/filesystems/sysfs.html
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._shown = b""

    def value(self) -> int:
        """Read it now. Raises OSError, or ValueError where there is no number in it."""
        if self._file is not None:
            try:
                shown = os.pread(self._file, _MOST_BYTES, 0)
                # A file that was replaced has no name any more, and would show its last value for ever.
                if shown != self._shown or os.fstat(self._file).st_nlink:
                    self._shown = shown
                    return int(shown)
            except OSError:
                pass
            self.close()
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._shown = os.pread(self._file, _MOST_BYTES, 0)
        return int(self._shown)

    def close(self) -> None:
        """Close it, if it is open."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class RaplMeter:
    """The zones of one powercap tree that can be read."""

    name = NAME

    def __init__(self, sources: list[tuple[Domain, Path]], lacks: list[Unavailable]) -> None:
        self._sources = [(domain, _Counter(path)) for domain, path in sources]
        self._lacks = lacks

    def domains(self) -> tuple[Domain, ...]:
        """One counter for each package, and for its memory where that has its own."""
        return tuple(domain for domain, _ in self._sources)

    def lacks(self) -> tuple[Unavailable, ...]:
        """Zones that are there but cannot be read."""
        return tuple(self._lacks)

    def read(self) -> list[Reading]:
        """Read every counter once."""
        readings: list[Reading] = []
        for domain, counter in self._sources:
            before_ns = time.monotonic_ns()
            try:
                value = counter.value() / 1e6
            except (OSError, ValueError) as error:
                readings.append(Reading(domain.id, time.monotonic_ns(), None, _why(error)))
            else:
                readings.append(Reading(domain.id, (before_ns + time.monotonic_ns()) // 2, value))
        return readings

    def close(self) -> None:
        """Close the counters."""
        for _, counter in self._sources:
            counter.close()


def open_meter(options: MeterOptions, *, read_text: ReadText = _read_text) -> Meter | Unavailable:
    """Open the powercap tree. `read_text` reads one attribute file."""
    root = options.rapl_root or POWERCAP
    zones = _zones(root, read_text)
    if not zones:
        return Unavailable(
            NAME,
            "CPU energy",
            f"{root} shows no RAPL zone, as is normal in virtual machines, in WSL and on Windows",
            "measure on the bare machine; there, load the kernel module intel_rapl_msr",
        )
    sources: list[tuple[Domain, Path]] = []
    lacks: list[Unavailable] = []
    for zone in zones:
        counter = zone.folder / "energy_uj"
        try:
            int(read_text(counter))
        except (OSError, ValueError) as error:
            lacks.append(_unreadable(root, zone, error))
        else:
            sources.append((_domain(zone, read_text), counter))
    if not sources:
        return lacks[0]
    return RaplMeter(sources, lacks)


def _zones(root: Path, read_text: ReadText) -> list[_Zone]:
    names: dict[str, str] = {}
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if _ZONE.match(folder.name):
            with suppress(OSError, ValueError):
                names[folder.name] = read_text(folder / "name").strip()
    found: dict[str, _Zone] = {}
    # The same zone may show itself through registers and, after them in this order, through memory.
    for zone, name in sorted(names.items(), key=lambda item: (item[0].startswith("intel-rapl-mmio"), item)):
        outer = names.get(zone.rpartition(":")[0])
        scope = Scope.PACKAGE if name.startswith("package-") else _WATCHED.get(name)
        if scope is not None and outer != "psys":
            device = name if outer is None else f"{outer}-{name}"
            found.setdefault(device, _Zone(root / zone, device, scope))
    has_packages = any(zone.scope is Scope.PACKAGE for zone in found.values())
    return [zone for zone in found.values() if (zone.scope is not Scope.PSYS) == has_packages]


def _domain(zone: _Zone, read_text: ReadText) -> Domain:
    try:
        range_uj = int(read_text(zone.folder / "max_energy_range_uj"))
    except (OSError, ValueError):
        range_uj = 0
    return Domain(
        id=f"rapl:{zone.device}",
        source=NAME,
        device=zone.device,
        label=zone.device,
        scope=zone.scope,
        kind=Kind.COUNTER,
        unit=Unit.JOULE,
        # The register behind it has 32 bits.
        resolution=range_uj / 1e6 / (2**32 - 1) if range_uj > 0 else None,
        update_s=0.001,
        # Without its range a wrap cannot be told from a reset, and a decrease makes the window invalid.
        wrap_range_j=range_uj / 1e6 if range_uj > 0 else None,
        max_power_w=_MOST_WATTS,
        systematic_ratio=_SYSTEMATIC_RATIO,
    )


def _unreadable(root: Path, zone: _Zone, error: OSError | ValueError) -> Unavailable:
    remedy = None
    if isinstance(error, PermissionError):
        remedy = (
            f"until the next boot: sudo chmod a+r {root}/intel-rapl*/energy_uj; for good, in "
            '/etc/udev/rules.d/70-hexgate-rapl.rules: SUBSYSTEM=="powercap", ACTION=="add", '
            'KERNEL=="intel-rapl*", RUN+="/bin/chmod a+r /sys%p/energy_uj". Both let every local user read '
            "the counter, which CVE-2020-8694 shows to be a side channel"
        )
    return Unavailable(
        NAME, f"energy of {zone.device}", f"{zone.folder / 'energy_uj'}: {_why(error)}", remedy
    )


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"not a number ({error})"
