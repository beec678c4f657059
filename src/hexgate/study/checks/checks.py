"""Whether a study is complete and holds together: the checks, which of them are made, and what they find together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.errors import InputError
from hexgate.study.checks import folder as checks_folder
from hexgate.study.checks import records as checks_records
from hexgate.study.checks.checked import Check, Status
from hexgate.study.exports.places import Place, places
from hexgate.study.reading import Reading

__all__ = ["CHECKS", "RISING", "Checks", "check_study"]

RISING = ("L0", "L1", "L2", "L3")
"""The levels whose prompts grow, where a study has them. A padded level (P) is longer than L0 and nothing else."""
SCHEMA = "hexgate/study-checks/1"


@dataclass(frozen=True)
class Checks:
    """What the checks of a study found."""

    study: str
    """Its name."""
    plan_sha256: str
    """Digest of its plan."""
    planned: int
    """Runs of the plan."""
    over: int
    """Runs that are over."""
    failed: int
    """Those of them that failed."""
    checks: tuple[Check, ...]
    """Each check."""

    @property
    def violations(self) -> int:
        """How many things do not hold."""
        return sum(len(check.violations) for check in self.checks)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the study: no check is violated, and none found nothing to look at."""
        return not any(check.status in {Status.VIOLATED, Status.NOT_MADE} for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As `checks.json` has it."""
        return {
            "schema": SCHEMA,
            "study": self.study,
            "plan_sha256": self.plan_sha256,
            "passed": self.passed,
            "violations": self.violations,
            "not_stated": [check.name for check in self.checks if check.status is Status.NOT_STATED],
            "runs": {
                "planned": self.planned,
                "over": self.over,
                "ok": self.over - self.failed,
                "failed": self.failed,
                "left": self.planned - self.over,
            },
            "checks": [check.to_json() for check in self.checks],
        }


@dataclass(frozen=True)
class _Asked:
    """What checks are made of."""

    reading: Reading
    """The study."""
    found: Sequence[Place]
    """Its places."""
    rising: Sequence[str]
    """The levels whose prompts grow."""


_CHECKS: Mapping[str, Callable[[_Asked], Check]] = {
    "counts": lambda asked: checks_records.counts(asked.found),
    "failed": lambda asked: checks_records.failed(asked.found),
    "truncated": lambda asked: checks_records.truncated(asked.found),
    "rising": lambda asked: checks_records.rising(asked.reading, asked.found, asked.rising),
    "scores": lambda asked: checks_records.scores(asked.reading, asked.found),
    "energy": lambda asked: checks_records.energy(asked.reading, asked.found),
    "configurations": lambda asked: checks_records.configurations(asked.found),
    "duplicates": lambda asked: checks_folder.duplicates(asked.reading, asked.found),
    "records": lambda asked: checks_folder.records(asked.reading, asked.found),
    "texts": lambda asked: checks_folder.texts(asked.reading, asked.found),
    "table": lambda asked: checks_folder.table(asked.reading, asked.found),
}
CHECKS = tuple(_CHECKS)
"""Names of the checks, in the order in which they are made."""


def check_study(
    reading: Reading, *, rising: Sequence[str] | None = None, without: Sequence[str] = ()
) -> Checks:
    """Check a study as far as it has come.

    Args:
        reading: the study.
        rising: the levels whose prompts grow, in order; None for those of `RISING` that it has.
        without: names of checks that are left out, and said to be.

    Raises:
        InputError: if there is no such check, the study has no such level, or fewer than two are named.
        EvidenceError: if its ledger cannot be read.
    """
    for name in without:
        if name not in _CHECKS:
            raise InputError(
                "there is no such check", where="--without", got=name, expected=f"one of {', '.join(CHECKS)}"
            )
    loads = [load.name for load in reading.spec.loads]
    for level in rising or ():
        if level not in loads:
            raise InputError(
                "the study has no such level",
                where="--rising",
                got=level,
                expected=f"one of {', '.join(loads)}",
            )
    if rising is not None and (len(rising) < 2 or len(set(rising)) < len(rising)):
        raise InputError(
            "prompts rise between at least two different levels",
            where="--rising",
            got=", ".join(rising) or None,
            expected=", ".join(loads),
        )
    found = places(reading)
    asked = _Asked(reading, found, RISING if rising is None else rising)
    made = tuple(
        Check(name, Status.LEFT_OUT, 0, reason="left out by --without") if name in without else check(asked)
        for name, check in _CHECKS.items()
    )
    return Checks(
        study=reading.spec.name,
        plan_sha256=str(reading.head["plan_sha256"]),
        planned=len(found),
        over=sum(place.record is not None for place in found),
        failed=sum(place.record is not None and not place.ok for place in found),
        checks=made,
    )
