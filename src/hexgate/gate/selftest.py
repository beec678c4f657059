"""Can this gate fail? Each rule of a passing set is broken in memory, has to turn red, and is mended."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hexgate.errors import EvidenceError
from hexgate.gate.evidence import EvidenceSet, Exhibit, FileFault
from hexgate.gate.judge import judge
from hexgate.gate.policy import Comparator, Policy, Rule, Tier
from hexgate.gate.verdict import GateVerdict, RuleVerdict, Verdict

__all__ = ["SelfTestLine", "self_test"]


@dataclass(frozen=True)
class SelfTestLine:
    """One thing that was broken, or mended, and what the gate said."""

    rule: str
    """Id of the rule."""
    mutation: str
    """What was done to its artifact."""
    expected: Verdict
    """What the rule's verdict had to be."""
    got: Verdict
    """What it was."""
    gate: Verdict
    """What the whole gate said."""

    @property
    def held(self) -> bool:
        """Whether the rule said what it had to, and the gate was green only with it."""
        red = self.expected is not Verdict.PASS
        return self.got is self.expected and (self.gate is not Verdict.PASS) == red


def self_test(
    policy: Policy, evidence: EvidenceSet, *, now: datetime, baseline: EvidenceSet | None = None
) -> list[SelfTestLine]:
    """Break a passing set in every way that each blocking rule has to see, one at a time.

    Waivers are left out of it: a waived rule has nothing to turn red.

    Raises:
        EvidenceError: if the set does not pass without waivers, so that nothing could be learnt from it.
    """
    strict = replace(policy, waivers=())

    def judged(changed: EvidenceSet) -> GateVerdict:
        return judge(strict, changed, now=now, baseline=baseline)

    before = judged(evidence)
    if before.verdict is not Verdict.PASS:
        raise EvidenceError(
            f"the self-test needs a set that passes without waivers, and this one is {before.verdict.value}",
            where=", ".join(evidence.folders),
            hint="give the artifacts of a run that passed",
        )
    lines = []
    for index, rule in enumerate(policy.rules):
        if rule.tier is not Tier.BLOCK:
            continue
        for name, expected, change in _mutations(before.rules[index], strict):
            broken = judged(change(evidence, rule))
            lines.append(SelfTestLine(rule.id, name, expected, broken.rules[index].verdict, broken.verdict))
        mended = judged(evidence)
        lines.append(
            SelfTestLine(rule.id, "restored", Verdict.PASS, mended.rules[index].verdict, mended.verdict)
        )
    return lines


_Change = Callable[[EvidenceSet, Rule], EvidenceSet]


def _mutations(passed: RuleVerdict, policy: Policy) -> list[tuple[str, Verdict, _Change]]:
    invalid = Verdict.INVALID
    age = timedelta(hours=policy.evidence.max_age_hours + 1)
    found: list[tuple[str, Verdict, _Change]] = [
        ("value beyond the limit", Verdict.FAIL, _worse(passed)),
        ("artifact taken away", Verdict.MISSING, _without),
        ("artifact there twice", invalid, _twice),
        ("value null", invalid, _edited(lambda data, rule: data.update({rule.measure: None}))),
        ("run cut short", invalid, _edited(_cut_short)),
        ("all but one item failed", invalid, _edited(_errors)),
        ("artifact too old", invalid, _edited(lambda data, _: _back_dated(data, age))),
        ("evidence changed", invalid, _faulty),
    ]
    if passed.rule.max_error_ratio == 1.0 or (
        passed.rule.max_error_ratio is None and policy.evidence.max_error_ratio == 1.0
    ):
        found = [entry for entry in found if entry[0] != "all but one item failed"]
    if passed.interval is not None and passed.rule.mode.value == "interval":
        found.append(
            ("interval taken away", invalid, _edited(lambda data, rule: data["intervals"].pop(rule.measure)))
        )
    if passed.rule.accept_uncertified is None:
        doubt = {passed.rule.measure: "the self-test says so"}
        found.append(
            (
                "not certifying",
                Verdict.INCONCLUSIVE,
                _edited(lambda data, _: data.update(cannot_certify=doubt)),
            )
        )
    return found


def _edited(edit: Callable[[dict[str, Any], Rule], Any]) -> _Change:
    def change(evidence: EvidenceSet, rule: Rule) -> EvidenceSet:
        return replace(
            evidence,
            exhibits=tuple(
                _copy(one, edit, rule) if one.indicator == rule.indicator else one
                for one in evidence.exhibits
            ),
        )

    return change


def _copy(exhibit: Exhibit, edit: Callable[[dict[str, Any], Rule], Any], rule: Rule) -> Exhibit:
    data = deepcopy(dict(exhibit.data))
    edit(data, rule)
    # What was edited has another content, so rows of the old one no longer speak for it.
    return replace(exhibit, data=data | {"artifact_id": f"{exhibit.artifact_id} edited"})


def _worse(passed: RuleVerdict) -> _Change:
    rule = passed.rule

    def edit(data: dict[str, Any], _: Rule) -> None:
        interval = data["intervals"].get(rule.measure)
        ends = [data[rule.measure], *_ends(interval)]
        far = 1.0 + abs(rule.limit) * (1.0 + abs(passed.baseline_value or 0.0)) + max(map(abs, ends))
        far += max(ends) - min(ends) + _spread(passed)
        upwards = rule.contract.better.value == "lower" or (rule.comparator is Comparator.AT_MOST)
        shift = 2.0 * far if upwards else -2.0 * far
        data[rule.measure] += shift
        if interval is not None:
            for key in ("low", "high", "lower_bound", "upper_bound"):
                # A bound that did not exist leaves the rule undecided, which would not show that it can fail.
                interval[key] = data[rule.measure] if interval[key] is None else interval[key] + shift

    return _edited(edit)


def _spread(passed: RuleVerdict) -> float:
    loss: Mapping[str, Any] = passed.loss or {}
    ends = [abs(loss[key]) for key in ("low", "high", "value") if loss.get(key) is not None]
    return max(ends, default=0.0) + abs(passed.baseline_value or 0.0)


def _ends(interval: Mapping[str, Any] | None) -> list[float]:
    if interval is None:
        return []
    ends = (interval[key] for key in ("low", "high", "lower_bound", "upper_bound"))
    return [end for end in ends if end is not None and math.isfinite(end)]


def _without(evidence: EvidenceSet, rule: Rule) -> EvidenceSet:
    return replace(
        evidence, exhibits=tuple(one for one in evidence.exhibits if one.indicator != rule.indicator)
    )


def _twice(evidence: EvidenceSet, rule: Rule) -> EvidenceSet:
    return replace(evidence, exhibits=(*evidence.exhibits, *evidence.of(rule.indicator)))


def _faulty(evidence: EvidenceSet, rule: Rule) -> EvidenceSet:
    fault = FileFault("self-test", absent=False, problem="changed by the self-test")
    return replace(
        evidence,
        exhibits=tuple(
            replace(one, faults=(*one.faults, fault)) if one.indicator == rule.indicator else one
            for one in evidence.exhibits
        ),
    )


def _cut_short(data: dict[str, Any], _: Rule) -> None:
    data.update(status="partial", invalid_reasons=["cut short by the self-test"])


def _errors(data: dict[str, Any], _: Rule) -> None:
    requested = max(data["counts"]["requested"], 1_000_000)
    data["counts"] = {"requested": requested, "succeeded": 1, "errored": requested - 1, "skipped": 0}


def _back_dated(data: dict[str, Any], age: timedelta) -> None:
    created = datetime.strptime(f"{data['created_at']}+0000", "%Y-%m-%dT%H:%M:%SZ%z")
    data["created_at"] = (created - age).strftime("%Y-%m-%dT%H:%M:%SZ")
