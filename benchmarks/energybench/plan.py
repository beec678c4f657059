"""What the boards do, and the windows that every tool is asked about."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import Enum

from support.nvml_stub import NS_PER_S, Sensed, Waveform

__all__ = ["LENGTHS_S", "Case", "Kind", "Plan", "made"]

LENGTHS_S = (0.3, 1.0, 3.0, 10.0)
"""Lengths of the requests, as they are named. Each is up to a tenth longer or shorter: where all lasted whole refreshes
of the counter, the errors of two raw reads would cancel, which those of real requests do not."""
STEP_NS = 5_000_000
LATCH_NS = 100_000_000
IDLE_W = 65.0
BURST_W, DECODE_W, RIPPLE_W = 320.0, 210.0, 30.0
TAIL_W, TAIL_S = 130.0, 0.4
_LEAD_S = 2.0


class Kind(str, Enum):
    """What lies around a window."""

    ALONE = "request alone"
    """The window is the request; idle before it, its tail after it."""
    BETWEEN = "work on both sides"
    """The window is the request; another ends where it begins, a third begins where it ends."""
    QUIET = "quiet edges"
    """The window begins with the request, in idle, and ends in the idle after its tail."""


@dataclass(frozen=True)
class Case:
    """One window on one board. Instants are nanoseconds after the begin of the waveforms."""

    board: int
    kind: Kind
    seconds: float
    """Length of the request, as it is named."""
    start_ns: int
    end_ns: int
    """End of the request."""
    until_ns: int
    """End of the window: with quiet edges later than the request's."""


@dataclass(frozen=True)
class Plan:
    """Everything that is fixed before the first tool starts."""

    boards: tuple[Sensed, ...]
    cases: tuple[Case, ...]

    @property
    def end_ns(self) -> int:
        """When the last window is over."""
        return max(case.until_ns for case in self.cases)

    def truth_j(self, case: Case, start_ns: int, end_ns: int) -> float:
        """What the board of a case drew between two instants."""
        return self.boards[case.board].waveform.energy_j(start_ns, end_ns)


class _Board:
    """A waveform that grows."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._steps: list[tuple[int, int]] = []
        self.now_ns = 0

    def _add(self, ns: int, watts: float) -> None:
        self._steps.append((ns, round(watts * 1e3)))
        self.now_ns += ns

    def idle(self, seconds: float) -> None:
        """Idle, which breathes by 1.5 W."""
        phase = self._draw.uniform(0, 2 * math.pi)
        for place in range(round(seconds * NS_PER_S / STEP_NS)):
            self._add(
                STEP_NS, IDLE_W + 1.5 * math.sin(phase + 2 * math.pi * 0.7 * place * STEP_NS / NS_PER_S)
            )

    def request(self, seconds: float) -> tuple[int, int]:
        """A burst for a tenth of about so long, then tokens with a ripple; returns begin and end."""
        begin_ns = self.now_ns
        length_ns = round(seconds * self._draw.uniform(0.9, 1.1) * NS_PER_S)
        hz, phase = self._draw.uniform(9, 17), self._draw.uniform(0, 2 * math.pi)
        steps = length_ns // STEP_NS
        for place in range(steps):
            wave = RIPPLE_W * math.sin(phase + 2 * math.pi * hz * place * STEP_NS / NS_PER_S)
            self._add(STEP_NS, BURST_W if place < steps / 10 else DECODE_W + wave)
        self._add(length_ns - steps * STEP_NS + 1, DECODE_W)
        return begin_ns, self.now_ns

    def tail(self) -> None:
        """The clocks come down."""
        steps = round(TAIL_S * NS_PER_S / STEP_NS)
        for place in range(steps):
            self._add(STEP_NS, TAIL_W + (IDLE_W - TAIL_W) * place / steps)

    def sensed(self, uuid: str) -> Sensed:
        """It as a board, its sensors refreshed at instants of their own."""
        phase_ns = self._draw.randrange(LATCH_NS)
        return Sensed(uuid, Waveform(tuple(self._steps)), latch_ns=LATCH_NS, phase_ns=phase_ns)


def made(seed: int, *, alone: int, chained: int, repeats: int, after_s: float) -> Plan:
    """A plan.

    Args:
        seed: of all that is drawn.
        alone: boards whose requests have idle between them.
        chained: boards whose requests follow each other at once.
        repeats: requests of each length on each board.
        after_s: how long after a request its window with quiet edges ends.
    """
    draw = random.Random(seed)
    boards: list[Sensed] = []
    cases: list[Case] = []
    for place in range(alone + chained):
        board = _Board(draw)
        lengths = [seconds for seconds in LENGTHS_S for _ in range(repeats)]
        draw.shuffle(lengths)
        board.idle(_LEAD_S + draw.uniform(0, 0.1))
        if place < alone:
            for seconds in lengths:
                begin_ns, end_ns = board.request(seconds)
                board.tail()
                board.idle(draw.uniform(0.9, 1.3))
                until_ns = end_ns + round(after_s * NS_PER_S)
                cases.append(Case(place, Kind.ALONE, seconds, begin_ns, end_ns, end_ns))
                cases.append(Case(place, Kind.QUIET, seconds, begin_ns, end_ns, until_ns))
        else:
            board.request(draw.uniform(0.5, 0.6))
            for seconds in lengths:
                begin_ns, end_ns = board.request(seconds)
                cases.append(Case(place, Kind.BETWEEN, seconds, begin_ns, end_ns, end_ns))
            board.request(0.5)
            board.tail()
        board.idle(_LEAD_S)
        boards.append(board.sensed(f"GPU-{place:04d}"))
    return Plan(tuple(boards), tuple(cases))
