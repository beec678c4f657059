"""What every report shows: the verdict's rules and the six indicators, read once and made safe to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hexgate.contract.schema import indicators, measures
from hexgate.gate.reasons import Reason, ReasonCode, render
from hexgate.report.measure_words import INDICATORS, KEY_FIGURES, short_name
from hexgate.report.numbers import THIN, amount, number, number_of, span, spread_of
from hexgate.report.strings import text
from hexgate.report.text import Both, clean, same

__all__ = [
    "Finding",
    "IndicatorView",
    "Requirement",
    "RuleView",
    "Scale",
    "View",
    "interval_of",
    "reason_text",
    "see",
]


_SIGNS = {"at_least": "≥", "at_most": "≤"}


class Finding(str, Enum):
    """What a report says of a rule, an indicator or the whole gate; the gravest first."""

    FAIL = "FAIL"
    INVALID = "INVALID"
    MISSING = "MISSING"
    INCONCLUSIVE = "INCONCLUSIVE"
    PASS = "PASS"  # noqa: S105 not a password
    UNJUDGED = "UNJUDGED"
    """No rule says anything of it."""

    @property
    def word(self) -> Both:
        """The finding as it is called."""
        return text(self.value)


@dataclass(frozen=True)
class Scale:
    """What a rule compares, on one axis."""

    value: float
    """The value, or the loss against the baseline."""
    low: float | None
    """Lower end of its interval; None where there is no such end."""
    high: float | None
    """Upper end of its interval; None where there is no such end."""
    limit: float
    """The limit on the same axis."""
    passes_above: bool
    """Whether the side above the limit is the one that passes."""


@dataclass(frozen=True)
class RuleView:
    """One rule of the verdict."""

    id: str
    """Its name in the policy."""
    indicator: str
    """Which indicator it judges."""
    measure: str
    """Which measure of it."""
    unit: str
    """The measure's unit."""
    comparator: str
    """``at_least``, ``at_most``, ``max_loss`` or ``max_loss_ratio``."""
    limit: float | None
    """The limit, in the measure's unit."""
    tier: str
    """``block``, ``warn`` or ``track``."""
    mode: str
    """``interval`` or ``point``."""
    finding: Finding
    """Its verdict."""
    waived: bool
    """Whether somebody answers for it, so that it does not count."""
    reasons: tuple[Both, ...]
    """Why the verdict is what it is."""
    why: str | None
    """Why the rule stands, where the policy says."""
    value: float | None
    """The measured value."""
    interval: Mapping[str, Any] | None
    """Its interval, as the artifact has it."""
    n: int | None
    """Observations it rests on."""
    artifact: str | None
    """File that the value was read from."""
    more_needed: int | None
    """How many more observations would decide it, where that is known."""
    baseline: float | None
    """The baseline's value, for a rule that compares."""
    loss: Mapping[str, Any] | None
    """The loss against it: value, low, high."""

    @property
    def blocking(self) -> bool:
        """Whether its verdict counts."""
        return self.tier == "block" and not self.waived

    @property
    def compares(self) -> bool:
        """Whether it holds the measure against a baseline's."""
        return self.comparator in {"max_loss", "max_loss_ratio"}

    @property
    def against(self) -> tuple[float, ...]:
        """What its numbers may not be rounded across."""
        return () if self.limit is None or self.compares else (self.limit,)

    @property
    def value_text(self) -> Both:
        """The value with its unit, or that there is none."""
        if self.value is None:
            return text("not_measured")
        return amount(self.value, self.unit, spread=spread_of(self.interval), against=self.against)

    @property
    def limit_text(self) -> Both:
        """The comparator and the limit, exactly as the policy has it."""
        if self.limit is None:
            return text("no_limit")
        ratio = self.comparator == "max_loss_ratio"
        exact = amount(float(self.limit), "ratio" if ratio else self.unit, against=(self.limit,))
        if self.compares:
            return text(f"limit_{self.comparator}", limit=exact)
        return exact.map(lambda shown: f"{_SIGNS.get(self.comparator, '')}{THIN}{shown}")

    @property
    def loss_text(self) -> Both | None:
        """The loss against the baseline with its interval, for a rule that compares and could."""
        scale = self.scale
        if not self.compares or scale is None or self.baseline is None:
            return None
        near = {"low": scale.low, "high": scale.high}
        loss = amount(scale.value, self.unit, spread=spread_of(near), against=(scale.limit,))
        was = amount(self.baseline, self.unit, spread=spread_of(self.interval))
        ends = interval_of(near, against=(scale.limit,))
        if ends is None:
            return text("loss", loss=loss, baseline=was)
        return text("loss_interval", loss=loss, baseline=was, interval=ends)

    @property
    def scale(self) -> Scale | None:
        """What it compares, to be drawn; None where something of it is not there."""
        source = self.loss if self.compares else self.interval
        value = number_of((self.loss or {}).get("value")) if self.compares else self.value
        if value is None or self.limit is None:
            return None
        limit = self.limit
        if self.comparator == "max_loss_ratio":
            if self.baseline is None:
                return None
            limit = self.limit * abs(self.baseline)
        low, high = (number_of((source or {}).get(end)) for end in ("low", "high"))
        return Scale(value, low, high, limit, passes_above=self.comparator == "at_least")

    @property
    def interval_text(self) -> str | None:
        """Both ends of the interval, or None where there is none."""
        return interval_of(self.interval, against=self.against)


@dataclass(frozen=True)
class Requirement:
    """An indicator that has to be there although no blocking rule judges it."""

    indicator: str
    """The indicator."""
    finding: Finding
    """PASS where its artifact is sound."""
    reasons: tuple[Both, ...]
    """Why."""


@dataclass(frozen=True)
class IndicatorView:
    """One of the six: what rules say of it, and the artifacts that there are."""

    name: str
    """The indicator."""
    finding: Finding
    """The gravest verdict of its blocking rules, or of the requirement that it is there."""
    waived: bool
    """Whether a waived rule is among its rules."""
    rules: tuple[RuleView, ...]
    """The rules that judge it."""
    artifacts: tuple[Mapping[str, Any], ...]
    """Its artifacts; one, if all is well."""

    @property
    def chief(self) -> RuleView | None:
        """The rule that stands for it: the gravest, and among equals the one on its chief measure."""
        first = KEY_FIGURES.get(self.name, ("",))[0]
        order = list(Finding)
        ranked = sorted(
            self.rules,
            key=lambda rule: (not rule.blocking, order.index(rule.finding), rule.measure != first),
        )
        return ranked[0] if ranked else None

    @property
    def headline(self) -> tuple[Both, str | None]:
        """Its one figure, with unit, and that figure's interval."""
        chief = self.chief
        if chief is not None and chief.value is not None:
            return chief.value_text, chief.interval_text
        measure = KEY_FIGURES.get(self.name, ("",))[0]
        value = number_of(self.artifacts[0].get(measure)) if self.artifacts else None
        if value is None:
            return text("not_measured"), None
        interval = self.artifacts[0].get("intervals", {}).get(measure)
        unit = measures(self.name)[measure].unit
        return amount(value, unit, spread=spread_of(interval)), interval_of(interval)

    @property
    def headline_measure(self) -> str:
        """The measure of that figure."""
        chief = self.chief
        return chief.measure if chief is not None else KEY_FIGURES.get(self.name, ("",))[0]


@dataclass(frozen=True)
class View:
    """A whole report's content, before it is laid out."""

    finding: Finding
    """The gate's verdict."""
    subject: Both
    """Who was judged."""
    demonstration: bool
    """Whether that is the embedded default."""
    decided: Both
    """One sentence on what decided it."""
    then: Both
    """One sentence on what to do next."""
    rules: tuple[RuleView, ...]
    """All rules, in the policy's order."""
    requirements: tuple[Requirement, ...]
    """Indicators that have to be there although no blocking rule judges them."""
    indicators: tuple[IndicatorView, ...]
    """The six, in their order, then any other that a rule or an artifact names."""
    problems: tuple[Both, ...]
    """What is wrong with the whole set, so that the gate cannot pass."""
    notes: tuple[Both, ...]
    """What a reader should know of the set, and that blocks nothing."""
    unused: tuple[Both, ...]
    """Artifacts that no rule used."""


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
        decided=_decided(finding, rules, required, problems),
        then=_next(finding, rules, required),
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


def interval_of(interval: Any, *, against: tuple[float, ...] = ()) -> str | None:
    """Both ends of an artifact's interval in words, or None where there is none."""
    if not isinstance(interval, Mapping):
        return None
    return span(number_of(interval.get("low")), number_of(interval.get("high")), against=against)


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
        why=clean(why) if why else None,
        value=number_of(rule.get("value")),
        interval=interval if isinstance(interval, Mapping) else None,
        n=None if n is None else int(n),
        artifact=None if rule.get("artifact") is None else clean(rule["artifact"], 200),
        more_needed=None if more is None else int(more),
        baseline=number_of(rule.get("baseline_value")),
        loss=loss if isinstance(loss, Mapping) else None,
    )


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
    findings = {each.finding for each in _deciding(own, required) if each.indicator == name}
    return IndicatorView(
        name=name,
        finding=next((finding for finding in Finding if finding in findings), Finding.UNJUDGED),
        waived=any(rule.waived for rule in own),
        rules=own,
        artifacts=tuple(each for each in artifacts if each.get("indicator") == name and name in indicators()),
    )


def _deciding(rules: Sequence[RuleView], required: Sequence[Requirement]) -> list[RuleView | Requirement]:
    return [*(rule for rule in rules if rule.blocking), *required]


def _is_demonstration(subject: Any) -> bool:
    return isinstance(subject, Mapping) and subject.get("demonstration") is True


def _subject(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]]) -> Both:
    for holder in (verdict, *artifacts):
        subject = holder.get("subject")
        if isinstance(subject, Mapping) and subject.get("name"):
            return same(subject["name"], 120)
    return text("no_subject")


def _decided(
    finding: Finding,
    rules: Sequence[RuleView],
    required: Sequence[Requirement],
    problems: Sequence[Both],
) -> Both:
    counted = _deciding(rules, required)
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
    whole = text(f"decided_{finding.value}", count=len(deciders), total=total)
    if not deciders[0].reasons:
        return whole
    first = text("first", rule=short_name(deciders[0].indicator), reason=deciders[0].reasons[0])
    return _sentences([whole, first])


def _next(finding: Finding, rules: Sequence[RuleView], required: Sequence[Requirement]) -> Both:
    deciders = [each for each in _deciding(rules, required) if each.finding is finding]
    if finding is Finding.MISSING:
        if len({each.indicator for each in deciders}) == 1:
            return text("next_MISSING", indicator=deciders[0].indicator)
        return text("next_MISSING_any")
    undecided = [each for each in deciders if isinstance(each, RuleView)]
    if finding is Finding.INCONCLUSIVE and len(undecided) == 1 and undecided[0].more_needed is not None:
        name = f"{undecided[0].indicator}.{undecided[0].measure}"
        return text("next_INCONCLUSIVE_n", rule=name, n=number(undecided[0].more_needed))
    return text(f"next_{finding.value}")


def _sentences(parts: Sequence[Both]) -> Both:
    english = " ".join(part.en if part.en.endswith((".", "…")) else f"{part.en}." for part in parts)
    chinese = "".join(part.zh if part.zh.endswith(("。", "…")) else f"{part.zh}。" for part in parts)
    return Both(english, chinese)
