from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from hexgate.meters.base import Meter, MeterOptions, Reading, Scope, Unavailable
from hexgate.meters.countable import countable
from hexgate.meters.jetson import open_meter
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import traces
from hexgate.meters.tegrastats import rails_of
from support.jetson_trees import LINES, JetsonTree, Tegrastats

PATIENCE_S = 120.0
ORIN = ("NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3767-0005", "nvidia,tegra234")
LINE = LINES["Orin Nano, JetPack 5"] + "\n"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tegrastats:
    """A pretend tegrastats on the path."""
    monkeypatch.delenv("HEXGATE_JETSON_TOTAL", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Tegrastats(tmp_path / "bin")


@contextmanager
def _opened(tmp_path: Path, *identity: str) -> Iterator[Meter]:
    tree = JetsonTree(tmp_path / "board", *(identity or ORIN))
    meter = open_meter(MeterOptions(jetson_root=tree.root))
    assert not isinstance(meter, Unavailable), meter
    try:
        yield meter
    finally:
        meter.close()


def _refused(tmp_path: Path) -> Unavailable:
    lack = open_meter(MeterOptions(jetson_root=JetsonTree(tmp_path / "board", *ORIN).root))
    assert isinstance(lack, Unavailable)
    return lack


def _until(meter: Meter, condition: Callable[[list[Reading]], bool]) -> list[Reading]:
    """Readings, asked for again and again, until they are as wished."""
    found: list[Reading] = []
    deadline = time.monotonic() + PATIENCE_S
    while not condition(found):
        assert time.monotonic() < deadline, found[-3:]
        found += meter.read()
        time.sleep(0.01)
    return found


@pytest.mark.parametrize(
    ("line", "watts"),
    [
        ("Nano, JetPack 4", {"POM_5V_IN": 1.432, "POM_5V_GPU": 0.0, "POM_5V_CPU": 0.204}),
        (
            "TX2, JetPack 4",
            {
                "VDD_IN": 2.94,
                "VDD_CPU": 0.153,
                "VDD_GPU": 0.076,
                "VDD_SOC": 0.535,
                "VDD_WIFI": 0.019,
                "VDD_DDR": 0.634,
            },
        ),
        (
            "AGX Xavier, JetPack 4",
            {"GPU": 0.0, "CPU": 0.311, "SOC": 0.933, "CV": 0.0, "VDDRQ": 0.155, "SYS5V": 1.442},
        ),
        ("Xavier NX, JetPack 4", {"VDD_IN": 3.15, "VDD_CPU_GPU_CV": 0.48, "VDD_SOC": 1.011}),
        ("Orin Nano, JetPack 5", {"VDD_IN": 5.139, "VDD_CPU_GPU_CV": 1.12, "VDD_SOC": 1.44}),
        (
            "AGX Orin, JetPack 6",
            {"VDD_GPU_SOC": 3.15, "VDD_CPU_CV": 0.787, "VIN_SYS_5V0": 4.968, "VDDQ_VDD2_1V8AO": 1.091},
        ),
        (
            "AGX Orin, JetPack 7",
            {"VDD_GPU_SOC": 3.15, "VDD_CPU_CV": 0.787, "VIN_SYS_5V0": 4.968, "VDDQ_VDD2_1V8AO": 1.091},
        ),
        (
            "AGX Thor, JetPack 7",
            {"VDD_GPU": -0.392, "VDD_CPU_SOC_MSS": 7.484, "VIN_SYS_5V0": 6.309, "VIN": 28.548},
        ),
    ],
)
def test_line_of_each_release_has_its_rails_and_nothing_else(line: str, watts: dict[str, float]) -> None:
    assert rails_of(LINES[line]) == watts


def test_what_looks_like_power_and_is_none() -> None:
    assert (
        rails_of("RAM 407/15823MB SWAP 0/7911MB IRAM 0/252kB(lfb 252kB) GPU@28C GR3D_FREQ 12%@[1300,1300]")
        == {}
    )
    assert rails_of("CPU [12%@2201,9%@2201] EMC_FREQ 3%@3199 APE 174 NVENC 716 11-21-2026 02:20:01") == {}
    # A line that ends within a value, or without it, has that rail not.
    assert rails_of("VDD_IN 5139mW/5102mW VDD_SOC 14") == {"VDD_IN": 5.139}
    assert rails_of("VDD_IN 5139mW/51") == {}
    assert rails_of("") == {}


def test_repeated_names_are_kept_apart_and_unconnected_inputs_left_out() -> None:
    assert rails_of("NC 7mW/7mW VDD_IN 100mW/90mW NC 8mW/8mW VDD_IN 200mW/90mW") == {
        "VDD_IN": 0.1,
        "VDD_IN#2": 0.2,
    }


@pytest.mark.parametrize("line", LINES)
def test_every_release_is_read_at_real_pace(tmp_path: Path, tool: Tegrastats, line: str) -> None:
    tool.play((0.1, LINES[line] + "\n"))
    board = {
        "Nano": ("NVIDIA Jetson Nano Developer Kit", "nvidia,jetson-nano", "nvidia,tegra210"),
        "TX2": ("quill", "nvidia,quill", "nvidia,tegra186"),
        "AGX Xavier": ("Jetson-AGX", "nvidia,p2972-0000", "nvidia,tegra194"),
        "Xavier NX": ("Xavier NX", "nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
        "Orin Nano": ORIN,
        "AGX Orin": ("Jetson AGX Orin", "nvidia,p3737-0000+p3701-0000", "nvidia,tegra234"),
        "AGX Thor": ("Jetson AGX Thor", "nvidia,p3834-0008", "nvidia,tegra264"),
    }[line.partition(",")[0]]
    with _opened(tmp_path, *board) as meter:
        found = _until(meter, lambda readings: len({reading.t_ns for reading in readings}) >= 3)
        whole = countable(meter.domains())
        assert bool(whole) != bool(meter.lacks()), "a total, or the reason why there is none"
        assert len(whole) == (0 if line.startswith("AGX Orin") else 1)
        assert {reading.domain for reading in found} == {domain.id for domain in meter.domains()}
    stamps = [reading.t_ns for reading in found]
    assert stamps == sorted(stamps)
    assert None not in {reading.value for reading in found}
    assert tool.asked == "--interval 100"
    assert not psutil.pid_exists(tool.pid)


def test_sum_of_rails_is_of_one_line(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play((0.05, LINES["AGX Xavier, JetPack 4"] + "\n"))
    with _opened(tmp_path, "Jetson-AGX", "nvidia,p2972-0000", "nvidia,tegra194") as meter:
        [whole] = countable(meter.domains())
        assert whole.scope is Scope.MODULE
        found = _until(meter, bool)
    assert found[0].domain == whole.id
    assert found[0].value == pytest.approx(0.311 + 0.933 + 0.155 + 1.442)


def test_line_that_comes_in_pieces_is_one_reading(tmp_path: Path, tool: Tegrastats) -> None:
    begin, end = LINE[:120], LINE[120:]
    tool.play((0.05, begin), (0.05, end))
    with _opened(tmp_path) as meter:
        found = _until(meter, lambda readings: len(readings) >= 9)
    assert {reading.value for reading in found if reading.domain == "jetson:VDD_IN"} == {5.139}


def test_rail_that_a_line_does_not_have_is_a_reading_without_value(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play((0.05, LINE), (0.05, "RAM 1/2MB VDD_IN 900mW/900mW\n"), (0.05, "a word of warning\n"))
    with _opened(tmp_path) as meter:
        found = _until(meter, lambda readings: any(reading.value is None for reading in readings))
    lacking = [reading for reading in found if reading.value is None]
    assert {reading.domain for reading in lacking} <= {"jetson:VDD_CPU_GPU_CV", "jetson:VDD_SOC"}
    assert {reading.reason for reading in lacking} == {"the line of tegrastats does not have it"}


def test_stall_is_said_and_never_filled(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play(*[(0.1, LINE)] * 5, then="stall")
    with _opened(tmp_path) as meter:
        found = _until(meter, lambda readings: any(reading.value is None for reading in readings))
    values = [reading for reading in found if reading.value is not None]
    silent = [reading for reading in found if reading.value is None]
    assert len(values) == 15
    assert "has told no power for" in str(silent[0].reason)
    assert silent[0].t_ns - values[-1].t_ns > 300_000_000
    assert {reading.domain for reading in silent} == {domain.id for domain in meter.domains()}
    assert not psutil.pid_exists(tool.pid)


def test_end_of_the_tool_is_said_with_its_last_words(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play((0.05, LINE), (0.05, "Failed to open /sys/kernel/debug\n"), (0.0, "half a li"), then=7)
    with _opened(tmp_path) as meter:
        found = _until(meter, lambda readings: any(reading.value is None for reading in readings))
    assert found[-1].reason == "tegrastats ended (exit code 7: Failed to open /sys/kernel/debug)"


def test_tool_that_does_not_end_when_it_is_asked_to_is_ended(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play((0.05, LINE), deaf=True)
    with _opened(tmp_path):
        assert psutil.pid_exists(tool.pid)
    assert not psutil.pid_exists(tool.pid)


def test_release_that_shows_power_to_root_alone(tmp_path: Path, tool: Tegrastats) -> None:
    without = LINE.partition(" VDD_IN")[0] + "\n"
    tool.play((0.05, without))
    lack = _refused(tmp_path)
    assert lack.reason == "the lines of tegrastats have no power in them"
    assert "run hexgate as root" in str(lack.remedy)
    assert not psutil.pid_exists(tool.pid)


def test_tool_that_ends_at_once_or_cannot_start(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play((0.0, "must be run as root\n"), then=1)
    assert _refused(tmp_path).reason == "tegrastats ended (exit code 1: must be run as root)"
    (tool.folder / "tegrastats").write_bytes(b"\x7fELF of another machine")
    tree = tmp_path / "board"
    lack = open_meter(MeterOptions(jetson_root=tree))
    assert isinstance(lack, Unavailable)
    assert "cannot be started" in lack.reason


def test_no_sensor_and_no_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    lack = _refused(tmp_path)
    assert "no tegrastats on the path" in lack.reason
    assert "mount" in str(lack.remedy)


def test_recorder_takes_the_lines_with_the_stamps_of_their_arrival(tmp_path: Path, tool: Tegrastats) -> None:
    tool.play((0.1, LINE))
    tree = JetsonTree(tmp_path / "board", *ORIN)
    out = tmp_path / "out"
    out.mkdir()
    with Recorder(out, "run", pid=None, meters=("jetson",), jetson_root=tree.root) as recorder:
        assert psutil.pid_exists(tool.pid)
        deadline = time.monotonic() + PATIENCE_S
        partial = recorder.power_path.with_name(recorder.power_path.name + ".partial")
        while partial.read_bytes().count(b"VDD_IN") < 5:
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)
    assert recorder.failure is None
    assert not psutil.pid_exists(tool.pid)
    rows = [json.loads(line) for line in recorder.power_path.read_text(encoding="utf-8").splitlines()]
    trace = traces(rows)["jetson:VDD_IN"]
    assert len(dict(trace)) == len(trace), "no line is taken twice"
    assert {value for _, value in trace} == {5.139}
