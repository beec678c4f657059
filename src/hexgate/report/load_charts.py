"""The charts of a load: one drawing each for both languages, of at most so many points whatever its length."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hexgate.report.load_words import word
from hexgate.report.numbers import number
from hexgate.report.svg import Drawing, Frame, Mark, log_scale, nice_ticks, place, scale, text_width
from hexgate.report.text import Both, Lang

__all__ = ["Line", "distribution_chart", "log_ticks", "time_chart"]

_WIDTH = 520.0
_BOTTOM = 176.0
_LEFT = 54.0
_MOST_STEPS = 60
"""Up to so many bins are drawn as steps; of more, their middles are joined."""
_COLUMNS = 64

_Point = tuple[float, float]
_Scale = Callable[[float], float]


@dataclass(frozen=True)
class Line:
    """One line, or one layer, of a chart over time."""

    name: Both
    """What it is."""
    values: Sequence[float | None]
    """One for each bin; None leaves a gap."""
    step_s: float
    """Length of a bin."""
    begin_s: float = 0.0
    """Where the first bin begins."""
    style: str = "k0"
    """The class of its colour."""


def time_chart(
    title: Both,
    axis: Both,
    lines: Sequence[Line],
    lang: Lang,
    *,
    stacked: bool = False,
    end_s: float | None = None,
) -> Markup:
    """Lines over time from zero, or layers on each other; empty where no line has a value.

    Args:
        title: what it shows.
        axis: what the values are, with their unit.
        lines: at most a few; layers from the bottom up, of bins of one length.
        lang: the language of its description.
        stacked: whether they are layers.
        end_s: the end of the time axis; None for that of the longest line.
    """
    lines = [line for line in lines if any(value is not None for value in line.values)]
    if not lines:
        return Markup()
    shown = _layers(lines) if stacked else lines
    last_s = end_s or max(line.begin_s + line.step_s * len(line.values) for line in shown)
    most = max(value for line in shown for value in line.values if value is not None) or 1.0
    rows = _legend_rows(lines)
    frame = Frame(_LEFT, 26 + 15 * len(rows), _WIDTH - 24, _BOTTOM + 15 * len(rows))
    x = scale(0.0, last_s, frame.left, frame.right)
    y = scale(0.0, most * 1.06, frame.bottom, frame.top)
    drawing = Drawing(_WIDTH, frame.bottom + 36, title[lang], _said(lines, lang))
    frame.y_axis(drawing, nice_ticks(0.0, most * 1.06), y, axis)
    for line in reversed(shown) if stacked else shown:
        for points in _runs(line, x, y, last_s):
            if stacked:
                base = [(points[0][0], frame.bottom), *points, (points[-1][0], frame.bottom)]
                drawing.path(base, f"c-layer {line.style}")
            else:
                drawing.path(points, f"c-line {line.style}")
    frame.x_axis(drawing, nice_ticks(0.0, last_s, 5), x, word("axis_time"))
    _legend(drawing, rows)
    return drawing.finish("chart wide")


def distribution_chart(
    title: Both, axis: Both, bins: Mapping[str, Any], marks: Sequence[Mark], lang: Lang
) -> Markup:
    """How often each time was seen, on a logarithmic axis, with percentiles marked; empty of nothing.

    Args:
        title: what it shows.
        axis: what is counted.
        bins: `edges`, rising and above zero, and `counts`, one fewer.
        marks: percentiles.
        lang: the language of its description.
    """
    columns = [
        (low, high, count)
        for low, high, count in zip(bins["edges"], bins["edges"][1:], bins["counts"], strict=False)
        if count > 0
    ]
    if not columns:
        return Markup()
    low, high = columns[0][0], columns[-1][1]
    left, right = _LEFT, _WIDTH - 24
    x = log_scale(low, high, left, right)
    placed = place(marks, x, left, right)
    rows = max((each.row + 1 for each in placed), default=0)
    frame = Frame(left, 24 + 14 * rows, right, _BOTTOM + 14 * rows)
    most = max(count for _, _, count in columns)
    y = scale(0.0, most, frame.bottom, frame.top)
    said = "; ".join(mark.label for mark in marks)
    drawing = Drawing(_WIDTH, frame.bottom + 36, title[lang], said)
    frame.y_axis(drawing, [tick for tick in nice_ticks(0.0, most) if tick == int(tick)], y, axis)
    for start, end, count in columns:
        width = max(x(end) - x(start) - 0.6, 0.8)
        hint = f"{number(float(f'{start:.4g}'))} – {number(float(f'{end:.4g}'))} ms: {number(round(count))}"
        drawing.rect(x(start), y(count), width, frame.bottom - y(count), "c-bar", hint=hint)
    frame.x_axis(drawing, log_ticks(low, high), x, word("axis_ms"))
    frame.marks_down(drawing, placed)
    return drawing.finish("chart wide")


def _layers(lines: Sequence[Line]) -> list[Line]:
    """Each line on those before it."""
    below = [0.0] * max(len(line.values) for line in lines)
    layers = []
    for line in lines:
        below = [
            under + (value or 0.0)
            for under, value in itertools.zip_longest(below, line.values, fillvalue=0.0)
        ]
        layers.append(Line(line.name, below, line.step_s, line.begin_s, line.style))
    return layers


def _runs(line: Line, x: _Scale, y: _Scale, last_s: float) -> Iterator[list[_Point]]:
    """The stretches of a line without a gap, as points from zero to the end of the axis.

    What was sampled in bins of its own begins before the load and ends after it.
    """
    steps = len(line.values) <= _MOST_STEPS
    pairs = enumerate(line.values)
    for is_gap, group in itertools.groupby(pairs, key=lambda pair: pair[1] is None):
        if is_gap:
            continue
        run = [(place, value) for place, value in group if value is not None]
        points: list[_Point] = []
        for place_, value in run:
            start = line.begin_s + place_ * line.step_s
            middle, stop = start + line.step_s / 2, start + line.step_s
            if (steps or len(run) == 1) and start < last_s and stop > 0.0:
                points += [(x(max(start, 0.0)), y(value)), (x(min(stop, last_s)), y(value))]
            elif not steps and len(run) > 1 and 0.0 <= middle <= last_s:
                points.append((x(middle), y(value)))
        if points:
            yield _thinned(points)


def _thinned(points: list[_Point]) -> list[_Point]:
    """Without those that lie on the level line from the one before to the one after."""
    inner = (
        here
        for before, here, after in zip(points, points[1:], points[2:], strict=False)
        if not abs(before[1] - here[1]) < 0.05 > abs(here[1] - after[1])
    )
    return [points[0], *inner, points[-1]]


def _legend_rows(lines: Sequence[Line]) -> list[list[tuple[float, Line]]]:
    rows: list[list[tuple[float, Line]]] = []
    at = math.inf
    for line in lines:
        width = 24 + max(text_width(line.name.en), text_width(line.name.zh))
        if at + width > _WIDTH:
            rows.append([])
            at = _LEFT
        rows[-1].append((at, line))
        at += width + 12
    return rows


def _legend(drawing: Drawing, rows: Sequence[Sequence[tuple[float, Line]]]) -> None:
    for row, entries in enumerate(rows):
        for at, line in entries:
            top = 20 + 15 * row
            drawing.rect(at, top, 12, 8, f"c-key {line.style}")
            drawing.text(at + 17, top + 8, line.name, "c-small")


def _said(lines: Sequence[Line], lang: Lang) -> str:
    """The least, mean and greatest of each line, for those who do not see it."""
    parts = []
    for line in lines:
        values = [value for value in line.values if value is not None]
        shown = [
            number(float(f"{each:.4g}"))
            for each in (min(values), math.fsum(values) / len(values), max(values))
        ]
        parts.append(word("line_said", name=line.name, least=shown[0], mean=shown[1], most=shown[2])[lang])
    return "; ".join(parts)


def log_ticks(low: float, high: float) -> list[float]:
    """Round values on a logarithmic axis: decades where there are enough, else their halves and fifths, else more."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 4:
            return inside
    return nice_ticks(low, high, 5)
