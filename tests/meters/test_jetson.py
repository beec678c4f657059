from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from hexgate.errors import InputError
from hexgate.meters.base import Domain, Kind, Meter, MeterOptions, Scope, Unavailable, Unit
from hexgate.meters.countable import countable
from hexgate.meters.jetson import open_meter
from hexgate.meters.recorder import Recorder
from hexgate.meters.rows import traces
from hexgate.meters.windows import Energy, NotMeasured, Window, energy_j, total
from support.jetson_trees import KITS, JetsonTree, write

PATIENCE_S = 120.0


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEXGATE_JETSON_TOTAL", raising=False)


def _open(root: Path, *asked: str) -> Meter:
    meter = open_meter(MeterOptions(jetson_root=root, jetson_total=asked))
    assert not isinstance(meter, Unavailable), meter
    return meter


def _scopes(meter: Meter) -> dict[str, Scope]:
    return {domain.id: domain.scope for domain in meter.domains()}


def _watts(meter: Meter) -> dict[str, float | int | None]:
    return {reading.domain: reading.value for reading in meter.read()}


@pytest.mark.parametrize(
    ("kit", "rail", "scope", "watts"),
    [
        ("Nano", "POM_5V_IN", Scope.MODULE, 2.0),
        ("TX2", "VDD_IN", Scope.MODULE, 2.85),
        ("AGX Xavier", "GPU+CPU+SOC+CV+VDDRQ+SYS5V", Scope.MODULE, 3.568),
        ("Xavier NX", "VDD_IN", Scope.MODULE, 5.0),
        ("Orin Nano", "VDD_IN", Scope.MODULE, 5.0),
        ("Orin NX", "VDD_IN", Scope.MODULE, 5.0),
        ("AGX Thor", "VIN", Scope.HOST, 28.5),
    ],
)
def test_board_has_its_total_first_and_its_rails_beside_it(
    tmp_path: Path, kit: str, rail: str, scope: Scope, watts: float
) -> None:
    meter = _open(KITS[kit].tree(tmp_path).root)
    first, *others = meter.domains()
    assert (first.id, first.scope) == (f"jetson:{rail}", scope)
    assert (first.kind, first.unit, first.source) == (Kind.GAUGE, Unit.WATT, "jetson")
    assert "jetson-boards/1" in first.label
    assert {domain.scope for domain in others} == {Scope.RAIL}
    assert len(others) >= 2
    assert meter.lacks() == ()
    found = _watts(meter)
    assert next(iter(found)) == first.id
    assert set(found) == {domain.id for domain in meter.domains()}
    assert found[first.id] == pytest.approx(watts)
    assert countable(meter.domains()) == (first,)
    meter.close()


def test_agx_orin_has_rails_and_no_total_until_its_user_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = KITS["AGX Orin"].tree(tmp_path).root
    meter = _open(root)
    assert _scopes(meter) == {
        "jetson:VDD_GPU_SOC": Scope.RAIL,
        "jetson:VDD_CPU_CV": Scope.RAIL,
        "jetson:VIN_SYS_5V0": Scope.RAIL,
        "jetson:VDDQ_VDD2_1V8AO": Scope.RAIL,
    }
    [lack] = meter.lacks()
    assert "believed to lie inside VIN_SYS_5V0" in lack.reason
    likely = "VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0"
    assert f"HEXGATE_JETSON_TOTAL={likely}" in str(lack.remedy)
    assert countable(meter.domains()) == ()
    monkeypatch.setenv("HEXGATE_JETSON_TOTAL", likely)
    named = _open(root)
    assert named.lacks() == ()
    [whole] = countable(named.domains())
    assert (whole.id, whole.scope) == (f"jetson:{likely}", Scope.MODULE)
    assert "HEXGATE_JETSON_TOTAL" in whole.label
    assert _watts(named)[whole.id] == pytest.approx(3.04 + 0.76 + 5.0)


def test_total_of_a_sum_refuses_its_rails_even_where_nobody_left_them_out(tmp_path: Path) -> None:
    """Two rails of a board are of one device and scope, which `total` refuses by itself."""
    meter = _open(KITS["AGX Orin"].tree(tmp_path).root)
    energies = {domain.id: NotMeasured(domain.id, ("not looked at",)) for domain in meter.domains()}
    with pytest.raises(InputError, match="both of"):
        total(meter.domains(), energies)


@pytest.mark.parametrize(
    ("kit", "asked", "why"),
    [
        ("Orin Nano", ("VDD_IN", "VDD_SOC"), "VDD_IN and VDD_SOC, which lies inside it"),
        ("AGX Orin", ("VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"), "lies inside it"),
        ("Orin Nano", ("VDD_INN",), "names VDD_INN, which is no rail of this board; rails: VDD_IN, VDD_CPU"),
        ("Orin Nano", ("VDD_SOC", "VDD_SOC"), "names a rail twice"),
    ],
)
def test_wish_that_cannot_be_right_leaves_the_rails_without_total(
    tmp_path: Path, kit: str, asked: tuple[str, ...], why: str
) -> None:
    meter = _open(KITS[kit].tree(tmp_path).root, *asked)
    assert set(_scopes(meter).values()) == {Scope.RAIL}
    [lack] = meter.lacks()
    assert why in lack.reason
    assert countable(meter.domains()) == ()


def test_wish_may_go_beyond_the_module(tmp_path: Path) -> None:
    """The carrier board of a TX2 has a supply of its own, beside that of the module."""
    meter = _open(KITS["TX2"].tree(tmp_path).root, "VDD_IN", "VDD_MUX")
    assert _watts(meter)["jetson:VDD_IN+VDD_MUX"] == pytest.approx(2.85 + 3.8)


def test_unknown_board_shows_its_rails(tmp_path: Path) -> None:
    tree = JetsonTree(tmp_path, "Jetson of tomorrow", "nvidia,p9999-0000", "nvidia,tegra999")
    tree.ina3221("1-0040", [("VDD_IN", 5000, 1000), ("VDD_SOC", 5000, 200), ("NC", 0, 0)])
    meter = _open(tree.root)
    assert set(_scopes(meter)) == {"jetson:VDD_IN", "jetson:VDD_SOC"}
    [lack] = meter.lacks()
    assert "not in the table" in lack.reason
    assert "HEXGATE_JETSON_TOTAL=" in str(lack.remedy)
    assert "jetson:VDD_IN" in {domain.id for domain in countable(_open(tree.root, "VDD_IN").domains())}
    # What contains another rail on any board is not added to it on this one.
    assert countable(_open(tree.root, "VDD_IN", "VDD_SOC").domains()) == ()


def test_carrier_board_without_the_sensor_of_the_input_has_no_total(tmp_path: Path) -> None:
    kit = KITS["AGX Thor"]
    tree = JetsonTree(tmp_path, kit.model, *kit.compatible)
    tree.ina3221(*kit.hwmon[0])
    tree.ina238("2-0044", 1_000_000, label=None)
    meter = _open(tree.root)
    assert "jetson:ina238" in _scopes(meter)
    [lack] = meter.lacks()
    assert "the rails of its total are VIN, and not all can be read" in lack.reason


def test_shunt_inputs_and_what_leads_nowhere_are_no_rails(tmp_path: Path) -> None:
    tree = JetsonTree(
        tmp_path, "NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3767-0005", "nvidia,tegra234"
    )
    folder = tree.ina3221("1-0040", [("VDD_IN", 5000, 1000), ("NC", 0, 0), ("VDD_SOC", 5000, 200)])
    write(folder, {"in3_enable": 0})
    (folder / "in8_label").write_text("VDD_EIGHT\n", encoding="ascii")
    assert set(_scopes(_open(tree.root))) == {"jetson:VDD_IN"}


def test_two_rails_of_one_name_are_kept_apart_and_give_no_total(tmp_path: Path) -> None:
    tree = JetsonTree(
        tmp_path, "NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3767-0005", "nvidia,tegra234"
    )
    tree.ina3221("1-0041", [("VDD_IN", 5000, 300), ("NC", 0, 0), ("NC", 0, 0)])
    tree.ina3221("1-0040", [("VDD_IN", 5000, 100), ("NC", 0, 0), ("NC", 0, 0)])
    meter = _open(tree.root)
    # In the order of their addresses, not of their hwmon numbers.
    assert _watts(meter) == {"jetson:VDD_IN": 0.5, "jetson:VDD_IN#2": 1.5}
    [lack] = meter.lacks()
    assert "two rails have the name" in lack.reason
    [whole] = countable(_open(tree.root, "VDD_IN#2").domains())
    assert whole.id == "jetson:VDD_IN#2"


def test_facts_of_the_sensor_are_those_that_it_tells(tmp_path: Path) -> None:
    tree = JetsonTree(
        tmp_path, "NVIDIA Jetson Orin Nano Developer Kit", "nvidia,p3767-0005", "nvidia,tegra234"
    )
    folder = tree.ina3221("1-0040", [("VDD_IN", 5000, 1000), ("VDD_SOC", 5000, 8), ("NC", 0, 0)])
    first, other = _open(tree.root).domains()
    # 40 uV over 5 milliohm are 8 mA, at 5 V.
    assert first.resolution == pytest.approx(0.04)
    assert (first.update_s, first.averaging_s) == (0.007, 0.0)
    assert other.resolution == pytest.approx(0.04)
    write(folder, {"samples": 64, "update_interval": 422})
    assert {(domain.update_s, domain.averaging_s) for domain in _open(tree.root).domains()} == {
        (0.422, 0.422)
    }
    for name in ("samples", "update_interval", "shunt1_resistor"):
        (folder / name).unlink()
    first, *_ = _open(tree.root).domains()
    assert (first.resolution, first.update_s, first.averaging_s) == (None, None, 0.0)
    assert Domain.from_json(json.loads(json.dumps(first.to_json()))) == first


def test_jetpack_4_without_power_files_multiplies(tmp_path: Path) -> None:
    tree = JetsonTree(tmp_path, "NVIDIA Jetson Nano Developer Kit", "nvidia,jetson-nano", "nvidia,tegra210")
    tree.iio("6-0040", 0, [("POM_5V_IN", 5072, 288), ("NC", 0, 0), ("POM_5V_CPU", 5072, 40)], power=False)
    assert _watts(_open(tree.root)) == {
        "jetson:POM_5V_IN": pytest.approx(1.460736),
        "jetson:POM_5V_CPU": pytest.approx(0.20288),
    }


def test_total_is_read_at_every_call_and_the_others_in_turns(tmp_path: Path) -> None:
    """An INA3221 makes its reader wait: what a total does not need is read less often, but never forgotten."""
    asked: list[str] = []

    def counted(path: Path) -> str:
        asked.append(path.name)
        return path.read_text(encoding="ascii")

    opened = open_meter(MeterOptions(jetson_root=KITS["Orin Nano"].tree(tmp_path).root), read_text=counted)
    assert not isinstance(opened, Unavailable)
    rounds = [[reading.domain.partition(":")[2] for reading in opened.read()] for _ in range(7)]
    everything = ["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"]
    assert rounds[0] == everything
    assert all(names[0] == "VDD_IN" for names in rounds)
    for one, two in pairwise(rounds[1:]):
        assert sorted(one[1:] + two[1:]) == ["VDD_CPU_GPU_CV", "VDD_SOC"]
    asked.clear()
    opened.read()
    assert len(asked) == 4, "two attributes of the total, and two of one rail more"


@pytest.mark.parametrize("number", [errno.ENODATA, errno.EIO])
def test_read_that_fails_once_is_a_reading_without_value(tmp_path: Path, number: int) -> None:
    root = KITS["AGX Xavier"].tree(tmp_path).root
    failing = False

    def flaky(path: Path) -> str:
        if failing and path.name == "curr2_input" and "1-0040" in str(path.resolve()):
            raise OSError(number, os.strerror(number), str(path))
        return path.read_text(encoding="ascii")

    meter = open_meter(MeterOptions(jetson_root=root), read_text=flaky)
    assert not isinstance(meter, Unavailable)
    failing = True
    found = {reading.domain: reading for reading in meter.read()}
    whole = found["jetson:GPU+CPU+SOC+CV+VDDRQ+SYS5V"]
    assert whole.value is None
    assert whole.reason == f"CPU: {os.strerror(number)}"
    assert found["jetson:CPU"].value is None
    assert found["jetson:SOC"].value == pytest.approx(0.912)
    failing = False
    assert None not in {reading.value for reading in meter.read()}


def test_closed_rail_is_told_with_the_remedy_and_takes_the_total_with_it(tmp_path: Path) -> None:
    def closed(path: Path) -> str:
        if path.name == "curr1_input":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return path.read_text(encoding="ascii")

    meter = open_meter(MeterOptions(jetson_root=KITS["Orin Nano"].tree(tmp_path).root), read_text=closed)
    assert not isinstance(meter, Unavailable)
    rail, whole = meter.lacks()
    assert (rail.what, rail.reason.endswith("Permission denied")) == ("power of VDD_IN", True)
    assert "sudo chmod a+r" in str(rail.remedy)
    assert "not all can be read" in whole.reason
    assert set(_scopes(meter)) == {"jetson:VDD_CPU_GPU_CV", "jetson:VDD_SOC"}


def test_all_closed_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))

    def closed(path: Path) -> str:
        if path.name.endswith("_input"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return path.read_text(encoding="ascii")

    lack = open_meter(MeterOptions(jetson_root=KITS["Orin Nano"].tree(tmp_path).root), read_text=closed)
    assert isinstance(lack, Unavailable)
    assert "Permission denied" in lack.reason


def test_machine_that_is_no_jetson_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    other = JetsonTree(
        tmp_path / "other", "Raspberry Pi 5 Model B", "raspberrypi,5-model-b", "brcm,bcm2712"
    ).root
    for root in (empty, other):
        lack = open_meter(MeterOptions(jetson_root=root))
        assert isinstance(lack, Unavailable)
        assert (lack.reason, lack.remedy) == ("this machine is no Jetson", None)


def test_device_tree_is_found_where_proc_has_none(tmp_path: Path) -> None:
    root = KITS["Orin Nano"].tree(tmp_path).root
    firmware = root / "sys" / "firmware" / "devicetree"
    firmware.mkdir(parents=True)
    (root / "proc" / "device-tree").rename(firmware / "base")
    assert "jetson:VDD_IN" in _scopes(_open(root))


def test_container_that_hides_the_device_tree_knows_its_board_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = KITS["Orin Nano"].tree(tmp_path).root
    (root / "proc" / "device-tree").rename(tmp_path / "hidden")
    soc = root / "sys" / "devices" / "soc0"
    soc.mkdir()
    write(soc, {"family": "Tegra", "machine": "NVIDIA Jetson Orin Nano Developer Kit"})
    first, *_ = _open(root).domains()
    assert (first.id, first.scope) == ("jetson:VDD_IN", Scope.MODULE)
    for name in ("family", "machine"):
        (soc / name).unlink()
    assert isinstance(open_meter(MeterOptions(jetson_root=root)), Unavailable)
    monkeypatch.setenv("HEXGATE_JETSON_TOTAL", " VDD_IN ")
    assert countable(_open(root).domains())[0].id == "jetson:VDD_IN"


_WRITER = """
import os, sys, time
from pathlib import Path
place, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
current = first
while True:
    new = place.with_name(".new")
    new.write_text(f"{current}\\n")
    os.replace(new, place)
    current = min(current + 8, last)
    time.sleep(0.005)
"""


def test_sampler_records_a_board_whose_power_another_process_changes(tmp_path: Path) -> None:
    """Watts rise step by step under the sampler's hands: its readings rise too, and so its energy is between bounds."""
    root = KITS["Orin Nano"].tree(tmp_path / "board").root
    current = next((root / "sys" / "class" / "hwmon").glob("hwmon*/curr1_input")).resolve()
    folder = tmp_path / "out"
    folder.mkdir()
    recorder = Recorder(folder, "run", pid=None, power_hz=20, meters=("jetson",), jetson_root=root)
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(current), "1000", "100000000"])
    try:
        with recorder:
            start_ns = recorder.mark_ns()
            deadline = time.monotonic() + PATIENCE_S
            begin_ma = int(current.read_text(encoding="ascii"))
            while int(current.read_text(encoding="ascii")) < begin_ma + 1600:
                assert time.monotonic() < deadline, "waited in vain"
                time.sleep(0.01)
            end_ns = recorder.mark_ns()
    finally:
        writer.kill()
        writer.wait()
    assert recorder.failure is None
    first = recorder.domains[0]
    assert (first.id, first.scope) == ("jetson:VDD_IN", Scope.MODULE)
    rows = [json.loads(line) for line in recorder.power_path.read_text(encoding="utf-8").splitlines()]
    found = traces(rows)
    assert set(found) == {"jetson:VDD_IN", "jetson:VDD_CPU_GPU_CV", "jetson:VDD_SOC"}
    watts = [value for _, value in found[first.id]]
    assert watts == sorted(watts)
    assert len(set(watts)) >= 5
    assert all((round(value * 1e3) // 5) % 8 == 0 for value in watts), "each is a value that was written"
    window = Window(start_ns, end_ns)
    energy = energy_j(found[first.id], first, window)
    assert isinstance(energy, Energy), energy
    least_w = max(value for t_ns, value in found[first.id] if t_ns <= start_ns)
    most_w = min(value for t_ns, value in found[first.id] if t_ns >= end_ns)
    assert least_w * window.seconds <= energy.energy_j <= most_w * window.seconds
    assert least_w < most_w
    parts = {domain.id: energy_j(found[domain.id], domain, window) for domain in recorder.domains}
    assert all(isinstance(part, Energy) for part in parts.values()), parts
    assert total(countable(recorder.domains), parts) == energy
