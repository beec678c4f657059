"""What every report shows of a verdict: its rules and the six indicators, as typed records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hexgate.report.measure_words import KEY_FIGURES
from hexgate.report.numbers import THIN, amount, number, number_of, percent, spread_of
from hexgate.report.shown import Shown, interval_of, n_of, shown
from hexgate.report.strings import EN, text
from hexgate.report.text import Both, same

__all__ = [
    "Finding",
    "IndicatorView",
    "Requirement",
    "RuleView",
    "Scale",
    "View",
    "interval_name",
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
    bound: float | None = None
    """The one-sided bound that was held against the limit, where one was."""


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
    accepted: bool
    """Whether it passes on evidence that cannot certify, which the policy accepts."""
    uncertified: bool
    """Whether what is lacking is not more samples, but evidence that may certify."""
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
    source: Mapping[str, Any] | None
    """The artifact that it is about, judged or not."""

    @property
    def blocking(self) -> bool:
        """Whether its verdict counts."""
        return self.tier == "block" and not self.waived

    @property
    def word(self) -> Both:
        """Its verdict as it is called."""
        return text("PASS_accepted") if self.accepted else self.finding.word

    @property
    def style(self) -> str:
        """Its verdict as the page colours it."""
        return "accepted" if self.accepted else self.finding.value.lower()

    @property
    def told(self) -> tuple[Both, ...]:
        """Its reasons without its name, for where they stand under it."""
        name = f"{self.indicator}.{self.measure}"
        return tuple(_without(reason, name, self.indicator) for reason in self.reasons)

    @property
    def tier_word(self) -> Both:
        """What its verdict does, in a word."""
        return text(f"tier_{self.tier}") if f"tier_{self.tier}" in EN else same(self.tier)

    @property
    def compares(self) -> bool:
        """Whether it holds the measure against a baseline's."""
        return self.comparator in {"max_loss", "max_loss_ratio"}

    @property
    def against(self) -> tuple[float, ...]:
        """What its numbers may not be rounded across."""
        return () if self.limit is None or self.compares else (self.limit,)

    @property
    def shown(self) -> Shown:
        """Its figure: the value that was judged, else the one that the artifact has."""
        found = shown(self.source, self.measure, judged=False, against=self.against)
        if self.value is None:
            return found
        value = amount(self.value, self.unit, spread=spread_of(self.interval), against=self.against)
        n = n_of(self.interval) or (None if self.n is None else same(number(self.n)))
        notes = tuple(note for note in found.notes if note == text("estimated"))
        return Shown(value, interval_of(self.interval, against=self.against), n, True, notes, None)

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
        above = self.comparator == "at_least"
        return Scale(value, low, high, limit, above, self._bound(above))

    def _bound(self, above: bool) -> float | None:
        if self.interval is None or self.compares or self.mode == "point":
            return None
        # A rule fails by its other bound: even that one breaks the limit.
        lower = above != (self.finding is Finding.FAIL)
        return number_of(self.interval.get("lower_bound" if lower else "upper_bound"))


@dataclass(frozen=True)
class Requirement:
    """An indicator that has to be there although no blocking rule judges it."""

    indicator: str
    """The indicator."""
    finding: Finding
    """PASS where its artifact is sound."""
    reasons: tuple[Both, ...]
    """Why."""

    @property
    def style(self) -> str:
        """Its verdict as the page colours it; that a file is there is no pass."""
        return "unjudged" if self.finding is Finding.PASS else self.finding.value.lower()

    @property
    def word(self) -> Both:
        """Its verdict as it is called."""
        return text("present") if self.finding is Finding.PASS else self.finding.word

    @property
    def told(self) -> tuple[Both, ...]:
        """Its reasons without its name, for where they stand under it."""
        return tuple(_without(reason, self.indicator) for reason in self.reasons)


@dataclass(frozen=True)
class IndicatorView:
    """One of the six: what rules say of it, and the artifacts that there are."""

    name: str
    """The indicator."""
    finding: Finding
    """The gravest verdict of its blocking rules, or of the requirement that it is there if that is not met."""
    present: bool
    """Whether it is required, and there."""
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
    def standing(self) -> Both:
        """The finding in words; where no rule blocks, what the one says that was waived, warns or tracks."""
        if self.finding is not Finding.UNJUDGED:
            word = text("PASS_accepted") if self.accepted else self.finding.word
            return text("with", word=word, more=text("waived")) if self.waived else word
        if self.chief is None:
            return text("present") if self.present else self.finding.word
        more = text("waived") if self.chief.waived else self.chief.tier_word
        return text("with", word=self.chief.word, more=more)

    @property
    def accepted(self) -> bool:
        """Whether it passes, and a rule of it only on evidence that cannot certify."""
        return self.finding is Finding.PASS and any(rule.accepted and rule.blocking for rule in self.rules)

    @property
    def style(self) -> str:
        """Its verdict as the page colours it."""
        return "accepted" if self.accepted else self.finding.value.lower()

    @property
    def headline(self) -> Shown:
        """Its one figure."""
        if self.chief is not None:
            return self.chief.shown
        source = self.artifacts[0] if self.artifacts else None
        return shown(source, self.headline_measure, judged=False, told=self.finding is not Finding.UNJUDGED)

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
    """All rules, in the order of the indicators, then of the policy."""
    requirements: tuple[Requirement, ...]
    """Indicators that have to be there although no blocking rule judges them."""
    indicators: tuple[IndicatorView, ...]
    """The six, in their order, then any other that a rule or an artifact names."""
    problems: tuple[Both, ...]
    """What is wrong with the whole set, so that the gate cannot pass."""
    notes: tuple[Both, ...]
    """What a reader should know of the set, and that blocks nothing."""
    pressing: tuple[Both, ...]
    """Those of the notes that are about this set alone, and not about every one judged by the same policy."""
    unused: tuple[Both, ...]
    """Artifacts that no rule used."""

    @property
    def accepted(self) -> bool:
        """Whether the gate passes, and a rule only on evidence that cannot certify."""
        return self.finding is Finding.PASS and any(rule.accepted and rule.blocking for rule in self.rules)

    @property
    def word(self) -> Both:
        """The verdict as it is called."""
        return text("PASS_accepted") if self.accepted else self.finding.word

    @property
    def style(self) -> str:
        """The verdict as the page colours it."""
        return "accepted" if self.accepted else self.finding.value.lower()


def interval_name(intervals: Iterable[Any]) -> Both:
    """What a column of intervals is called: with their level, if they have one in common."""
    levels = {number_of(each.get("level")) for each in intervals if isinstance(each, Mapping)}
    level = levels.pop() if len(levels) == 1 else None
    return text("interval") if level is None else text("interval_level", level=percent(level))


def _without(reason: Both, *names: str) -> Both:
    for name in names:
        if reason.en.startswith(f"{name}: "):
            return Both(
                reason.en[len(name) + 2 :], reason.zh.removeprefix(f"{name}：").removeprefix(f"{name}: ")
            )
    return reason
