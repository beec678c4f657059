"""Numbers on the command line: inside their bounds, and never NaN or infinite."""

from __future__ import annotations

import math
from typing import Any

import click

from hexgate.cli.language import text

__all__ = ["Finite", "number"]


class Finite(click.FloatRange):
    """A float inside its bounds. NaN lies inside every bound that is only compared with, so it is refused by name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number.

        Raises:
            click.BadParameter: if it is none, not finite, or out of bounds.
        """
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(text(f"{value!r} is not a finite number.", f"{value!r} 不是有限的数。"), param, ctx)
        return float(found)


def number(*, whole: bool, least: float | None, above: float | None) -> click.ParamType[Any]:
    """The type of a number that is at least, or above, something; without bounds where both are None."""
    if whole:
        return click.IntRange(min=None if least is None else int(least))
    return Finite(min=above if least is None else least, min_open=above is not None)
