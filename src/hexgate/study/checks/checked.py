"""What a check of a study finds: each thing that does not hold, with its place, what was found, what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hexgate.study.exports.places import Place

__all__ = ["Check", "Status", "Violation", "checked", "not_applicable", "violation"]


class Status(str, Enum):
    """How a check ended."""

    OK = "ok"
    """It looked at something, and all of it holds."""
    VIOLATED = "violated"
    """Something does not hold."""
    NOT_STATED = "not_stated"
    """Nothing speaks against it, and nobody states what it would have to be seen by: no violation, and no evidence."""
    NOT_MADE = "not_made"
    """There was nothing to look at, which is no pass."""
    NOT_APPLICABLE = "not_applicable"
    """The study has no such thing."""
    LEFT_OUT = "left_out"
    """The user has left it out."""


@dataclass(frozen=True)
class Violation:
    """One thing that does not hold."""

    model: str | None
    """The model; None where it is of no run."""
    level: str | None
    """The load."""
    category: str | None
    """The task."""
    question: int | str | None
    """Id of the item."""
    repeat: int | None
    """Which repeat it is, from 1."""
    got: str
    """What was found."""
    expected: str
    """What should have been there."""

    def to_json(self) -> dict[str, Any]:
        """As `checks.json` has it."""
        return {
            "model": self.model,
            "level": self.level,
            "category": self.category,
            "question_id": self.question,
            "run": self.repeat,
            "got": self.got,
            "expected": self.expected,
        }


@dataclass(frozen=True)
class Check:
    """One check."""

    name: str
    """Its name."""
    status: Status
    """How it ended."""
    looked_at: int
    """At how many things it looked: runs, pairs of levels, or models."""
    violations: tuple[Violation, ...] = ()
    """What does not hold."""
    reason: str | None = None
    """Why it was not made or is not applicable, or what is not stated; None else."""
    listed: tuple[Mapping[str, Any], ...] = ()
    """What it saw and does not judge."""

    def to_json(self) -> dict[str, Any]:
        """As `checks.json` has it."""
        return {
            "check": self.name,
            "status": self.status.value,
            "reason": self.reason,
            "looked_at": self.looked_at,
            "violations": [one.to_json() for one in self.violations],
            "listed": [dict(one) for one in self.listed],
        }


def checked(
    name: str, looked_at: int, found: Sequence[Violation], listed: Sequence[Mapping[str, Any]] = ()
) -> Check:
    """A check that was made; one that looked at nothing was not.

    Args:
        name: its name.
        looked_at: at how many things it looked.
        found: what does not hold.
        listed: what it saw and does not judge.
    """
    if found:
        return Check(name, Status.VIOLATED, looked_at, tuple(found), None, tuple(listed))
    if looked_at:
        return Check(name, Status.OK, looked_at, (), None, tuple(listed))
    return Check(name, Status.NOT_MADE, 0, (), "there is no run to look at", tuple(listed))


def not_applicable(name: str, reason: str, listed: Sequence[Mapping[str, Any]] = ()) -> Check:
    """A check of what the study does not have.

    Args:
        name: its name.
        reason: what it does not have.
        listed: what it saw all the same.
    """
    return Check(name, Status.NOT_APPLICABLE, 0, (), reason, tuple(listed))


def violation(place: Place, got: str, expected: str) -> Violation:
    """A violation of one run.

    Args:
        place: the run.
        got: what was found.
        expected: what should have been there.
    """
    return Violation(place.model, place.level, place.category, place.question, place.repeat, got, expected)
