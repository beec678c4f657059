"""The figures of a load run, computed from its plan and its records alone. Pure.

Only timed requests enter, unless a docstring says otherwise. Latencies are those of requests whose outcome is
OK; what became of the others is counted beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plan import LoadKind, Plan
from hexgate.load.records import Outcome
from hexgate.load.spans import (
    Millis,
    Rows,
    busy_ratio,
    dispatch_lag_ms,
    ended_well_inside,
    in_flight_max,
    millis,
    pace_rps,
    percentile,
    timed_window,
    windows_rps,
)

__all__ = [
    "LEAST_BUSY",
    "LEAST_WINDOWS",
    "Anchor",
    "ClientHealth",
    "Latencies",
    "Outcomes",
    "ThroughputFigures",
    "TokenSource",
    "client_health",
    "latencies",
    "outcomes",
    "output_tokens",
    "throughput",
]

LEAST_WINDOWS = 10
_LAG_FLOOR_MS = 5.0
_LAG_OF_GAP = 0.5
_LEAST_ACHIEVED = 0.98
LEAST_BUSY = 0.5
"""The least mean share of the slots of a closed loop that has a request."""


class Anchor(str, Enum):
    """The instant that a latency counts from."""

    DUE = "due"
    """When the request was due: what a user waits."""
    SENT = "sent"
    """When it was written to the socket (in-process: when the call began): what the server takes."""


class TokenSource(str, Enum):
    """Who counted the tokens of replies."""

    SERVER = "server"
    """The server's own usage, in every reply."""
    EVENTS = "events"
    """Events with text, as no reply states its usage. A lower bound where events carry several tokens."""
    MIXED = "mixed"
    """Usage where a reply states it, events where it does not."""


@dataclass(frozen=True)
class Outcomes:
    """What became of the timed requests."""

    ok: int
    error: int
    timeout: int
    truncated: int
    unfinished: int
    not_sent: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.sent + self.not_sent

    @property
    def sent(self) -> int:
        """Those that were sent, or tried with the target at fault: what the ratios are of."""
        return self.ok + self.error + self.timeout + self.truncated + self.unfinished

    @property
    def error_ratio(self) -> float | None:
        """Errors and truncated replies over those sent; None where none was."""
        return (self.error + self.truncated) / self.sent if self.sent else None

    @property
    def timeout_ratio(self) -> float | None:
        """Time-outs over those sent; None where none was."""
        return self.timeout / self.sent if self.sent else None


@dataclass(frozen=True)
class Latencies:
    """Latencies of the timed requests that succeeded, in the order of their numbers."""

    index: NDArray[np.int32]
    """(n,) their numbers in the plan."""
    anchor: Anchor
    """What `e2e_ms` counts from: the due time in an open loop, the send in a closed one."""
    e2e_ms: Millis
    """(n,) to the end of the reply, from `anchor`."""
    e2e_sent_ms: Millis
    """(n,) to the end of the reply, from the send."""
    e2e_due_ms: Millis | None
    """(n,) to the end of the reply, from the due time; None in a closed loop."""
    ttft_sent_ms: Millis
    """(k,) to the first token on any channel, from the send, of the k replies that streamed one."""
    ttft_due_ms: Millis | None
    """(k,) the same from the due time; None in a closed loop."""
    ttfa_sent_ms: Millis
    """(a,) to the first token of the answer, from the send, of the a replies that streamed one."""
    tpot_ms: Millis
    """(m,) (last token - first token) / (tokens - tokens in the first event), of the m replies with a token
    after the first event. Where the server does not say how many the first event had, it is taken to have
    one."""
    tpot_undefined: int
    """Streamed replies with no token after the first event: they have no pace."""
    first_event_unknown: int
    """Replies in `tpot_ms` whose first event was taken to have one token."""
    token_source: TokenSource | None
    """Who counted the tokens for `tpot_ms`; None where there are none."""


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
    """The plan's rate; None in a closed loop."""
    achieved_rps: float | None
    """(k - 1) over the time from the first send to the last, of the k timed requests sent; None below two."""
    outcomes: Outcomes
    """What became of the timed requests, whenever they ended."""
    output_tokens_per_s: float | None
    """Output tokens of `successes` over the window; None where no reply has any that can be counted."""
    token_source: TokenSource | None
    """Who counted them."""
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


@dataclass(frozen=True)
class ClientHealth:
    """Whether the client kept up with its own plan."""

    starved: bool
    """Whether it did not: then the figures say more of the client than of the target."""
    reasons: tuple[str, ...]
    """Why, one sentence each; empty where it kept up."""


def outcomes(records: Rows) -> Outcomes:
    """Count what became of the timed requests."""
    counts = np.bincount(records["outcome"][~records["warmup"]], minlength=len(Outcome))
    return Outcomes(
        ok=int(counts[Outcome.OK]),
        error=int(counts[Outcome.ERROR]),
        timeout=int(counts[Outcome.TIMEOUT]),
        truncated=int(counts[Outcome.TRUNCATED]),
        unfinished=int(counts[Outcome.UNFINISHED]),
        not_sent=int(counts[Outcome.NOT_SENT]),
    )


def output_tokens(rows: Rows) -> tuple[NDArray[np.int64], TokenSource | None]:
    """(n,) output tokens of each row, -1 where nobody counted them, and who did.

    The server's usage comes first, then the events of a streamed reply.
    """
    stated = rows["output_tokens"] >= 0
    counted = ~stated & (rows["first_token_ns"] >= 0)
    tokens = np.where(stated, rows["output_tokens"], np.where(counted, rows["events"], -1)).astype(np.int64)
    if stated.any() and counted.any():
        return tokens, TokenSource.MIXED
    if stated.any():
        return tokens, TokenSource.SERVER
    return tokens, TokenSource.EVENTS if counted.any() else None


def latencies(records: Rows, plan: Plan) -> Latencies:
    """Every latency of the timed requests that succeeded, in milliseconds."""
    rows = records[~records["warmup"] & (records["outcome"] == Outcome.OK)]
    is_open = plan.kind is LoadKind.OPEN_LOOP
    e2e_sent = millis(rows["end_ns"] - rows["sent_ns"])
    e2e_due = millis(rows["end_ns"] - rows["due_ns"]) if is_open else None
    streamed = rows[rows["first_token_ns"] >= 0]
    answered = rows[rows["first_answer_ns"] >= 0]
    tokens, source = output_tokens(streamed)
    first = streamed["first_event_tokens"].astype(np.int64)
    after_first = tokens - np.where(first > 0, first, 1)
    paced = after_first > 0
    return Latencies(
        index=rows["index"].copy(),
        anchor=Anchor.SENT if e2e_due is None else Anchor.DUE,
        e2e_ms=e2e_sent if e2e_due is None else e2e_due,
        e2e_sent_ms=e2e_sent,
        e2e_due_ms=e2e_due,
        ttft_sent_ms=millis(streamed["first_token_ns"] - streamed["sent_ns"]),
        ttft_due_ms=millis(streamed["first_token_ns"] - streamed["due_ns"]) if is_open else None,
        ttfa_sent_ms=millis(answered["first_answer_ns"] - answered["sent_ns"]),
        tpot_ms=millis((streamed["last_token_ns"] - streamed["first_token_ns"])[paced]) / after_first[paced],
        tpot_undefined=int((~paced).sum()),
        first_event_unknown=int((paced & (first <= 0)).sum()),
        token_source=source,
    )


def throughput(
    records: Rows, plan: Plan, *, stopped_ns: int | None = None, windows: int = 20
) -> ThroughputFigures:
    """The rates of a run.

    Args:
        records: the run's records.
        plan: its plan.
        stopped_ns: `RunInfo.stopped_ns`: when the run was stopped before its end, if it was.
        windows: into how many equal parts the window is cut, at least 10.
    """
    window = timed_window(records, plan, stopped_ns)
    timed = records[~records["warmup"]]
    counts = outcomes(records)
    ended = records[:0] if window is None else ended_well_inside(records, plan, window)
    span_s = None if window is None else (window[1] - window[0]) / 1e9
    tokens, source = output_tokens(ended)
    lag_ms = dispatch_lag_ms(timed, plan)
    waited = timed[(timed["sent_ns"] >= 0) & (timed["issued_ns"] >= 0)]
    return ThroughputFigures(
        window_s=span_s,
        successes=len(ended),
        throughput_rps=None if span_s is None else len(ended) / span_s,
        requested_rps=plan.rate_rps,
        achieved_rps=pace_rps(timed["sent_ns"]),
        outcomes=counts,
        output_tokens_per_s=(
            None if span_s is None or source is None else float(tokens[tokens >= 0].sum()) / span_s
        ),
        token_source=source,
        windows_rps=() if window is None else windows_rps(ended, window, max(windows, LEAST_WINDOWS)),
        dispatch_lag_p50_ms=percentile(lag_ms, 50.0),
        dispatch_lag_p99_ms=percentile(lag_ms, 99.0),
        queue_p99_ms=percentile(millis(waited["sent_ns"] - waited["issued_ns"]), 99.0),
        in_flight_max=in_flight_max(records),
        busy_ratio=busy_ratio(records, plan, plan.concurrency),
    )


def client_health(
    records: Rows, plan: Plan, *, in_process: bool = False, slots: int | None = None
) -> ClientHealth:
    """Whether the client, and not the target, shaped the run.

    Open loop: decided on the instants at which the engine took requests up, before they wait for a slot or
    for a connection. A slow target delays what comes after, never these. The client is starved when their lag
    behind the due times exceeds, at the 99th percentile, the larger of 5 ms and half a mean gap, or when they
    come at less than 0.98 of the planned pace. Closed loop: when fewer than half of the slots had a request
    on average, because taking a reply down took longer than getting it; a run in which the slots were not all
    taken a second time is not judged by that, and neither is one on a model in this process: the time
    between its calls is ours, and can make a rate too low, never too high. Both: when this machine could not
    open a connection for want of sockets, ports or memory.

    Args:
        records: the run's records.
        plan: its plan.
        in_process: whether the model runs in this process.
        slots: requests in flight in a closed loop, where the records are those of a shard; None for the plan's.
    """
    slots = plan.concurrency if slots is None else slots
    timed = records[~records["warmup"]]
    reasons: list[str] = []
    if plan.rate_rps is not None:
        limit_ms = max(_LAG_FLOOR_MS, _LAG_OF_GAP * 1e3 / plan.rate_rps)
        lag_p99 = percentile(dispatch_lag_ms(timed, plan), 99.0)
        if lag_p99 is not None and lag_p99 > limit_ms:
            reasons.append(
                f"the client took requests up {lag_p99:.3g} ms late at the 99th percentile; "
                f"{limit_ms:.3g} ms is the most for {plan.rate_rps:g} requests a second"
            )
        taken = timed[timed["issued_ns"] >= 0]
        asked, achieved = pace_rps(taken["due_ns"]), pace_rps(taken["issued_ns"])
        if asked is not None and achieved is not None and achieved < _LEAST_ACHIEVED * asked:
            behind_ms = 1e3 * (len(taken) - 1) * (1.0 / achieved - 1.0 / asked)
            if behind_ms > limit_ms:
                reasons.append(
                    f"the client took up {achieved:.4g} requests a second where the plan has {asked:.4g}"
                )
    busy = None if in_process else busy_ratio(records, plan, slots)
    if busy is not None and busy < LEAST_BUSY:
        reasons.append(
            f"on average {busy * slots:.3g} of {slots} slots had a request: "
            "the client took longer between requests than the target took for them"
        )
    unable = int(((timed["outcome"] == Outcome.NOT_SENT) & (timed["end_ns"] >= 0)).sum())
    if unable:
        reasons.append(f"{unable} requests were not sent because this machine could open no more connections")
    return ClientHealth(bool(reasons), tuple(reasons))
