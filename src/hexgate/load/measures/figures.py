"""The rates of a load run and what became of its requests, computed from its plan and its records alone. Pure.

Only timed requests enter, unless a docstring says otherwise. Records are read in chunks, in several passes: no
figure needs more memory for more requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.measures.goodput import Goodput
from hexgate.load.measures.spans import (
    Millis,
    Pace,
    busy_ratio,
    ended_well_inside,
    in_flight_max,
    lag_ms,
    queued_ms,
    timed_window,
    window_parts,
)
from hexgate.load.measures.tokens import TokenLedger, TokenSource, one_source, output_tokens
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import Outcome, Records
from hexgate.stats.distribution import Distribution, distributions

__all__ = [
    "LEAST_WINDOWS",
    "Outcomes",
    "ThroughputFigures",
    "TokenSpeed",
    "outcomes",
    "throughput",
]

LEAST_WINDOWS = 10
_SECOND_NS = 1_000_000_000
_FEWEST_SECONDS = 2


@dataclass(frozen=True)
class Outcomes:
    """What became of the timed requests."""

    ok: int
    error: int
    timeout: int
    truncated: int
    unfinished: int
    not_sent: int
    warmup: int = 0
    """Requests of the warm-up, whatever became of them: they are in none of the others."""

    @property
    def total(self) -> int:
        """All timed ones."""
        return self.sent + self.not_sent

    @property
    def sent(self) -> int:
        """Those that were sent, or tried with the target at fault: what the ratios are of."""
        return self.ok + self.error + self.timeout + self.truncated + self.unfinished

    @property
    def failed(self) -> int:
        """Those sent that got no whole reply: errors, time-outs, truncated replies, and what was unfinished."""
        return self.sent - self.ok

    @property
    def error_ratio(self) -> float | None:
        """`failed` over those sent; None where none was."""
        return self.failed / self.sent if self.sent else None

    @property
    def timeout_ratio(self) -> float | None:
        """Time-outs over those sent; None where none was."""
        return self.timeout / self.sent if self.sent else None


@dataclass(frozen=True)
class TokenSpeed:
    """Output tokens of successes (timed ones, in a closed loop those of the warm-up too) in whole timed seconds."""

    seconds: int
    """How many whole seconds there are; at least 2."""
    maximum: float
    """Tokens of the second with most."""
    minimum: float
    """Tokens of the second with fewest; 0 where a second had none."""
    mean: float
    """Mean over the seconds."""
    std: float
    """Population standard deviation over the seconds."""
    by_events: bool
    """Whether they are counted when their events came, each event with the mean of tokens that the events of the same
    replies have: 1 where events are what is counted. Else a reply's tokens count when it ended."""


@dataclass(frozen=True)
class ThroughputFigures:
    """Rates of a run, and what they rest on."""

    window_s: float | None
    """Length of the timed window; None where nothing was timed.

    Open loop: `Plan.window_ns`. Closed loop: from the first timed send, for the plan's duration, or else to
    the last end of a timed request. A run that was stopped ends the window there."""
    successes: int
    """Requests that ended well inside the window. In a closed loop those of the warm-up that end inside it
    count: they took the slots that the window began with, as others are still in flight when it ends. In an
    open loop only timed ones count."""
    throughput_rps: float | None
    """`successes` over the window."""
    requested_rps: float | None
    """The plan's mean rate, all turns of a conversation counted; None in a closed loop."""
    achieved_rps: float | None
    """(k - 1) over the time from the first send to the last, of the k timed requests sent; None below two."""
    outcomes: Outcomes
    """What became of the timed requests, whenever they ended."""
    output_tokens_per_s: float | None
    """Output tokens of `successes` over the window; None where no reply has any that can be counted."""
    token_source: TokenSource | None
    """Who counted them."""
    token_speed: TokenSpeed | None
    """The same second by second; None where there are no tokens, or fewer than 2 whole seconds."""
    tokens: TokenLedger
    """Tokens of the timed requests that succeeded, whenever they ended."""
    goodput: Goodput | None
    """How many were good; None where no request is held to a limit."""
    windows_rps: tuple[float, ...]
    """Successes a second in equal parts of the window, in order, by when they ended."""
    dispatch_lag_p50_ms: float | None
    """Median time from due to taken up by the engine: the client's own lateness. None in a closed loop."""
    dispatch_lag_p99_ms: float | None
    """99th percentile of the same."""
    queue_p99_ms: float | None
    """99th percentile of the time from taken up to sent: waiting for a slot under a cap, and for a
    connection."""
    in_flight_max: int
    """Most requests in flight at once, warm-up included."""
    busy_ratio: float | None
    """Closed loop: mean share of the slots that had a request, see `spans.busy_ratio`; None in an open loop, and
    where the slots were not all taken a second time."""


def outcomes(records: Records) -> Outcomes:
    """Count what became of the timed requests."""
    counts, warmup = np.zeros(len(Outcome), dtype=np.int64), 0
    for rows in records.chunks():
        counts += np.bincount(rows["outcome"][~rows["warmup"]], minlength=len(Outcome))
        warmup += int(rows["warmup"].sum())
    return Outcomes(
        ok=int(counts[Outcome.OK]),
        error=int(counts[Outcome.ERROR]),
        timeout=int(counts[Outcome.TIMEOUT]),
        truncated=int(counts[Outcome.TRUNCATED]),
        unfinished=int(counts[Outcome.UNFINISHED]),
        not_sent=int(counts[Outcome.NOT_SENT]),
        warmup=warmup,
    )


def throughput(
    records: Records,
    plan: Plan,
    *,
    stopped_ns: int | None = None,
    windows: int = 20,
    limits: Mapping[str, float] | None = None,
    stream: Mapping[str, Any] | None = None,
) -> ThroughputFigures:
    """The rates of a run.

    Args:
        records: the run's records.
        plan: its plan.
        stopped_ns: `RunInfo.stopped_ns`: when the run was stopped before its end, if it was.
        windows: into how many equal parts the window is cut, at least 10.
        limits: the most of each time that a good request takes, as `Slo.request_limits` has it.
        stream: the run's evidence of that name, if there is any.
    """
    window = timed_window(records, plan, stopped_ns)
    span_s = None if window is None else (window[1] - window[0]) / 1e9
    ended = _Ended(window, max(windows, LEAST_WINDOWS))
    sends, ledger = Pace(), TokenLedger()
    goodput = Goodput(limits, plan) if limits else None
    for rows in records.chunks():
        timed = rows[~rows["warmup"]]
        sends.add(timed["sent_ns"])
        ledger.add(timed[timed["outcome"] == Outcome.OK])
        inside = rows[:0] if window is None else ended_well_inside(rows, plan, window)
        ended.add(inside)
        if goodput is not None:
            goodput.add(timed, inside)
    waits = distributions(lambda: _waits(records), ("lag", "queue"), shares=(0.5, 0.99))
    return ThroughputFigures(
        window_s=span_s,
        successes=ended.count,
        throughput_rps=None if span_s is None else ended.count / span_s,
        requested_rps=None if plan.rate_rps is None else plan.rate_rps * plan.turns,
        achieved_rps=sends.rps,
        outcomes=outcomes(records),
        output_tokens_per_s=None if span_s is None or ended.source is None else ended.tokens / span_s,
        token_source=ended.source,
        token_speed=None if ended.source is None else ended.speed(stream, ledger),
        tokens=ledger,
        goodput=goodput,
        windows_rps=() if span_s is None else ended.windows_rps(span_s),
        dispatch_lag_p50_ms=waits["lag"].percentile(0.5) if plan.kind is LoadKind.OPEN_LOOP else None,
        dispatch_lag_p99_ms=waits["lag"].percentile(0.99) if plan.kind is LoadKind.OPEN_LOOP else None,
        queue_p99_ms=waits["queue"].percentile(0.99),
        in_flight_max=in_flight_max(records),
        busy_ratio=busy_ratio(records, plan, plan.concurrency),
    )


def _waits(records: Records) -> Iterator[Mapping[str, Millis]]:
    for rows in records.chunks():
        timed = rows[~rows["warmup"]]
        yield {"lag": lag_ms(timed), "queue": queued_ms(timed)}


class _Ended:
    """The requests that ended well inside the window: how many, how many tokens, and when."""

    def __init__(self, window: tuple[int, int] | None, parts: int) -> None:
        self._window = window
        self._parts = np.zeros(parts, dtype=np.int64)
        whole_s = 0 if window is None else (window[1] - window[0]) // _SECOND_NS
        self._by_second = np.zeros(whole_s, dtype=np.int64)
        self.count = 0
        self.tokens = 0
        self.source: TokenSource | None = None

    def add(self, rows: NDArray[np.void]) -> None:
        if self._window is None:
            return
        tokens, source = output_tokens(rows)
        counted = tokens >= 0
        self.source = one_source([self.source, source])
        self.count += len(rows)
        self.tokens += int(tokens[counted].sum())
        self._parts += window_parts(rows["end_ns"], self._window, len(self._parts))
        # Seconds are closed at their end, as the window is.
        second = (rows["end_ns"] - self._window[0] - 1) // _SECOND_NS
        counted &= second < len(self._by_second)
        if counted.any():
            self._by_second += np.bincount(
                second[counted], weights=tokens[counted], minlength=len(self._by_second)
            ).astype(np.int64)

    def windows_rps(self, span_s: float) -> tuple[float, ...]:
        length_s = span_s / len(self._parts)
        return tuple(float(count) / length_s for count in self._parts.tolist())

    def speed(self, stream: Mapping[str, Any] | None, ledger: TokenLedger) -> TokenSpeed | None:
        if self._window is None:
            return None
        tokens = self._by_second.astype(np.float64)
        seconds = {} if stream is None else stream["per_second"]
        by_events = "ok_events" in seconds and ledger.events > 0
        if by_events:
            begin_s, end_s = -(-self._window[0] // _SECOND_NS), self._window[1] // _SECOND_NS
            # A second that is not there had no event.
            events = np.zeros(max(end_s - begin_s, 0))
            there = seconds["ok_events"][
                max(begin_s - seconds["begin_s"], 0) : max(end_s - seconds["begin_s"], 0)
            ]
            skipped = max(seconds["begin_s"] - begin_s, 0)
            events[skipped : skipped + len(there)] = there
            tokens = events * (ledger.streamed / ledger.events)
        if len(tokens) < _FEWEST_SECONDS:
            return None
        speeds = Distribution.of(lambda: iter([tokens]))
        return TokenSpeed(
            seconds=len(tokens),
            maximum=speeds.maximum or 0.0,
            minimum=speeds.minimum or 0.0,
            mean=speeds.mean or 0.0,
            std=speeds.std or 0.0,
            by_events=by_events,
        )
