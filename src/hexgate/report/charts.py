"""The charts of a report as inline SVG: pure functions of figures, each of which also says itself in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from markupsafe import Markup

from hexgate.report.numbers import is_number, number, span
from hexgate.report.strings import text
from hexgate.report.svg import (
    ROW,
    Drawing,
    Frame,
    Mark,
    Placed,
    log_scale,
    nice_ticks,
    place,
    scale,
    text_width,
)
from hexgate.report.text import Lang, clean

__all__ = [
    "Bar",
    "Meter",
    "attack_bars",
    "latency_histogram",
    "meters",
    "power_curve",
    "ratio_bars",
    "window_columns",
]

_WIDTH = 460.0
_MOST_BARS = 20
_MOST_COLUMNS = 80
_MOST_POINTS = 300
_T = TypeVar("_T")


@dataclass(frozen=True)
class Bar:
    """One horizontal bar of a chart of shares."""

    name: str
    """What it stands for."""
    share: float | None
    """Its length, 0 to 1; None where there is none."""
    note: str
    """What is written after it."""


@dataclass(frozen=True)
class Meter:
    """One sampled quantity."""

    name: str
    """Its name."""
    mean: float
    """Its mean."""
    most: float
    """Its maximum."""
    full: float
    """The value that fills the bar."""
    note: str
    """What is written after it."""


def latency_histogram(
    edges_ms: Sequence[float], counts: Sequence[int], marks: Sequence[Mark], lang: Lang
) -> Markup:
    """Requests by latency.

    Args:
        edges_ms: edges of the bins, rising. With as many counts as edges the last bin is open above.
        counts: requests in each bin.
        marks: percentiles and the limit. A limit far beyond the data is named at the edge, not drawn to scale.
        lang: the language of its words.
    """
    bins = list(zip(edges_ms, edges_ms[1:], counts, strict=False))
    closed = [
        (group[0][0], group[-1][1], total)
        for group in _groups(bins, _MOST_COLUMNS)
        if (total := sum(count for _, _, count in group))
    ]
    above = counts[len(edges_ms) - 1] if len(counts) >= len(edges_ms) > 0 else 0
    if not closed and not above:
        return Markup()
    start = min((low for low, _, _ in closed), default=edges_ms[-1])
    end = max((high for _, high, _ in closed), default=edges_ms[-1])
    near = [mark for mark in marks if mark.value <= start + 2.5 * (end - start)]
    far = [mark for mark in marks if mark not in near]
    start = min([start, *(mark.value for mark in near)])
    end = max([end, *(mark.value for mark in near)])
    if above:
        end += (end - start) * 0.06 or 1.0
    logarithmic = start > 0 and end / start > 50
    left, right = 48.0, _WIDTH - 12
    x = (log_scale if logarithmic else scale)(start, end, left, right)
    placed = place(near, x, left, right)
    frame = Frame(left, _top(placed) + (ROW if far else 0), right, 206)
    top = max([above, *(count for _, _, count in closed)])
    y = scale(0, top, frame.bottom, frame.top)
    said = ", ".join(mark.label for mark in marks)
    drawing = _drawing("chart_latency", 240, lang, total=number(sum(counts)), marks=said)
    frame.y_axis(
        drawing, [tick for tick in nice_ticks(0, top) if tick == int(tick)], y, text("axis_requests")[lang]
    )
    for low, high, count in closed:
        hint = f"{number(low)} – {number(high)} ms: {number(count)}"
        drawing.rect(
            x(low), y(count), max(x(high) - x(low) - 0.7, 0.8), frame.bottom - y(count), "c-bar", hint=hint
        )
    if above:
        left = max([x(high) for _, high, _ in closed] or [frame.left])
        hint = f"{number(edges_ms[-1])} ms {text('overflow')[lang]}: {number(above)}"
        drawing.rect(
            left + 1, y(above), frame.right - left - 1, frame.bottom - y(above), "c-bar c-open", hint=hint
        )
    ticks = _decades(start, end) if logarithmic else nice_ticks(start, end, 5)
    frame.x_axis(drawing, ticks, x, text("axis_latency")[lang])
    frame.marks_down(drawing, placed)
    for mark in far:
        drawing.text(frame.right, 11, f"{mark.label} →", f"c-label {mark.style}-label", "end")
    return drawing.finish()


def window_columns(windows: Sequence[Mapping[str, Any]], marks: Sequence[Mark], lang: Lang) -> Markup:
    """Successes per second in consecutive windows (each ``start_s``, ``end_s``, ``rps``); many are taken together."""
    rates = [
        (float(each["start_s"]), float(each["end_s"]), float(each["rps"]))
        for each in windows
        if each["end_s"] > each["start_s"]
    ]
    if not rates:
        return Markup()
    shown = [_together(group) for group in _groups(rates, _MOST_COLUMNS)]
    most = max([rate for _, _, rate in shown] + [mark.value for mark in marks]) or 1.0
    frame = Frame(48, 28, _right([mark.label for mark in marks]), 206)
    x = scale(shown[0][0], shown[-1][1], frame.left, frame.right)
    y = scale(0, most * 1.08, frame.bottom, frame.top)
    drawing = _drawing(
        "chart_windows",
        240,
        lang,
        count=len(rates),
        least=number(min(rate for _, _, rate in rates)),
        most=number(max(rate for _, _, rate in rates)),
        marks=", ".join(mark.label for mark in marks),
    )
    frame.y_axis(drawing, nice_ticks(0, most), y, text("axis_rps")[lang])
    for start, end, rate in shown:
        hint = f"{number(start)} – {number(end)} s: {number(rate)}"
        width = max(x(end) - x(start) - 1.5, 0.8)
        drawing.rect(x(start) + 0.7, y(rate), width, frame.bottom - y(rate), "c-bar", hint=hint)
    frame.x_axis(drawing, nice_ticks(shown[0][0], shown[-1][1], 5), x, text("axis_time")[lang])
    frame.marks_across(drawing, marks, y)
    return drawing.finish()


def ratio_bars(bars: Sequence[Bar], kind: str, lang: Lang, *, marks: Sequence[Mark] = ()) -> Markup:
    """Shares as horizontal bars, at most twenty of them.

    Args:
        bars: in the order to be shown.
        kind: ``chart_classes`` (from 0 to 1) or ``chart_toxic`` (from 0 to a little over the greatest).
        lang: the language of its words.
        marks: limits, drawn as lines.
    """
    if not bars:
        return Markup()
    shown = bars[:_MOST_BARS]
    shares = [bar.share for bar in shown if bar.share is not None]
    most = 1.0 if kind == "chart_classes" else _headroom([*shares, *(mark.value for mark in marks)])
    row, left, right = (
        22.0,
        20 + 7.2 * min(max(len(bar.name) for bar in shown), 16),
        _right([bar.note for bar in shown]),
    )
    x = scale(0, most, left, right)
    placed = place(marks, x, left, right)
    top = _top(placed) if placed else 8.0
    frame = Frame(left, top, right, top + row * len(shown))
    items = "; ".join(f"{bar.name}: {bar.note}" for bar in shown)
    drawing = _drawing(kind, frame.bottom + 40, lang, count=len(bars), items=items)
    for index, bar in enumerate(shown):
        top = frame.top + index * row
        drawing.text(frame.left - 8, top + 15, _short(bar.name, 17), "c-text", "end")
        drawing.rect(frame.left, top + 4, frame.right - frame.left, row - 8, "c-track")
        if bar.share is not None:
            drawing.rect(
                frame.left,
                top + 4,
                x(bar.share) - frame.left,
                row - 8,
                "c-bar",
                hint=f"{bar.name}: {bar.note}",
            )
        drawing.text(frame.right + 8, top + 15, bar.note, "c-small")
    frame.x_axis(drawing, nice_ticks(0, most), x, "")
    frame.marks_down(drawing, placed)
    if len(bars) > len(shown):
        cut = text("chart_classes_cut", shown=len(shown), count=len(bars))[lang]
        drawing.text(frame.right, frame.bottom + 32, cut, "c-small", "end")
    return drawing.finish()


def attack_bars(
    clean_f1: float,
    adv_f1: float,
    drop: tuple[float, float | None, float | None],
    limit: float | None,
    lang: Lang,
) -> Markup:
    """F1 with and without the attack, the drop's interval, and the F1 that its limit would leave.

    Args:
        clean_f1: without the attack, 0 to 1.
        adv_f1: under it.
        drop: the drop, and both ends of its interval.
        limit: the greatest drop that passes.
        lang: the language of its words.
    """
    value, low, high = drop
    against = () if limit is None else (limit,)
    ends = span(low, high, against=against)
    shown = number(value, against=against)
    said = text("with", word=shown, more=ends)[lang] if ends else shown
    frame = Frame(92, 34, _WIDTH - 64, 122)
    x = scale(0, 1, frame.left, frame.right)
    drawing = _drawing("chart_attack", 168, lang, clean=number(clean_f1), adv=number(adv_f1), drop=said)
    for index, (word, f1, style) in enumerate(
        (("clean", clean_f1, "c-bar"), ("attacked", adv_f1, "c-bar c-second"))
    ):
        top = frame.top + 4 + index * 42
        drawing.text(frame.left - 8, top + 16, text(word)[lang], "c-text", "end")
        drawing.rect(frame.left, top, frame.right - frame.left, 24, "c-track")
        drawing.rect(frame.left, top, x(f1) - frame.left, 24, style)
        drawing.text(frame.right + 8, top + 16, number(f1), "c-text")
    bottom = frame.top + 4 + 42 + 12
    if low is not None and high is not None:
        drawing.line(x(clean_f1 - high), bottom, x(clean_f1 - low), bottom, "c-whisker")
        for end in (low, high):
            drawing.line(x(clean_f1 - end), bottom - 6, x(clean_f1 - end), bottom + 6, "c-whisker")
    frame.x_axis(drawing, nice_ticks(0, 1), x, f"F1 · {text('drop')[lang]} {said}")
    if limit is not None:
        label = text("limit_drop", limit=number(limit))[lang]
        marks = [Mark(clean_f1 - limit, label, "c-limit")]
        frame.marks_down(drawing, place(marks, x, frame.left, frame.right))
    return drawing.finish()


def power_curve(
    times_s: Sequence[float], power_w: Sequence[float], marks: Sequence[Mark], lang: Lang
) -> Markup:
    """Power over time; the greatest of neighbouring readings stands for them where there are very many."""
    points = [(t, p) for t, p in zip(times_s, power_w, strict=False) if is_number(t) and is_number(p)]
    if len(points) < 2:
        return Markup()
    shown = [max(group, key=lambda point: point[1]) for group in _groups(points, _MOST_POINTS)]
    first, last = points[0][0], points[-1][0]
    readings = [power for _, power in points]
    most = max([*readings, *(mark.value for mark in marks)]) or 1.0
    frame = Frame(48, 28, _right([mark.label for mark in marks]), 206)
    x = scale(first, last, frame.left, frame.right)
    y = scale(0, most * 1.08, frame.bottom, frame.top)
    drawing = _drawing(
        "chart_power",
        240,
        lang,
        duration=number(last - first),
        least=number(min(readings)),
        most=number(max(readings)),
        marks=", ".join(mark.label for mark in marks),
    )
    frame.y_axis(drawing, nice_ticks(0, most), y, text("axis_power")[lang])
    curve = [(x(t), y(power)) for t, power in shown]
    drawing.path([(curve[0][0], frame.bottom), *curve, (curve[-1][0], frame.bottom)], "c-area")
    drawing.path(curve, "c-curve")
    frame.x_axis(drawing, nice_ticks(first, last, 5), x, text("axis_time")[lang])
    frame.marks_across(drawing, marks, y)
    return drawing.finish()


def meters(rows: Sequence[Meter], lang: Lang) -> Markup:
    """Mean (bar) and maximum (tick) of sampled quantities, at most twenty, each on its own scale from zero."""
    if not rows:
        return Markup()
    shown, row = rows[:_MOST_BARS], 24.0
    frame = Frame(150, 6, _right([meter.note for meter in shown]), 6 + row * len(shown))
    said = "; ".join(f"{meter.name}: {meter.note}" for meter in shown)
    drawing = Drawing(_WIDTH, frame.bottom + 6, text("chart_resources")[lang], said)
    for index, meter in enumerate(shown):
        top = frame.top + index * row
        x = scale(0, meter.full if meter.full > 0 else 1.0, frame.left, frame.right)
        drawing.text(frame.left - 8, top + 16, _short(meter.name, 21), "c-small", "end")
        drawing.rect(frame.left, top + 5, frame.right - frame.left, row - 10, "c-track")
        drawing.rect(frame.left, top + 5, x(max(meter.mean, 0)) - frame.left, row - 10, "c-bar")
        drawing.line(x(max(meter.most, 0)), top + 2, x(max(meter.most, 0)), top + row - 2, "c-whisker")
        drawing.text(frame.right + 8, top + 16, meter.note, "c-small")
    return drawing.finish()


def _drawing(kind: str, height: float, lang: Lang, **parts: Any) -> Drawing:
    return Drawing(_WIDTH, height, text(kind)[lang], clean(text(f"{kind}_desc", **parts)[lang], 900))


def _groups(values: Sequence[_T], most: int) -> list[Sequence[_T]]:
    size = max(math.ceil(len(values) / most), 1)
    return [values[start : start + size] for start in range(0, len(values), size)]


def _together(windows: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    done = math.fsum((end - start) * rate for start, end, rate in windows)
    length = math.fsum(end - start for start, end, _ in windows)
    return windows[0][0], windows[-1][1], done / length


def _top(placed: Sequence[Placed]) -> float:
    return 22 + ROW * max((each.row + 1 for each in placed), default=0)


def _right(labels: Sequence[str]) -> float:
    # The right edge of the data, so that what is written after it has room.
    return _WIDTH - 16 - min(max((text_width(label) for label in labels), default=0), _WIDTH * 0.4)


def _headroom(values: Sequence[float]) -> float:
    return min(max([*values, 0.0]) * 1.25, 1.0) or 0.01


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [tick for power in powers for tick in (10.0**power,) if low <= tick <= high]


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
