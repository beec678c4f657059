"""Power of a Jetson through the sensors on its supply rails, as the kernel shows them in sysfs.

INA3221: through hwmon since JetPack 5, through iio before; INA238 and the like, which tell power themselves, through
hwmon. Where sysfs has none, `tegrastats` is asked. What the rails say is of the module, or of its carrier board where
`jetson_boards` says so.
Layouts: https://docs.kernel.org/hwmon/ina3221.html, https://docs.kernel.org/hwmon/ina238.html, and the section on
power monitors in NVIDIA's Jetson Linux Developer Guide.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hexgate.meters.base import Domain, Meter, MeterOptions, Reading, Unavailable
from hexgate.meters.jetson_boards import Board, board_of
from hexgate.meters.jetson_rails import (
    NAME,
    VARIABLE,
    Rail,
    Total,
    choose_total,
    domain_id,
    domains_of,
    named,
    total_reading,
)

__all__ = ["JetsonMeter", "open_meter"]

_TURNS = 2
"""An INA3221 makes a reader wait for its next conversion, some 7 ms an attribute. So only what the total needs is read
at every call, and of the other rails one half in turn with the other: the two readings with which a recording at least
goes on after its end then have them all."""
_SHUNT_STEP_UV = 40.0
"""The INA3221's step of shunt voltage."""
_UNUSED = {"", "NC"}

ReadText = Callable[[Path], str]
"""Reads one attribute file; raises OSError."""


def _read_text(path: Path) -> str:
    return path.read_text(encoding="ascii")


@dataclass(frozen=True)
class _Source:
    """Where the power of one rail is read."""

    rail: Rail
    files: tuple[Path, ...]
    """The attributes whose product is its power."""
    per_watt: float
    """That product at one watt."""

    def read_w(self, read_text: ReadText) -> float:
        """Watts now. Raises OSError or ValueError."""
        return math.prod(int(read_text(path)) for path in self.files) / self.per_watt


class JetsonMeter:
    """The rails of one board."""

    name = NAME

    def __init__(
        self,
        sources: Sequence[_Source],
        total: Total | None,
        model: str,
        lacks: Sequence[Unavailable],
        read_text: ReadText = _read_text,
    ) -> None:
        always = () if total is None else total.rails
        # One after the other, so that the parts of a sum are of nearly one moment.
        self._always = [source for source in sources if source.rail.name in always]
        self._others = [source for source in sources if source.rail.name not in always]
        self._total = total
        self._domains = domains_of([source.rail for source in sources], total, model)
        self._lacks = tuple(lacks)
        self._read_text = read_text
        self._calls = 0

    def domains(self) -> tuple[Domain, ...]:
        """The total, where it is known, and the rails."""
        return self._domains

    def lacks(self) -> tuple[Unavailable, ...]:
        """Rails that cannot be read, and a total that is not known."""
        return self._lacks

    def read(self) -> list[Reading]:
        """Read what the total needs, and the other rails in turns; all of them at the first call."""
        turn = self._calls % _TURNS
        due = self._others[turn::_TURNS] if self._calls else self._others
        self._calls += 1
        found = {source.rail.name: self._one(source) for source in (*self._always, *due)}
        readings = list(found.values())
        if self._total is not None and len(self._total.rails) > 1:
            readings.insert(0, total_reading(self._total, found))
        return readings

    def _one(self, source: _Source) -> Reading:
        before_ns = time.monotonic_ns()
        value: float | None = None
        reason: str | None = None
        try:
            value = source.read_w(self._read_text)
        except (OSError, ValueError) as error:
            reason = _why(error)
        return Reading(domain_id(source.rail.name), (before_ns + time.monotonic_ns()) // 2, value, reason)

    def close(self) -> None:
        """Nothing is held open."""


def open_meter(options: MeterOptions, *, read_text: ReadText = _read_text) -> Meter | Unavailable:
    """Open the power sensors of a Jetson. `read_text` reads one attribute file."""
    root = options.jetson_root or Path("/")
    model, words = _identity(root, read_text)
    asked = options.jetson_total or tuple(
        name.strip() for name in os.environ.get(VARIABLE, "").split("+") if name.strip()
    )
    if not asked and not any(word in words.lower() for word in ("tegra", "jetson")):
        return Unavailable(NAME, "power of a Jetson", "this machine is no Jetson", None)
    board = board_of(words)
    sources, lacks = _readable([*_hwmon(root, read_text), *_iio(root, read_text)], read_text)
    if sources:
        return _meter(sources, lacks, board, model, asked, read_text)
    from hexgate.meters.tegrastats import open_tegrastats

    opened = open_tegrastats(board, model, asked)
    # A sensor that is there but closed says more than that nothing else is there.
    return lacks[0] if isinstance(opened, Unavailable) and lacks else opened


def _meter(
    sources: Sequence[_Source],
    lacks: Sequence[Unavailable],
    board: Board | None,
    model: str,
    asked: Sequence[str],
    read_text: ReadText,
) -> Meter:
    total = choose_total(board, [source.rail.name for source in sources], asked)
    if isinstance(total, Unavailable):
        return JetsonMeter(sources, None, model, [*lacks, total], read_text)
    return JetsonMeter(sources, total, model, lacks, read_text)


def _identity(root: Path, read_text: ReadText) -> tuple[str, str]:
    """What a person calls the machine, and all words by which its board may be known; those are empty without any."""
    for folder in (root / "proc" / "device-tree", root / "sys" / "firmware" / "devicetree" / "base"):
        compatible = _word(folder / "compatible", read_text).replace("\0", " ")
        model = _word(folder / "model", read_text).rstrip("\0")
        if compatible or model:
            return model or "Jetson", f"{model} {compatible}"
    # A container engine hides the device tree, but not what the kernel took from it.
    soc = root / "sys" / "devices" / "soc0"
    machine, family = _word(soc / "machine", read_text), _word(soc / "family", read_text)
    return machine or "Jetson", f"{machine} {family}".strip()


def _hwmon(root: Path, read_text: ReadText) -> Iterator[_Source]:
    # The numbers of hwmon change with the order of start-up; the addresses on the bus do not.
    folders = sorted(
        (root / "sys" / "class" / "hwmon").glob("hwmon*"),
        key=lambda folder: ((folder / "device").resolve().name, folder.name),
    )
    for folder in folders:
        chip = _word(folder / "name", read_text)
        if chip == "ina3221":
            yield from _ina3221(folder, read_text)
        elif chip.startswith("ina") and (folder / "power1_input").exists():
            yield _Source(Rail(_word(folder / "label", read_text) or chip), (folder / "power1_input",), 1e6)


def _ina3221(folder: Path, read_text: ReadText) -> Iterator[_Source]:
    # Inputs 4 to 6 are shunt voltages, and 7 is their sum: none of these is a rail.
    for channel in "123":
        label = _word(folder / f"in{channel}_label", read_text)
        if label in _UNUSED or _word(folder / f"in{channel}_enable", read_text) == "0":
            continue
        files = (folder / f"in{channel}_input", folder / f"curr{channel}_input")
        update_ms = _number(folder / "update_interval", read_text)
        samples = _number(folder / "samples", read_text)
        shunt_uohm = _number(folder / f"shunt{channel}_resistor", read_text)
        input_mv = _number(files[0], read_text)
        rail = Rail(label, update_s=update_ms / 1e3 if update_ms else None)
        if samples and samples > 1 and rail.update_s is not None:
            rail = replace(rail, averaging_s=rail.update_s)
        if shunt_uohm and input_mv:
            rail = replace(rail, resolution_w=_SHUNT_STEP_UV / shunt_uohm * input_mv / 1e3)
        yield _Source(rail, files, 1e6)


def _iio(root: Path, read_text: ReadText) -> Iterator[_Source]:
    for folder in sorted((root / "sys" / "bus" / "i2c" / "drivers" / "ina3221x").glob("*-*/iio:device*")):
        for channel in "012":
            name = _word(folder / f"rail_name_{channel}", read_text)
            if name in _UNUSED:
                continue
            power = folder / f"in_power{channel}_input"
            product = tuple(folder / f"in_{what}{channel}_input" for what in ("voltage", "current"))
            yield _Source(Rail(name), (power,), 1e3) if power.exists() else _Source(Rail(name), product, 1e6)


def _readable(sources: Sequence[_Source], read_text: ReadText) -> tuple[list[_Source], list[Unavailable]]:
    """Those that can be read now, each with a name of its own, and why the others cannot."""
    taken: list[str] = []
    kept: list[_Source] = []
    lacks: list[Unavailable] = []
    for source in sources:
        name = named(source.rail.name, taken)
        taken.append(name)
        try:
            source.read_w(read_text)
        except (OSError, ValueError) as error:
            lacks.append(_unreadable(name, source, error))
        else:
            kept.append(replace(source, rail=replace(source.rail, name=name)))
    return kept, lacks


def _unreadable(name: str, source: _Source, error: OSError | ValueError) -> Unavailable:
    remedy = None
    if isinstance(error, PermissionError):
        remedy = "until the next boot: sudo chmod a+r " + " ".join(str(path) for path in source.files)
    return Unavailable(NAME, f"power of {name}", f"{source.files[-1].parent}: {_why(error)}", remedy)


def _word(path: Path, read_text: ReadText) -> str:
    """What a file says; nothing where it cannot be read."""
    try:
        return read_text(path).strip()
    except (OSError, ValueError):
        return ""


def _number(path: Path, read_text: ReadText) -> float | None:
    try:
        return float(_word(path, read_text))
    except ValueError:
        return None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"not a number ({error})"
