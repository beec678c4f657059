"""The few shapes that our charts are drawn with, and the axes under them. Colours are the page's, by class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from hexgate.report.text import Both

__all__ = [
    "ROW",
    "Drawing",
    "Frame",
    "Mark",
    "Placed",
    "log_scale",
    "nice_ticks",
    "place",
    "scale",
    "text_width",
]

ROW = 14.0
"""Height of a row of labels."""

Scale = Callable[[float], float]


@dataclass
class Drawing:
    """One inline SVG under construction. Every text that goes in is escaped."""

    width: float
    """In user units, of which one is a CSS pixel at full size."""
    height: float
    """Likewise."""
    title: str
    """What it shows, in a phrase."""
    description: str = ""
    """What it shows, for those who do not see it."""
    parts: list[str] = field(default_factory=list)
    """The shapes so far."""

    def rect(self, x: float, y: float, width: float, height: float, style: str, *, hint: str = "") -> None:
        """A rectangle; `hint` is shown where the pointer rests."""
        size = f'width="{_n(max(width, 0))}" height="{_n(max(height, 0))}"'
        self._shape(f'rect x="{_n(x)}" y="{_n(y)}" {size} class="{style}"', "rect", hint)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """A straight line."""
        self._shape(f'line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="{style}"', "line")

    def circle(self, x: float, y: float, radius: float, style: str) -> None:
        """A dot."""
        self._shape(f'circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" class="{style}"', "circle")

    def path(self, points: Sequence[tuple[float, float]], style: str, *, hint: str = "") -> None:
        """A line through points; its class says whether it is filled."""
        steps = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self._shape(f'path d="M{steps}" class="{style}"', "path", hint)

    def text(
        self, x: float, y: float, content: str | Both, style: str = "c-text", anchor: str = "start"
    ) -> None:
        """One line of text, its anchor at x and its baseline at y; of both languages the page shows one."""
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        place = f'x="{_n(x)}" y="{_n(y)}" class="{style}"{where}'
        if isinstance(content, Both) and content.en != content.zh:
            self.parts.append(f'<text {place} lang="en">{escape(content.en)}</text>')
            self.parts.append(f'<text {place} lang="zh-CN">{escape(content.zh)}</text>')
            return
        words = content.en if isinstance(content, Both) else content
        self.parts.append(f"<text {place}>{escape(words)}</text>")

    def finish(self, style: str = "chart") -> Markup:
        """The whole SVG."""
        title, description = escape(self.title), escape(self.description)
        head = (
            f'<svg class="{style}" viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img">'
            f"<title>{title}</title>"
        )
        tail = f"<desc>{description}</desc>" if description else ""
        return Markup(head + tail + "".join(self.parts) + "</svg>")  # noqa: S704 every text in it is escaped

    def _shape(self, shape: str, name: str, hint: str = "") -> None:
        inside = f"><title>{escape(hint)}</title></{name}>" if hint else "/>"
        self.parts.append(f"<{shape}{inside}")


@dataclass(frozen=True)
class Mark:
    """A value that is marked on an axis."""

    value: float
    """Where."""
    label: str
    """What, with its value."""
    style: str = "c-mark"
    """``c-mark``, or ``c-limit`` for a limit."""


@dataclass(frozen=True)
class Placed:
    """A mark with a place for its label."""

    mark: Mark
    """The mark."""
    at: float
    """Where its line is."""
    left: float
    """Where its label begins."""
    row: int
    """In which row above the data its label is; 0 is the lowest."""


@dataclass(frozen=True)
class Frame:
    """The rectangle that the data of a chart lie in."""

    left: float
    """Its left edge."""
    top: float
    """Its upper edge."""
    right: float
    """Its right edge."""
    bottom: float
    """Its lower edge."""

    def x_axis(self, drawing: Drawing, ticks: Sequence[float], x: Scale, name: str | Both) -> None:
        """The base line, its ticks and what it measures."""
        drawing.line(self.left, self.bottom, self.right, self.bottom, "c-axis")
        for tick in ticks:
            drawing.line(x(tick), self.bottom, x(tick), self.bottom + 4, "c-axis")
            drawing.text(x(tick), self.bottom + 16, _tick(tick), "c-small", "middle")
        if name != "":
            drawing.text(self.right, self.bottom + 31, name, "c-small", "end")

    def y_axis(self, drawing: Drawing, ticks: Sequence[float], y: Scale, name: str | Both) -> None:
        """Faint lines across, their values at the left and what they measure above."""
        for tick in ticks:
            drawing.line(self.left, y(tick), self.right, y(tick), "c-grid")
            drawing.text(self.left - 6, y(tick) + 4, _tick(tick), "c-small", "end")
        drawing.text(0, 11, name, "c-small")

    def marks_down(self, drawing: Drawing, placed: Sequence[Placed]) -> None:
        """Vertical lines with their labels above, in as many rows as they need."""
        for each in placed:
            height = self.top - 6 - ROW * each.row
            drawing.line(each.at, height + 6, each.at, self.bottom, each.mark.style)
        # After all lines: a label's halo keeps the lines of others off its letters.
        for each in placed:
            height = self.top - 6 - ROW * each.row
            drawing.text(each.left, height, each.mark.label, f"c-label {each.mark.style}-label")

    def marks_across(self, drawing: Drawing, marks: Sequence[Mark], y: Scale) -> None:
        """Horizontal lines with their labels right of the data, moved apart where they would overlap."""
        floor = math.inf
        for mark in sorted(marks, key=lambda mark: mark.value):
            at = min(max(y(mark.value), self.top), self.bottom)
            drawing.line(self.left, at, self.right + 4, at, mark.style)
            height = min(at + 4, floor)
            floor = height - ROW
            drawing.text(self.right + 7, height, mark.label, f"c-label {mark.style}-label")


def place(marks: Sequence[Mark], x: Scale, left: float, right: float) -> list[Placed]:
    """Give every mark's label a place between left and right, in a row where it covers no other."""
    ends: list[float] = []
    placed = []
    for mark in sorted(marks, key=lambda mark: mark.value):
        at = min(max(x(mark.value), left), right)
        width = text_width(mark.label)
        start = max(min(at - width / 2, right - width), left)
        row = next((row for row, end in enumerate(ends) if end + 8 < start), len(ends))
        ends[row : row + 1] = [start + width]
        placed.append(Placed(mark, at, start, row))
    return placed


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """The linear map of low..high to start..end; everything to the middle where low is high."""
    if not high > low:
        return lambda _: (start + end) / 2
    return lambda value: start + (end - start) * ((value - low) / (high - low))


def log_scale(low: float, high: float, start: float, end: float) -> Scale:
    """The logarithmic map of low..high, both above zero, to start..end."""
    inner = scale(math.log10(low), math.log10(high), start, end)
    return lambda value: inner(math.log10(max(value, low)))


def nice_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from low to high, about so many."""
    if not high - low > 1e-300 or not math.isfinite(high - low):
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [tick * step for tick in range(first, math.floor(high / step + 1e-9) + 1)]


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _tick(value: float) -> str:
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    shown = f"{value:,.6f}" if abs(value) >= 10_000 else f"{value:.6f}"
    return shown.rstrip("0").rstrip(".").replace(",", "\u202f") or "0"


def text_width(content: str) -> float:
    """About how wide a label is."""
    # Fonts differ; a little too wide keeps labels apart, and CJK characters are square.
    return sum(12.0 if ord(each) > 0x2E7F else 6.9 for each in content)
