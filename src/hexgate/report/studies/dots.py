"""One row a task or a level, in it a dot with its interval for each model: who costs or gives what, where. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hexgate.report.load_charts import log_ticks
from hexgate.report.studies.charts import WIDTH, legend_rows, marker, style_of
from hexgate.report.svg import Drawing, Frame, log_scale, nice_ticks, scale
from hexgate.report.text import Both, Lang, same

__all__ = ["MOST_ROWS", "Place", "dots"]

MOST_ROWS = 16
"""More rows than this are left to the table."""
_LOG_SPAN = 20.0
_STEP = 11.0


@dataclass(frozen=True)
class Place:
    """One dot."""

    value: float
    """Where it is."""
    ends: tuple[float, float] | None
    """Its interval."""
    series: int
    """The model."""
    hint: str
    """What is said where the pointer rests."""


def dots(
    title: Both, axis: Both, rows: Sequence[tuple[str, Sequence[Place]]], names: Sequence[str], lang: Lang
) -> Markup:
    """The chart; empty where no row has a dot.

    Args:
        title: what it shows.
        axis: what the values are, with their unit.
        rows: each with its name, and its dots.
        names: of the models, for the legend.
        lang: the language of its description.
    """
    rows = [row for row in rows[:MOST_ROWS] if row[1]]
    if not rows:
        return Markup()
    legend = legend_rows(names)
    heights = [20.0 + _STEP * len(places) for _, places in rows]
    top = 10.0 + 15.0 * len(legend)
    frame = Frame(8.0, top, WIDTH - 12.0, top + sum(heights))
    every = [each for _, places in rows for one in places for each in (one.value, *(one.ends or ()))]
    least, most = min(every), max(every)
    if least > 0 and most / least > _LOG_SPAN:
        x, ticks = log_scale(least, most, frame.left + 6, frame.right - 6), log_ticks(least, most)
    else:
        low = 0.0 if 0 <= least < 0.5 * most else least
        x, ticks = scale(low, most, frame.left + 6, frame.right - 6), nice_ticks(low, most, 5)
    hints = "; ".join(f"{name}: {one.hint}" for name, places in rows for one in places)
    drawing = Drawing(WIDTH, frame.bottom + 38, title[lang], hints[:4000])
    for tick in ticks:
        drawing.line(x(tick), frame.top, x(tick), frame.bottom, "c-grid")
    at = frame.top
    for (name, places), height in zip(rows, heights, strict=True):
        drawing.text(frame.left + 2, at + 13, same(name, 44), "c-label s-name")
        for line, one in enumerate(places):
            y = at + 22.0 + _STEP * line
            if one.ends is not None:
                drawing.line(x(one.ends[0]), y, x(one.ends[1]), y, f"s-whisker {style_of(one.series)}")
            marker(drawing, x(one.value), y, one.series, hint=one.hint)
        at += height
    frame.x_axis(drawing, ticks, x, axis)
    for line, entries in enumerate(legend):
        for left, series, shown in entries:
            marker(drawing, left + 6, 7.0 + 15 * line, series)
            drawing.text(left + 16, 11.0 + 15 * line, same(shown), "c-small")
    return drawing.finish("chart wide")
