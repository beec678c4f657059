"""What the gate says: the verdict of each rule, and of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from hexgate.errors import ExitCode
from hexgate.gate.policy import Rule, Tier, Waiver
from hexgate.gate.reasons import Reason

__all__ = ["GateVerdict", "Requirement", "RuleVerdict", "Verdict"]

_SCHEMA = "hexgate/verdict/1.0"


class Verdict(str, Enum):
    """What can be said of a rule, or of the whole gate. There is no default."""

    PASS = "PASS"  # noqa: S105 not a password
    """The evidence shows that the limit is kept."""
    FAIL = "FAIL"
    """The evidence shows that it is not."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The evidence is sound, and does not decide."""
    INVALID = "INVALID"
    """The evidence is not good enough to be judged."""
    MISSING = "MISSING"
    """There is no evidence."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a gate that says this."""
        return {
            Verdict.PASS: ExitCode.OK,
            Verdict.FAIL: ExitCode.FAILED,
            Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
            Verdict.INVALID: ExitCode.EVIDENCE,
            Verdict.MISSING: ExitCode.EVIDENCE,
        }[self]


@dataclass(frozen=True)
class RuleVerdict:
    """What the gate says of one rule."""

    rule: Rule
    """The rule."""
    verdict: Verdict
    """The verdict of its evidence, waived or not."""
    reasons: tuple[Reason, ...]
    """Why; at least one."""
    value: float | int | None = None
    """The measured value; None where there is none that could be judged."""
    interval: Mapping[str, Any] | None = None
    """The artifact's interval of it, as `hexgate.stats.interval.Interval.to_json` has it."""
    n: int | None = None
    """Observations that it rests on."""
    artifact_path: str | None = None
    """The artifact that was judged."""
    artifact_id: str | None = None
    """Its content id."""
    baseline_value: float | int | None = None
    """The baseline's value, for a rule that compares."""
    baseline_path: str | None = None
    """The baseline's artifact."""
    loss: Mapping[str, Any] | None = None
    """For a rule that compares: value, low, high and method of the loss in the harmful direction."""
    more_needed: int | None = None
    """About how many more observations would decide it; None where it is decided, or that cannot be said."""
    waived_by: Waiver | None = None
    """The waiver that keeps this verdict from blocking."""

    @property
    def tier(self) -> Tier:
        """What the verdict does to the gate."""
        return self.rule.tier

    @property
    def unit(self) -> str:
        """The measure's unit."""
        return self.rule.contract.unit

    @property
    def limit(self) -> float:
        """The rule's limit."""
        return self.rule.limit

    @property
    def decides(self) -> bool:
        """Whether the verdict counts for the gate: a blocking rule's that is not waived."""
        return self.tier is Tier.BLOCK and self.waived_by is None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a verdict file."""
        rule = self.rule
        return {
            "id": rule.id,
            "indicator": rule.indicator,
            "measure": rule.measure,
            "comparator": rule.comparator.value,
            "limit": rule.limit,
            "unit": self.unit,
            "mode": rule.mode.value,
            "tier": rule.tier.value,
            "why": rule.why,
            "verdict": self.verdict.value,
            "waived": self.waived_by.to_json() if self.waived_by else None,
            "value": self.value,
            "interval": dict(self.interval) if self.interval is not None else None,
            "n": self.n,
            "artifact": self.artifact_path,
            "artifact_id": self.artifact_id,
            "baseline_value": self.baseline_value,
            "baseline_artifact": self.baseline_path,
            "loss": dict(self.loss) if self.loss is not None else None,
            "more_needed": self.more_needed,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


@dataclass(frozen=True)
class Requirement:
    """What the gate says of an indicator that must be there, and that no blocking rule judges."""

    indicator: str
    """The indicator."""
    verdict: Verdict
    """PASS where its artifact is sound, else INVALID or MISSING."""
    reasons: tuple[Reason, ...]
    """Why."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in a verdict file."""
        return {
            "indicator": self.indicator,
            "verdict": self.verdict.value,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


@dataclass(frozen=True)
class GateVerdict:
    """What the gate says."""

    verdict: Verdict
    """The verdict of all."""
    rules: tuple[RuleVerdict, ...]
    """The verdict of each rule, in the order of the policy."""
    requirements: tuple[Requirement, ...]
    """The verdict of each required indicator that no blocking rule judges."""
    problems: tuple[Reason, ...]
    """What is wrong with the whole set, so that the gate cannot pass whatever the rules say."""
    notes: tuple[Reason, ...]
    """What a reader should know of the set, and that blocks nothing."""
    multiplicity: Reason | None
    """What judging several rules at once means; None where no blocking rule is judged on an interval."""
    subject: Mapping[str, Any] | None
    """The artifacts' `subject` block; None where there is none, or where they do not agree."""
    unused_artifacts: tuple[str, ...]
    """Paths of artifacts that no rule and no requirement names."""
    unused_rules: tuple[str, ...]
    """Ids of rules for which there was no artifact."""
    policy_name: str
    """Name of the policy."""
    policy_sha256: str
    """Digest of the policy file's bytes, in hex."""
    confidence: float
    """One-sided confidence of interval rules."""
    folders: tuple[str, ...]
    """Where the artifacts lay."""
    created_at: datetime
    """When it was judged, with a time zone."""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        return self.verdict.exit_code

    def to_json(self) -> dict[str, Any]:
        """The verdict file, valid by ``schemas/verdict.schema.json``."""
        return {
            "schema": _SCHEMA,
            "verdict": self.verdict.value,
            "exit_code": int(self.exit_code),
            "created_at": self.created_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "policy": {"name": self.policy_name, "sha256": self.policy_sha256, "confidence": self.confidence},
            "subject": dict(self.subject) if self.subject is not None else None,
            "folders": list(self.folders),
            "rules": [rule.to_json() for rule in self.rules],
            "requirements": [requirement.to_json() for requirement in self.requirements],
            "problems": [problem.to_json() for problem in self.problems],
            "notes": [note.to_json() for note in self.notes],
            "multiplicity": self.multiplicity.to_json() if self.multiplicity else None,
            "unused_artifacts": list(self.unused_artifacts),
            "unused_rules": list(self.unused_rules),
        }
