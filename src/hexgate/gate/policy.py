"""What a model must show: the policy file, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from hexgate.contract.canonical import sha256_bytes
from hexgate.contract.schema import Measure, measures, schema_mistakes
from hexgate.errors import PolicyError
from hexgate.gate.policy_check import default_id, meaning_mistakes
from hexgate.gate.policy_yaml import read_yaml

__all__ = [
    "Comparator",
    "EvidenceDemands",
    "Expectation",
    "Mode",
    "Policy",
    "Rule",
    "Tier",
    "Trust",
    "Waiver",
    "policy_of",
    "read_policy",
]


class Comparator(str, Enum):
    """How a measure is held against a limit."""

    AT_LEAST = "at_least"
    """The measure must not lie below the limit."""
    AT_MOST = "at_most"
    """The measure must not lie above the limit."""
    MAX_LOSS = "max_loss"
    """The measure must not be worse than the baseline's by more than the limit, in its unit."""
    MAX_LOSS_RATIO = "max_loss_ratio"
    """The measure must not be worse than the baseline's by more than the limit times the baseline's value."""

    @property
    def needs_baseline(self) -> bool:
        """Whether there is nothing to compare with but a baseline."""
        return self in {Comparator.MAX_LOSS, Comparator.MAX_LOSS_RATIO}


class Mode(str, Enum):
    """What of a measure is compared."""

    INTERVAL = "interval"
    """The bound on the harmful side must keep the limit."""
    POINT = "point"
    """The value alone decides."""


class Tier(str, Enum):
    """What a rule's verdict does to the gate."""

    BLOCK = "block"
    """It decides."""
    WARN = "warn"
    """It is shown as a warning."""
    TRACK = "track"
    """It is shown."""


class Trust(str, Enum):
    """Whose word an artifact is, best first."""

    NATIVE = "native"
    """Measured by hexgate."""
    RECOMPUTED = "imported-recomputed"
    """Another tool's rows, figures computed by hexgate."""
    ASSERTED = "imported-asserted"
    """Another tool's figures, taken on its word."""

    def suffices(self, least: Trust) -> bool:
        """Whether this is as good as `least`, or better."""
        order = list(Trust)
        return order.index(self) <= order.index(least)


@dataclass(frozen=True)
class EvidenceDemands:
    """What an artifact must be like to be judged at all."""

    max_age_hours: float = 168.0
    """Older ones are INVALID."""
    max_error_ratio: float = 0.0
    """Errored over requested items above which one is INVALID, 0 to 1."""
    min_trust: Trust = Trust.NATIVE
    """Least trust."""
    require_evidence_files: bool = True
    """Whether its evidence files must be there. Changed ones are refused in any case."""
    allow_limit: bool = False
    """Whether a measurement on the first N items alone may be judged."""
    recompute: bool = True
    """Whether the figures of a native artifact must come out again from its evidence, to the last bit."""


@dataclass(frozen=True)
class Expectation:
    """What must have been measured, on what, and where; None and empty expect nothing."""

    subject_sha256: str | None = None
    """Digest of the weights, in hex."""
    subject_name: str | None = None
    """Name of the model."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Digest of the data, in hex, by indicator."""
    host_class: str | None = None
    """Class of machine."""


@dataclass(frozen=True)
class Rule:
    """One measure held against one limit."""

    id: str
    """Name of the rule, unique in its policy."""
    indicator: str
    """The indicator."""
    measure: str
    """The measure, as the indicator's schema names it."""
    comparator: Comparator
    """How it is compared."""
    limit: float
    """With what: in the measure's unit, or a ratio for `max_loss_ratio`."""
    mode: Mode = Mode.INTERVAL
    """What of the measure is compared."""
    min_n: int | None = None
    """Fewer observations are INCONCLUSIVE."""
    max_error_ratio: float | None = None
    """Overrides the policy's, for this rule."""
    tier: Tier = Tier.BLOCK
    """What its verdict does to the gate."""
    accept_uncertified: str | None = None
    """Why a measure that cannot certify may pass; None where it may not."""
    why: str | None = None
    """Why the rule stands."""

    @property
    def contract(self) -> Measure:
        """What the contract says of the measure: its unit, and which way it is better."""
        return measures(self.indicator)[self.measure]

    @property
    def name(self) -> str:
        """indicator.measure."""
        return f"{self.indicator}.{self.measure}"


@dataclass(frozen=True)
class Waiver:
    """A verdict that does not block until a date, because somebody answers for it."""

    rule: str
    """Id of the rule."""
    owner: str
    """Who answers for it."""
    reason: str
    """Why."""
    expires: date
    """Its last day, UTC."""
    verdicts: tuple[str, ...] = ("FAIL", "INCONCLUSIVE")
    """Names of the verdicts that it covers. Absent or unsound evidence has to be named."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in a verdict file."""
        return {
            "rule": self.rule,
            "owner": self.owner,
            "reason": self.reason,
            "expires": self.expires.isoformat(),
            "verdicts": list(self.verdicts),
        }


@dataclass(frozen=True)
class Policy:
    """A policy without mistakes."""

    name: str
    """Its name."""
    sha256: str
    """Digest of the file's bytes, in hex."""
    rules: tuple[Rule, ...]
    """Its rules, in the order of the file; at least one blocks."""
    confidence: float = 0.95
    """One-sided confidence at which interval rules are judged."""
    evidence: EvidenceDemands = field(default_factory=EvidenceDemands)
    """What an artifact must be like."""
    expect: Expectation = field(default_factory=Expectation)
    """What must have been measured."""
    required: tuple[str, ...] = ()
    """Indicators that must be there and sound. Those of blocking rules, where the file does not say."""
    waivers: tuple[Waiver, ...] = ()
    """Its waivers, expired ones among them."""


def read_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        PolicyError: with every mistake of the file at once, each with its path.
    """
    value, mistakes, data = read_yaml(path)
    return policy_of(value, sha256=sha256_bytes(data), where=str(path), mistakes=mistakes)


def policy_of(value: Any, *, sha256: str, where: str, mistakes: list[str]) -> Policy:
    """A policy of its parsed file.

    Args:
        value: what the file holds.
        sha256: digest of the file's bytes, in hex.
        where: the file, for messages.
        mistakes: what is already known to be wrong.

    Raises:
        PolicyError: with every mistake at once.
    """
    found = [*mistakes, *schema_mistakes("policy", value, most=1000), *meaning_mistakes(value)]
    if found:
        raise PolicyError(where, list(dict.fromkeys(found)))
    rules = tuple(_rule(entry) for entry in value["rules"])
    blocking = dict.fromkeys(rule.indicator for rule in rules if rule.tier is Tier.BLOCK)
    demands = dict(value.get("evidence", {}))
    if "min_trust" in demands:
        demands["min_trust"] = Trust(demands["min_trust"])
    return Policy(
        name=value["name"],
        sha256=sha256,
        rules=rules,
        confidence=float(value.get("confidence", 0.95)),
        evidence=EvidenceDemands(**demands),
        expect=Expectation(**value.get("expect", {})),
        required=tuple(dict.fromkeys(value.get("required", blocking))),
        waivers=tuple(_waiver(entry) for entry in value.get("waivers", ())),
    )


def _rule(entry: Mapping[str, Any]) -> Rule:
    limits = {**entry, **entry.get("baseline", {})}
    comparator = next(one for one in Comparator if one.value in limits)
    optional = {
        key: entry[key] for key in ("min_n", "max_error_ratio", "accept_uncertified", "why") if key in entry
    }
    return Rule(
        id=entry.get("id", default_id(entry)),
        indicator=entry["indicator"],
        measure=entry["measure"],
        comparator=comparator,
        limit=limits[comparator.value],
        mode=Mode(entry.get("mode", "interval")),
        tier=Tier(entry.get("tier", "block")),
        **optional,
    )


def _waiver(entry: Mapping[str, Any]) -> Waiver:
    covered = {"verdicts": tuple(entry["verdicts"])} if "verdicts" in entry else {}
    return Waiver(
        rule=entry["rule"],
        owner=entry["owner"],
        reason=entry["reason"],
        expires=date.fromisoformat(entry["expires"]),
        **covered,
    )
