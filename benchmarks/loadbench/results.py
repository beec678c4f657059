"""Interleaved rounds, their medians and ratios, and what is printed and kept of a goal."""

from __future__ import annotations

import json
import math
import statistics
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Check", "Contender", "Figures", "Outcome", "Rounds", "Skip", "interleaved", "show", "write"]

Figures = dict[str, float]
"""Figures of one run by name; a unit ends each name."""
Contender = Callable[[int], Figures]
"""Runs once, in the round of that number from 0."""


class Skip(Exception):
    """A contender that cannot take part here, and why."""


@dataclass
class Rounds:
    """All figures of some contenders, round by round."""

    figures: list[dict[str, Figures]] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    """Contenders that took no part or failed, and why."""

    def median(self, name: str, figure: str) -> float | None:
        """The median of one figure of one contender; None if it never gave it."""
        values = [taken[name][figure] for taken in self.figures if figure in taken.get(name, {})]
        return statistics.median(values) if values else None

    def worst(self, name: str, figure: str) -> float | None:
        """The largest of one figure."""
        return max(
            (taken[name][figure] for taken in self.figures if figure in taken.get(name, {})), default=None
        )

    def ratio(self, above: str, below: str, figure: str) -> float | None:
        """The median of the ratios within each round, so that a machine whose speed drifts treats both alike."""
        pairs = [
            (taken.get(above, {}).get(figure), taken.get(below, {}).get(figure)) for taken in self.figures
        ]
        ratios = [a / b for a, b in pairs if a is not None and b]
        return statistics.median(ratios) if ratios else None


def interleaved(contenders: Mapping[str, Contender], runs: int, say: Callable[[str], None]) -> Rounds:
    """Run all contenders in turn, `runs` times. One that cannot take part or fails is left out, with the reason."""
    rounds = Rounds()
    for number in range(runs):
        rounds.figures.append({})
        for name, contender in contenders.items():
            if name in rounds.absent:
                continue
            try:
                taken = contender(number)
            except Skip as reason:
                rounds.absent[name] = str(reason)
                say(f"  {name}: left out: {reason}")
                continue
            except Exception as error:  # noqa: BLE001 - a contender that fails must not end the others' runs
                rounds.absent[name] = f"failed: {error}"
                say(f"  {name}: {''.join(traceback.format_exception(error))}")
                continue
            rounds.figures[-1][name] = taken
            shown = ", ".join(f"{figure} {_number(value)}" for figure, value in taken.items())
            say(f"  round {number + 1} of {runs}, {name}: {shown}")
    return rounds


@dataclass(frozen=True)
class Check:
    """One figure that a goal asks for."""

    what: str
    value: float | None
    """None where it could not be measured."""
    low: float = -math.inf
    high: float = math.inf

    @property
    def reached(self) -> bool | None:
        """Whether the value is within its limits; None where there is none."""
        return None if self.value is None else self.low <= self.value <= self.high

    def limits(self) -> str:
        """The limits in words."""
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Outcome:
    """What one goal came to."""

    goal: int
    title: str
    rounds: Rounds
    columns: Sequence[str]
    """Figures shown of each contender, in order."""
    checks: Sequence[Check]
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it, with the figures of every round."""
        return {
            "goal": self.goal,
            "title": self.title,
            "checks": [
                {"what": check.what, "value": check.value, "limits": check.limits(), "reached": check.reached}
                for check in self.checks
            ],
            "rounds": self.rounds.figures,
            "absent": self.rounds.absent,
            "notes": list(self.notes),
        }


def show(outcome: Outcome) -> None:
    """Print the medians of the contenders, then the figures asked for."""
    print(f"\nGoal {outcome.goal}: {outcome.title}")
    names = list(dict.fromkeys(name for taken in outcome.rounds.figures for name in taken))
    table = [["", *outcome.columns]]
    for name in names:
        values = (outcome.rounds.median(name, figure) for figure in outcome.columns)
        table.append([name, *("" if value is None else _number(value) for value in values)])
    _print(table)
    for name, reason in outcome.rounds.absent.items():
        print(f"  {name}: {reason.splitlines()[0]}")
    print()
    words = {True: "reached", False: "MISSED", None: "not measured"}
    rows = [["", "measured", "asked", ""]]
    for check in outcome.checks:
        value = "" if check.value is None else _number(check.value)
        rows.append([check.what, value, check.limits(), words[check.reached]])
    _print(rows)
    for note in outcome.notes:
        print(f"  {note}")
    sys.stdout.flush()


def _print(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join([row[0].ljust(len(first)), *rest]).rstrip())


def _number(value: float) -> str:
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f"{value:.4g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2e}"


def write(path: Path, machine: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Keep everything as JSON."""
    document = {"machine": dict(machine), "goals": [outcome.to_json() for outcome in outcomes]}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
