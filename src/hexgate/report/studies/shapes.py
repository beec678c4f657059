"""The other charts of a study: distributions of all runs, profiles on several axes, and stacked bars. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hexgate.report.load_charts import log_ticks
from hexgate.report.numbers import number
from hexgate.report.studies.charts import WIDTH, legend_rows, marker, style_of
from hexgate.report.svg import Drawing, Frame, log_scale, nice_ticks, scale
from hexgate.report.text import Both, Lang, clean, same
from hexgate.stats.percentile import nearest_rank

__all__ = ["MOST_TICKS", "Profile", "Stack", "Strip", "profiles", "stacks", "strips"]

MOST_TICKS = 160
"""Of more runs, so many evenly spaced in order are drawn, the least and the greatest among them."""
_STRIP = 40.0
_LOG_SPAN = 50.0
_RADIUS = 104.0
_BAR = 15.0


@dataclass(frozen=True)
class Strip:
    """All values of one model."""

    name: str
    """The model."""
    values: Sequence[float]
    """In rising order; not empty."""
    series: int
    """Its colour."""


def strips(title: Both, axis: Both, rows: Sequence[Strip], lang: Lang) -> Markup:
    """Every run as a tick, and above it the box of its quartiles with whiskers from p5 to p95; empty of nothing."""
    rows = [row for row in rows if row.values]
    if not rows:
        return Markup()
    least, most = min(row.values[0] for row in rows), max(row.values[-1] for row in rows)
    frame = Frame(10.0, 6.0, WIDTH - 12.0, 6.0 + _STRIP * len(rows))
    logarithmic = least > 0 and most / least > _LOG_SPAN
    if logarithmic:
        x, ticks = log_scale(least, most, frame.left + 4, frame.right - 4), log_ticks(least, most)
    else:
        low = 0.0 if 0 <= least < 0.5 * most else least
        x, ticks = scale(low, most, frame.left + 4, frame.right - 4), nice_ticks(low, most, 5)
    drawing = Drawing(WIDTH, frame.bottom + 38, title[lang], "; ".join(map(_summary, rows[:40])))
    for tick in ticks:
        drawing.line(x(tick), frame.top, x(tick), frame.bottom, "c-grid")
    for place, row in enumerate(rows):
        top = frame.top + _STRIP * place
        p5, low, middle, high, p95 = (nearest_rank(row.values, p) for p in (0.05, 0.25, 0.5, 0.75, 0.95))
        style = style_of(row.series)
        drawing.line(x(p5), top + 22, x(p95), top + 22, f"s-whisker {style}")
        drawing.rect(x(low), top + 17, max(x(high) - x(low), 1.0), 10, f"s-box {style}", hint=_summary(row))
        drawing.line(x(middle), top + 15, x(middle), top + 29, "s-middle")
        _ticks(drawing, [x(value) for value in _thinned(row.values)], top + 31, style)
        drawing.text(frame.left + 2, top + 12, same(row.name, 44), "c-label s-name")
    frame.x_axis(drawing, ticks, x, axis)
    return drawing.finish("chart wide")


@dataclass(frozen=True)
class Profile:
    """A model on several axes."""

    name: str
    """The model."""
    shares: Sequence[float | None]
    """Where it is on each axis, 0 to 1; None for a gap."""
    series: int
    """Its colour."""


def profiles(title: Both, axes: Sequence[Both], rows: Sequence[Profile], lang: Lang) -> Markup:
    """A radar of a few models: the rim is 1, the centre 0, and an axis without a value leaves a gap.

    Empty where there are fewer than three axes, or no model.
    """
    if len(axes) < 3 or not rows:
        return Markup()
    names = legend_rows([row.name for row in rows])
    top = 34.0 + 15.0 * len(names)
    centre = (WIDTH / 2, top + _RADIUS + 8)
    said = "; ".join(_said(row, axes, lang) for row in rows)
    drawing = Drawing(WIDTH, centre[1] + _RADIUS + 34, title[lang], said)

    def at(place: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * place / len(axes) - math.pi / 2
        return (
            centre[0] + _RADIUS * share * math.cos(angle),
            centre[1] + _RADIUS * share * math.sin(angle),
        )

    for share in (0.25, 0.5, 0.75, 1.0):
        ring = [at(place, share) for place in range(len(axes))]
        drawing.path([*ring, ring[0]], "s-web" if share < 1 else "s-web s-rim")
    for place, axis in enumerate(axes):
        x, y = at(place, 1.0)
        drawing.line(*centre, x, y, "c-grid")
        x, y = at(place, 1.11)
        side = "middle" if abs(x - centre[0]) < 12 else "start" if x > centre[0] else "end"
        drawing.text(x, y + 4, axis, "c-small", side)
    for row in rows:
        _outline(
            drawing, [None if share is None else at(n, share) for n, share in enumerate(row.shares)], row
        )
    for line, entries in enumerate(names):
        for left, index, name in entries:
            marker(drawing, left + 6, 12.0 + 15 * line, rows[index].series)
            drawing.text(left + 16, 16.0 + 15 * line, same(name), "c-small")
    return drawing.finish("chart wide")


@dataclass(frozen=True)
class Stack:
    """One bar of parts."""

    name: str
    """What it is of."""
    parts: Sequence[float]
    """The lengths, none below zero."""
    note: str
    """What is written after it."""


def stacks(
    title: Both, axis: Both, parts: Sequence[Both], rows: Sequence[Stack], most: float, lang: Lang
) -> Markup:
    """Bars of parts in a common order, on an axis from 0 to `most`; empty of nothing."""
    if not rows:
        return Markup()
    drawing = Drawing(
        WIDTH,
        30.0 + 28.0 * len(rows) + 34.0,
        title[lang],
        "; ".join(f"{row.name}: {row.note}" for row in rows),
    )
    left = 6.0
    for place, part in enumerate(parts):
        drawing.rect(left, 8, 11, 9, f"c-key k{place}")
        drawing.text(left + 15, 16, part, "c-small")
        left += 24 + 6.6 * max(len(part.en), 2 * len(part.zh))
    frame = Frame(8.0, 26.0, WIDTH - 60.0, 26.0 + 28.0 * len(rows))
    x = scale(0.0, most, frame.left, frame.right)
    ticks = nice_ticks(0.0, most, 5)
    for tick in ticks:
        drawing.line(x(tick), frame.top, x(tick), frame.bottom, "c-grid")
    for number_, row in enumerate(rows):
        top, start = frame.top + 28.0 * number_, 0.0
        drawing.text(frame.left + 1, top + 10, same(row.name, 56), "c-label s-name")
        for place, length in enumerate(row.parts):
            hint = f"{parts[place][lang]}: {number(float(f'{length:.4g}'))}"
            drawing.rect(
                x(start), top + 13, x(start + length) - x(start), _BAR - 4, f"c-key k{place}", hint=hint
            )
            start += length
        drawing.text(x(start) + 6, top + 23, same(row.note, 24), "c-small")
    frame.x_axis(drawing, ticks, x, axis)
    return drawing.finish("chart wide")


def _thinned(values: Sequence[float]) -> list[float]:
    """At most `MOST_TICKS` of some values in order, both ends among them."""
    if len(values) <= MOST_TICKS:
        return list(values)
    last = len(values) - 1
    return [values[round(place * last / (MOST_TICKS - 1))] for place in range(MOST_TICKS)]


def _ticks(drawing: Drawing, places: Sequence[float], top: float, style: str) -> None:
    """Many short strokes as one shape."""
    strokes = "".join(f"M{at:.1f} {top:.1f}v6" for at in places)
    drawing.parts.append(f'<path d="{strokes}" class="s-tick {style}"/>')


def _outline(drawing: Drawing, corners: Sequence[tuple[float, float] | None], row: Profile) -> None:
    """The shape of a profile: closed where every corner is there, else the lines between neighbours that are."""
    style = style_of(row.series)
    there = [corner for corner in corners if corner is not None]
    if len(there) == len(corners):
        drawing.path([*there, there[0]], f"s-shape {style}")
    else:
        for here, following in zip(corners, [*corners[1:], corners[0]], strict=True):
            if here is not None and following is not None:
                drawing.path([here, following], f"s-join {style}")
    for x, y in there:
        marker(drawing, x, y, row.series, hint=clean(row.name, 60))


def _summary(row: Strip) -> str:
    middle = number(float(f"{nearest_rank(row.values, 0.5):.4g}"))
    ends = " – ".join(number(float(f"{end:.4g}")) for end in (row.values[0], row.values[-1]))
    return f"{clean(row.name, 60)}: p50 {middle}, {ends}, n = {len(row.values)}"


def _said(row: Profile, axes: Sequence[Both], lang: Lang) -> str:
    parts = [
        f"{axis[lang]} {'–' if share is None else number(round(share, 3))}"
        for axis, share in zip(axes, row.shares, strict=True)
    ]
    return f"{clean(row.name, 60)}: {', '.join(parts)}"
