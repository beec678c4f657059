"""Goodput: of all requests that were due, those that got a whole reply inside the limits that each is held to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hexgate.load.plan import LoadKind, Plan
from hexgate.load.records import Outcome
from hexgate.load.slo_judge import good, times_ms
from hexgate.load.spans import Rows

__all__ = ["Goodput"]


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
        self.good += int(good(whole, self._limits, from_due=self._from_due).sum())
        self.good_inside += int(good(inside, self._limits, from_due=self._from_due).sum())
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
