"""A verdict and its artifacts, read once into what every report shows, and made safe to show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hexgate.contract.schema import indicators
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason, render
from hexgate.report.headline import deciding, headline, next_step
from hexgate.report.measure_words import INDICATORS, KEY_FIGURES, label
from hexgate.report.measured_reasons import in_chinese
from hexgate.report.numbers import number_of
from hexgate.report.shown import n_of
from hexgate.report.strings import text
from hexgate.report.text import Both, clean, same
from hexgate.report.view import Finding, IndicatorView, Requirement, RuleView, View

__all__ = ["reason_text", "see"]

_N = re.compile("n = [0-9\u202f]+")
_OF_ARTIFACT = frozenset({ReasonCode.STATUS, ReasonCode.VALUE_MISSING, ReasonCode.UNCERTIFIED})
"""Reasons whose fact `why` is what an artifact says of itself, in English."""


def see(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> View:
    """Read a verdict and its artifacts.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
    """
    near = _Near(verdict.get("folders") or ())
    read = [_rule(rule, artifacts, near) for rule in verdict["rules"]]
    rules = tuple(sorted(read, key=lambda rule: _place(rule.indicator)))
    required = tuple(_requirement(each, artifacts, near) for each in verdict.get("requirements") or ())
    finding = Finding(verdict["verdict"])
    judged = [*(rule.indicator for rule in rules), *(each.indicator for each in required)]
    others = sorted({*judged, *(str(each.get("indicator")) for each in artifacts)} - set(INDICATORS))
    problems = tuple(near.text(problem) for problem in verdict.get("problems") or ())
    multiplicity = verdict.get("multiplicity")
    notes = verdict.get("notes") or ()
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
        notes=tuple(near.text(note) for note in [*notes, *([multiplicity] if multiplicity else ())]),
        pressing=tuple(near.text(note) for note in notes if _code(note) != ReasonCode.DEMONSTRATION.value),
        unused=tuple(near.text(each) for each in verdict.get("unused_artifacts") or ()),
    )


@dataclass(frozen=True)
class _Near:
    """Reasons with their paths as seen from the folders that were judged."""

    folders: Sequence[Any]

    def text(self, reason: Any) -> Both:
        found = reason_text(reason)
        for folder in self.folders:
            if isinstance(folder, str) and len(folder) > 1 and folder.startswith("/"):
                found = _nearer(found, f"{folder.rstrip('/')}/", f"{PurePosixPath(folder).name}/")
        return found


def _nearer(found: Both, whole: str, short: str) -> Both:
    return found.map(lambda shown: shown.replace(whole, short))


def _place(indicator: str) -> int:
    return INDICATORS.index(indicator) if indicator in INDICATORS else len(INDICATORS)


def _source(
    artifacts: Sequence[Mapping[str, Any]], indicator: str, artifact_id: Any = None
) -> Mapping[str, Any] | None:
    own = [each for each in artifacts if each.get("indicator") == indicator and indicator in indicators()]
    named = [each for each in own if each.get("artifact_id") == artifact_id]
    return next(iter(named or own), None)


def reason_text(reason: Any) -> Both:
    """A reason, a problem or a plain sentence of a verdict, in both languages."""
    if not isinstance(reason, Mapping):
        return same(reason)
    english = next((reason[key] for key in ("text", "message", "path") if reason.get(key)), None)
    chinese = reason.get("text_zh")
    code = reason.get("code")
    if code in {each.value for each in ReasonCode} and not (english and chinese):
        params = reason.get("params") or {}
        known = Reason(ReasonCode(code), params)
        try:
            english, chinese = english or render(known, "en"), chinese or _in_chinese(known)
        except KeyError:
            # A later minor version's reason may have facts under other names; its English still holds.
            english = english or str(code)
    if english is None:
        return same(code or dict(reason))
    return Both(clean(english, 1000), clean(chinese or english, 1000))


def _in_chinese(reason: Reason) -> str:
    """A reason in Chinese, with what an artifact says of itself."""
    why = reason.params.get("why")
    if reason.code in _OF_ARTIFACT and isinstance(why, str):
        reason = Reason(reason.code, {**reason.params, "why": in_chinese(why).rstrip("。")})
    return render(reason, "zh")


def _rule(rule: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], near: _Near) -> RuleView:
    codes = {_code(reason) for reason in rule.get("reasons") or ()}
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
        reasons=tuple(_in_windows(near.text(reason), interval) for reason in rule.get("reasons") or ()),
        accepted=rule["verdict"] == Finding.PASS.value and ReasonCode.UNCERTIFIED_ACCEPTED.value in codes,
        uncertified=ReasonCode.UNCERTIFIED.value in codes,
        why=clean(why) if why else None,
        value=number_of(rule.get("value")),
        interval=interval if isinstance(interval, Mapping) else None,
        n=None if n is None else int(n),
        artifact=None if rule.get("artifact") is None else clean(rule["artifact"], 200),
        more_needed=None if more is None else int(more),
        baseline=number_of(rule.get("baseline_value")),
        loss=loss if isinstance(loss, Mapping) else None,
        source=_source(artifacts, rule["indicator"], rule.get("artifact_id")),
    )


def _in_windows(reason: Both, interval: Any) -> Both:
    # The n of means over windows counts windows: beside a rate it would be read as requests.
    windows = n_of(interval)
    if windows is None or windows.en == windows.zh:
        return reason
    return Both(_N.sub(windows.en, reason.en), _N.sub(windows.zh, reason.zh))


def _code(reason: Any) -> Any:
    return reason.get("code") if isinstance(reason, Mapping) else None


def _requirement(
    requirement: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], near: _Near
) -> Requirement:
    name, finding = clean(requirement["indicator"], 60), Finding(requirement["verdict"])
    reasons = [near.text(reason) for reason in requirement.get("reasons") or ()]
    source, chief = _source(artifacts, name), KEY_FIGURES.get(name, ("",))[0]
    if finding is Finding.PASS and source is not None and reasons and source.get(chief) is None:
        reasons[0] = text("required_null", reason=reasons[0], measure=label(name, chief))
    return Requirement(name, finding, tuple(reasons))


def _indicator(
    name: str,
    rules: Sequence[RuleView],
    required: Sequence[Requirement],
    artifacts: Sequence[Mapping[str, Any]],
) -> IndicatorView:
    own = tuple(rule for rule in rules if rule.indicator == name)
    # That an artifact is there passes nothing: only a requirement that is not met is a verdict.
    asked = [each for each in required if each.finding is not Finding.PASS]
    findings = {each.finding for each in deciding(own, asked) if each.indicator == name}
    return IndicatorView(
        name=name,
        finding=next((finding for finding in Finding if finding in findings), Finding.UNJUDGED),
        present=any(each.indicator == name and each.finding is Finding.PASS for each in required),
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
