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
    """How many rules decided, and the first of them with its first reason."""
    counted = deciding(rules, required)
    waived = sum(rule.waived and rule.tier == "block" for rule in rules)
    total = len(counted) + waived
    if finding is Finding.PASS:
        if waived:
            return text("decided_PASS_waived", total=total, waived=waived)
        return text("decided_PASS_1") if total == 1 else text("decided_PASS", total=total)
    deciders = [each for each in counted if each.finding is finding]
    if not deciders:
        whole = text("decided_problems") if problems else text("none_judged")
        return _sentences([whole, *problems[:1]])
    said = [text(f"decided_{finding.value}", count=len(deciders), total=total), *deciders[0].reasons[:1]]
    others = sum(each.finding is not Finding.PASS for each in counted) - len(deciders)
    return _sentences([*said, text("decided_more", count=others)] if others else said)


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
