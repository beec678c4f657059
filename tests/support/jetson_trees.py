"""Jetsons that are not there: trees of sysfs and device tree as the kernel lays them out, and a pretend tegrastats.

All values and lines are written by hand after the published layouts and formats; none is of a real board.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_JETPACK_4 = (
    "RAM 407/3956MB (lfb 551x4MB) SWAP 0/1978MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [5%@102,2%@102,off,off] "
)
_JETPACK_5 = (
    "11-21-2026 02:20:01 RAM 4071/15823MB (lfb 4x4MB) SWAP 0/7911MB (cached 0MB) "
    "CPU [12%@2201,9%@2201,off,off] EMC_FREQ 3%@3199 GR3D_FREQ 88%@[1300,1300] VIC_FREQ 115 APE 174 "
)
LINES: Mapping[str, str] = {
    "Nano, JetPack 4": _JETPACK_4
    + "EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@34C CPU@37.5C PMIC@100C GPU@35C "
    "AO@43.5C thermal@36.25C POM_5V_IN 1432/1418 POM_5V_GPU 0/0 POM_5V_CPU 204/201",
    "TX2, JetPack 4": _JETPACK_4 + "GR3D_FREQ 4%@114 GPU@28C VDD_IN 2940/2871 VDD_CPU 153/168 VDD_GPU 76/76 "
    "VDD_SOC 535/531 VDD_WIFI 19/30 VDD_DDR 634/628",
    "AGX Xavier, JetPack 4": _JETPACK_4
    + "GR3D_FREQ 0%@318 MTS fg 0% bg 0% AO@32C GPU@31.5C CPU@33C GPU 0/12 "
    "CPU 311/402 SOC 933/930 CV 0/0 VDDRQ 155/150 SYS5V 1442/1440",
    "Xavier NX, JetPack 4": _JETPACK_4 + "GPU@28C VDD_IN 3150/3148 VDD_CPU_GPU_CV 480/477 VDD_SOC 1011/1010",
    "Orin Nano, JetPack 5": _JETPACK_5 + "cpu@47.5C gpu@46.1C tj@48.6C VDD_IN 5139mW/5102mW "
    "VDD_CPU_GPU_CV 1120mW/1109mW VDD_SOC 1440mW/1440mW",
    "AGX Orin, JetPack 6": _JETPACK_5 + "Tboard@32C tj@44.2C NC 0mW/0mW VDD_GPU_SOC 3150mW/2971mW "
    "VDD_CPU_CV 787mW/760mW VIN_SYS_5V0 4968mW/5048mW NC 0mW/0mW VDDQ_VDD2_1V8AO 1091mW/1091mW NC 0mW/0mW",
    "AGX Orin, JetPack 7": _JETPACK_5 + "cpu@45.2C/47C tj@46C/47.5C VDD_GPU_SOC 3150mW/2971mW/3320mW "
    "VDD_CPU_CV 787mW/760mW/1180mW VIN_SYS_5V0 4968mW/5048mW/5200mW VDDQ_VDD2_1V8AO 1091mW/1091mW/1190mW",
    "AGX Thor, JetPack 7": _JETPACK_5 + "cpu@43.8C/45C tj@44.2C/46C VDD_GPU -392mW/0mW/5517mW "
    "VDD_CPU_SOC_MSS 7484mW/7480mW/8100mW VIN_SYS_5V0 6309mW/6300mW/6400mW VIN 28548mW/28500mW/29100mW",
}
"""A line of tegrastats by board and release."""


class JetsonTree:
    """What stands for ``/`` on a Jetson, in a folder."""

    def __init__(self, root: Path, model: str, *compatible: str) -> None:
        self.root = root
        self._chips = 0
        folder = root / "proc" / "device-tree"
        folder.mkdir(parents=True)
        (folder / "model").write_bytes(model.encode() + b"\0")
        (folder / "compatible").write_bytes(b"".join(name.encode() + b"\0" for name in compatible))
        (root / "sys" / "class" / "hwmon").mkdir(parents=True)

    def _hwmon(self, address: str, files: Mapping[str, object]) -> Path:
        # Numbered against the order of the addresses, as may happen on a real board.
        number = 9 - self._chips
        self._chips += 1
        chip = self.root / "sys" / "devices" / "platform" / "c240000.i2c" / f"i2c-{address[0]}" / address
        folder = chip / "hwmon" / f"hwmon{number}"
        folder.mkdir(parents=True)
        (folder / "device").symlink_to(f"../../../{address}", target_is_directory=True)
        (self.root / "sys" / "class" / "hwmon" / folder.name).symlink_to(folder, target_is_directory=True)
        write(folder, files)
        return folder

    def ina3221(
        self, address: str, rails: Sequence[tuple[str, int, int]], *, shunt_uohm: int = 5000, samples: int = 1
    ) -> Path:
        """An INA3221 as JetPack 5 and later show it: (label, mV, mA) of each of its three inputs."""
        files: dict[str, object] = {"name": "ina3221", "samples": samples, "update_interval": 7 * samples}
        for channel, (label, voltage_mv, current_ma) in enumerate(rails, start=1):
            files |= {
                f"in{channel}_label": label,
                f"in{channel}_enable": 1,
                f"in{channel}_input": voltage_mv,
                f"curr{channel}_input": current_ma,
                f"curr{channel}_max": 32760,
                f"curr{channel}_crit": 32760,
                f"shunt{channel}_resistor": shunt_uohm,
                f"in{channel + 3}_input": current_ma * shunt_uohm // 1000,
            }
        files |= {"in7_label": "sum of shunt voltages", "in7_input": 123456, "curr4_input": 99999}
        return self._hwmon(address, files)

    def ina238(self, address: str, power_uw: int, label: str | None = "VIN") -> Path:
        """An INA238, which tells power itself."""
        files = {
            "name": "ina238",
            "power1_input": power_uw,
            "in0_input": 12,
            "in1_input": 19800,
            "curr1_input": 1440,
        }
        return self._hwmon(address, files if label is None else {**files, "label": label})

    def iio(
        self, address: str, number: int, rails: Sequence[tuple[str, int, int]], *, power: bool = True
    ) -> Path:
        """An INA3221 as JetPack 4 shows it: (name, mV, mA) of each of its three inputs."""
        folder = self.root.joinpath(
            "sys", "bus", "i2c", "drivers", "ina3221x", address, f"iio:device{number}"
        )
        folder.mkdir(parents=True)
        files: dict[str, object] = {"name": "ina3221x"}
        for channel, (name, voltage_mv, current_ma) in enumerate(rails):
            files |= {
                f"rail_name_{channel}": name,
                f"in_voltage{channel}_input": voltage_mv,
                f"in_current{channel}_input": current_ma,
            }
            if power:
                files[f"in_power{channel}_input"] = voltage_mv * current_ma // 1000
        write(folder, files)
        return folder


def write(folder: Path, files: Mapping[str, object]) -> None:
    """Set attributes, each in one step, as the kernel does."""
    for name, value in files.items():
        new = folder / f".{name}.new"
        new.write_text(f"{value}\n", encoding="ascii")
        os.replace(new, folder / name)  # noqa: PTH105


@dataclass(frozen=True)
class Kit:
    """A board, what its device tree says, and where its rails are."""

    model: str
    compatible: tuple[str, ...]
    hwmon: tuple[tuple[str, tuple[tuple[str, int, int], ...]], ...] = ()
    iio: tuple[tuple[str, tuple[tuple[str, int, int], ...]], ...] = ()
    vin_uw: int | None = None

    def tree(self, root: Path) -> JetsonTree:
        """The tree of this board under a folder."""
        tree = JetsonTree(root, self.model, *self.compatible)
        for address, rails in self.hwmon:
            tree.ina3221(address, rails)
        for number, (address, rails) in enumerate(self.iio):
            tree.iio(address, number, rails)
        if self.vin_uw is not None:
            tree.ina238("2-0044", self.vin_uw)
        return tree


_ORIN_RAILS = (("VDD_IN", 5000, 1000), ("VDD_CPU_GPU_CV", 5000, 240), ("VDD_SOC", 5000, 280))
KITS: Mapping[str, Kit] = {
    "Nano": Kit(
        "NVIDIA Jetson Nano Developer Kit",
        ("nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano", "nvidia,tegra210"),
        iio=(("6-0040", (("POM_5V_IN", 5000, 400), ("POM_5V_GPU", 5000, 40), ("POM_5V_CPU", 5000, 80))),),
    ),
    "TX2": Kit(
        "quill",
        ("nvidia,p2597-0000+p3310-1000", "nvidia,quill", "nvidia,tegra186"),
        iio=(
            ("0-0040", (("VDD_SYS_GPU", 19000, 8), ("VDD_SYS_SOC", 19000, 24), ("VDD_4V0_WIFI", 4800, 4))),
            ("0-0041", (("VDD_IN", 19000, 150), ("VDD_SYS_CPU", 19000, 8), ("VDD_SYS_DDR", 19000, 30))),
            ("0-0042", (("VDD_MUX", 19000, 200), ("VDD_5V0_IO_SYS", 5000, 60), ("VDD_3V3_SYS", 3300, 30))),
        ),
    ),
    "AGX Xavier": Kit(
        "Jetson-AGX",
        ("nvidia,p2972-0000", "nvidia,tegra194"),
        hwmon=(
            ("1-0040", (("GPU", 19000, 16), ("CPU", 19000, 32), ("SOC", 19000, 48))),
            ("1-0041", (("CV", 19000, 8), ("VDDRQ", 19000, 8), ("SYS5V", 5000, 288))),
        ),
    ),
    "Xavier NX": Kit(
        "NVIDIA Jetson Xavier NX Developer Kit",
        ("nvidia,p3449-0000+p3668-0000", "nvidia,p3509-0000+p3668-0000", "nvidia,tegra194"),
        hwmon=(("7-0040", _ORIN_RAILS),),
    ),
    "Orin Nano": Kit(
        "NVIDIA Jetson Orin Nano Developer Kit",
        ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
        hwmon=(("1-0040", _ORIN_RAILS),),
    ),
    "Orin NX": Kit(
        "NVIDIA Orin NX Developer Kit",
        ("nvidia,p3509-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
        hwmon=(("1-0040", _ORIN_RAILS),),
    ),
    "AGX Orin": Kit(
        "NVIDIA Jetson AGX Orin Developer Kit",
        ("nvidia,p3737-0000+p3701-0000", "nvidia,p3701-0000", "nvidia,tegra234"),
        hwmon=(
            ("1-0040", (("VDD_GPU_SOC", 19000, 160), ("VDD_CPU_CV", 19000, 40), ("VIN_SYS_5V0", 5000, 1000))),
            ("1-0041", (("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5000, 200), ("NC", 0, 0))),
        ),
    ),
    "AGX Thor": Kit(
        "NVIDIA Jetson AGX Thor Developer Kit",
        ("nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
        hwmon=(
            (
                "2-0040",
                (("VDD_GPU", 19000, 288), ("VDD_CPU_SOC_MSS", 19000, 400), ("VIN_SYS_5V0", 5000, 1200)),
            ),
        ),
        vin_uw=28_500_000,
    ),
}
"""A board of each family."""

_TEGRASTATS = """#!{python}
import json, os, signal, sys, time
from pathlib import Path
here = Path(__file__).parent
play = json.loads(here.joinpath("play.json").read_text())
if play["deaf"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
here.joinpath("asked").write_text(" ".join(sys.argv[1:]))
here.joinpath("pid").write_text(str(os.getpid()))
while True:
    for wait_s, text in play["pieces"]:
        time.sleep(wait_s)
        sys.stdout.write(text)
        sys.stdout.flush()
    if play["then"] != "again":
        break
if play["then"] == "stall":
    time.sleep(3600)
sys.exit(play["then"])
"""


@dataclass(frozen=True)
class Tegrastats:
    """A pretend tegrastats that plays pieces of output at real pace."""

    folder: Path
    """What the path must have for it to be found."""

    def play(self, *pieces: tuple[float, str], then: Any = "again", deaf: bool = False) -> None:
        """What it prints: (seconds before, text) for each piece; then again, a stall, or the end with an exit code.

        A deaf one does not hear that it is to end.
        """
        program = self.folder / "tegrastats"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "play.json").write_text(
            json.dumps({"pieces": pieces, "then": then, "deaf": deaf}), encoding="ascii"
        )
        program.write_text(_TEGRASTATS.replace("{python}", sys.executable), encoding="ascii")
        program.chmod(0o755)

    @property
    def asked(self) -> str:
        """The arguments with which it was last started."""
        return (self.folder / "asked").read_text(encoding="ascii")

    @property
    def pid(self) -> int:
        """The process in which it last ran."""
        return int((self.folder / "pid").read_text(encoding="ascii"))
