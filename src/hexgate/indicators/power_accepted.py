"""Which answers of a study are accepted, by the rules that its artifact states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MOST_UNMARKED", "Acceptance"]

MOST_UNMARKED = 0.01
"""Where a larger share of the answers has no mark, nobody knows how many are accepted."""


@dataclass(frozen=True)
class Acceptance:
    """What became of the runs of the tasks that have a rule."""

    rows: tuple[Mapping[str, Any], ...]
    """These runs, failed ones among them."""
    each: tuple[bool, ...]
    """Whether each is accepted; a failed run, or one without a mark, is not. Empty where nobody knows."""
    why: str | None
    """Why nobody knows; None where it is known."""

    @classmethod
    def of(
        cls,
        rules: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        rows: Sequence[Mapping[str, Any]],
        no_rule: str,
    ) -> Acceptance:
        """The acceptance of runs.

        Args:
            rules: by task the measures that an answer must pass, all of them, each with its `least` value; None for no
                rule.
            rows: the runs that were made, failed ones among them.
            no_rule: why there is no rule, where there is none.
        """
        if rules is None:
            return cls((), (), no_rule)
        judged = tuple(row for row in rows if row["task"] in rules)
        if not judged:
            return cls((), (), "no run was made of a task that has a rule of acceptance")
        each: list[bool] = []
        unmarked, why = 0, ""
        for row in judged:
            passed = [_passes(rule, row) for rule in rules[row["task"]]] if row["status"] == "ok" else [False]
            each.append(all(passed))
            if None in passed and False not in passed:
                unmarked, why = unmarked + 1, why or _why(rules[row["task"]], row)
        answers = sum(row["status"] == "ok" for row in judged)
        if unmarked > MOST_UNMARKED * answers:
            return cls((), (), f"{unmarked} of {answers} answers have no mark ({why})")
        return cls(judged, tuple(each), None)


def _passes(rule: Mapping[str, Any], row: Mapping[str, Any]) -> bool | None:
    mark = row["quality"].get(rule["measure"])
    if mark is None or mark["value"] is None:
        return None
    passed: bool = mark["value"] >= rule["least"]
    return passed


def _why(rules: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> str:
    lacking = next(rule["measure"] for rule in rules if _passes(rule, row) is None)
    mark = row["quality"].get(lacking)
    return f"{lacking}: {'it was not measured' if mark is None else mark['reason']}"
