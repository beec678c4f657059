"""Files of other meters: every form of time, every mistake with its line, and the same energy as a built-in meter's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.errors import DataError, InputError
from hexgate.meters.base import Kind, Scope, Unit
from hexgate.meters.imported import (
    Anchor,
    Imported,
    ImportOptions,
    check_head,
    import_trace,
)
from hexgate.meters.imported_clock import Clock, instant_ns
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j

S = 1_000_000_000
WALL_NS = 1_767_225_600 * S  # 2026-01-01T00:00:00Z
BEGIN = Anchor(WALL_NS, 5_000 * S)
END = Anchor(WALL_NS + 100 * S, 5_100 * S)
COMMAND = Window(5_010 * S, 5_040 * S)


PLAIN = ImportOptions()


def load(path: Path, options: ImportOptions = PLAIN, end: Anchor = END) -> Imported:
    return import_trace(path, options, begin=BEGIN, end=end, window=COMMAND)


def written(folder: Path, text: str, name: str = "plug.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def clock_cells(clock: Clock) -> list[str]:
    """Seconds 0 to 60 after the begin, as that clock has them."""
    return {
        Clock.ISO: [f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z" for second in range(61)],
        Clock.UNIX: [f"{1_767_225_600 + second}.0" for second in range(61)],
        Clock.UNIX_MS: [str((1_767_225_600 + second) * 1000) for second in range(61)],
        Clock.UNIX_NS: [str((1_767_225_600 + second) * S) for second in range(61)],
        Clock.MONOTONIC_NS: [str((5_000 + second) * S) for second in range(61)],
        Clock.SECONDS: [str(second) for second in range(61)],
    }[clock]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("clock", list(Clock))
def test_every_clock_lands_on_the_monotonic_one(clock: Clock, form: str, tmp_path: Path) -> None:
    cells = clock_cells(clock)
    options = ImportOptions(clock=clock, zero="2026-01-01T00:00:00Z" if clock is Clock.SECONDS else None)
    if form == "csv":
        text = "t,power_w\n" + "".join(f"{cell},{100 + second}\n" for second, cell in enumerate(cells))
    else:
        values = [cell if clock is Clock.ISO else json.loads(cell) for cell in cells]
        rows = ({"t": value, "power_w": 100 + second} for second, value in enumerate(values))
        text = "".join(json.dumps(row) + "\n" for row in rows)
    found = load(written(tmp_path, text, f"plug.{form}"), options)
    assert [t_ns for t_ns, _ in found.trace] == [(5_000 + second) * S for second in range(61)]
    assert [value for _, value in found.trace] == [100.0 + second for second in range(61)]
    assert found.domain.id == "imported:plug"
    assert (found.domain.kind, found.domain.unit, found.domain.scope) == (Kind.GAUGE, Unit.WATT, Scope.HOST)
    assert found.domain.update_s == 1.0
    energy = energy_j(found.trace, found.domain, COMMAND)
    assert isinstance(energy, Energy)
    assert energy.energy_j == pytest.approx(sum(100 + second + 0.5 for second in range(10, 40)))


@pytest.mark.parametrize(
    ("stamp", "second"),
    [
        ("2026-01-01T00:00:00Z", 0.0),
        ("2026-01-01t00:00:00.5z", 0.5),
        ("2026-01-01 08:00:01,25+08:00", 1.25),
        ("2025-12-31T19:00:02.123456789-0500", 2.123456789),
        ("2026-01-01T05:45:00.000000001+05:45", 1e-9),
    ],
)
def test_instants_as_rfc_3339_has_them(stamp: str, second: float, tmp_path: Path) -> None:
    path = written(tmp_path, f't;power_w\n"{stamp}";1\n2026-01-01T00:01:00Z;1\n')
    assert load(path).trace[0][0] == 5_000 * S + round(second * S)


@given(st.integers(-(2**62), 2**62))
def test_no_nanosecond_is_lost(t_ns: int) -> None:
    assert instant_ns(str(t_ns), Clock.UNIX_NS, "") == t_ns
    whole, rest = divmod(abs(t_ns), S)
    shown = f"{'-' if t_ns < 0 else ''}{whole}.{rest:09}"
    assert instant_ns(shown, Clock.UNIX, "") == t_ns


@pytest.mark.parametrize(
    ("column", "unit", "of_unit", "factor"),
    [
        ("power_w", None, Unit.WATT, 1.0),
        ("power_mw", None, Unit.WATT, 1e-3),
        ("Power_KW", None, Unit.WATT, 1e3),
        ("total", "wh", Unit.JOULE, 3600.0),
        ("energy_kwh", None, Unit.JOULE, 3.6e6),
        ("energy_kj", None, Unit.JOULE, 1e3),
        ("energy_j", "kj", Unit.JOULE, 1e3),
    ],
)
def test_units_are_those_of_the_column(
    column: str, unit: str | None, of_unit: Unit, factor: float, tmp_path: Path
) -> None:
    path = written(tmp_path, f"when\t{column}\n1767225600\t2\n1767225601\t3\n")
    options = ImportOptions(
        "when", column, unit, Clock.UNIX, scope=Scope.PACKAGE, name="bench", systematic_ratio=0.01
    )
    found = load(path, options)
    assert found.domain.unit is of_unit
    assert found.domain.kind is (Kind.GAUGE if of_unit is Unit.WATT else Kind.COUNTER)
    assert found.domain.id == "imported:bench"
    assert found.domain.scope is Scope.PACKAGE
    assert found.domain.systematic_ratio == 0.01
    assert [value for _, value in found.trace] == [2 * factor, 3 * factor]


def test_a_running_total_is_taken_before_power(tmp_path: Path) -> None:
    rows = "".join(f"{1_767_225_600 + second},{second * 20},{50}\n" for second in range(61))
    found = load(written(tmp_path, "t,energy_j,power_w\n" + rows), ImportOptions(clock=Clock.UNIX))
    energy = energy_j(found.trace, found.domain, COMMAND)
    assert isinstance(energy, Energy)
    assert energy.energy_j == pytest.approx(600.0)


def test_a_coarse_total_is_as_uncertain_as_its_last_digit(tmp_path: Path) -> None:
    # 1 Wh a step at 720 W: a new value every 5 s, read every second.
    rows = "".join(f"{1_767_225_600 + second},{second // 5}\n" for second in range(101))
    found = load(written(tmp_path, "t,energy_wh\n" + rows), ImportOptions("t", "energy_wh", clock=Clock.UNIX))
    assert found.domain.update_s == 5.0
    energy = energy_j(found.trace, found.domain, COMMAND)
    assert isinstance(energy, Energy), energy
    assert abs(energy.energy_j - 720 * 30) <= 3 * energy.edge_j
    assert energy.edge_j > 200


def test_an_offset_moves_every_time(tmp_path: Path) -> None:
    path = written(tmp_path, "t,power_w\n1767225600,1\n1767225601,1\n")
    found = load(path, ImportOptions(clock=Clock.UNIX, offset_s=-2.5))
    assert found.trace[0][0] == 5_000 * S - 2_500_000_000


def test_marks_align_a_clock_of_its_own(tmp_path: Path) -> None:
    rows = [
        f"{second},{70},{'start' if second == 300 else 'end' if second == 330 else ''}"
        for second in range(290, 345)
    ]
    path = written(tmp_path, "t,power_w,mark\n" + "\n".join(rows) + "\n")
    found = load(path, ImportOptions(clock=Clock.SECONDS))
    assert found.trace[10] == (COMMAND.start_ns, 70.0)
    slow = [row.replace("end", "") for row in rows]
    slow[43] += "end"
    with pytest.raises(DataError, match="another rate") as raised:
        load(
            written(tmp_path, "t,power_w,mark\n" + "\n".join(slow) + "\n"), ImportOptions(clock=Clock.SECONDS)
        )
    assert "33.000 s" in str(raised.value)
    with pytest.raises(DataError, match="second 0"):
        load(written(tmp_path, "t,power_w\n1,2\n2,2\n"), ImportOptions(clock=Clock.SECONDS))


@pytest.mark.parametrize(
    ("moved_s", "refused"), [(0.0, False), (0.1, False), (-0.1, False), (0.2, True), (-60.0, True)]
)
def test_a_wall_clock_that_was_set_is_refused(moved_s: float, refused: bool, tmp_path: Path) -> None:
    path = written(tmp_path, "t,power_w\n1767225600,1\n1767225601,1\n")
    end = replace(END, wall_ns=END.wall_ns + round(moved_s * S))
    if refused:
        with pytest.raises(DataError, match="was set during"):
            load(path, ImportOptions(clock=Clock.UNIX), end)
    else:
        load(path, ImportOptions(clock=Clock.UNIX), end)


def test_what_is_no_reading_leaves_a_gap_and_never_a_zero(tmp_path: Path) -> None:
    cells = {12: "", 13: "unavailable", 14: "NaN", 15: "null"}
    rows = "".join(f"{1_767_225_600 + second},{cells.get(second, '80')}\n" for second in range(61))
    found = load(written(tmp_path, "t,power_w\n" + rows), ImportOptions(clock=Clock.UNIX))
    assert {value for _, value in found.trace} == {80.0}
    assert len(found.trace) == 57
    energy = energy_j(found.trace, found.domain, COMMAND)
    assert isinstance(energy, NotMeasured)
    assert "was not read" in energy.reasons[0]


def test_a_line_that_is_still_written_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "t,power_w\n1767225600,100\n1767225601,100\n1767225602,1")
    assert [value for _, value in load(path, ImportOptions(clock=Clock.UNIX)).trace] == [100.0, 100.0]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("t,power_w\n1,5\n2,x\n3,5\n", 3, "power_w is not a number"),
        ("t,power_w\n1,5\n2,inf\n", 3, "power_w is not a number"),
        ("t,power_w\n1,5\n2,-3\n", 3, "power_w is below 0"),
        ("t,power_w\n1,5\n\nlater,5\n", 4, "the time is not a number"),
        ("t,power_w\n1,5\n1e999999,5\n", 3, "the time is beyond what this clock counts"),
        ("t,power_w\n1767225600000,5\n", 2, "say with --clock what the column counts"),
        ("t;power_w\n1767225600,5;5\n", 2, "write decimals with a point"),
        ("t,power_w\n1,5\nnan,5\n", 3, "the time is not a number"),
        ("t,power_w\n5,5\n4,5\n", 3, "before that of the reading above"),
        ("t,power_w\n1,5\n2\n", 3, "not as many cells"),
        ('t,power_w\n1,5\n"2"x,5\n', 3, "not CSV"),
        ("t,power_w,t\n1,5,1\n", 1, "two columns have one name"),
        ('{"t": 1, "power_w": 5}\n{"t": 2, "power_w": true}\n', 2, "power_w is not a number"),
        ('{"t": 1, "power_w": 5}\n{"power_w": 4}\n', 2, "the time is not a number"),
        ('{"t": 1, "power_w": 5}\n[2, 5]\n', 2, "not a JSON object"),
        ('{"t": 1, "power_w": 5}\n{"t": 2,\n', 2, "not JSON"),
        ('{"t": true, "power_w": 5}\n', 1, "the time is not a number"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, what: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError) as raised:
        load(path, ImportOptions(clock=Clock.UNIX))
    assert what in str(raised.value)
    assert raised.value.where == f"{path}:{line}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "empty"),
        ("t,power_w", "empty"),
        ("t,power_w\n", "fewer than two readings"),
        ("t,power_w\n1,\n2,3\n", "fewer than two readings"),
        ("time,power_w\n1,5\n", "no column of the time"),
        ("t,volts\n1,5\n", "no column of power or energy"),
        ('{"t": 1, "power": 5}\n', "no column of power or energy"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(text: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=what):
        load(written(tmp_path, text), ImportOptions(clock=Clock.UNIX))


def test_what_is_no_text_no_file_or_without_a_zone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"t,power_w\n1,5\n\xff,6\n")
    with pytest.raises(DataError, match="UTF-8") as raised:
        load(path)
    assert raised.value.where == f"{path}:3"
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path)
    for stamp in ("2026-01-01T00:00:00", "1767225600", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:00"):
        with pytest.raises(DataError, match="not an instant"):
            load(written(tmp_path, f"t,power_w\n{stamp},5\n"))
    with pytest.raises(DataError, match="end in a unit"):
        load(written(tmp_path, "t,p\n1,5\n"), ImportOptions(value_column="p"))


def test_columns_are_checked_before_there_is_a_row(tmp_path: Path) -> None:
    options = ImportOptions(clock=Clock.UNIX)
    check_head(tmp_path / "not-yet.csv", options)
    check_head(written(tmp_path, ""), options)
    check_head(written(tmp_path, "t,power_w\n"), options)
    with pytest.raises(DataError, match="no column of the time"):
        check_head(written(tmp_path, "x,power_w\n"), options)
    with pytest.raises(InputError, match="--clock-start"):
        check_head(tmp_path / "not-yet.csv", replace(options, zero="2026-01-01T00:00:00Z"))
    with pytest.raises(InputError, match="not an instant"):
        check_head(tmp_path / "not-yet.csv", ImportOptions(clock=Clock.SECONDS, zero="noon"))


def test_a_total_that_hardly_moved_says_how_little_it_knows(tmp_path: Path) -> None:
    """One step of 1 Wh in a minute of about 40 W: what belongs to the command is anyone's guess."""
    rows = "".join(
        f"{cell},{3 if second < 25 else 4}\n" for second, cell in enumerate(clock_cells(Clock.ISO))
    )
    found = load(written(tmp_path, "t,energy_wh\n" + rows), ImportOptions(value_column="energy_wh"))
    assert (found.domain.update_s, found.domain.resolution) == (60.0, 3600.0)
    energy = energy_j(found.trace, found.domain, COMMAND)
    assert isinstance(energy, Energy)
    assert abs(energy.energy_j - 1200.0) < 2 * energy.reading_j


def test_the_resolution_is_a_step_that_all_steps_are_multiples_of(tmp_path: Path) -> None:
    cells = clock_cells(Clock.ISO)
    coarse = "".join(f"{cell},{36 * (second * second // 30)}\n" for second, cell in enumerate(cells))
    smooth = "".join(f"{cell},{second**1.5}\n" for second, cell in enumerate(cells))
    steps = [load(written(tmp_path, "t,energy_j\n" + text)).domain.resolution for text in (coarse, smooth)]
    assert steps == [36.0, None]


def test_a_gauge_read_more_often_than_it_changes_is_refreshed_as_it_changes(tmp_path: Path) -> None:
    rows = "".join(f"{cell},{100 + second // 10}\n" for second, cell in enumerate(clock_cells(Clock.ISO)))
    assert load(written(tmp_path, "t,power_w\n" + rows)).domain.update_s == 10.0


def test_a_total_that_leaps_was_set(tmp_path: Path) -> None:
    """A plug that starts again shows 0 once, and then the total that it had."""
    cells = clock_cells(Clock.ISO)
    rows = "".join(
        f"{cell},{0 if second == 9 else 5e9 + 100 * second}\n" for second, cell in enumerate(cells)
    )
    found = load(written(tmp_path, "t,energy_j\n" + rows))
    energy = energy_j(found.trace, found.domain, Window(5_009 * S + S // 2, 5_040 * S))
    assert isinstance(energy, NotMeasured)
    assert "reset or set" in energy.reasons[0]


@pytest.mark.parametrize("clock", list(Clock))
def test_marks_are_checked_with_every_clock(clock: Clock, tmp_path: Path) -> None:
    marks = {10: "start", 20: "end"}
    rows = "".join(f"{cell},100,{marks.get(place, '')}\n" for place, cell in enumerate(clock_cells(clock)))
    with pytest.raises(DataError, match="another rate"):
        load(written(tmp_path, "t,power_w,mark\n" + rows), ImportOptions(clock=clock))


def test_digits_are_not_grouped(tmp_path: Path) -> None:
    for line in ("1,1_00", "1_0,100"):
        path = written(tmp_path, f"t,power_w\n0,100\n{line}\n")
        with pytest.raises(DataError, match="not a number"):
            load(path, ImportOptions(clock=Clock.UNIX))
