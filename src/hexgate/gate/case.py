"""All that one judgement is taken on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hexgate.gate.evidence import EvidenceSet
from hexgate.gate.policy import Policy
from hexgate.gate.reasons import Reason

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """A policy, the evidence, and the time."""

    policy: Policy
    """The rules."""
    evidence: EvidenceSet
    """The artifacts to be judged."""
    baseline: EvidenceSet | None
    """The artifacts to compare with, if there are any."""
    now: datetime
    """The time of judging, with a time zone."""
    disputes: tuple[Reason, ...]
    """Why the artifacts do not belong together; empty where they do."""
    baseline_disputes: tuple[Reason, ...]
    """The same of the baseline's."""
