"""Verdicts that somebody answers for until a date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from hexgate.gate.policy import Policy, Tier, Waiver
from hexgate.gate.reason_codes import ReasonCode
from hexgate.gate.reasons import Reason
from hexgate.gate.verdict import RuleVerdict, Verdict

__all__ = ["with_waivers"]


def with_waivers(
    judged: Sequence[RuleVerdict], policy: Policy, now: datetime
) -> tuple[tuple[RuleVerdict, ...], tuple[Reason, ...]]:
    """The same verdicts, those marked that a waiver keeps from blocking; and what to say of the waivers.

    A waiver changes no verdict. It counts to the end of its last day, UTC. One that is expired, or covers
    another verdict, or is not needed, changes nothing and is told of.
    """
    notes: list[Reason] = []
    by_rule = {waiver.rule: waiver for waiver in policy.waivers}
    marked = []
    for one in judged:
        waiver = by_rule.get(one.rule.id)
        note = _idle(waiver, one, now) if waiver is not None else None
        if waiver is None or note is not None:
            notes += [note] if note is not None else []
            marked.append(one)
            continue
        reason = Reason(
            ReasonCode.WAIVED,
            {"owner": waiver.owner, "expires": waiver.expires.isoformat(), "why": waiver.reason},
        )
        marked.append(replace(one, waived_by=waiver, reasons=(*one.reasons, reason)))
    return tuple(marked), tuple(notes)


def _idle(waiver: Waiver, judged: RuleVerdict, now: datetime) -> Reason | None:
    """Why a waiver does not help, or None where it does."""
    said: dict[str, str | int | float] = {"rule": waiver.rule, "owner": waiver.owner}
    if now.astimezone(timezone.utc).date() > waiver.expires:
        return Reason(ReasonCode.WAIVER_EXPIRED, said | {"expires": waiver.expires.isoformat()})
    if judged.verdict is Verdict.PASS or judged.tier is not Tier.BLOCK:
        return Reason(ReasonCode.WAIVER_UNUSED, said)
    if judged.verdict.value not in waiver.verdicts:
        covered = ", ".join(waiver.verdicts)
        return Reason(
            ReasonCode.WAIVER_OTHER_VERDICT, said | {"verdict": judged.verdict.value, "covered": covered}
        )
    return None
