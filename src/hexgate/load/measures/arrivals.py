"""Whether what was sent is the process that was asked for: the test of arrivals of an open loop. Pure.

Instants are looked at in the measure of the plan (`Plan.cumulative`), in which arrivals at any rate, ramps and stages
too, become arrivals at unit rate (time rescaling: Brown et al. 2002, Neural Computation 14, 325). Memory does not grow
with the number of requests.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plans.plan import Arrival, LoadKind, Plan
from hexgate.load.records import Records
from hexgate.stats.percentile import rank_of

__all__ = ["DECISIVE_GAPS", "LEAST_GAPS", "ArrivalTest", "Arrivals", "Check", "arrival_test"]

LEAST_GAPS = 100
"""Fewer gaps say nothing of a process."""
DECISIVE_GAPS = 1000
"""Fewer gaps make no run invalid."""
_LEAST_WINDOWS = 20
_IN_WINDOW = 10.0
_STANDARD_ERRORS = 4.0
_CV_MARGIN = 0.03
_LAG1_MARGIN = 0.03
_DISPERSION_MARGIN = 0.15
_PACE_MARGIN = 0.002
_BURSTIER = 2
_JITTER_CV = 0.05
_JITTER_RPS = 50.0
_MOST_JITTER_CV = 0.3
_EARLY_NS = 10_000_000
_MOST_HELD = 1 << 20

Floats = NDArray[np.float64]
Stamps = NDArray[np.int64]


@dataclass(frozen=True)
class Check:
    """One property of a process, held against what it should be."""

    name: str
    """`pace`, `gap_cv`, `gap_lag1` or `dispersion`."""
    value: float
    """What it is."""
    expected: float
    """What it should be."""
    tolerance: float
    """The most by which the two may differ."""

    @property
    def ok(self) -> bool:
        """Whether they differ by no more."""
        return abs(self.value - self.expected) <= self.tolerance


@dataclass(frozen=True)
class Arrivals:
    """The timed arrivals of a run, as they were planned, taken up, or sent."""

    n: int
    """How many there are."""
    rate_rps: float | None
    """(n - 1) over the time from the first to the last; None below two."""
    mean_gap_ms: float | None
    """The mean time between two in a row."""
    gap_cv: float | None
    """Standard deviation of the gaps over their mean, in the measure of the plan."""
    gap_lag1: float | None
    """Correlation of a gap with the next one; None where all gaps are alike."""
    dispersion: float | None
    """Variance over mean of the counts in windows of one length; None below 20 windows."""
    window_p99: int | None
    """How many arrivals a window has at the 99th percentile; None below 20 windows."""
    windows: int
    """How many windows there are."""
    window_arrivals: float
    """How many arrivals are expected in one."""
    checks: tuple[Check, ...]
    """The properties that could be judged; empty where there are too few arrivals."""

    @property
    def ok(self) -> bool | None:
        """Whether this is the process that was asked for; None where it could not be judged."""
        return all(check.ok for check in self.checks) if self.checks else None


@dataclass(frozen=True)
class ArrivalTest:
    """What was asked for, and what came of it at three places."""

    asked: Arrival
    """The process that was asked for."""
    planned: Arrivals
    """The due times."""
    taken_up: Arrivals
    """The instants at which the engine took requests up: the client's part."""
    sent: Arrivals
    """The instants at which requests were written: what the target saw. A wait for a slot or for a connection lies
    before them."""

    @property
    def caveats(self) -> tuple[str, ...]:
        """What was not the process that was asked for, one sentence each; empty where everything was.

        Of two places that fail, the first tells of both.
        """
        places = {
            "the plan": self.planned,
            "what the client took up": self.taken_up,
            "what was sent, after waits for slots and connections,": self.sent,
        }
        for place, found in places.items():
            bad = [check for check in found.checks if not check.ok]
            if bad:
                told = "; ".join(
                    f"{_TOLD[check.name]} {check.value:.4g}, expected {check.expected:.4g} +- {check.tolerance:.2g}"
                    for check in bad
                )
                return (f"{place} is not the {self.asked.value} process that was asked for: {told}",)
        return ()

    @property
    def fault(self) -> str | None:
        """Why the client itself made another process of the plan; None where it did not, or that is not certain.

        It did where `DECISIVE_GAPS` gaps or more fail a check, and windows hold at the 99th percentile more than twice
        as many requests taken up as due: chance has no part in that, and neither have a few stalls. All else that fails
        is a caveat: at high rates a jitter that no server notices changes the gaps.
        """
        plan, own = self.planned.window_p99, self.taken_up.window_p99
        decisive = self.taken_up.n > DECISIVE_GAPS and self.taken_up.ok is False
        if not decisive or plan is None or own is None or own <= _BURSTIER * plan:
            return None
        return (
            f"the client took requests up in bursts: {own} at the 99th percentile of windows of "
            f"{self.taken_up.window_arrivals:g}, where its plan has {plan}, and {_BURSTIER} times that is the most; "
            "give it more cores and workers, or ask for a lower rate"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""

        def told(found: Arrivals) -> dict[str, Any]:
            checks = [{**asdict(check), "ok": check.ok} for check in found.checks]
            return {**asdict(found), "checks": checks, "ok": found.ok}

        places = {"planned": self.planned, "taken_up": self.taken_up, "sent": self.sent}
        return {"asked": self.asked.value, **{place: told(found) for place, found in places.items()}}


_TOLD = {
    "pace": "mean gap over the planned one",
    "gap_cv": "variation of the gaps",
    "gap_lag1": "correlation of a gap with the next",
    "dispersion": "variance over mean of counts",
}


def arrival_test(records: Records, plan: Plan, *, window_s: float | None = None) -> ArrivalTest | None:
    """Hold the timed units of an open loop, by the due time and the stamps of their first requests, to their process.

    A property may differ from what it should be by four standard errors at this n, and always by the margin that
    20,000 arrivals would have, below which a difference means nothing to a server.

    ============  =========================  ==========================================  ==============
    property      should be                  standard error                              margin
    ============  =========================  ==========================================  ==============
    `gap_cv`      c = 1 / sqrt(k)            c sqrt((1 + 1 / k) / (2 n))                 0.03 max(1, c)
    `gap_lag1`    0                          1 / sqrt(n)                                 0.03
    `dispersion`  d = c^2 + (1 - c^4) / 6 w  d sqrt(2 / (m - 1))                         0.15 max(1, d)
    ============  =========================  ==========================================  ==============

    k is the shape of the gamma distribution, 1 for Poisson arrivals; n counts gaps, m windows, and w the arrivals
    expected in a window (d: Cox 1962, Renewal Theory, section 4.5; the errors by the delta method, checked by
    simulation from k = 0.1 to 10). Constant arrivals have c = 0 and d = 0, and no `gap_lag1`. What is taken up or sent
    may have a jitter besides: c may differ by (1 - c) times 0.05 up to 50 a second and so much more at higher rates,
    as a jitter of 1 ms makes, to 0.3 at most. The `pace`, the mean gap over the planned one, may differ by 0.002, or
    by one gap where that is more; that of the plan by four standard errors. A replay should be what its trace is,
    within the margins. A shape does not end the process: `Plan.cumulative` stands still in its pauses and after it.

    Args:
        records: all records of the run; of one shard of several, they are no Poisson process.
        plan: its plan.
        window_s: length of a window at the mean rate; None for one of 10 arrivals, 0.1 s at 100 a second, and of 10 / k
            where arrivals come in bursts (k < 1).

    Returns:
        None for a closed loop, which asks for no process.
    """
    if plan.kind is not LoadKind.OPEN_LOOP or plan.rate_rps is None:
        return None
    width = _IN_WINDOW * max(1.0, 1.0 / _shape(plan)) if window_s is None else window_s * plan.rate_rps
    planned, taken_up, sent = (_Stream(plan, width) for _ in range(3))
    for chunk in records.chunks():
        rows = chunk[~chunk["warmup"] & (chunk["turn"] == 0)]
        if not len(rows):
            continue
        due = rows["due_ns"]
        # Nothing that comes later is due before, and nothing is taken up before it is due.
        settled = int(due[-1]) - _EARLY_NS
        for stream, stamps in ((planned, due), (taken_up, rows["issued_ns"]), (sent, rows["sent_ns"])):
            there = stamps >= 0
            stream.add(stamps[there], due[there], settled)
    trace = planned.end(plan, None)
    return ArrivalTest(plan.arrival, trace, taken_up.end(plan, trace), sent.end(plan, trace))


def _shape(plan: Plan) -> float:
    """The shape of the gamma distribution of the gaps."""
    return (plan.burstiness or 1.0) if plan.arrival is Arrival.GAMMA else 1.0


class _Stream:
    """Sums over instants that come nearly in order: they are held back until nothing earlier can come."""

    def __init__(self, plan: Plan, width: float) -> None:
        self._plan = plan
        self._width = width
        self._held = np.empty(0, dtype=np.int64)
        self._disordered = False
        self._due: tuple[int, int] | None = None
        self._first_ns = self._last_ns = 0
        self._n = 0
        self._first_u = self._last_u = 0.0
        # Of x = gap - 1, which is small where gaps are near their mean: no digits are lost.
        self._x = self._xx = self._x_next = 0.0
        self._first_x = self._last_x = 0.0
        self._window = self._count = 0
        # How many windows have each number of arrivals, the empty ones apart.
        self._counts: Counter[int] = Counter()

    def add(self, stamps: Stamps, due: Stamps, settled_ns: int) -> None:
        if len(due):
            begin, end = int(due[0]), int(due[-1])
            self._due = (begin if self._due is None else self._due[0], end)
        held = np.sort(np.concatenate([self._held, stamps]))
        ready = int(np.searchsorted(held, settled_ns, side="right"))
        if len(held) - ready > _MOST_HELD:
            ready = len(held) - _MOST_HELD
        self._take(held[:ready])
        self._held = held[ready:].copy()

    def _take(self, stamps: Stamps) -> None:
        if not len(stamps):
            return
        if self._n == 0:
            self._first_ns = int(stamps[0])
        elif stamps[0] < self._last_ns:
            self._disordered = True
            stamps = np.maximum(stamps, self._last_ns)
        u = self._plan.cumulative(stamps)
        if self._n == 0:
            self._first_u = float(u[0])
            gaps = np.diff(u)
        else:
            gaps = np.diff(u, prepend=self._last_u)
        self._gaps(gaps - 1.0)
        self._windows(u)
        self._n += len(stamps)
        self._last_ns, self._last_u = int(stamps[-1]), float(u[-1])

    def _gaps(self, x: Floats) -> None:
        if not len(x):
            return
        if self._n < 2:
            self._first_x = float(x[0])
        else:
            self._x_next += self._last_x * float(x[0])
        self._x += float(x.sum())
        self._xx += float(x @ x)
        self._x_next += float(x[1:] @ x[:-1])
        self._last_x = float(x[-1])

    def _windows(self, u: Floats) -> None:
        # Half an arrival before the first, so that none of a constant process lies on an edge.
        places = ((u - self._first_u + 0.5) // self._width).astype(np.int64)
        which, counts = np.unique(places, return_counts=True)
        if int(which[0]) == self._window:
            counts[0] += self._count
        else:
            self._counts[self._count] += 1
        for count in counts[:-1].tolist():
            self._counts[count] += 1
        self._window, self._count = int(which[-1]), int(counts[-1])

    def end(self, plan: Plan, trace: Arrivals | None) -> Arrivals:
        """What was found; `trace` is the plan's own where these are not the plan."""
        self._take(self._held)
        n, gaps = self._n, self._n - 1
        span_ns = self._last_ns - self._first_ns
        mean = 1.0 + self._x / gaps if gaps > 0 else 0.0
        squares = self._xx - self._x**2 / gaps if gaps > 1 else 0.0
        cv = math.sqrt(max(squares, 0.0) / (gaps - 1)) / mean if gaps > 1 and mean > 0.0 else None
        m = self._window
        found = Arrivals(
            n=n,
            rate_rps=gaps * 1e9 / span_ns if span_ns > 0 else None,
            mean_gap_ms=span_ns / 1e6 / gaps if gaps > 0 else None,
            gap_cv=cv,
            gap_lag1=self._lag1(gaps, squares) if cv is not None and cv > 1e-6 else None,
            dispersion=self._dispersion(m),
            window_p99=self._window_p99(m),
            windows=m,
            window_arrivals=self._width,
            checks=(),
        )
        if gaps < LEAST_GAPS or cv is None or self._disordered:
            return found
        checks = (self._pace(plan, mean, trace), *_checks(found, plan, trace))
        return Arrivals(**{**vars(found), "checks": checks})

    def _lag1(self, gaps: int, squares: float) -> float | None:
        if gaps < 3 or squares <= 0.0:
            return None
        mean = self._x / gaps
        ends = self._first_x + self._last_x
        return (self._x_next - mean * (2.0 * self._x - ends) + (gaps - 1) * mean * mean) / squares

    def _dispersion(self, m: int) -> float | None:
        if m < _LEAST_WINDOWS or not self._counts:
            return None
        # In whole numbers: the two terms nearly cancel.
        n = sum(count * windows for count, windows in self._counts.items())
        squares = sum(count * count * windows for count, windows in self._counts.items())
        return (squares * m - n**2) / (m * (m - 1)) / (n / m)

    def _window_p99(self, m: int) -> int | None:
        if m < _LEAST_WINDOWS:
            return None
        beyond = m - rank_of(m, 0.99)
        for count in sorted(self._counts, reverse=True):
            beyond -= self._counts[count]
            if beyond < 0:
                return count
        return 0

    def _pace(self, plan: Plan, mean: float, trace: Arrivals | None) -> Check:
        gaps = self._n - 1
        if trace is None:
            cv = 0.0 if plan.arrival is Arrival.CONSTANT else 1.0 / math.sqrt(_shape(plan))
            # The plan of a replay is what was asked for, whatever its mean.
            expected = mean if plan.arrival is Arrival.REPLAY else 1.0
            return Check("pace", mean, expected, max(_STANDARD_ERRORS * cv / math.sqrt(gaps), _PACE_MARGIN))
        # Against the due times of the same requests: what was not sent is counted elsewhere.
        begin, end = plan.cumulative(np.array(self._due, dtype=np.int64)).tolist()
        planned = (end - begin) / gaps
        return Check("pace", mean / planned if planned > 0.0 else 1.0, 1.0, max(_PACE_MARGIN, 1.0 / gaps))


def _checks(found: Arrivals, plan: Plan, trace: Arrivals | None) -> list[Check]:
    n, m = found.n - 1, found.windows
    lag1: float | None = 0.0
    error_cv = error_lag1 = error_dispersion = 0.0
    if plan.arrival is Arrival.REPLAY:
        asked = found if trace is None else trace
        cv, lag1, dispersion = asked.gap_cv or 0.0, asked.gap_lag1, asked.dispersion
    elif plan.arrival is Arrival.CONSTANT:
        cv, lag1, dispersion = 0.0, None, 0.0
    else:
        k = _shape(plan)
        cv = 1.0 / math.sqrt(k)
        dispersion = 1.0 / k + (1.0 - 1.0 / k**2) / (6.0 * found.window_arrivals)
        error_cv = cv * math.sqrt((1.0 + 1.0 / k) / (2.0 * n))
        error_lag1 = 1.0 / math.sqrt(n)
        error_dispersion = dispersion * math.sqrt(2.0 / max(m - 1, 1))
    jitter = 0.0 if trace is None else (1.0 - cv) * _jitter(plan)
    margin = max(_CV_MARGIN * max(1.0, cv), jitter)
    checks = [Check("gap_cv", found.gap_cv or 0.0, cv, max(_STANDARD_ERRORS * error_cv, margin))]
    if lag1 is not None and found.gap_lag1 is not None:
        tolerance = max(_STANDARD_ERRORS * error_lag1, _LAG1_MARGIN)
        checks.append(Check("gap_lag1", found.gap_lag1, lag1, tolerance))
    if dispersion is not None and found.dispersion is not None:
        margin = _DISPERSION_MARGIN * max(1.0, dispersion)
        tolerance = max(_STANDARD_ERRORS * error_dispersion, margin)
        checks.append(Check("dispersion", found.dispersion, dispersion, tolerance))
    return checks


def _jitter(plan: Plan) -> float:
    """The variation of constant gaps that a good pacer still has."""
    faster = max((plan.rate_rps or 0.0) / _JITTER_RPS, 1.0)
    return min(_JITTER_CV * faster, _MOST_JITTER_CV)
