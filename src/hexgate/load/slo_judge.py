"""Whether a load kept its SLO, from its records alone: met, missed, or too few requests to say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexgate.load.plan import LoadKind, Plan
from hexgate.load.records import NEVER, Outcome, Records
from hexgate.load.slo import Comparator, Slo, Term
from hexgate.load.tokens import output_tokens
from hexgate.stats.binomial import clopper_pearson
from hexgate.stats.percentile import interval_of_ranks, minimum_n

__all__ = ["Judged", "Kept", "good", "judge", "times_ms"]

Times = NDArray[np.float64]

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


def times_ms(rows: NDArray[np.void], measure: str, *, from_due: bool) -> Times:
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
        paced = (rows["first_token_ns"] >= 0) & (after > 0)
        span = (rows["last_token_ns"] - rows["first_token_ns"]) / 1e6
        return np.asarray(np.divide(span, after, out=np.full(len(rows), np.nan), where=paced))
    if measure == "gap_ms":
        return np.where(rows["gap_max_ns"] >= 0, rows["gap_max_ns"] / 1e6, np.nan)
    to = rows[{"ttft_ms": "first_token_ns", "ttfa_ms": "first_answer_ns", "e2e_ms": "end_ns"}[measure]]
    since = rows["due_ns" if from_due else "sent_ns"]
    return np.where((to != NEVER) & (since != NEVER), (to - since) / 1e6, np.nan)


def good(rows: NDArray[np.void], limits: Mapping[str, float], *, from_due: bool) -> NDArray[np.bool_]:
    """(n,) whether each request got a whole reply inside all limits.

    A time that a whole reply does not have, as the pace of one token, breaks no limit.
    """
    found = rows["outcome"] == Outcome.OK
    for measure, limit in limits.items():
        found &= ~(times_ms(rows, measure, from_due=from_due) > limit)
    return np.asarray(found)


class _Times:
    """The values of one measure: how many there are, and how many lie within the limit of each term."""

    def __init__(self, limits: list[float]) -> None:
        self.n = 0
        self.total = 0.0
        self.squares = 0.0
        self.within = dict.fromkeys(limits, 0)

    def add(self, values: Times, silent: int) -> None:
        """Take values, and so many requests whose value is beyond every limit: their reply never came."""
        known = values[~np.isnan(values)]
        self.n += len(known) + silent
        self.total += math.fsum(known)
        self.squares += math.fsum(known**2)
        for limit in self.within:
            self.within[limit] += int((known <= limit).sum())
        if silent:
            self.total = math.inf


def judge(slo: Slo, records: Records, plan: Plan, *, level: float = 0.95) -> list[Judged]:
    """Judge the terms that a run as a whole keeps or not, on its timed requests.

    A percentile is judged on its order-statistic bounds: met where the upper one lies within the limit, missed where
    the lower one lies beyond it. Both are decided by how many values lie within the limit, exactly. A mean is judged
    on normal bounds, a ratio on exact binomial ones. Times are those of whole replies. The time of a reply that ran
    out of time, or had not ended when the drain limit had passed, counts as beyond every limit; what failed in another
    way is judged by the ratios. The gap of a reply is its longest.

    Args:
        slo: the terms.
        records: the run's records.
        plan: its plan: in an open loop times count from the due instant, in a closed one from the send.
        level: confidence of the one-sided bounds.
    """
    from_due = plan.kind is LoadKind.OPEN_LOOP
    measures = {term.measure for term in slo.run_terms if term.statistic is not None}
    limits = slo.request_limits
    times = {
        measure: _Times([term.limit for term in slo.run_terms if term.measure == measure])
        for measure in measures
    }
    outcomes = np.zeros(len(Outcome), dtype=np.int64)
    goods = 0
    for rows in records.chunks():
        timed = rows[~rows["warmup"]]
        outcomes += np.bincount(timed["outcome"], minlength=len(Outcome))
        goods += int(good(timed, limits, from_due=from_due).sum())
        whole = timed[timed["outcome"] == Outcome.OK]
        waited = timed[np.isin(timed["outcome"], _SILENT)]
        for measure, found in times.items():
            silent = 0 if measure in ("tpot_ms", "gap_ms") else _silent(waited, measure)
            found.add(times_ms(whole, measure, from_due=from_due), silent)
    due = int(outcomes.sum())
    sent = due - int(outcomes[Outcome.NOT_SENT])
    failed = sent - int(outcomes[Outcome.OK])
    ratios = {
        "error_ratio": (failed, sent),
        "timeout_ratio": (int(outcomes[Outcome.TIMEOUT]), sent),
        "goodput_ratio": (goods, due),
    }
    return [
        _judged_ratio(term, *ratios[term.measure], level)
        if term.measure in ratios
        else _judged_time(term, times[term.measure], level)
        for term in slo.run_terms
    ]


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
