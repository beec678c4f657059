"""How much has to be measured before each rule can pass? Asked before anything is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hexgate.contract.schema import Better
from hexgate.gate.policy import Comparator, Mode, Policy, Rule
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason
from hexgate.stats.planning import (
    n_for_paired_drop,
    n_for_percentile,
    n_for_proportion_margin,
    n_for_ratio_above,
    n_for_ratio_below,
)

__all__ = ["PlanLine", "plan"]

_EVENTS = (0, 1, 3)
_DISCORDANT = 0.1
_PERCENTILE = re.compile(r"(?:^|_)p([1-9][0-9])_ms$")
_AVERAGED = frozenset({"precision", "recall", "f1", "f1_parsed", "f1_clean", "f1_adv"})
_PAIRED = frozenset({"f1_drop"})


@dataclass(frozen=True)
class PlanLine:
    """What one rule needs, in one case."""

    rule: Rule
    """The rule."""
    n: int | None
    """Observations that have to succeed; None where that cannot be said beforehand, or nothing suffices."""
    case: Reason
    """In which case, or why it cannot be said."""
    duration_s: float | None
    """How long that takes at the rate that was asked about; None without a rate."""

    def to_json(self) -> dict[str, Any]:
        """As `hexgate plan --json` prints it."""
        return {
            "rule": self.rule.id,
            "n": self.n,
            "case": self.case.to_json(),
            "duration_s": self.duration_s,
        }


def plan(policy: Policy, *, rate_rps: float | None = None) -> list[PlanLine]:
    """What each rule of a policy needs before it can pass, rule by rule, the best case first.

    Args:
        policy: the rules.
        rate_rps: requests a second that the target is asked, to say how long it takes.

    Raises:
        ValueError: if the rate is not above zero.
    """
    if rate_rps is not None and not rate_rps > 0:
        raise ValueError(f"a rate is above zero, not {rate_rps}")
    lines = []
    for rule in policy.rules:
        for n, case in _cases(rule, policy.confidence):
            needed = n if n is None or rule.min_n is None else max(n, rule.min_n)
            duration = None if needed is None or rate_rps is None else needed / rate_rps
            lines.append(PlanLine(rule, needed, case, duration))
    return lines


def _cases(rule: Rule, level: float) -> list[tuple[int | None, Reason]]:
    if rule.mode is Mode.POINT:
        return [(rule.min_n or 1, Reason(ReasonCode.PLAN_POINT))]
    try:
        return _by_kind(rule, level) or [(rule.min_n, _because(rule))]
    except ValueError:
        said: dict[str, str | int | float] = {"limit": rule.limit, "unit": rule.contract.unit}
        return [(None, Reason(ReasonCode.PLAN_IMPOSSIBLE, said))]


def _by_kind(rule: Rule, level: float) -> list[tuple[int | None, Reason]]:
    """The cases of a kind of measure whose needs are known beforehand; empty for any other.

    Raises:
        ValueError: if no number of samples is enough.
    """
    in_ratio = rule.contract.unit == "ratio"
    percentile = _PERCENTILE.search(rule.measure)
    lost_share = rule.comparator is Comparator.MAX_LOSS and rule.contract.better is Better.HIGHER
    if rule.measure in _PAIRED or (lost_share and in_ratio):
        case = Reason(ReasonCode.PLAN_PAIRED, {"discordant": _DISCORDANT})
        return [(n_for_paired_drop(rule.limit, discordant=_DISCORDANT, level=level), case)]
    if rule.comparator.needs_baseline:
        return []
    below = rule.comparator is Comparator.AT_MOST
    if percentile is not None and below:
        share = int(percentile[1]) / 100
        return [
            (
                n_for_percentile(share, level=level, over_limit=events),
                _events(ReasonCode.PLAN_PERCENTILE, events),
            )
            for events in _EVENTS
        ]
    if in_ratio and rule.measure in _AVERAGED:
        return _by_margin(rule.limit, level)
    if in_ratio:
        count = n_for_ratio_below if below else n_for_ratio_above
        return [
            (count(rule.limit, level=level, observed_events=events), _events(ReasonCode.PLAN_RATIO, events))
            for events in _EVENTS
        ]
    return []


def _events(code: ReasonCode, events: int) -> Reason:
    return Reason(code, {"events": events})


def _because(rule: Rule) -> Reason:
    return Reason(ReasonCode.PLAN_SPREAD if rule.min_n is None else ReasonCode.PLAN_MIN_N)


def _by_margin(limit: float, level: float) -> list[tuple[int | None, Reason]]:
    # Three models that keep the limit: with most, half and a quarter of the room between it and 1 to spare.
    found: list[tuple[int | None, Reason]] = []
    for share in (0.75, 0.5, 0.25):
        expected = limit + share * (1.0 - limit)
        n = n_for_proportion_margin(limit, expected, level=level)
        found.append((n, Reason(ReasonCode.PLAN_MARGIN, {"expected": expected})))
    return found
