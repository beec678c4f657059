"""The charts of a study that have two axes: dots with their intervals, joined or not, and a Pareto front. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from hexgate.report.load_charts import log_ticks
from hexgate.report.numbers import number
from hexgate.report.svg import Drawing, Frame, log_scale, nice_ticks, scale, text_width
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["WIDTH", "Spot", "legend_rows", "marker", "plane", "said", "style_of"]

WIDTH = 440.0
"""Narrow, so that letters stay legible on a phone."""
_LEFT, _RIGHT = 50.0, 14.0
_HEIGHT = 236.0
_COLOURS = 7
_SHAPES = 4
_LOG_SPAN = 20.0
"""Where the greatest value is so many times the least, an axis is logarithmic."""
_MOST_LABEL = 22
_Range = tuple[float, float]
_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Spot:
    """One dot."""

    x: float
    """Where it is."""
    y: float
    """Where it is."""
    series: int
    """Which series it belongs to: its colour and its shape."""
    label: str
    """What is written beside it, where there is room; empty for nothing."""
    hint: str
    """What is said where the pointer rests."""
    x_ends: _Range | None = None
    """Its interval across."""
    y_ends: _Range | None = None
    """Its interval upwards."""
    hollow: bool = False
    """Whether it is drawn as a ring."""


def plane(
    title: Both,
    axes: tuple[Both, Both],
    spots: Sequence[Spot],
    names: Sequence[str],
    lang: Lang,
    *,
    front: Sequence[_Range] = (),
    joined: bool = False,
) -> Markup:
    """Dots on two axes; empty where there is none.

    Args:
        title: what it shows.
        axes: what x and y are, with their units.
        spots: the dots, each series in the order in which it may be joined.
        names: of the series, for the legend; empty for no legend.
        lang: the language of its description.
        front: points of a front by rising x, drawn as a staircase from each to the next.
        joined: whether the dots of a series are joined.
    """
    if not spots:
        return Markup()
    rows = legend_rows(names)
    top = 24.0 + 15.0 * len(rows)
    frame = Frame(_LEFT, top, WIDTH - _RIGHT, top + _HEIGHT)
    x, x_ticks = _axis([(spot.x, spot.x_ends) for spot in spots], frame.left + 6, frame.right - 6)
    y, y_ticks = _axis([(spot.y, spot.y_ends) for spot in spots], frame.bottom - 6, frame.top + 6)
    drawing = Drawing(WIDTH, frame.bottom + 38, title[lang], "; ".join(spot.hint for spot in spots[:60]))
    frame.y_axis(drawing, y_ticks, y, axes[1])
    frame.x_axis(drawing, x_ticks, x, axes[0])
    if front:
        drawing.path(_staircase(front, x, y, frame), "s-front")
    if joined:
        for series in dict.fromkeys(spot.series for spot in spots):
            line = [(x(spot.x), y(spot.y)) for spot in spots if spot.series == series]
            if len(line) > 1:
                drawing.path(line, f"s-join {style_of(series)}")
    for spot in spots:
        _whiskers(drawing, spot, x, y)
    for spot in spots:
        marker(drawing, x(spot.x), y(spot.y), spot.series, hollow=spot.hollow, hint=spot.hint)
    _labels(drawing, spots, x, y, frame, joined=joined, stepped=bool(front))
    _legend(drawing, rows)
    return drawing.finish("chart wide")


def style_of(series: int) -> str:
    """The class of a series' colour."""
    return f"k{series % _COLOURS}"


def marker(
    drawing: Drawing,
    x: float,
    y: float,
    series: int,
    *,
    hollow: bool = False,
    hint: str = "",
    size: float = 4.6,
) -> None:
    """A dot in the colour and the shape of its series: seven colours, and four shapes for those who see none."""
    shape = series % _SHAPES
    if shape == 0:
        corners = [
            (x + size * math.cos(turn * math.pi / 6), y + size * math.sin(turn * math.pi / 6))
            for turn in range(12)
        ]
    elif shape == 1:
        corners = [(x - 4.1, y - 4.1), (x + 4.1, y - 4.1), (x + 4.1, y + 4.1), (x - 4.1, y + 4.1)]
    elif shape == 2:
        corners = [(x, y - 5.4), (x + 5.2, y + 3.8), (x - 5.2, y + 3.8)]
    else:
        corners = [(x, y - 5.8), (x + 5.8, y), (x, y + 5.8), (x - 5.8, y)]
    drawing.path([*corners, corners[0]], f"{'s-ring' if hollow else 's-dot'} {style_of(series)}", hint=hint)


def legend_rows(names: Sequence[str]) -> list[list[tuple[float, int, str]]]:
    """Where each series stands in the legend: rows of place, series and name."""
    rows: list[list[tuple[float, int, str]]] = []
    at = math.inf
    for series, name in enumerate(names):
        shown = clean(name, 40)
        width = 20 + text_width(shown)
        if at + width > WIDTH:
            rows.append([])
            at = 6.0
        rows[-1].append((at, series, shown))
        at += width + 10
    return rows


def _legend(drawing: Drawing, rows: Sequence[Sequence[tuple[float, int, str]]]) -> None:
    for row, entries in enumerate(rows):
        for at, series, name in entries:
            marker(drawing, at + 6, 22.0 + 15 * row, series)
            drawing.text(at + 16, 26.0 + 15 * row, same(name), "c-small")


def _axis(
    values: Sequence[tuple[float, _Range | None]], start: float, end: float
) -> tuple[Callable[[float], float], list[float]]:
    """The map of an axis, and its ticks: from zero where zero is near, logarithmic where values lie far apart."""
    every = [each for value, ends in values for each in (value, *(ends or ()))]
    least, most = min(every), max(every)
    if least > 0 and most / least > _LOG_SPAN:
        low, high = least / 1.15, most * 1.15
        return log_scale(low, high, start, end), log_ticks(low, high)
    if least >= 0 and least < 0.5 * most:
        low, high = 0.0, most * 1.05
    else:
        room = (most - least) * 0.08 or abs(most) * 0.1 or 1.0
        low, high = max(least - room, 0.0) if least >= 0 else least - room, most + room
    return scale(low, high, start, end), nice_ticks(low, high, 5)


def _staircase(
    front: Sequence[_Range], x: Callable[[float], float], y: Callable[[float], float], frame: Frame
) -> list[tuple[float, float]]:
    """From each point level to the next one's x, then to its quality, and level to the edge."""
    first = front[0]
    points = [(x(first[0]), frame.bottom), (x(first[0]), y(first[1]))]
    for here, following in pairwise(front):
        points += [(x(following[0]), y(here[1])), (x(following[0]), y(following[1]))]
    return [*points, (frame.right, y(front[-1][1]))]


def _whiskers(drawing: Drawing, spot: Spot, x: Callable[[float], float], y: Callable[[float], float]) -> None:
    style = f"s-whisker {style_of(spot.series)}"
    if spot.x_ends is not None:
        drawing.line(x(spot.x_ends[0]), y(spot.y), x(spot.x_ends[1]), y(spot.y), style)
    if spot.y_ends is not None:
        drawing.line(x(spot.x), y(spot.y_ends[0]), x(spot.x), y(spot.y_ends[1]), style)


def _labels(
    drawing: Drawing,
    spots: Sequence[Spot],
    x: Callable[[float], float],
    y: Callable[[float], float],
    frame: Frame,
    *,
    joined: bool,
    stepped: bool,
) -> None:
    """A label beside each dot where none is covered, off its line where it has one; else the hint has to do."""
    taken: list[_Box] = [(x(spot.x) - 6, y(spot.y) - 6, x(spot.x) + 6, y(spot.y) + 6) for spot in spots]
    for spot in spots:
        if not spot.label:
            continue
        shown = clean(spot.label, 200)
        shown = shown if len(shown) <= _MOST_LABEL else f"{shown[: _MOST_LABEL - 1]}…"
        width, at, height = text_width(shown), x(spot.x), y(spot.y)
        beside = ((at + 9, height + 4), (at - 9 - width, height + 4))
        over = ((at - width / 2, height - 10), (at - width / 2, height + 18))
        askew = ((at + 9, height - 8), (at + 9, height + 16))
        if joined:
            places = (*over, *askew, *beside)
        else:
            # The front goes on at the right of a dot, at its height.
            places = (*askew, *beside, *over) if stepped else (*beside, *over, *askew)
        for left, base in places:
            box = (left, base - 10, left + width, base + 2)
            inside = (
                box[0] >= frame.left
                and box[2] <= WIDTH
                and box[1] >= frame.top - 8
                and box[3] <= frame.bottom
            )
            if inside and not any(_cover(box, other) for other in taken):
                taken.append(box)
                drawing.text(left, base, same(shown), "c-label s-name")
                break


def _cover(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def said(value: float, ends: _Range | None) -> str:
    """A mean, and its interval where there is one, for a hint."""
    if ends is None:
        return number(value)
    spread = (ends[1] - ends[0]) / 2
    low, high = (number(end, spread=spread) for end in ends)
    return f"{number(value, spread=spread)} ({low} – {high})"
