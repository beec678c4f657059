"""One sound artifact, one rule with a limit of its own: which verdict?

Bounds are compared as they stand in the file, without rounding and without tolerance: 0.0050000001 is above
0.005.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hexgate.gate.evidence import Exhibit
from hexgate.gate.policy import Comparator, Mode, Policy, Rule
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason
from hexgate.gate.verdict import RuleVerdict, Verdict
from hexgate.stats.interval import Family, Interval
from hexgate.stats.planning import more_needed

__all__ = ["certified", "enough", "judge_limit", "not_comparable", "observations"]


def observations(rule: Rule, exhibit: Exhibit) -> int:
    """How many observations the measure rests on: its interval's n, else the items that succeeded."""
    interval = exhibit.data["intervals"].get(rule.measure)
    return int(interval["n"] if interval is not None else exhibit.data["counts"]["succeeded"])


def not_comparable(rule: Rule, exhibit: Exhibit, policy: Policy) -> tuple[Reason, ...]:
    """Why a measure of a sound artifact cannot be held against a limit; empty where it can."""
    data = exhibit.data
    value = data[rule.measure]
    if value is None:
        why = data["missing"].get(rule.measure, "no reason is given")
        return (Reason(ReasonCode.VALUE_MISSING, {"measure": rule.name, "why": why}),)
    interval = data["intervals"].get(rule.measure)
    ends = (
        [value, *(interval[key] for key in ("low", "high", "lower_bound", "upper_bound"))]
        if interval
        else [value]
    )
    if not all(end is None or math.isfinite(end) for end in ends):
        return (Reason(ReasonCode.NOT_FINITE, {"measure": rule.name}),)
    if rule.mode is Mode.POINT:
        return ()
    if interval is None:
        return (Reason(ReasonCode.NO_INTERVAL, {"measure": rule.name}),)
    found = []
    if not interval["level"] >= policy.confidence:
        found.append(
            Reason(
                ReasonCode.LEVEL_TOO_LOW,
                {"measure": rule.name, "level": interval["level"], "confidence": policy.confidence},
            )
        )
    requested = data["counts"]["requested"]
    # The observations of batch means are windows, of which there may be more than requests.
    if interval["family"] != Family.BATCH_MEANS.value and interval["n"] > requested:
        found.append(
            Reason(
                ReasonCode.N_BEYOND_COUNTS,
                {"measure": rule.name, "n": interval["n"], "requested": requested},
            )
        )
    return tuple(found)


def judge_limit(rule: Rule, exhibit: Exhibit) -> RuleVerdict:
    """The verdict of an `at_least` or `at_most` rule on an artifact that can be compared."""
    data = exhibit.data
    value = data[rule.measure]
    interval: Mapping[str, Any] | None = data["intervals"].get(rule.measure)
    n = observations(rule, exhibit)
    said: dict[str, str | int | float] = {
        "measure": rule.name,
        "value": value,
        "limit": rule.limit,
        "unit": rule.contract.unit,
        "n": n,
    }
    seen = RuleVerdict(
        rule,
        Verdict.INCONCLUSIVE,
        (),
        value=value,
        interval=interval,
        n=n,
        artifact_path=exhibit.path,
        artifact_id=exhibit.artifact_id,
    )
    at_most = rule.comparator is Comparator.AT_MOST
    if rule.mode is Mode.POINT or interval is None:
        met = value <= rule.limit if at_most else value >= rule.limit
        code = ReasonCode.POINT_MET if met else ReasonCode.POINT_MISSED
        verdict = Verdict.PASS if met else Verdict.FAIL
        return replace(seen, verdict=verdict, reasons=(Reason(code, said),))
    said["confidence"] = interval["level"]
    low, high = interval["lower_bound"], interval["upper_bound"]
    harmful, other = (high, low) if at_most else (low, high)
    if harmful is not None and (harmful <= rule.limit if at_most else harmful >= rule.limit):
        code = ReasonCode.MET_AT_MOST if at_most else ReasonCode.MET_AT_LEAST
        return replace(seen, verdict=Verdict.PASS, reasons=(Reason(code, said | {"bound": harmful}),))
    if other is not None and (other > rule.limit if at_most else other < rule.limit):
        code = ReasonCode.MISSED_AT_MOST if at_most else ReasonCode.MISSED_AT_LEAST
        return replace(seen, verdict=Verdict.FAIL, reasons=(Reason(code, said | {"bound": other}),))
    code = ReasonCode.UNDECIDED_AT_MOST if at_most else ReasonCode.UNDECIDED_AT_LEAST
    more = more_needed(_interval(interval), float(value), float(rule.limit), n=n, below=at_most)
    step = _next_step(more)
    span = {"low": "-∞" if low is None else low, "high": "∞" if high is None else high}
    return replace(seen, reasons=(Reason(code, said | span), step), more_needed=more)


def _next_step(more: int | None) -> Reason:
    if more is None:
        return Reason(ReasonCode.MORE_UNKNOWN)
    return Reason(ReasonCode.MORE_NEEDED, {"more": more})


def _interval(data: Mapping[str, Any]) -> Interval:
    return Interval(**{**data, "family": Family(data["family"])})


def enough(judged: RuleVerdict) -> RuleVerdict:
    """The same verdict, or INCONCLUSIVE where it rests on fewer observations than the rule wants."""
    least, n = judged.rule.min_n, judged.n or 0
    if least is None or n >= least:
        return judged
    short = Reason(
        ReasonCode.TOO_FEW,
        {"measure": judged.rule.name, "n": n, "min_n": least, "more": least - n},
    )
    more = max(least - n, judged.more_needed or 0)
    return replace(judged, verdict=Verdict.INCONCLUSIVE, reasons=(short, *judged.reasons), more_needed=more)


def certified(judged: RuleVerdict, *exhibits: Exhibit) -> RuleVerdict:
    """The same verdict, unless it is a PASS by an artifact that says that it cannot certify the measure."""
    rule = judged.rule
    doubts = [exhibit.data["cannot_certify"].get(rule.measure) for exhibit in exhibits]
    why = "; ".join(dict.fromkeys(doubt for doubt in doubts if doubt))
    if judged.verdict is not Verdict.PASS or not why:
        return judged
    said: dict[str, str | int | float] = {"measure": rule.name, "why": why}
    if rule.accept_uncertified is None:
        doubt = Reason(ReasonCode.UNCERTIFIED, said)
        return replace(judged, verdict=Verdict.INCONCLUSIVE, reasons=(doubt, *judged.reasons))
    accepted = Reason(ReasonCode.UNCERTIFIED_ACCEPTED, said | {"accepted": rule.accept_uncertified})
    return replace(judged, reasons=(*judged.reasons, accepted))
