"""Goodput: of all requests that were due, those that got a whole reply inside the limits that each is held to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hexgate.load.measures.spans import Millis, Rows
from hexgate.load.measures.tokens import output_tokens
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import NEVER, Outcome

__all__ = ["Goodput", "times_ms"]

_MAY_LACK = ("tpot_ms", "gap_ms")
"""Times that a whole reply may lack."""


def times_ms(rows: Rows, measure: str, *, from_due: bool) -> Millis:
    """(n,) a time of each row in milliseconds; NaN where the row does not have it.

    Args:
        rows: records.
        measure: a key of `slo.TIMES`.
        from_due: whether times to an instant count from the due time; else from the send.
    """
    if measure == "tpot_ms":
        tokens, _ = output_tokens(rows)
        first = np.where(rows["first_event_tokens"] > 0, rows["first_event_tokens"], 1)
        after = (tokens - first).astype(np.float64)
        # What came in one event has no pace, however many tokens it is.
        paced = (rows["first_token_ns"] >= 0) & (after > 0) & (rows["last_token_ns"] > rows["first_token_ns"])
        span = (rows["last_token_ns"] - rows["first_token_ns"]) / 1e6
        return np.asarray(np.divide(span, after, out=np.full(len(rows), np.nan), where=paced))
    if measure == "gap_ms":
        return np.where(rows["gap_max_ns"] >= 0, rows["gap_max_ns"] / 1e6, np.nan)
    to = rows[{"ttft_ms": "first_token_ns", "ttfa_ms": "first_answer_ns", "e2e_ms": "end_ns"}[measure]]
    since = rows["due_ns" if from_due else "sent_ns"]
    return np.where((to != NEVER) & (since != NEVER), (to - since) / 1e6, np.nan)


def _good(rows: Rows, limits: Mapping[str, float], *, from_due: bool) -> NDArray[np.bool_]:
    """(n,) whether each request got a whole reply inside all limits.

    A reply of one token or event has no pace and no gap, and breaks no limit of them. Every other time that is limited
    has to be there: one that nobody measured is not kept.
    """
    found = rows["outcome"] == Outcome.OK
    for measure, limit in limits.items():
        values = times_ms(rows, measure, from_due=from_due)
        found &= (values <= limit) | (np.isnan(values) & (measure in _MAY_LACK))
    return np.asarray(found)


class Goodput:
    """The count, while records are read.

    Args:
        limits: the most of each time, in milliseconds, as `Slo.request_limits` has it.
        plan: the run's plan; in an open loop times count from the due instant, in a closed one from the send.
    """

    def __init__(self, limits: Mapping[str, float], plan: Plan) -> None:
        self._limits = limits
        self._from_due = plan.kind is LoadKind.OPEN_LOOP
        self._measured = dict.fromkeys(limits, 0)
        self.due = 0
        """Timed requests, whatever became of them: errors, time-outs, and what never ended or was never sent."""
        self.ok = 0
        """Those that got a whole reply."""
        self.good = 0
        """Those of them that kept every limit."""
        self.good_inside = 0
        """Good ones among the requests that `ThroughputFigures.successes` counts."""

    def add(self, timed: Rows, inside: Rows) -> None:
        """Take timed rows, and those of the same chunk that ended well inside the window."""
        whole = timed[timed["outcome"] == Outcome.OK]
        self.due += len(timed)
        self.ok += len(whole)
        self.good += int(_good(whole, self._limits, from_due=self._from_due).sum())
        self.good_inside += int(_good(inside, self._limits, from_due=self._from_due).sum())
        for measure in self._limits:
            values = times_ms(whole, measure, from_due=self._from_due)
            self._measured[measure] += int((~np.isnan(values)).sum())

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Times with a limit that not one whole reply has: nothing is known of that limit, so nothing of goodput."""
        return tuple(measure for measure, count in self._measured.items() if self.ok and not count)

    @property
    def ratio(self) -> float | None:
        """Good ones over all that were due; None where none was, or a limit was never measured."""
        return self.good / self.due if self.due and not self.unmeasured else None

    @property
    def ratio_of_ok(self) -> float | None:
        """Good ones over those that got a whole reply, likewise: what tools report that forget the failures."""
        return self.good / self.ok if self.ok and not self.unmeasured else None
