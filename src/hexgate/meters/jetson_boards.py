"""Which supply rails of a Jetson make up its total: a table, where each statement has its source.

No sensor says what else it measures. A sum that holds a container and its part counts twice, and one that leaves a
rail out counts too little: so a board has a total only where a source says which rails it is, and any other board
shows its rails alone until its user names the total.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hexgate.meters.base import Scope

__all__ = ["BOARDS", "TABLE", "Board", "board_of", "parts_of"]

TABLE = "jetson-boards/1"
"""Name and version of the table, as evidence has it. What changes a total of it changes the version."""


@dataclass(frozen=True)
class Board:
    """One family of modules with the same power sensors."""

    name: str
    """What a person calls it."""
    marks: tuple[str, ...]
    """Words, one of which stands in the device tree's model or compatible names, in lower case."""
    totals: tuple[tuple[str, ...], ...]
    """The rails that together are its total, once for each set of names that releases use; empty where not known."""
    scope: Scope
    """What the total covers."""
    contains: Mapping[str, tuple[str, ...]]
    """Rails that contain others, each with those that it contains."""
    sources: tuple[str, ...]
    """Where this is said."""
    doubt: str | None = None
    """What is not certain about it; where there is no total, why."""
    likely: tuple[str, ...] = ()
    """Where there is no total: the rails that are believed to make it up."""


_DESIGN_GUIDE_XAVIER = (
    "NVIDIA, Jetson AGX Xavier Series Product Design Guide DG-09840-001 v2.5: section 5.6.2 and figure 5-14 "
    "(the six supplies that are measured), section 5.2 (SYS_VIN_HV and SYS_VIN_MV both come from the main supply)"
)
_RAIL_NOTES = (
    "github.com/energymon/energymon, jetson/JetsonPowerRails.md, after NVIDIA's L4T 32.6.1 device trees and "
    "developer guide"
)

BOARDS: tuple[Board, ...] = (
    Board(
        name="Jetson AGX Thor",
        marks=("p3834", "agx thor"),
        totals=(("VIN",),),
        scope=Scope.HOST,
        contains={"VIN": ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")},
        sources=(
            (
                "NVIDIA's answer in forums.developer.nvidia.com/t/366461: the INA238 measures the whole input, module "
                "and carrier board"
            ),
            "github.com/rbonghi/jetson_stats, pull request 900: VIN of the INA238 is the total",
        ),
        doubt="on a carrier board other than NVIDIA's, VIN is what that board leads through the sensor",
    ),
    Board(
        name="Jetson AGX Orin",
        marks=("p3701", "agx orin"),
        totals=(),
        scope=Scope.MODULE,
        contains={"VIN_SYS_5V0": ("VDDQ_VDD2_1V8AO",)},
        sources=(
            "Linux, arch/arm64/boot/dts/nvidia/tegra234-p3701.dtsi: the four rails, and no rail of the whole input",
            (
                "github.com/rbonghi/jetson_stats, issue 344: VIN_SYS_5V0 supplies the inputs and outputs, and is not "
                "the total"
            ),
        ),
        doubt=(
            "it has no rail of the whole input; VDDQ_VDD2_1V8AO is believed to lie inside VIN_SYS_5V0, but no "
            "document of NVIDIA that we could read says so"
        ),
        likely=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ),
    Board(
        name="Jetson Orin NX or Orin Nano",
        marks=("p3767", "orin nx", "orin nano"),
        totals=(("VDD_IN",),),
        scope=Scope.MODULE,
        contains={"VDD_IN": ("VDD_CPU_GPU_CV", "VDD_SOC")},
        sources=(
            "Linux, arch/arm64/boot/dts/nvidia/tegra234-p3767.dtsi: the three rails",
            "NVIDIA, Jetson Orin NX and Orin Nano Design Guide DG-10931-001, chapter 6: VDD_IN supplies the module",
            "forums.developer.nvidia.com/t/348662: 2.18 W on VDD_IN where the plug of the developer kit had 2.6 W",
        ),
    ),
    Board(
        name="Jetson Xavier NX",
        marks=("p3668", "xavier nx", "xavier-nx"),
        totals=(("VDD_IN",),),
        scope=Scope.MODULE,
        contains={"VDD_IN": ("VDD_CPU_GPU_CV", "VDD_SOC")},
        sources=(
            (
                "NVIDIA's answer in forums.developer.nvidia.com/t/200883: VDD_IN is the total of the module, with the "
                "other rails, memory and interfaces in it"
            ),
            _RAIL_NOTES,
        ),
    ),
    Board(
        name="Jetson AGX Xavier",
        marks=("p2888", "p2972", "agx xavier", "jetson-xavier"),
        totals=(("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),),
        scope=Scope.MODULE,
        contains={},
        sources=(
            _DESIGN_GUIDE_XAVIER,
            "NVIDIA's answer in forums.developer.nvidia.com/t/75574: SYS5V is what DDR, CPU, GPU and CV do not have",
            _RAIL_NOTES,
        ),
        doubt="the six lie side by side; whether they leave out a small supply of the module is not said",
    ),
    Board(
        name="Jetson TX2 NX",
        marks=("p3636", "tx2 nx"),
        totals=(("VDD_IN",),),
        scope=Scope.MODULE,
        contains={"VDD_IN": ("VDD_CPU_GPU", "VDD_SOC")},
        sources=(
            "NVIDIA, Jetson TX2 NX Design Guide DG-10141-001, table 5-1: VDD_IN is main power",
            _RAIL_NOTES,
        ),
    ),
    Board(
        name="Jetson TX2",
        marks=("p3310", "p3489", "quill", "p2771", "jetson tx2", "jetson-tx2"),
        totals=(("VDD_IN",),),
        scope=Scope.MODULE,
        contains={
            "VDD_IN": (
                *("VDD_SYS_CPU", "VDD_SYS_GPU", "VDD_SYS_SOC", "VDD_SYS_DDR", "VDD_4V0_WIFI"),
                *("VDD_CPU", "VDD_GPU", "VDD_SOC", "VDD_DDR", "VDD_WIFI"),
            )
        },
        sources=(
            _RAIL_NOTES,
            "forums.developer.nvidia.com/t/201037: VDD_IN supplies the module, and VDD_MUX the carrier board beside it",
        ),
    ),
    Board(
        name="Jetson TX1",
        marks=("p2180", "p2371", "jetson-cv", "jetson tx1", "jetson-tx1"),
        totals=(("VDD_IN",),),
        scope=Scope.MODULE,
        contains={"VDD_IN": ("VDD_GPU", "VDD_CPU")},
        sources=(_RAIL_NOTES,),
    ),
    Board(
        name="Jetson Nano",
        marks=("p3448", "p3450", "jetson nano", "jetson-nano"),
        totals=(("POM_5V_IN",), ("VDD_IN",)),
        scope=Scope.MODULE,
        contains={"POM_5V_IN": ("POM_5V_GPU", "POM_5V_CPU"), "VDD_IN": ("VDD_GPU", "VDD_CPU")},
        sources=(
            (
                "NVIDIA's answer in forums.developer.nvidia.com/t/73608, as quoted in github.com/rbonghi/jetson_stats, "
                "issue 51: POM_5V_IN is the whole 5 V input, and the other two are not to be added"
            ),
            _RAIL_NOTES,
        ),
    ),
)
"""Every board whose sensors we know; the first that fits counts."""


def board_of(words: str) -> Board | None:
    """The board that the device tree's model and compatible names mean; None for one that is not in the table."""
    words = words.lower()
    return next((board for board in BOARDS if any(mark in words for mark in board.marks)), None)


def parts_of(board: Board | None, rail: str) -> frozenset[str]:
    """What a rail contains; of a board that is not in the table, whatever it contains on any board."""
    known = BOARDS if board is None else (board,)
    return frozenset(part for one in known for part in one.contains.get(rail, ()))
