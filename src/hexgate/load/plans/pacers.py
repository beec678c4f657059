"""Pacers: how a rate changes with time, as pure functions of a shape. A shape is segments, one after the other.

Arrivals at unit rate become arrivals at the rates of a shape through the inverse of its cumulative rate. Nothing is
rescaled to an exact total.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexgate.errors import InputError

__all__ = [
    "MOST_RPS",
    "MOST_SPAN_S",
    "Segment",
    "Shape",
    "checked",
    "cumulative",
    "expected",
    "inverse",
    "length_s",
    "parse_ramp",
    "parse_stages",
    "rate_at",
    "warmup_rps",
]

MOST_RPS = 1e7
"""Rates are below it."""
MOST_SPAN_S = 1e6
"""No plan lasts longer."""
_MOST_SEGMENTS = 1000

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_STAGE = re.compile(rf"\s*{_NUMBER}\s*:\s*{_NUMBER}\s*", re.ASCII)
_RAMP = re.compile(rf"\s*{_NUMBER}\s*\.\.\s*{_NUMBER}\s*:\s*{_NUMBER}\s*", re.ASCII)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Segment:
    """A span of time in which the rate goes along a straight line."""

    from_rps: float
    """Rate at its begin."""
    to_rps: float
    """Rate at its end; the same for a stage. Both are 0 in a pause."""
    seconds: float
    """Its length."""

    def __post_init__(self) -> None:
        for rate in (self.from_rps, self.to_rps):
            if not 0.0 <= rate < MOST_RPS:
                raise InputError(
                    "the rate is out of range", got=f"{rate:g}/s", expected=f"at least 0, below {MOST_RPS:g}"
                )
        if not 0.0 < self.seconds < MOST_SPAN_S:
            raise InputError(
                "the length of a stage is out of range",
                got=f"{self.seconds:g} s",
                expected=f"above 0, below {MOST_SPAN_S:g}",
            )

    @property
    def arrivals(self) -> float:
        """How many arrivals are expected in it."""
        return (self.from_rps + self.to_rps) / 2.0 * self.seconds


Shape = tuple[Segment, ...]
"""Segments, one after the other, from the begin of the timed part."""


def parse_stages(text: str) -> Shape:
    """The shape of ``10:30,100:60``, rate:seconds. A stage may be a ramp, ``10..100:30``, or a pause, ``0:5``.

    Raises:
        InputError: if it is of another form, out of range, or only pauses.
    """
    segments = []
    for number, part in enumerate(text.split(","), start=1):
        if found := _STAGE.fullmatch(part):
            segments.append(_segment(text, found[1], found[1], found[2]))
        elif found := _RAMP.fullmatch(part):
            segments.append(_segment(text, *found.groups()))
        else:
            raise InputError(
                f"stage {number} is not one",
                where=repr(text),
                got=repr(part),
                expected="RATE:SECONDS, separated by commas, such as 10:30,100:60,500:60",
            )
    return checked(tuple(segments))


def parse_ramp(text: str) -> Shape:
    """The shape of ``10..500:120``: from one rate to another in so many seconds.

    Raises:
        InputError: if it is of another form, or out of range.
    """
    found = _RAMP.fullmatch(text)
    if found is None:
        raise InputError("not a ramp", got=repr(text), expected="FROM..TO:SECONDS, such as 10..500:120")
    return checked((_segment(text, *found.groups()),))


def _segment(text: str, *numbers: str) -> Segment:
    try:
        return Segment(*map(float, numbers))
    except InputError as error:
        raise InputError(error.what, where=repr(text), got=error.got, expected=error.expected) from None


def checked(shape: Shape) -> Shape:
    """The shape itself.

    Raises:
        InputError: if nothing is sent in it, or it is too long.
    """
    if not 1 <= len(shape) <= _MOST_SEGMENTS:
        raise InputError("too many stages", got=str(len(shape)), expected=f"1 to {_MOST_SEGMENTS}")
    if expected(shape) <= 0.0:
        raise InputError("nothing is sent: every stage is a pause", expected="a stage with a rate above 0")
    if length_s(shape) >= MOST_SPAN_S:
        raise InputError(
            "the stages last too long", got=f"{length_s(shape):g} s", expected=f"below {MOST_SPAN_S:g} s"
        )
    return shape


def length_s(shape: Shape) -> float:
    """How long the shape lasts."""
    return float(_starts(shape)[-1])


def expected(shape: Shape) -> float:
    """How many arrivals are expected in the whole shape."""
    return float(_edges(shape)[-1])


def warmup_rps(shape: Shape) -> float:
    """The rate of the warm-up before a shape: the first that it sends at, or the mean of a ramp that begins at 0."""
    first = next(segment for segment in shape if segment.arrivals > 0.0)
    return first.from_rps or first.to_rps / 2.0


def rate_at(shape: Shape, t_s: float) -> float:
    """The rate so many seconds after the shape's begin; 0 before it and from its end on."""
    begin = 0.0
    for segment in shape:
        if 0.0 <= t_s - begin < segment.seconds:
            share = (t_s - begin) / segment.seconds
            return segment.from_rps + (segment.to_rps - segment.from_rps) * share
        begin += segment.seconds
    return 0.0


def cumulative(shape: Shape, t_s: Floats) -> Floats:
    """(n,) arrivals expected from the shape's begin to each of n instants: the integral of the rate."""
    starts, edges = _starts(shape), _edges(shape)
    low, high, seconds = _columns(shape)
    at = np.clip(np.searchsorted(starts, t_s, side="right") - 1, 0, len(shape) - 1)
    t = np.clip(t_s - starts[at], 0.0, seconds[at])
    return np.asarray(edges[at] + t * (low[at] + (high - low)[at] * t / (2.0 * seconds[at])))


def inverse(shape: Shape, arrivals: Floats) -> Floats:
    """(n,) seconds from the shape's begin at which so many arrivals are expected, at most its length.

    Where several instants are, as in a pause, the last of them. In a segment from rate a to b in T seconds, the root
    of a t + (b - a) t^2 / (2 T) = y, as t = 2 y / (a + sqrt(a^2 + 2 (b - a) y / T)), which loses no digits.
    """
    starts, edges = _starts(shape), _edges(shape)
    low, high, seconds = _columns(shape)
    at = np.clip(np.searchsorted(edges, arrivals, side="right") - 1, 0, len(shape) - 1)
    y = np.maximum(arrivals - edges[at], 0.0)
    a = low[at]
    root = np.sqrt(np.maximum(a * a + 2.0 * ((high - low) / seconds)[at] * y, 0.0))
    below = a + root
    t = np.divide(2.0 * y, below, out=np.zeros_like(y), where=below > 0.0)
    return np.asarray(starts[at] + np.minimum(t, seconds[at]))


def _columns(shape: Shape) -> tuple[Floats, Floats, Floats]:
    rows = np.array([(segment.from_rps, segment.to_rps, segment.seconds) for segment in shape])
    return rows[:, 0], rows[:, 1], rows[:, 2]


def _starts(shape: Shape) -> Floats:
    """(n + 1,) seconds at which the segments begin, and the last one ends."""
    return np.concatenate([[0.0], np.cumsum([segment.seconds for segment in shape])])


def _edges(shape: Shape) -> Floats:
    """(n + 1,) arrivals expected before each segment, and in all.

    Rounded, so that the arrival on the edge of a pause comes after it, whatever the last digit of rate times time.
    """
    return np.round(np.concatenate([[0.0], np.cumsum([segment.arrivals for segment in shape])]), 9)
