"""Numbers on the command line: inside their bounds, and never NaN or infinite."""

from __future__ import annotations

import math
from typing import Any

import click

from hexgate.cli.language import text

__all__ = ["Finite", "Whole", "number"]


class Finite(click.FloatRange):
    """A float inside its bounds. NaN lies inside every bound that is only compared with, so it is refused by name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number.

        Raises:
            click.BadParameter: if it is none, not finite, or out of bounds.
        """
        try:
            float(value)
        except (TypeError, ValueError):
            self.fail(text(f"{value!r} is not a number.", f"{value!r} 不是数。"), param, ctx)
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(text(f"{value!r} is not a finite number.", f"{value!r} 不是有限的数。"), param, ctx)
        return float(found)


class Whole(click.IntRange):
    """A whole number inside its bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number.

        Raises:
            click.BadParameter: if it is none, not whole, or out of bounds.
        """
        try:
            int(value)
        except (TypeError, ValueError):
            self.fail(text(f"{value!r} is not a whole number.", f"{value!r} 不是整数。"), param, ctx)
        return int(super().convert(value, param, ctx))


def number(*, whole: bool, least: float | None, above: float | None) -> click.ParamType[Any]:
    """The type of a number that is at least, or above, something; without bounds where both are None."""
    if whole:
        return Whole(min=None if least is None else int(least))
    return Finite(min=above if least is None else least, min_open=above is not None)
