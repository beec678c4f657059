"""The flags of `hexgate meter` that say how the file of another meter is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hexgate.cli.language import text
from hexgate.cli.number import Finite
from hexgate.errors import InputError
from hexgate.meters.base import Scope
from hexgate.meters.imported import UNITS, ImportOptions
from hexgate.meters.imported_clock import Clock

__all__ = ["import_flags", "import_options"]

_SCOPES = (Scope.HOST, Scope.MODULE, Scope.BOARD, Scope.PACKAGE, Scope.DRAM, Scope.PSYS, Scope.RAIL)
_FLAGS: tuple[tuple[str, dict[str, Any], tuple[str, str]], ...] = (
    (
        "--import-columns",
        {"metavar": "TIME,VALUE"},
        (
            "Its columns of the time and of the power or energy. [t,energy_j or t,power_w]",
            "时间列与功率或能量列。[t,energy_j 或 t,power_w]",
        ),
    ),
    (
        "--import-unit",
        {"type": click.Choice(list(UNITS))},
        (
            "Unit of its values, where the column's name does not end in it.",
            "数值的单位（列名未以单位结尾时）。",
        ),
    ),
    (
        "--import-scope",
        {"type": click.Choice([scope.value for scope in _SCOPES])},
        ("What it covers. [host: the whole machine]", "它覆盖什么。[host：整机]"),
    ),
    ("--import-name", {}, ("What to call it. [the file's name]", "它的名字。[文件名]")),
    (
        "--import-uncertainty",
        {"type": Finite(0, 1)},
        (
            "Its relative standard uncertainty, such as 0.01; none is taken where none is given.",
            "它的相对标准不确定度，如 0.01；不给则不计。",
        ),
    ),
    (
        "--clock",
        {"type": click.Choice([clock.value for clock in Clock])},
        (
            "What its time counts: instants, seconds since 1970, this machine's monotonic clock, or its own. [iso]",
            "时间列的含义：时刻、自 1970 年的秒数、本机单调时钟，或文件自己的秒数。[iso]",
        ),
    ),
    (
        "--clock-start",
        {"metavar": "INSTANT"},
        (
            "With --clock seconds, when second 0 was; else the row marked start is when the command began.",
            "配合 --clock seconds：第 0 秒的时刻；否则以标记 start 的行为命令开始之时。",
        ),
    ),
    (
        "--clock-offset-s",
        {"type": Finite()},
        (
            "Seconds to add to its times: above 0 where its clock is behind. [0]",
            "加到其时间上的秒数：其时钟慢则大于 0。[0]",
        ),
    ),
)
_FIELDS = {
    "import_unit": "unit",
    "import_name": "name",
    "import_uncertainty": "systematic_ratio",
    "clock_start": "zero",
    "clock_offset_s": "offset_s",
}


def import_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags, as a decorator of a command."""
    for flag, keys, words in reversed(_FLAGS):
        function = click.option(flag, default=None, help=text(*words), **keys)(function)
    return click.option(
        "--import",
        "imported",
        type=click.Path(path_type=Path),
        default=None,
        help=text(
            "Another meter's file: CSV with a header, or JSON Lines. It may still be written.",
            "另一个电表的文件：带表头的 CSV 或 JSON Lines，可以仍在写入。",
        ),
    )(function)


def import_options(imported: Path | None, given: dict[str, Any]) -> ImportOptions:
    """How the file is read, from the flags that were given.

    Raises:
        InputError: if a flag is given without a file, or does not say what it should.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if said and imported is None:
        flag = f"--{next(iter(said)).replace('_', '-')}"
        raise InputError(f"{flag} needs --import", hint="name the file of the other meter")
    chosen: dict[str, Any] = {_FIELDS[name]: value for name, value in said.items() if name in _FIELDS}
    if "import_columns" in said:
        columns = [part.strip() for part in said["import_columns"].split(",")]
        if len(columns) != 2 or not all(columns):
            raise InputError(
                "not two columns",
                where="--import-columns",
                got=said["import_columns"],
                expected="TIME,VALUE, such as t,power_w",
            )
        chosen["time_column"], chosen["value_column"] = columns
    if "import_scope" in said:
        chosen["scope"] = Scope(said["import_scope"])
    if "clock" in said:
        chosen["clock"] = Clock(said["clock"])
    return ImportOptions(**chosen)
