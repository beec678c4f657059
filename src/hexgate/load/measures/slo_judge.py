"""Whether a load kept its SLO, from its records alone: met, missed, or too few requests to say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.measures.goodput import Goodput, times_ms
from hexgate.load.measures.slo import Comparator, Slo, Term
from hexgate.load.measures.spans import Millis
from hexgate.load.plans.plan import LoadKind, Plan
from hexgate.load.records import NEVER, Outcome, Records
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.percentile import interval_of_ranks, minimum_n

__all__ = ["Judged", "Kept", "judge"]

_FEWEST_FOR_MEAN = 30
_SILENT = (Outcome.TIMEOUT, Outcome.UNFINISHED)


class Kept(str, Enum):
    """What a run says of a term."""

    MET = "met"
    """It is kept, at the confidence asked for."""
    MISSED = "missed"
    """It is not, likewise."""
    UNDECIDED = "undecided"
    """Too few requests for either."""
    UNMEASURED = "unmeasured"
    """No request has what it bounds: this is never counted as kept."""


@dataclass(frozen=True)
class Judged:
    """One term and what a run says of it."""

    term: Term
    """The term."""
    kept: Kept
    """What the run says."""
    why: str
    """The numbers that decided, in a sentence."""
    n: int
    """How many requests it rests on."""

    def to_json(self) -> dict[str, Any]:
        """The same as JSON."""
        return {"term": str(self.term), "kept": self.kept.value, "why": self.why, "n": self.n}


class _Times:
    """The values of one measure: how many there are, and how many lie within the limit of each term."""

    def __init__(self, limits: list[float]) -> None:
        self.n = 0
        self.total = 0.0
        self.squares = 0.0
        self.within = dict.fromkeys(limits, 0)

    def add(self, values: Millis, silent: int) -> None:
        """Take values, and so many requests whose value is beyond every limit: their reply never came."""
        known = values[~np.isnan(values)]
        self.n += len(known) + silent
        self.total += math.fsum(known)
        self.squares += math.fsum(known**2)
        for limit in self.within:
            self.within[limit] += int((known <= limit).sum())
        if silent:
            self.total = math.inf


def judge(
    slo: Slo, records: Records, plan: Plan, *, stopped: bool = False, level: float = 0.95
) -> list[Judged]:
    """Judge the terms that a run as a whole keeps or not, on its timed requests.

    A percentile is judged on its order-statistic bounds: met where the upper one lies within the limit, missed where
    the lower one lies beyond it. Both are decided by how many values lie within the limit, exactly. A mean is judged
    on normal bounds, a ratio on exact binomial ones. Times are those of whole replies. The time of a reply that ran
    out of time, or had not ended when the drain limit had passed, counts as beyond every limit; what failed in another
    way is judged by the ratios. So does a request of an open loop that was due and never sent, and it is a miss in
    every ratio: its user got nothing. The gap of a reply is its longest.

    Args:
        slo: the terms.
        records: the run's records.
        plan: its plan: in an open loop times count from the due instant, in a closed one from the send.
        stopped: whether it was stopped before its end: then what was not sent tells nothing of the target.
        level: confidence of the one-sided bounds.
    """
    from_due = plan.kind is LoadKind.OPEN_LOOP
    measures = {term.measure for term in slo.run_terms if term.statistic is not None}
    goodput = Goodput(slo.request_limits, plan)
    times = {
        measure: _Times([term.limit for term in slo.run_terms if term.measure == measure])
        for measure in measures
    }
    outcomes = np.zeros(len(Outcome), dtype=np.int64)
    unsent = 0
    for rows in records.chunks():
        timed = rows[~rows["warmup"]]
        outcomes += np.bincount(timed["outcome"], minlength=len(Outcome))
        goodput.add(timed, timed[:0])
        whole = timed[timed["outcome"] == Outcome.OK]
        never = (
            (timed["outcome"] == Outcome.NOT_SENT) & (timed["due_ns"] != NEVER) & (from_due and not stopped)
        )
        unsent += int(never.sum())
        waited = timed[np.isin(timed["outcome"], _SILENT) | never]
        for measure, found in times.items():
            silent = 0 if measure in ("tpot_ms", "gap_ms") else _silent(waited, measure)
            found.add(times_ms(whole, measure, from_due=from_due), silent)
    sent = int(outcomes.sum() - outcomes[Outcome.NOT_SENT])
    ratios = {
        "error_ratio": (sent - int(outcomes[Outcome.OK]) + unsent, sent + unsent),
        "timeout_ratio": (int(outcomes[Outcome.TIMEOUT]) + unsent, sent + unsent),
        "goodput_ratio": (goodput.good, goodput.due),
    }
    judged = []
    for term in slo.run_terms:
        if term.measure == "goodput_ratio" and goodput.unmeasured:
            lacking = f"no reply has what is limited: {', '.join(goodput.unmeasured)}"
            judged.append(Judged(term, Kept.UNMEASURED, lacking, 0))
        elif term.measure in ratios:
            judged.append(_judged_ratio(term, *ratios[term.measure], level))
        else:
            judged.append(_judged_time(term, times[term.measure], level))
    return judged


def _silent(rows: NDArray[np.void], measure: str) -> int:
    """How many replies had not come to the instant in question when they were given up."""
    stamp = {"ttft_ms": "first_token_ns", "ttfa_ms": "first_answer_ns"}.get(measure)
    return len(rows) if stamp is None else int((rows[stamp] == NEVER).sum())


def _judged_time(term: Term, found: _Times, level: float) -> Judged:
    if not found.n:
        return Judged(term, Kept.UNMEASURED, f"no reply has a {term.measure.removesuffix('_ms')}", 0)
    share = term.share
    if share is None:
        return _judged_mean(term, found, level)
    within, n = found.within[term.limit], found.n
    ranks = interval_of_ranks(n, float, share, level=level)
    said = f"{within} of {n} replies within {term.limit:g} ms"
    if ranks.upper_bound is not None and within >= ranks.upper_bound:
        return Judged(term, Kept.MET, f"{said}; {ranks.upper_bound:.0f} show it", n)
    if ranks.lower_bound is not None and within < ranks.lower_bound:
        return Judged(term, Kept.MISSED, f"{said}; fewer than {ranks.lower_bound:.0f} show the contrary", n)
    needed = (
        f"at least {minimum_n(share, level=level)} replies are needed to show it"
        if ranks.upper_bound is None
        else f"{ranks.upper_bound:.0f} would show it"
    )
    return Judged(term, Kept.UNDECIDED, f"{said}; {needed}", n)


def _judged_mean(term: Term, found: _Times, level: float) -> Judged:
    mean, n = found.total / found.n, found.n
    if math.isinf(mean):
        return Judged(term, Kept.MISSED, "replies that never came have no bounded mean", n)
    if n < _FEWEST_FOR_MEAN:
        return Judged(
            term, Kept.UNDECIDED, f"mean {mean:.4g} ms of {n} replies; {_FEWEST_FOR_MEAN} are the fewest", n
        )
    spread = math.sqrt(max(found.squares / n - mean * mean, 0.0) / (n - 1))
    reach = NormalDist().inv_cdf(level) * spread
    low, high = mean - reach, mean + reach
    return _sided(term, low, high, f"mean {mean:.4g} ms of {n} replies, bounds {low:.4g} and {high:.4g}", n)


def _judged_ratio(term: Term, count: int, n: int, level: float) -> Judged:
    if not n:
        return Judged(term, Kept.UNMEASURED, "nothing was sent", 0)
    bounds = clopper_pearson(count, n, level=level)
    low, high = bounds.lower_bound or 0.0, 1.0 if bounds.upper_bound is None else bounds.upper_bound
    said = f"{count} of {n}, {count / n:.4g}, bounds {low:.4g} and {high:.4g}"
    return _sided(term, low, high, said, n)


def _sided(term: Term, low: float, high: float, said: str, n: int) -> Judged:
    if term.comparator is Comparator.AT_LEAST:
        kept = Kept.MET if low >= term.limit else Kept.MISSED if high < term.limit else Kept.UNDECIDED
    else:
        kept = Kept.MET if high <= term.limit else Kept.MISSED if low > term.limit else Kept.UNDECIDED
    return Judged(term, kept, said, n)
