"""Features: numbers of any nesting, flattened, with the shape that they had."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from hexgate.datasets.faults import RowFault

__all__ = ["Features", "from_cell", "from_columns", "from_value"]

Features = tuple[tuple[float, ...], tuple[int, ...]]
"""The numbers row by row, and the shape."""


def from_value(value: Any) -> Features:
    """Features from parsed JSON: a number, or lists of numbers nested evenly.

    Raises:
        RowFault: if something else is in there, or the nesting is uneven, or a number is not finite.
    """
    if not isinstance(value, list):
        return (_number(value, ""),), (1,)
    numbers: list[float] = []
    shape = _flatten(value, numbers, "")
    return tuple(numbers), shape


def from_cell(cell: str) -> Features:
    """Features from a JSON list in a cell of a table.

    Raises:
        RowFault: as `from_value`, and if the cell is not JSON.
    """
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        raise RowFault("the cell with features is not a JSON list") from None
    return from_value(value)


def from_columns(cells: Mapping[str, str]) -> Features | None:
    """Features from the numeric columns of a table, in the order of the columns; None without columns.

    Raises:
        RowFault: naming the column whose cell is not a finite number.
    """
    if not cells:
        return None
    return tuple(_cell_number(name, cell) for name, cell in cells.items()), (len(cells),)


def _flatten(values: list[Any], numbers: list[float], at: str) -> tuple[int, ...]:
    if not values:
        raise RowFault(f"the features{at} are an empty list")
    if not isinstance(values[0], list):
        _append(values, numbers, at)
        return (len(values),)
    shapes = set()
    for index, value in enumerate(values):
        if not isinstance(value, list):
            raise RowFault(f"the features{at} mix lists and numbers")
        shapes.add(_flatten(value, numbers, f"{at}[{index}]"))
        if len(shapes) > 1:
            raise RowFault(f"the features{at} are lists of unequal length")
    return (len(values), *shapes.pop())


def _append(values: Iterable[Any], numbers: list[float], at: str) -> None:
    for index, value in enumerate(values):
        numbers.append(_number(value, f"{at}[{index}]"))


def _number(value: Any, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RowFault(f"the features{at} hold {value!r:.40}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RowFault(f"the features{at} hold {number}, expected a finite number")
    return number


def _cell_number(name: str, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        raise RowFault(f"the column {name!r} holds {cell!r:.40}, expected a number") from None
    if not math.isfinite(number):
        raise RowFault(f"the column {name!r} holds {number}, expected a finite number")
    return number
