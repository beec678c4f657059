"""Windows with several requests at once: steady state, equal cells, and shares of one energy.

While requests overlap, no sensor tells one's energy from another's. What can be measured is a window long enough for
its edges not to matter; what a request gets of it is an allocation by a rule, and is called one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from hexgate.meters.base import Domain
from hexgate.meters.curve import Trace, Window
from hexgate.meters.windows import NotMeasured, watch

__all__ = ["LEAST_S", "Allocation", "cells", "steady", "time_share", "token_share", "too_short"]

LEAST_S = 10.0
"""A window with several requests at once is at least so long: of a shorter one the edges make up too much."""


@dataclass(frozen=True)
class Allocation:
    """One energy shared out by a rule: no measurement of the shares."""

    rule: str
    """By what it was shared."""
    joules: tuple[float, ...]
    """Joules of each request, in the order in which they were given."""
    unallocated_j: float
    """Joules that the rule gives to nobody; with the shares, they sum up to the whole."""


def cells(window: Window, count: int) -> tuple[Window, ...]:
    """A window cut into so many consecutive ones of equal length, to the nanosecond.

    Raises:
        ValueError: if there is to be none, or the window has fewer nanoseconds.
    """
    if count < 1:
        raise ValueError(f"a window cannot be cut into {count} cells")
    span = window.end_ns - window.start_ns
    edges = [window.start_ns + span * place // count for place in range(count + 1)]
    return tuple(Window(begin, end) for begin, end in pairwise(edges))


def too_short(window: Window, concurrency: int) -> str | None:
    """Why a window is worse than it should be for so many requests at once; None where it is long enough."""
    if concurrency <= 1 or window.seconds >= LEAST_S:
        return None
    return f"{window.seconds:.3f} s are short for {concurrency} requests at once, which take {LEAST_S:g} s or more"


def steady(begins_ns: ArrayLike, ends_ns: ArrayLike, concurrency: int) -> Window | None:
    """From the first instant at which so many requests or more are in flight to the last.

    Between the two there may be moments with one fewer, between the end of a request and the begin of the next.

    Args:
        begins_ns: (n,) when each request was sent.
        ends_ns: (n,) when each ended, in the same order.
        concurrency: how many make it the steady state.

    Returns:
        None where there were never so many.
    """
    begins = np.sort(np.asarray(begins_ns, dtype=np.int64))
    ends = np.sort(np.asarray(ends_ns, dtype=np.int64))
    in_flight = np.arange(1, len(begins) + 1) - np.searchsorted(ends, begins, side="right")
    full = np.flatnonzero(in_flight >= concurrency)
    if not len(full):
        return None
    first, last = full[0], full[-1]
    # From the last begin on, each end takes one away.
    over = np.searchsorted(ends, begins[last], side="right") + in_flight[last] - concurrency
    return Window(int(begins[first]), int(ends[over]))


def token_share(energy_j: float, tokens: Sequence[int]) -> Allocation:
    """One energy, shared out by the output tokens of each request.

    So the ML.ENERGY benchmark charges requests that were served together. Without any token, nobody is charged.

    Raises:
        ValueError: if the energy is not finite, or a number of tokens is below 0.
    """
    if not math.isfinite(energy_j) or min(tokens, default=0) < 0:
        raise ValueError("an energy is shared out by numbers of tokens, none of them below 0")
    rule, whole = "output tokens", sum(tokens)
    if whole == 0:
        return Allocation(rule, (0.0,) * len(tokens), energy_j)
    return Allocation(rule, tuple(energy_j * (count / whole) for count in tokens), 0.0)


def time_share(
    trace: Trace, domain: Domain, window: Window, spans: Sequence[tuple[int, int]]
) -> Allocation | NotMeasured:
    """The energy of a window, shared out at each instant among the requests in flight: the integral of P(t) / n(t).

    Args:
        trace: the readings.
        domain: what was read.
        window: the span; parts of requests outside it are charged to nobody.
        spans: begin and end of each request, in `time.monotonic_ns`.

    Returns:
        NotMeasured where the window was not measured. Energy while nobody was in flight is left unallocated.

    Raises:
        ValueError: if a request ends before it begins, or as for `windows.energy_j`.
    """
    if any(end < begin for begin, end in spans):
        raise ValueError("a request ends before it begins")
    watched = watch(trace, domain, window)
    if isinstance(watched, NotMeasured):
        return watched
    cut = [(max(begin, window.start_ns), min(end, window.end_ns)) for begin, end in spans]
    inside = [(begin, end) for begin, end in cut if begin < end]
    events = sorted({window.start_ns, window.end_ns, *(edge for span in inside for edge in span)})
    place = {edge: index for index, edge in enumerate(events)}
    active = [0] * len(events)
    for begin, end in inside:
        active[place[begin]] += 1
        active[place[end]] -= 1
    # What one request in flight is charged from the window's begin to each event, and what nobody is.
    charged, unallocated = [0.0], []
    in_flight = 0
    for index, (sooner, later) in enumerate(pairwise(events)):
        in_flight += active[index]
        joules = watched.curve.at(later) - watched.curve.at(sooner)
        charged.append(charged[-1] + (joules / in_flight if in_flight else 0.0))
        if not in_flight:
            unallocated.append(joules)
    shares = [charged[place[end]] - charged[place[begin]] if begin < end else 0.0 for begin, end in cut]
    return Allocation("time in flight", tuple(shares), math.fsum(unallocated))
