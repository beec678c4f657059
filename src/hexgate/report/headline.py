"""What decided a verdict, and what to do next: one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from hexgate.report.numbers import number
from hexgate.report.strings import text
from hexgate.report.text import Both
from hexgate.report.view import Finding, Requirement, RuleView

__all__ = ["deciding", "headline", "next_step"]


def deciding(rules: Sequence[RuleView], required: Sequence[Requirement]) -> list[RuleView | Requirement]:
    """Everything whose verdict counts."""
    return [*(rule for rule in rules if rule.blocking), *required]


def headline(
    finding: Finding,
    rules: Sequence[RuleView],
    required: Sequence[Requirement],
    problems: Sequence[Both],
) -> Both:
    """How many rules decided, how many requirements, and the first of them with its first reason."""
    blocking = [rule for rule in rules if rule.blocking]
    if finding is Finding.PASS:
        return _sentences(_passed(rules, blocking, required))
    deciders = [each for each in deciding(rules, required) if each.finding is finding]
    if not deciders:
        whole = text("decided_problems") if problems else text("none_judged")
        return _sentences([whole, *problems[:1]])
    said = []
    by_rules = sum(isinstance(each, RuleView) for each in deciders)
    if by_rules:
        total = len(blocking) + _waived(rules)
        said.append(text(f"decided_{finding.value}", count=by_rules, total=total))
    if len(deciders) > by_rules:
        missing = "MISSING" if finding is Finding.MISSING else "INVALID"
        said.append(text(f"required_{missing}", count=len(deciders) - by_rules, total=len(required)))
    said += deciders[0].reasons[:1]
    others = sum(each.finding is not Finding.PASS for each in deciding(rules, required)) - len(deciders)
    return _sentences([*said, text("decided_more", count=others)] if others else said)


def _waived(rules: Sequence[RuleView]) -> int:
    return sum(rule.waived and rule.tier == "block" for rule in rules)


def _passed(
    rules: Sequence[RuleView], blocking: Sequence[RuleView], required: Sequence[Requirement]
) -> list[Both]:
    waived, accepted = _waived(rules), sum(rule.accepted for rule in blocking)
    total = len(blocking) + waived
    if waived:
        said = [text("decided_PASS_waived", total=total, waived=waived)]
        said += [text("decided_accepted", count=accepted)] if accepted else []
    elif accepted:
        one = total == 1
        said = [
            text("decided_PASS_1_accepted")
            if one
            else text("decided_PASS_accepted", total=total, count=accepted)
        ]
    else:
        said = [text("decided_PASS_1") if total == 1 else text("decided_PASS", total=total)]
    if required:
        there = len(required)
        said.append(text("required_there_1") if there == 1 else text("required_there", total=there))
    return said


def next_step(finding: Finding, rules: Sequence[RuleView], required: Sequence[Requirement]) -> Both:
    """What to do now that the gate has said this."""
    deciders = [each for each in deciding(rules, required) if each.finding is finding]
    if finding is Finding.MISSING:
        if len({each.indicator for each in deciders}) == 1:
            return text("next_MISSING", indicator=deciders[0].indicator)
        return text("next_MISSING_any")
    undecided = [each for each in deciders if isinstance(each, RuleView)]
    if finding is Finding.INCONCLUSIVE and undecided and all(rule.uncertified for rule in undecided):
        return text("next_UNCERTIFIED")
    if finding is Finding.INCONCLUSIVE and len(undecided) == 1 and undecided[0].more_needed is not None:
        name = f"{undecided[0].indicator}.{undecided[0].measure}"
        return text("next_INCONCLUSIVE_n", rule=name, n=number(undecided[0].more_needed))
    return text(f"next_{finding.value}")


def _sentences(parts: Sequence[Both]) -> Both:
    english = " ".join(part.en if part.en.endswith((".", "…")) else f"{part.en}." for part in parts)
    chinese = "".join(part.zh if part.zh.endswith(("。", "…")) else f"{part.zh}。" for part in parts)
    return Both(english, chinese)
