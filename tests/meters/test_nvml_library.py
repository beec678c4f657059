"""Whole programs that read NVML, on a library of ours in place of the driver's: boards whose power is known."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hexgate.meters.base import Domain, Kind
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import traces
from hexgate.meters.summary import summarise_resources
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j
from support import needs
from support.nvml_stub import NS_PER_S, Sensed, Waveform, begin, compiled, shown

pytestmark = [
    pytest.mark.infra,
    pytest.mark.skipif(sys.platform != "linux", reason="the library is found as Linux finds one"),
]

PATIENCE_S = 120.0
WAVE = Waveform.of(
    [(0.8, 65.0), (0.2, 320.0), *[(0.04, 180.0), (0.04, 240.0)] * 15, (0.4, 110.0), (60.0, 65.0)]
)
"""A request of 1.4 s from 0.8 s on, and its tail until 2.6 s."""
END_S = 3.6
STEADY = Sensed("GPU-aaaa", WAVE, phase_ns=31_000_000, is_mig=True)
GAUGE = replace(STEADY, uuid="GPU-bbbb", lacks=("counter", "memory"), is_mig=False)
LOST = replace(STEADY, uuid="GPU-cccc", lost_ns=1_500_000_000, is_mig=False)
LOADED_ANEW = replace(STEADY, uuid="GPU-dddd", reset_ns=1_500_000_000, is_mig=False)
AVERAGED = replace(STEADY, uuid="GPU-eeee", lacks=("counter", "instant"), is_mig=False)
VIRTUAL = replace(STEADY, uuid="GPU-ffff", lacks=("counter", "instant", "power"), is_mig=False)
BOARDS = (STEADY, GAUGE, LOST, LOADED_ANEW, AVERAGED, VIRTUAL)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled library."""
    return compiled(needs.program("cc"), tmp_path_factory.mktemp("nvml"))


@dataclass(frozen=True)
class Recorded:
    """What the sampler left of six boards."""

    recorder: Recorder
    origin_ns: int
    rows: list[dict[str, Any]]

    def window(self, begin_s: float, end_s: float) -> Window:
        """A span after the begin of the waveforms."""
        return Window(self.origin_ns + round(begin_s * NS_PER_S), self.origin_ns + round(end_s * NS_PER_S))

    def domain(self, board: Sensed) -> Domain:
        """The one domain of a board."""
        [found] = [domain for domain in self.recorder.domains if domain.device == board.uuid]
        return found

    def trace(self, board: Sensed) -> list[tuple[int, float]]:
        """Its readings that have a value."""
        return traces(self.rows)[self.domain(board).id]

    def energy(self, board: Sensed, window: Window) -> Energy | NotMeasured:
        """Its energy."""
        return energy_j(self.trace(board), self.domain(board), window)

    def reach_ns(self, board: Sensed) -> int:
        """How far from an instant a reading may be, and what it shows: a refresh, and the longest gap."""
        return board.latch_ns + max(later[0] - sooner[0] for sooner, later in pairwise(self.trace(board)))


@pytest.fixture(scope="module")
def recorded(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recording")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in shown(library, folder / "boards.txt", BOARDS).items():
            patch.setenv(name, value)
        recorder = Recorder(folder, "run", pid=os.getpid(), meters=("nvml",))
        with recorder:
            origin_ns = time.monotonic_ns() + NS_PER_S // 5
            begin(folder / "boards.txt", origin_ns)
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic_ns() < origin_ns + END_S * NS_PER_S:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    assert recorder.failure is None
    lines = recorder.power_path.read_text(encoding="utf-8").splitlines()
    return Recorded(recorder, origin_ns, [json.loads(line) for line in lines])


def test_a_counter_that_is_refreshed_now_and_then_is_read_more_often(recorded: Recorded) -> None:
    assert recorded.recorder.to_json()["power_hz"] == 50.0


def test_every_reading_is_one_that_the_board_showed(recorded: Recorded) -> None:
    """The library and its twin in Python agree to the last digit, through ctypes, the sampler and its file."""
    latches = [place * STEADY.latch_ns + STEADY.phase_ns for place in range(-1, 600)]
    for board, show in (
        (STEADY, STEADY.energy_mj),
        (GAUGE, GAUGE.instant_mw),
        (AVERAGED, AVERAGED.average_mw),
        (LOADED_ANEW, LOADED_ANEW.energy_mj),
    ):
        possible = {show(at_ns) / 1e3 for at_ns in latches}
        seen = {value for _, value in recorded.trace(board)}
        assert seen <= possible, board.uuid
        assert len(seen) >= 3, board.uuid


def test_energy_by_counter_is_the_integral(recorded: Recorded) -> None:
    window, reach_ns = recorded.window(0.5, 3.1), recorded.reach_ns(STEADY)
    energy = recorded.energy(STEADY, window)
    assert isinstance(energy, Energy), energy
    edges = [at_ns - recorded.origin_ns for at_ns in (window.start_ns, window.end_ns)]
    # Whatever the machine did: at each edge at most what was drawn around it.
    most_j = sum(WAVE.energy_j(edge - reach_ns, edge + reach_ns) for edge in edges)
    assert abs(energy.energy_j - WAVE.energy_j(*edges)) <= most_j
    assert recorded.domain(STEADY).kind is Kind.COUNTER


def test_energy_by_momentary_power_is_near_the_integral(recorded: Recorded) -> None:
    window, reach_ns = recorded.window(0.5, 3.1), recorded.reach_ns(GAUGE)
    energy = recorded.energy(GAUGE, window)
    assert isinstance(energy, Energy), energy
    truth = WAVE.energy_j(*(at_ns - recorded.origin_ns for at_ns in (window.start_ns, window.end_ns)))
    # Each change of power is seen late by at most a refresh and a gap; those of the ripple go up and down.
    most_j = (255 + 140 + 100 + 45) * reach_ns / NS_PER_S + 60 * 1.2
    assert abs(energy.energy_j - truth) <= most_j


def test_averaged_power_is_flagged(recorded: Recorded) -> None:
    assert recorded.domain(AVERAGED).averaging_s == 1.0
    energy = recorded.energy(AVERAGED, recorded.window(0.5, 3.1))
    assert isinstance(energy, NotMeasured) or energy.degraded


def test_lost_board_has_reasons_and_the_others_go_on(recorded: Recorded) -> None:
    rows = [row for row in recorded.rows if row["domain"] == recorded.domain(LOST).id]
    lost = [row for row in rows if row["value"] is None]
    assert {row["reason"] for row in lost} == {"GPU is lost"}
    assert rows[-len(lost) :] == lost
    assert isinstance(recorded.energy(LOST, recorded.window(0.5, 3.1)), NotMeasured)
    assert isinstance(recorded.energy(STEADY, recorded.window(0.5, 3.1)), Energy)


def test_driver_loaded_anew_is_no_energy(recorded: Recorded) -> None:
    across = recorded.energy(LOADED_ANEW, recorded.window(0.5, 3.1))
    assert isinstance(across, NotMeasured)
    assert "reset" in across.reasons[0]
    assert isinstance(recorded.energy(LOADED_ANEW, recorded.window(2.0, 3.1)), Energy)


def test_what_cannot_be_measured_is_a_lack(recorded: Recorded) -> None:
    lacks = {lack.what: lack for lack in recorded.recorder.unavailable if lack.meter == "nvml"}
    virtual, divided = (next(what for what in lacks if board.uuid in what) for board in (VIRTUAL, STEADY))
    assert "Not Supported" in lacks[virtual].reason
    assert "MIG" in divided
    assert len(lacks) == 2


def test_resources_of_each_board(recorded: Recorded) -> None:
    lines = recorded.recorder.resources_path.read_text(encoding="utf-8").splitlines()
    summary = summarise_resources([json.loads(line) for line in lines])
    assert [one and one["mean"] for one in summary["gpu_temperature_c"]] == [45.0] * len(BOARDS)
    assert summary["gpu_memory_used_bytes"][0]["max"] == 20 * 2**30
    assert summary["gpu_memory_used_bytes"][1] is None
    assert summary["missing"]["gpu_memory_used_bytes.1"] == "Not Supported"
    assert summary["gpu_util_ratio"][0] is None  # under MIG it is not shown
    assert summary["gpu_util_ratio"][1]["max"] == 1.0


def test_doctor_lists_what_can_be_read_and_what_cannot(
    library: Path, tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    variables = shown(library, tmp_path / "boards.txt", BOARDS)
    done = process("-m", "hexgate", "doctor", **variables)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for board, shows in ((STEADY, "joules"), (GAUGE, "watts"), (AVERAGED, "watts, averaged over 1 s")):
        [line] = [line for line in lines if f"nvml:{board.uuid}" in line]
        assert shows in line
    assert not any(f"nvml:{VIRTUAL.uuid}" in line for line in lines)
    assert f"energy of NVIDIA Stub 100 ({VIRTUAL.uuid})" in done.stdout


def test_library_without_a_description_is_no_driver(
    library: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = process("-m", "hexgate", "doctor", LD_LIBRARY_PATH=str(library), HEXGATE_NVML_STUB="")
    assert done.returncode == 0, done.stderr
    assert "Driver Not Loaded" in done.stdout


def test_artifact_of_a_machine_with_a_gpu(
    library: Path, tmp_path: Path, process: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The whole way, from a driver's library to an artifact that keeps its schema."""
    board = Sensed("GPU-aaaa", Waveform.of([(60.0, 210.0)]), phase_ns=31_000_000)
    variables = shown(library, tmp_path / "boards.txt", [board])
    begin(tmp_path / "boards.txt", time.monotonic_ns())
    command = ["-m", "hexgate", "run", "--indicator", "power_efficiency", "--model", "demo:", "--quiet"]
    command += ["--power-duration-s", "3", "--idle-s", "1", "--out", str(tmp_path / "power.json")]
    done = process(*command, **variables)
    assert (tmp_path / "power.json").is_file(), done.stderr
    artifact = json.loads((tmp_path / "power.json").read_text(encoding="utf-8"))
    assert (artifact["measurement"], artifact["meter"], artifact["scope"]) == ("measured", "nvml", "board")
    assert artifact["mean_power_w"] == pytest.approx(210, rel=0.05)
    assert [domain["id"] for domain in artifact["domains"]] == ["nvml:GPU-aaaa"]
    assert [level["mean"] for level in artifact["resources"]["gpu_temperature_c"]] == [45]
