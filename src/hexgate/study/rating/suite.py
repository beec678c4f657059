"""What a study's models are rated by: which of its questions, when an answer is accepted, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.contract.canonical import canonical_bytes, sha256_bytes
from hexgate.errors import EvidenceError, InputError
from hexgate.metrics.rating_parts import SCHEME
from hexgate.study.quality.marks import JUDGE
from hexgate.study.rating.spec import RatingSpec, Rule
from hexgate.study.reading import Reading

__all__ = ["JUDGE_MOST", "Accepting", "Suite", "suite_of"]

JUDGE_MOST = 10.0
"""The greatest total of a judge."""
_WRITE = (
    "write in the block rating what accepts an answer, such as accepted: [{measure: exact_match, least: 1}]"
)


@dataclass(frozen=True)
class Accepting:
    """One measure, and the value from which on it accepts."""

    measure: str
    """Name of the measure."""
    least: float
    """Least value that accepts, in the measure's own unit."""


@dataclass(frozen=True)
class Suite:
    """The questions that models are rated by, and what is held against their answers."""

    name: str
    """What it is called."""
    sha256: str
    """Digest of the questions, the rules, and the measures as they were."""
    rules: Mapping[str, tuple[Accepting, ...]]
    """By task what an answer must pass, all of it. A task without a rule is not in the suite."""
    left_out: tuple[str, ...]
    """The study's other tasks."""
    quality: str | None
    """The measure whose value is the quality of an answer; None where there is none from 0 to 1."""

    @property
    def title(self) -> str:
        """Name and digest: what is compared."""
        return f"{self.name} sha256:{self.sha256}"

    def accepts(self, record: Mapping[str, Any]) -> bool | None:
        """Whether a run's answer is accepted; None where one of its measures has no value, and none refuses it."""
        passed = [_passes(rule, record) for rule in self.rules[record["task"]]]
        if False in passed:
            return False
        return None if None in passed else True

    def quality_of(self, record: Mapping[str, Any]) -> float | None:
        """Quality of a run's answer, 0 to 1; None where nobody scored it.

        Raises:
            EvidenceError: if a judge's total cannot be one.
        """
        value = None if self.quality is None else _value(record, self.quality)
        if value is None or self.quality != JUDGE:
            return value
        if not 0.0 <= value <= JUDGE_MOST:
            raise EvidenceError(
                "the total of a judge is not from 0 to 10", where=f"run {record['run_id']}", got=str(value)
            )
        return value / JUDGE_MOST


def suite_of(reading: Reading, block: RatingSpec) -> Suite:
    """The suite of a study by its block `rating`.

    Args:
        reading: the study.
        block: the block.

    Raises:
        InputError: if nothing says which answers are accepted, or a rule names what there is none of.
    """
    tasks = [task.name for task in reading.spec.tasks]
    rules = _rules(reading, block, tasks)
    used = sorted({rule.measure for each in rules.values() for rule in each})
    quality = _quality(reading, used)
    measures = reading.marks.measures
    cells = sorted(
        (cell.to_json() for cell in reading.plan.cells if cell.task in rules),
        key=lambda cell: (cell["task"], cell["load"], cell["item"]),
    )
    digest = {
        "cells": cells,
        "rules": {task: [[rule.measure, rule.least] for rule in each] for task, each in rules.items()},
        "measures": {
            name: measures[name].sha256 if name in measures else None
            for name in sorted({*used, *([] if quality is None else [quality])})
        },
    }
    return Suite(
        name=block.suite or reading.spec.name,
        sha256=sha256_bytes(canonical_bytes(digest)),
        rules=rules,
        left_out=tuple(task for task in tasks if task not in rules),
        quality=quality,
    )


def _rules(reading: Reading, block: RatingSpec, tasks: Sequence[str]) -> dict[str, tuple[Accepting, ...]]:
    """By task, in the order of the study, what accepts; tasks without a rule are left out."""
    declared = block.accepted or _by_judge(reading)
    named = {task for rule in declared for task in rule.tasks}
    found: dict[str, tuple[Accepting, ...]] = {}
    for task in tasks:
        own = [rule for rule in declared if task in rule.tasks or (not rule.tasks and task not in named)]
        if own:
            found[task] = tuple(_accepting(reading, rule) for rule in own)
    return found


def _by_judge(reading: Reading) -> tuple[Rule, ...]:
    """What holds where the block names no rule: the judge's, if the study has one."""
    judge = reading.spec.judge
    if judge is not None or JUDGE in reading.marks.measures:
        return (Rule(JUDGE, None, () if judge is None else judge.tasks),)
    raise InputError(
        "nothing says which answers are accepted, and the study has no judge",
        where="rating.accepted",
        hint=_WRITE,
    )


def _accepting(reading: Reading, rule: Rule) -> Accepting:
    declared = [one.measure for one in reading.spec.quality]
    marked = [one for one in reading.marks.measures if one != JUDGE]
    name = rule.measure or next(iter([*declared, *marked]), None)
    if name is None:
        raise InputError(
            "a rule names no measure, and the study has measured none", where="rating.accepted", hint=_WRITE
        )
    measure = reading.marks.measures.get(name)
    if measure is not None and not measure.higher_is_better:
        raise InputError(
            "a lower value of this measure is better, so that no least value accepts",
            where="rating.accepted",
            got=name,
            hint=_WRITE,
        )
    return Accepting(name, SCHEME.tau if rule.least is None else rule.least)


def _quality(reading: Reading, used: Sequence[str]) -> str | None:
    """The judge where there is one, else the only measure of the rules if all of its values are from 0 to 1."""
    if JUDGE in reading.marks.measures:
        return JUDGE
    if len(used) != 1 or used[0] not in reading.marks.measures:
        return None
    values = (_value(record, used[0]) for record in reading.records)
    return used[0] if all(value is None or 0.0 <= value <= 1.0 for value in values) else None


def _passes(rule: Accepting, record: Mapping[str, Any]) -> bool | None:
    value = _value(record, rule.measure)
    return None if value is None else value >= rule.least


def _value(record: Mapping[str, Any], measure: str) -> float | None:
    mark = record["quality"].get(measure)
    return None if mark is None else mark["value"]
