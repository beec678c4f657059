"""A verdict and its artifacts, read once into what every report shows, and made safe to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hexgate.contract.schema import indicators
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason, render
from hexgate.report.headline import deciding, headline, next_step
from hexgate.report.measure_words import INDICATORS
from hexgate.report.numbers import number_of
from hexgate.report.strings import text
from hexgate.report.text import Both, clean, same
from hexgate.report.view import Finding, IndicatorView, Requirement, RuleView, View

__all__ = ["reason_text", "see"]


def see(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> View:
    """Read a verdict and its artifacts.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
    """
    rules = tuple(_rule(rule) for rule in verdict["rules"])
    required = tuple(_requirement(each) for each in verdict.get("requirements") or ())
    finding = Finding(verdict["verdict"])
    judged = [*(rule.indicator for rule in rules), *(each.indicator for each in required)]
    others = sorted({*judged, *(str(each.get("indicator")) for each in artifacts)} - set(INDICATORS))
    problems = tuple(reason_text(problem) for problem in verdict.get("problems") or ())
    return View(
        finding=finding,
        subject=_subject(verdict, artifacts),
        demonstration=any(_is_demonstration(each.get("subject")) for each in (verdict, *artifacts)),
        decided=headline(finding, rules, required, problems),
        then=next_step(finding, rules, required),
        rules=rules,
        requirements=required,
        indicators=tuple(_indicator(name, rules, required, artifacts) for name in (*INDICATORS, *others)),
        problems=problems,
        notes=_notes(verdict),
        unused=tuple(reason_text(each) for each in verdict.get("unused_artifacts") or ()),
    )


def _notes(verdict: Mapping[str, Any]) -> tuple[Both, ...]:
    multiplicity = verdict.get("multiplicity")
    notes = [*(verdict.get("notes") or ()), *([multiplicity] if multiplicity else ())]
    return tuple(reason_text(note) for note in notes)


def reason_text(reason: Any) -> Both:
    """A reason, a problem or a plain sentence of a verdict, in both languages."""
    if not isinstance(reason, Mapping):
        return same(reason)
    english = next((reason[key] for key in ("text", "message", "path") if reason.get(key)), None)
    chinese = reason.get("text_zh")
    code = reason.get("code")
    if code in {each.value for each in ReasonCode} and not (english and chinese):
        known = Reason(ReasonCode(code), reason.get("params") or {})
        try:
            english, chinese = english or render(known, "en"), chinese or render(known, "zh")
        except KeyError:
            # A later minor version's reason may have facts under other names; its English still holds.
            english = english or str(code)
    if english is None:
        return same(code or dict(reason))
    return Both(clean(english, 1000), clean(chinese or english, 1000))


def _rule(rule: Mapping[str, Any]) -> RuleView:
    more, n = number_of(rule.get("more_needed")), number_of(rule.get("n"))
    interval, loss, why = rule.get("interval"), rule.get("loss"), rule.get("why")
    return RuleView(
        id=clean(rule["id"], 120),
        indicator=clean(rule["indicator"], 60),
        measure=clean(rule["measure"], 60),
        unit=clean(rule.get("unit") or "", 24),
        comparator=clean(rule["comparator"], 24),
        limit=number_of(rule.get("limit")),
        tier=clean(rule["tier"], 20),
        mode=clean(rule["mode"], 20),
        finding=Finding(rule["verdict"]),
        waived=bool(rule.get("waived")),
        reasons=tuple(reason_text(reason) for reason in rule.get("reasons") or ()),
        uncertified=any(_code(reason) == ReasonCode.UNCERTIFIED.value for reason in rule.get("reasons") or ()),
        why=clean(why) if why else None,
        value=number_of(rule.get("value")),
        interval=interval if isinstance(interval, Mapping) else None,
        n=None if n is None else int(n),
        artifact=None if rule.get("artifact") is None else clean(rule["artifact"], 200),
        more_needed=None if more is None else int(more),
        baseline=number_of(rule.get("baseline_value")),
        loss=loss if isinstance(loss, Mapping) else None,
    )


def _code(reason: Any) -> Any:
    return reason.get("code") if isinstance(reason, Mapping) else None


def _requirement(requirement: Mapping[str, Any]) -> Requirement:
    reasons = tuple(reason_text(reason) for reason in requirement.get("reasons") or ())
    return Requirement(clean(requirement["indicator"], 60), Finding(requirement["verdict"]), reasons)


def _indicator(
    name: str,
    rules: Sequence[RuleView],
    required: Sequence[Requirement],
    artifacts: Sequence[Mapping[str, Any]],
) -> IndicatorView:
    own = tuple(rule for rule in rules if rule.indicator == name)
    # That an artifact is there and sound is no answer where a rule that does not block asks for more.
    asked = [each for each in required if each.finding is not Finding.PASS or not own]
    findings = {each.finding for each in deciding(own, asked) if each.indicator == name}
    return IndicatorView(
        name=name,
        finding=next((finding for finding in Finding if finding in findings), Finding.UNJUDGED),
        waived=any(rule.waived for rule in own),
        rules=own,
        artifacts=tuple(each for each in artifacts if each.get("indicator") == name and name in indicators()),
    )


def _is_demonstration(subject: Any) -> bool:
    return isinstance(subject, Mapping) and subject.get("demonstration") is True


def _subject(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> Both:
    for holder in (verdict, *artifacts):
        subject = holder.get("subject")
        if isinstance(subject, Mapping) and subject.get("name"):
            return same(subject["name"], 120)
    return text("no_subject")
