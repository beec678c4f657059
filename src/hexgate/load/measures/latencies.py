"""How long timed replies took: every time of the specification, exact, whatever the number of requests. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from hexgate.load.measures.spans import Millis, Rows, millis
from hexgate.load.measures.tokens import TokenSource, one_source, output_tokens
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import Outcome, Records
from hexgate.stats.distribution import Distribution, distributions

__all__ = ["SHARES", "Anchor", "Latencies", "latencies"]

SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The percentiles of every time, by the names that measures have."""

_SINCE_SENT = ("e2e_sent", "ttft_sent", "ttfa_sent", "tpot", "gap_max")
_SINCE_DUE = ("e2e_due", "ttft_due", "ttfa_due")


class Anchor(str, Enum):
    """The instant that a latency counts from."""

    DUE = "due"
    """When the request was due: what a user waits."""
    SENT = "sent"
    """When it was written to the socket (in-process: when the call began): what the server takes."""


@dataclass(frozen=True)
class Latencies:
    """Times of the timed requests that succeeded, in milliseconds."""

    anchor: Anchor
    """What `e2e`, `ttft` and `ttfa` count from: the due time in an open loop, the send in a closed one."""
    times: Mapping[str, Distribution]
    """Every time by its name; those from the due time in an open loop alone.

    * ``e2e_sent``, ``e2e_due``: to the end of the reply.
    * ``ttft_sent``, ``ttft_due``: to the first token on any channel, of the replies that streamed one.
    * ``ttfa_sent``, ``ttfa_due``: to the first token of the answer, of the replies that streamed one.
    * ``tpot``: (last token - first token) / (tokens - tokens in the first event), of the replies with a token after
      the first event and a second event, as what comes in one has no pace. Where the server does not say how many
      the first event had, it is taken to have one.
    * ``gap_max``: the longest between two events with text, of the replies with at least two.
    """
    tpot_undefined: int
    """Streamed replies with no token after the first event, or with no other event: they have no pace."""
    first_event_unknown: int
    """Replies in `tpot` whose first event was taken to have one token."""
    token_source: TokenSource | None
    """Who counted the tokens for `tpot`; None where there are none."""
    over_limit: int
    """Replies whose `e2e` is above the limit."""
    bins: Mapping[str, Mapping[str, Any]]
    """`e2e`, `ttft` and `tpot` by bin, as `DisplayBins.to_json` has them."""

    def assumed(self, name: str) -> dict[str, int]:
        """What else is to be known of a time: of ``tpot``, how many replies have none or rest on a guess."""
        if name != "tpot":
            return {}
        return {"undefined": self.tpot_undefined, "first_event_unknown": self.first_event_unknown}

    def of(self, name: str) -> Distribution:
        """A time by its name: ``e2e``, ``ttft`` and ``ttfa`` are from `anchor`."""
        return self.times[name if name in self.times else f"{name}_{self.anchor.value}"]


def latencies(
    records: Records, plan: Plan, *, limit_ms: float = float("inf"), level: float | None = None
) -> Latencies:
    """Every time of the timed requests that succeeded.

    Args:
        records: the run's records.
        plan: its plan.
        limit_ms: what `over_limit` counts.
        level: confidence of the bounds that will be asked for, which are then found in the same passes; None for none.
    """
    anchor = Anchor.DUE if plan.kind is LoadKind.OPEN_LOOP else Anchor.SENT
    names = (*_SINCE_SENT, *(_SINCE_DUE if anchor is Anchor.DUE else ()))

    def good() -> Iterator[Rows]:
        for rows in records.chunks():
            yield rows[~rows["warmup"] & (rows["outcome"] == Outcome.OK)]

    times = distributions(
        lambda: ({name: _time(rows, name) for name in names} for rows in good()),
        names,
        shares=SHARES.values(),
        level=level,
    )
    shown = {name: name if name in times else f"{name}_{anchor.value}" for name in ("e2e", "ttft", "tpot")}
    bins = {name: times[time].display_bins() for name, time in shown.items()}
    over, undefined, unknown = 0, 0, 0
    source: TokenSource | None = None
    for rows in good():
        for name, time in shown.items():
            values = _time(rows, time)
            bins[name].add(values)
            if name == "e2e":
                over += int((values > limit_ms).sum())
        streamed = rows[rows["first_token_ns"] >= 0]
        tokens, counted_by = output_tokens(streamed)
        first = streamed["first_event_tokens"]
        paced = (tokens > np.where(first > 0, first, 1)) & (
            streamed["last_token_ns"] > streamed["first_token_ns"]
        )
        source = one_source([source, counted_by])
        undefined += int((~paced).sum())
        unknown += int((paced & (first <= 0)).sum())
    return Latencies(
        anchor=anchor,
        times=times,
        tpot_undefined=undefined,
        first_event_unknown=unknown,
        token_source=source,
        over_limit=over,
        bins={name: one.to_json() for name, one in bins.items()},
    )


def _time(rows: Rows, name: str) -> Millis:
    """A time of those rows that have it."""
    if name == "gap_max":
        gaps = rows["gap_max_ns"]
        return millis(gaps[gaps >= 0])
    if name == "tpot":
        streamed = rows[rows["first_token_ns"] >= 0]
        tokens, _ = output_tokens(streamed)
        first = streamed["first_event_tokens"]
        after_first = tokens - np.where(first > 0, first, 1)
        paced = (after_first > 0) & (streamed["last_token_ns"] > streamed["first_token_ns"])
        span = streamed["last_token_ns"] - streamed["first_token_ns"]
        return millis(span[paced]) / after_first[paced]
    what, _, since = name.partition("_")
    to = rows[{"e2e": "end_ns", "ttft": "first_token_ns", "ttfa": "first_answer_ns"}[what]]
    return millis((to - rows[f"{since}_ns"])[to >= 0])
