"""What a meter is: domains that can be read, and a record for what this machine lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from hexgate.errors import InputError

__all__ = [
    "METERS",
    "Basis",
    "Domain",
    "Kind",
    "Meter",
    "MeterOptions",
    "Reading",
    "Scope",
    "Unavailable",
    "Unit",
    "open_meters",
]

METERS: Mapping[str, str] = {
    "nvml": "hexgate.meters.nvml:open_meter",
    "rapl": "hexgate.meters.rapl:open_meter",
    "host": "hexgate.meters.host:open_meter",
    "jetson": "hexgate.meters.jetson:open_meter",
}
"""Every meter by name, and where the function stands that opens it."""


class Basis(str, Enum):
    """What a figure of energy rests on."""

    MEASURED = "measured"
    """A sensor was read through the whole window."""
    ESTIMATED = "estimated"
    """Computed from declared watts; never comparable with a measured figure."""
    NOT_MEASURED = "not_measured"
    """There is no figure, and there are reasons."""


class Scope(str, Enum):
    """What part of a machine a domain covers."""

    BOARD = "board"
    """One accelerator board, its memory included."""
    MODULE = "module"
    """One module of accelerator and CPU together."""
    PACKAGE = "package"
    """One CPU package, without its memory modules."""
    DRAM = "dram"
    """The memory modules of one CPU package."""
    RAIL = "rail"
    """One supply rail of a board."""
    PSYS = "psys"
    """The platform as the CPU's own controller sees it: packages, memory and more."""
    HOST = "host"
    """The whole machine."""
    PROCESS = "process"
    """The measured process and those that it started, the sampler apart."""
    SERVER = "server"
    """The processes of the server under load, where it is on this machine."""


class Kind(str, Enum):
    """How the values of a domain follow each other."""

    COUNTER = "counter"
    """A total that only grows, until it wraps or is reset."""
    GAUGE = "gauge"
    """A momentary value."""


class Unit(str, Enum):
    """The unit of a domain's values."""

    JOULE = "J"
    WATT = "W"
    SECOND = "s"
    BYTE = "B"
    RATIO = "ratio"
    CORE = "core"
    COUNT = "1"
    CELSIUS = "°C"


@dataclass(frozen=True)
class Domain:
    """One thing that a meter can read."""

    id: str
    """Name of the domain, unique on its machine: ``rapl:package-0``, ``nvml:GPU-…``, ``cpu_ratio``."""
    source: str
    """Name of the meter that reads it."""
    device: str
    """Stable identity of the device: a GPU's UUID, ``package-0``, ``host``. Equal names, the same thing."""
    label: str
    """What a person calls the device."""
    scope: Scope
    """What it covers."""
    kind: Kind
    """Whether it is a running total or a momentary value."""
    unit: Unit
    """Unit of its values."""
    resolution: float | None = None
    """The smallest step of a value, in `unit`; None where it is not known."""
    update_s: float | None = None
    """How often the sensor refreshes its value, in seconds, as declared; None where it is not known."""
    averaging_s: float = 0.0
    """Over how many past seconds the sensor averages; 0 for a momentary value or a counter."""
    wrap_range_j: float | None = None
    """Joules after which the counter begins at 0 again; None where it never does, or nobody knows."""
    max_power_w: float | None = None
    """More than this device can draw, in watts; tells a counter's wrap from its reset."""
    systematic_ratio: float | None = None
    """Declared relative standard uncertainty of the sensor; None where none is known. It cancels where one
    device is compared with itself."""

    def to_json(self) -> dict[str, Any]:
        """The domain as it stands in evidence."""
        return asdict(self) | {"scope": self.scope.value, "kind": self.kind.value, "unit": self.unit.value}

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Domain:
        """The domain that `to_json` wrote."""
        enums = {"scope": Scope(block["scope"]), "kind": Kind(block["kind"]), "unit": Unit(block["unit"])}
        return cls(**{**block, **enums})


@dataclass(frozen=True)
class Reading:
    """One value of one domain, or the reason why there is none."""

    domain: str
    """Id of the domain."""
    t_ns: int
    """When it was read: `time.monotonic_ns`, which all processes of a machine share."""
    value: float | int | None
    """In the domain's unit; None where the read failed, and never 0 for that."""
    reason: str | None = None
    """Why there is no value."""


@dataclass(frozen=True)
class Unavailable:
    """A meter, or a part of one, that this machine lacks."""

    meter: str
    """Name of the meter."""
    what: str
    """What is lacking: the whole meter, a device or a series."""
    reason: str
    """Why."""
    remedy: str | None = None
    """What a person can do about it; None where nothing can be done."""

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in evidence."""
        return asdict(self)


@dataclass(frozen=True)
class MeterOptions:
    """What opening a meter may depend on."""

    pid: int | None = None
    """The measured process; None where it is not on this machine."""
    rapl_root: Path | None = None
    """Root of the powercap tree; None for the kernel's own."""
    jetson_root: Path | None = None
    """What stands for ``/`` above the ``sys`` and ``proc`` of a Jetson; None for ``/`` itself."""
    jetson_total: tuple[str, ...] = ()
    """The supply rails that make up a Jetson's total; empty for HEXGATE_JETSON_TOTAL, and else for the table."""
    server_pid: int | None = None
    """The server under load; None to look for it by `server_url`."""
    server_url: str | None = None
    """Where the server under load listens; None where there is none to look for."""


class Meter(Protocol):
    """Domains that are open for reading."""

    @property
    def name(self) -> str:
        """Its name in `METERS`."""

    def domains(self) -> tuple[Domain, ...]:
        """What it reads."""

    def lacks(self) -> tuple[Unavailable, ...]:
        """What a meter of this kind can read elsewhere, but not here."""

    def read(self) -> list[Reading]:
        """Read every domain once, without waiting. A read that fails is a reading without value."""

    def close(self) -> None:
        """Let go of the device."""


def open_meters(
    names: Sequence[str], options: MeterOptions
) -> tuple[tuple[Meter, ...], tuple[Unavailable, ...]]:
    """Open the named meters; what this machine lacks comes back beside those that it has.

    Raises:
        InputError: if a name is not in `METERS`.
    """
    meters: list[Meter] = []
    unavailable: list[Unavailable] = []
    for name in names:
        if name not in METERS:
            raise InputError("there is no such meter", got=repr(name), expected="one of " + ", ".join(METERS))
        module, _, function = METERS[name].partition(":")
        opener = cast(
            Callable[[MeterOptions], "Meter | Unavailable"], getattr(import_module(module), function)
        )
        opened = opener(options)
        if isinstance(opened, Unavailable):
            unavailable.append(opened)
        else:
            meters.append(opened)
            unavailable.extend(opened.lacks())
    return tuple(meters), tuple(unavailable)
