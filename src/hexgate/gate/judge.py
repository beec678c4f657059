"""Policy and evidence to verdict. Pure: the same three things in, the same verdict out; no disk, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hexgate.contract.schema import load_schema
from hexgate.gate.baseline import judge_loss
from hexgate.gate.case import Case
from hexgate.gate.compare import certified, enough, judge_limit, not_comparable
from hexgate.gate.evidence import EvidenceSet, Exhibit
from hexgate.gate.parts import PartFaultKind
from hexgate.gate.policy import Mode, Policy, Rule, Tier
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason
from hexgate.gate.soundness import set_disputes, the_one, unsound
from hexgate.gate.verdict import GateVerdict, Requirement, RuleVerdict, Verdict
from hexgate.gate.waivers import with_waivers

__all__ = ["judge"]

_PART_CODES = {
    PartFaultKind.MISSING: ReasonCode.PART_MISSING,
    PartFaultKind.UNFINISHED: ReasonCode.PART_UNFINISHED,
    PartFaultKind.LATE: ReasonCode.PART_LATE,
    PartFaultKind.DUPLICATE: ReasonCode.PART_DUPLICATE,
    PartFaultKind.UNREADABLE: ReasonCode.PART_UNREADABLE,
    PartFaultKind.FAILED: ReasonCode.PART_FAILED,
    PartFaultKind.MIXED: ReasonCode.PART_MIXED,
    PartFaultKind.CHANGED: ReasonCode.PART_CHANGED,
}
_ABSENT = frozenset({ReasonCode.PART_MISSING, ReasonCode.PART_UNFINISHED})


def judge(
    policy: Policy, evidence: EvidenceSet, *, now: datetime, baseline: EvidenceSet | None = None
) -> GateVerdict:
    """Judge a set of artifacts.

    The gate's verdict is FAIL where a blocking rule fails; else INVALID or MISSING where one has no sound
    evidence, or the whole set has a problem; else INCONCLUSIVE where one is not decided; PASS only where
    every blocking rule passes or is waived, and at least one was held against its limit.

    Args:
        policy: the rules.
        evidence: the artifacts, as `load_evidence` reads them.
        now: the time of judging.
        baseline: the artifacts to compare with, for rules that do.

    Raises:
        ValueError: if `now` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("the time of judging needs a time zone")
    disputes = set_disputes(evidence)
    compared = set_disputes(baseline) if baseline is not None else ()
    case = Case(policy, evidence, baseline, now, disputes, compared)
    rules, waiver_notes = with_waivers([_rule(rule, case) for rule in policy.rules], policy, now)
    requirements = _requirements(case)
    problems = [*_problems(evidence), *disputes]
    overall = _overall(rules, requirements, problems)
    if overall is Verdict.PASS and not any(_was_held_against_its_limit(rule) for rule in rules):
        overall = Verdict.INVALID
        problems.append(Reason(ReasonCode.NOTHING_JUDGED))
    named = {rule.indicator for rule in policy.rules} | set(policy.required)
    return GateVerdict(
        verdict=overall,
        rules=rules,
        requirements=requirements,
        problems=tuple(problems),
        notes=(*_notes(evidence), *waiver_notes),
        multiplicity=_multiplicity(policy),
        subject=evidence.exhibits[0].data["subject"] if evidence.exhibits and not disputes else None,
        unused_artifacts=tuple(one.path for one in evidence.exhibits if one.indicator not in named),
        unused_rules=tuple(one.rule.id for one in rules if not evidence.of(one.rule.indicator)),
        policy_name=policy.name,
        policy_sha256=policy.sha256,
        confidence=policy.confidence,
        folders=evidence.folders,
        created_at=now,
    )


def _rule(rule: Rule, case: Case) -> RuleVerdict:
    exhibit, why_not = the_one(case.evidence, rule.indicator)
    if why_not:
        return RuleVerdict(rule, Verdict.INVALID, (*why_not, *case.disputes))
    if exhibit is None:
        said = Reason(ReasonCode.NO_ARTIFACT, {"indicator": rule.indicator})
        return RuleVerdict(rule, Verdict.MISSING, (said,))
    faults = [
        *unsound(exhibit, case.policy, now=case.now, max_error_ratio=rule.max_error_ratio),
        *not_comparable(rule, exhibit, case.policy),
        *case.disputes,
    ]
    if faults:
        return RuleVerdict(
            rule,
            Verdict.INVALID,
            tuple(faults),
            artifact_path=exhibit.path,
            artifact_id=exhibit.artifact_id,
        )
    if rule.comparator.needs_baseline:
        return judge_loss(rule, exhibit, case)
    return certified(enough(judge_limit(rule, exhibit)), exhibit)


def _requirements(case: Case) -> tuple[Requirement, ...]:
    blocking = {rule.indicator for rule in case.policy.rules if rule.tier is Tier.BLOCK}
    found = []
    for indicator in case.policy.required:
        if indicator in blocking:
            continue
        exhibit, why_not = the_one(case.evidence, indicator)
        faults = (*why_not, *case.disputes)
        if exhibit is not None:
            faults += (*unsound(exhibit, case.policy, now=case.now), *_unanswered(exhibit))
        if faults:
            found.append(Requirement(indicator, Verdict.INVALID, faults))
        elif exhibit is None:
            absent = Reason(ReasonCode.NO_ARTIFACT, {"indicator": indicator})
            found.append(Requirement(indicator, Verdict.MISSING, (absent,)))
        else:
            sound = Reason(ReasonCode.REQUIREMENT_MET, {"indicator": indicator})
            found.append(Requirement(indicator, Verdict.PASS, (sound,)))
    return tuple(found)


def _unanswered(exhibit: Exhibit) -> tuple[Reason, ...]:
    # An artifact whose headline measure is null is there, and says that nothing was measured.
    headline = str(load_schema(exhibit.indicator)["x-headline"])
    if exhibit.data[headline] is not None:
        return ()
    why = str(exhibit.data["missing"][headline])
    return (Reason(ReasonCode.VALUE_MISSING, {"measure": f"{exhibit.indicator}.{headline}", "why": why}),)


def _problems(evidence: EvidenceSet) -> list[Reason]:
    found = [Reason(ReasonCode.FOLDER_UNREADABLE, {"problem": fault}) for fault in evidence.folder_faults]
    found += [
        Reason(ReasonCode.UNREADABLE, {"problem": file.problem}) for file in evidence.unreadable if file.ours
    ]
    found += [
        Reason(_PART_CODES[fault.kind], {"run": fault.run_id, "part": fault.part, "problem": fault.detail})
        for fault in evidence.part_faults
    ]
    return found


def _notes(evidence: EvidenceSet) -> list[Reason]:
    found = [
        Reason(ReasonCode.UNREADABLE, {"problem": file.problem})
        if file.indicators
        else Reason(ReasonCode.FOREIGN_FILE, {"path": file.path})
        for file in evidence.unreadable
        if not file.ours
    ]
    if not evidence.exhibits:
        found.append(Reason(ReasonCode.EMPTY_SET, {"folders": ", ".join(evidence.folders) or "no folder"}))
    shown = {one.data["subject"]["name"] for one in evidence.exhibits if one.data["subject"]["demonstration"]}
    found += [Reason(ReasonCode.DEMONSTRATION, {"subject": name}) for name in sorted(shown)]
    return found


def _was_held_against_its_limit(judged: RuleVerdict) -> bool:
    return judged.tier is Tier.BLOCK and judged.verdict in {Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE}


def _overall(
    rules: Sequence[RuleVerdict], requirements: Sequence[Requirement], problems: Sequence[Reason]
) -> Verdict:
    said = {rule.verdict for rule in rules if rule.decides} | {one.verdict for one in requirements}
    said |= {Verdict.MISSING if problem.code in _ABSENT else Verdict.INVALID for problem in problems}
    for grave in (Verdict.FAIL, Verdict.INVALID, Verdict.MISSING, Verdict.INCONCLUSIVE):
        if grave in said:
            return grave
    return Verdict.PASS


def _multiplicity(policy: Policy) -> Reason | None:
    rules = sum(rule.tier is Tier.BLOCK and rule.mode is Mode.INTERVAL for rule in policy.rules)
    if rules == 0:
        return None
    return Reason(
        ReasonCode.MULTIPLICITY,
        {
            "rules": rules,
            "confidence": policy.confidence,
            "level": 1.0 - policy.confidence,
            "chance": 1.0 - policy.confidence**rules,
        },
    )
