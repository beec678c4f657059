"""Is the candidate worse than a baseline, and by how much? Only of what was measured alike.

**The loss** is taken in the harmful direction: baseline - candidate where more is better, and the other way
round where less is. It is computed exactly, in fractions of the decimal numbers that the files hold, so that
0.90 to 0.88 is a loss of 0.02 and not of 0.020000000000000018: no tolerance is needed, and none is given.

**Its bounds.** Where both artifacts keep the same items, a paired bootstrap over the items (`pairing`). Else
the two-sided intervals of both are held against each other, worst end against worst end: each end is exceeded
with a chance of (1 - level) / 2, so that both hold together at `level` whatever the two have to do with each
other (Bonferroni). That is cautious: pairing needs fewer items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from hexgate.contract.schema import Better
from hexgate.gate.case import Case
from hexgate.gate.compare import certified, enough, not_comparable, observations
from hexgate.gate.evidence import Exhibit
from hexgate.gate.pairing import paired_loss
from hexgate.gate.policy import Comparator, Mode, Rule
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason
from hexgate.gate.soundness import the_one, unsound
from hexgate.gate.verdict import RuleVerdict, Verdict

__all__ = ["judge_loss"]

_NOT_COMPARED = frozenset({"seed", "confidence", "requested", "resamples", "repeats", "duration_s"})
"""Parameters that change how sure a figure is, and not what it means."""


@dataclass(frozen=True)
class _Loss:
    """A loss and its bounds, in the measure's unit or over the baseline; None is no bound."""

    value: Fraction
    low: Fraction | None
    high: Fraction | None
    method: str

    def to_json(self) -> dict[str, Any]:
        return {
            "value": float(self.value),
            "low": None if self.low is None else float(self.low),
            "high": None if self.high is None else float(self.high),
            "method": self.method,
        }


def judge_loss(rule: Rule, exhibit: Exhibit, case: Case) -> RuleVerdict:
    """The verdict of a rule that compares with a baseline, on a candidate's artifact that can be compared."""
    judged = RuleVerdict(
        rule,
        Verdict.INVALID,
        (),
        value=exhibit.data[rule.measure],
        interval=exhibit.data["intervals"].get(rule.measure),
        n=observations(rule, exhibit),
        artifact_path=exhibit.path,
        artifact_id=exhibit.artifact_id,
    )
    other, why_not = the_one(case.baseline, rule.indicator) if case.baseline is not None else (None, ())
    if why_not:
        return replace(judged, reasons=_within(rule.indicator, why_not))
    if other is None:
        absent = Reason(ReasonCode.NO_BASELINE, {"indicator": rule.indicator})
        return replace(judged, verdict=Verdict.MISSING, reasons=(absent,))
    faults = [
        *unsound(other, case.policy, now=case.now, max_error_ratio=rule.max_error_ratio, of_today=False),
        *not_comparable(rule, other, case.policy),
        *case.baseline_disputes,
    ]
    reasons = (*_within(rule.indicator, faults), *_unlike(exhibit, other))
    judged = replace(judged, baseline_value=other.data[rule.measure], baseline_path=other.path)
    if reasons:
        return replace(judged, reasons=reasons)
    if rule.comparator is Comparator.MAX_LOSS_RATIO and not other.data[rule.measure] > 0:
        said = {
            "measure": rule.name,
            "baseline": other.data[rule.measure],
            "unit": rule.contract.unit,
        }
        return replace(judged, reasons=(Reason(ReasonCode.BASELINE_NOT_POSITIVE, said),))
    return certified(enough(_decided(judged, exhibit, other, case)), exhibit, other)


def _within(indicator: str, reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    head = Reason(ReasonCode.IN_BASELINE, {"indicator": indicator})
    return (head, *reasons) if reasons else ()


def _unlike(candidate: Exhibit, baseline: Exhibit) -> tuple[Reason, ...]:
    one, other = candidate.data, baseline.data
    pairs: dict[str, tuple[Any, Any]] = {
        "environment.host_class": (one["environment"]["host_class"], other["environment"]["host_class"])
    }
    for key in ("name", "sha256", "split", "used"):
        pairs[f"dataset.{key}"] = (one["dataset"][key], other["dataset"][key])
    for key in sorted((set(one["method"]) & set(other["method"])) - _NOT_COMPARED):
        pairs[f"method.{key}"] = (one["method"][key], other["method"][key])
    return tuple(
        Reason(
            ReasonCode.UNLIKE,
            {"indicator": candidate.indicator, "what": what, "candidate": str(a), "baseline": str(b)},
        )
        for what, (a, b) in pairs.items()
        if a != b
    )


def _decided(judged: RuleVerdict, candidate: Exhibit, baseline: Exhibit, case: Case) -> RuleVerdict:
    rule = judged.rule
    loss, reason = _loss(rule, candidate, baseline, case)
    limit = Fraction(repr(rule.limit))
    said: dict[str, str | int | float] = {
        "measure": rule.name,
        "value": candidate.data[rule.measure],
        "baseline": baseline.data[rule.measure],
        "limit": rule.limit,
        "unit": "ratio" if rule.comparator is Comparator.MAX_LOSS_RATIO else rule.contract.unit,
        "n": min(observations(rule, candidate), observations(rule, baseline)),
    }
    judged = replace(judged, n=int(said["n"]), loss=loss.to_json())
    if rule.mode is Mode.POINT:
        met = loss.value <= limit
        code = ReasonCode.POINT_MET_LOSS if met else ReasonCode.POINT_MISSED_LOSS
        verdict = Verdict.PASS if met else Verdict.FAIL
        return replace(judged, verdict=verdict, reasons=(Reason(code, said | {"loss": float(loss.value)}),))
    said["confidence"] = case.policy.confidence
    tail = (reason,) if reason is not None else ()
    if loss.high is not None and loss.high <= limit:
        met_reason = Reason(ReasonCode.MET_LOSS, said | {"bound": float(loss.high)})
        return replace(judged, verdict=Verdict.PASS, reasons=(met_reason, *tail))
    if loss.low is not None and loss.low > limit:
        missed = Reason(ReasonCode.MISSED_LOSS, said | {"bound": float(loss.low)})
        return replace(judged, verdict=Verdict.FAIL, reasons=(missed, *tail))
    span: dict[str, str | int | float] = {
        "low": "-∞" if loss.low is None else float(loss.low),
        "high": "∞" if loss.high is None else float(loss.high),
    }
    undecided = Reason(ReasonCode.UNDECIDED_LOSS, said | span)
    return replace(judged, verdict=Verdict.INCONCLUSIVE, reasons=(undecided, *tail))


def _loss(rule: Rule, candidate: Exhibit, baseline: Exhibit, case: Case) -> tuple[_Loss, Reason | None]:
    now, then = (_exactly(one.data[rule.measure]) for one in (candidate, baseline))
    value = _lost(rule, now, then)
    if rule.mode is Mode.POINT:
        return _Loss(value, None, None, "the two values alone"), None
    paired, why_not = paired_loss(rule, candidate, baseline, case)
    if paired is not None:
        told = Reason(ReasonCode.PAIRED, {"measure": rule.name, "n": paired.n})
        ends = [None if end is None else _exactly(end) for end in (paired.lower_bound, paired.upper_bound)]
        return _Loss(value, ends[0], ends[1], paired.method), told
    new, old = (one.data["intervals"][rule.measure] for one in (candidate, baseline))
    gentle, harsh = ("high", "low") if rule.contract.better is Better.HIGHER else ("low", "high")
    told = Reason(ReasonCode.UNPAIRED, {"measure": rule.name, "why": why_not})
    low, high = _between(rule, new[gentle], old[harsh]), _between(rule, new[harsh], old[gentle])
    if rule.comparator is Comparator.MAX_LOSS_RATIO:
        low = min(_corners(rule, new[gentle], old), default=None)
        high = max(_corners(rule, new[harsh], old), default=None)
    return _Loss(value, low, high, "the two-sided intervals, worst end against worst end"), told


def _exactly(number: float) -> Fraction:
    return Fraction(repr(number))


def _lost(rule: Rule, new: Fraction, old: Fraction) -> Fraction:
    lost = old - new if rule.contract.better is Better.HIGHER else new - old
    return lost / old if rule.comparator is Comparator.MAX_LOSS_RATIO else lost


def _between(rule: Rule, new: float | None, old: float | None) -> Fraction | None:
    if new is None or old is None or rule.comparator is not Comparator.MAX_LOSS:
        return None
    return _lost(rule, _exactly(new), _exactly(old))


def _corners(rule: Rule, new: float | None, old: Mapping[str, Any]) -> list[Fraction]:
    """The losses at both ends of the baseline; none where it may be zero or less: no bound."""
    ends = [old["low"], old["high"]]
    if new is None or any(end is None or not end > 0 for end in ends):
        return []
    return [_lost(rule, _exactly(new), _exactly(end)) for end in ends]
