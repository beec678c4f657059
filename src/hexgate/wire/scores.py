"""Class scores in a reply: a rectangular table of finite numbers, or a clear complaint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hexgate.errors import InputError
from hexgate.wire.base import Ask
from hexgate.wire.payload import BadPayload

__all__ = ["batch", "table", "unflatten"]


def batch(ask: Ask, dialect: str) -> Sequence[Sequence[float]]:
    """The inputs of an ask for a predictor.

    Raises:
        InputError: if it has none, or they are not of one length.
    """
    if ask.inputs is None:
        raise InputError(f"the dialect {dialect} takes inputs, not prompts")
    lengths = {len(row) for row in ask.inputs}
    if len(lengths) > 1:
        raise InputError("the inputs of one batch have different lengths", got=str(sorted(lengths)))
    return ask.inputs


def table(rows: Any, what: str) -> tuple[tuple[float, ...], ...]:
    """(n, classes) scores from a list of lists.

    Raises:
        BadPayload: if it is not one, or a score is not a finite number.
    """
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadPayload(f"{what} is not a list of lists")
    if len({len(row) for row in rows}) > 1:
        raise BadPayload(f"the rows of {what} have different lengths")
    return tuple(tuple(_number(value, what) for value in row) for row in rows)


def unflatten(data: Any, shape: Any, what: str) -> tuple[tuple[float, ...], ...]:
    """(n, classes) scores from a tensor's flat or nested data and its shape.

    Raises:
        BadPayload: if the shape is not two-dimensional, or does not fit the data.
    """
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape)
    ):
        raise BadPayload(f"{what} has the shape {shape}, not [n, classes]")
    rows, columns = shape
    if isinstance(data, list) and data and isinstance(data[0], list):
        found = table(data, what)
        if len(found) != rows or len(found[0]) != columns:
            raise BadPayload(f"the data of {what} is not of its shape {shape}")
        return found
    if not isinstance(data, list) or len(data) != rows * columns:
        raise BadPayload(f"the data of {what} is not of its shape {shape}")
    return table([data[row * columns : (row + 1) * columns] for row in range(rows)], what)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadPayload(f"{what} holds {value!r:.40}, which is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadPayload(f"{what} holds a number beyond the range of a double")
    return number
