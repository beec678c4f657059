"""Traces that another meter left in a file: a smart plug, a wall meter, a bench supply.

A file is CSV with a header, or JSON Lines. Each line is one reading: its time in one column, and its power or its
running total of energy in another. The times are put on `time.monotonic_ns` of this machine, the clock of every
other trace, so that the energy of a window is computed as for a built-in meter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from hexgate.errors import DataError, InputError
from hexgate.meters.base import Domain, Kind, Scope, Unit
from hexgate.meters.imported_clock import Clock, instant_ns, iso_ns
from hexgate.meters.imported_rows import Lines, read_lines, short
from hexgate.meters.windows import Window

__all__ = ["UNITS", "Anchor", "ImportOptions", "Imported", "check_head", "import_trace"]

NAME = "imported"
MARK = "mark"
"""The column in which a row may say ``start`` or ``end``: the instants at which the command began and ended."""
UNITS = {
    "w": (Unit.WATT, 1.0),
    "mw": (Unit.WATT, 1e-3),
    "kw": (Unit.WATT, 1e3),
    "j": (Unit.JOULE, 1.0),
    "kj": (Unit.JOULE, 1e3),
    "wh": (Unit.JOULE, 3.6e3),
    "kwh": (Unit.JOULE, 3.6e6),
}
"""Units of a column, and how many watts or joules one is. ``mw`` are milliwatts."""
MOST_DRIFT = 1e-3
"""Clocks whose rates differ by more than this share are not compared; a quartz is within a tenth of it."""
_MOST_POWER_W = 10_000.0
"""More than a socket, a supply or a rail of a bench gives: a total that leaps beyond it was set."""
_MOST_OFF_RATIO = 0.01
_STEP_NS = 50_000_000
_VALUES = ("energy_j", "power_w")
_NO_READING = frozenset({"", "nan", "null", "none", "unavailable", "unknown"})


@dataclass(frozen=True)
class Anchor:
    """One instant on both clocks of this machine."""

    wall_ns: int
    """`time.time_ns`."""
    monotonic_ns: int
    """`time.monotonic_ns`."""

    @classmethod
    def now(cls) -> Anchor:
        """This instant."""
        before_ns = time.monotonic_ns()
        wall_ns = time.time_ns()
        return cls(wall_ns, (before_ns + time.monotonic_ns()) // 2)


@dataclass(frozen=True)
class ImportOptions:
    """How a file is read."""

    time_column: str = "t"
    """The column of the time."""
    value_column: str | None = None
    """The column of power or energy; None for ``energy_j``, or else ``power_w``."""
    unit: str | None = None
    """One of `UNITS`; None for what the column's name ends in."""
    clock: Clock = Clock.ISO
    """What the column of the time counts."""
    zero: str | None = None
    """With `Clock.SECONDS`, the instant of second 0 as RFC 3339 has it; None for the row that is marked."""
    offset_s: float = 0.0
    """Seconds to add to every time: above 0 where the meter's clock is behind."""
    scope: Scope = Scope.HOST
    """What the meter covers."""
    name: str | None = None
    """What to call it; None for the file's name."""
    systematic_ratio: float | None = None
    """The meter's relative standard uncertainty; None where it declares none."""

    def to_json(self) -> dict[str, Any]:
        """The options as they stand in a document."""
        return asdict(self) | {"clock": self.clock.value, "scope": self.scope.value}


@dataclass(frozen=True)
class Imported:
    """A file as a domain and its trace."""

    domain: Domain
    """What was metered."""
    trace: Sequence[tuple[int, float]]
    """Its readings: `time.monotonic_ns`, watts or joules."""


@dataclass(frozen=True)
class _Columns:
    """Where the time and the value of a row are."""

    time: str
    value: str
    unit: Unit
    factor: float


@dataclass(frozen=True)
class _File:
    """What a file says, on its own clock."""

    unit: Unit
    readings: list[tuple[int, float]]
    marks: dict[str, int]


def check_head(path: Path, options: ImportOptions) -> None:
    """Check what can be known of a file before it is whole: its columns, where it is there and has a line.

    Raises:
        DataError: if it lacks a column, or is no such file.
        InputError: if the options do not go together.
    """
    if options.zero is not None:
        _zero_ns(options)
    if path.exists() and (path.is_dir() or path.stat().st_size):
        lines = read_lines(path)
        if lines.names:
            _columns(lines, options, str(path))


def import_trace(
    path: Path, options: ImportOptions, *, begin: Anchor, end: Anchor, window: Window
) -> Imported:
    """Read a file, and put its times on this machine's monotonic clock.

    A cell that is empty, or says that there is none, is no reading and leaves a gap. A last line without its end is
    left out: it may still be written.

    Args:
        path: the file.
        options: how it is read.
        begin: both clocks of this machine at the begin of the measurement.
        end: and at its end.
        window: from the begin of the command to its end, for a file with marks.

    Raises:
        DataError: with the line, if the file is not what it should be, or its clock cannot be trusted.
        InputError: if the options do not go together.
    """
    file = _read(path, options)
    shift_ns = _shift_ns(file, options, begin, end, window, str(path)) + round(options.offset_s * 1e9)
    name = options.name or path.stem
    domain = Domain(
        id=f"{NAME}:{name}",
        source=NAME,
        device=f"{NAME}:{name}",
        label=name,
        scope=options.scope,
        kind=Kind.GAUGE if file.unit is Unit.WATT else Kind.COUNTER,
        unit=file.unit,
        resolution=_step_j(file),
        update_s=_update_s(file),
        max_power_w=_MOST_POWER_W if file.unit is Unit.JOULE else None,
        systematic_ratio=options.systematic_ratio,
    )
    return Imported(domain, [(t_ns + shift_ns, value) for t_ns, value in file.readings])


def _columns(lines: Lines, options: ImportOptions, where: str) -> _Columns:
    there = ", ".join(lines.names[:20])
    hint = "name both columns with --import-columns TIME,VALUE"
    if options.time_column not in lines.names:
        raise DataError(
            "there is no column of the time", where=where, got=there, expected=options.time_column, hint=hint
        )
    value = options.value_column or next((name for name in _VALUES if name in lines.names), None)
    if value not in lines.names:
        expected = options.value_column or "energy_j or power_w"
        raise DataError(
            "there is no column of power or energy", where=where, got=there, expected=expected, hint=hint
        )
    unit = (options.unit or str(value).rpartition("_")[2]).lower()
    if unit not in UNITS:
        raise DataError(
            "the column's name does not end in a unit",
            where=where,
            got=str(value),
            expected="an end such as _" + ", _".join(UNITS),
            hint="or give the unit with --import-unit",
        )
    return _Columns(options.time_column, str(value), *UNITS[unit])


def _read(path: Path, options: ImportOptions) -> _File:
    lines = read_lines(path)
    if not lines.names:
        raise DataError("the trace is empty", where=str(path))
    columns = _columns(lines, options, str(path))
    readings: list[tuple[int, float]] = []
    marks: dict[str, int] = {}
    latest_ns: int | None = None
    for number, row in lines.rows:
        place = f"{path}:{number}"
        t_ns = instant_ns(row.get(columns.time), options.clock, place)
        if latest_ns is not None and t_ns < latest_ns:
            raise DataError("the time is before that of the reading above", where=place)
        latest_ns = t_ns
        mark = row.get(MARK)
        if isinstance(mark, str) and mark.strip():
            marks.setdefault(mark.strip().lower(), t_ns)
        value = _value(row.get(columns.value), columns, place)
        if value is not None:
            readings.append((t_ns, value))
    if len(readings) < 2:
        raise DataError(
            "the trace has fewer than two readings", where=str(path), got=f"{len(readings)} readings"
        )
    return _File(columns.unit, readings, marks)


def _value(cell: Any, columns: _Columns, place: str) -> float | None:
    if cell is None or (isinstance(cell, str) and cell.strip().lower() in _NO_READING):
        return None
    if isinstance(cell, float) and math.isnan(cell):
        return None
    try:
        value = math.nan if isinstance(cell, bool) or "_" in str(cell) else float(cell)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{columns.value} is not a number", where=place, got=short(cell))
    if value < 0:
        raise DataError(f"{columns.value} is below 0", where=place, got=short(cell))
    return value * columns.factor


def _zero_ns(options: ImportOptions) -> int:
    if options.clock is not Clock.SECONDS:
        raise InputError(
            "--clock-start is for seconds of the file's own", got=f"--clock {options.clock.value}"
        )
    zero = iso_ns(options.zero or "")
    if zero is None:
        raise InputError(
            "--clock-start is not an instant",
            got=repr(options.zero),
            expected="such as 2026-01-31T12:00:00.5Z, with Z or an offset from UTC",
        )
    return zero


def _shift_ns(
    file: _File, options: ImportOptions, begin: Anchor, end: Anchor, window: Window, where: str
) -> int:
    """What to add to the file's times, so that they are of the monotonic clock."""
    if "start" in file.marks and "end" in file.marks:
        _refuse_marks_apart(file, window, where)
    if options.clock is Clock.MONOTONIC_NS:
        return 0
    if options.clock is Clock.SECONDS and options.zero is None:
        if "start" not in file.marks:
            raise DataError(
                "nothing says when the file's second 0 was",
                where=where,
                expected="a row with start in a column mark, at the instant when the command began",
                hint="or give that instant with --clock-start",
            )
        return window.start_ns - file.marks["start"]
    zero_ns = 0 if options.zero is None else _zero_ns(options)
    span_ns = end.monotonic_ns - begin.monotonic_ns
    moved_ns = end.wall_ns - begin.wall_ns - span_ns
    if abs(moved_ns) > MOST_DRIFT * span_ns + _STEP_NS:
        raise DataError(
            "the wall clock of this machine was set during the measurement",
            where=where,
            got=f"{moved_ns / 1e9:+.3f} s against its monotonic clock in {span_ns / 1e9:.3f} s",
            hint="measure again when it is in step",
        )
    return begin.monotonic_ns - begin.wall_ns + zero_ns


def _refuse_marks_apart(file: _File, window: Window, where: str) -> None:
    """The two marks and the command's begin and end must be equally far apart, within the drift and one reading."""
    own_s = (file.marks["end"] - file.marks["start"]) / 1e9
    most_s = MOST_DRIFT * window.seconds + (_spacing_s([t_ns for t_ns, _ in file.readings]) or 0.0)
    if abs(own_s - window.seconds) > most_s:
        raise DataError(
            "the clock of the file runs at another rate, or its marks are not those of the command",
            where=where,
            got=f"{own_s:.3f} s from start to end, where the command took {window.seconds:.3f} s",
            expected=f"within {most_s:.3f} s",
        )


def _update_s(file: _File) -> float | None:
    """How often the meter gave a new value: it may be read more often, and a total waits for its last digit.

    Of a total that did not move twice, all of the file.
    """
    stamps = [t_ns for t_ns, _ in file.readings]
    moved = [t1 for (_, value0), (t1, value1) in pairwise(file.readings) if value1 != value0]
    if len(moved) > 1:
        return _spacing_s(moved)
    return (stamps[-1] - stamps[0]) / 1e9 if file.unit is Unit.JOULE else _spacing_s(stamps)


def _step_j(file: _File) -> float | None:
    """The smallest step of a running total, where all its steps are so many of it; else None."""
    if file.unit is not Unit.JOULE:
        return None
    steps = [abs(e1 - e0) for (_, e0), (_, e1) in pairwise(file.readings) if e1 != e0]
    least = min(steps, default=0.0)
    whole = steps and all(abs(step / least - round(step / least)) < _MOST_OFF_RATIO for step in steps)
    return least if whole else None


def _spacing_s(stamps: Sequence[int]) -> float | None:
    between = [later - sooner for sooner, later in pairwise(stamps) if later > sooner]
    return median(between) / 1e9 if between else None
