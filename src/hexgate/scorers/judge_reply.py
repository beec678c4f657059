"""A judge's reply as scores, or why it is none. Nothing is guessed, clamped or rounded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hexgate.scorers.judge_prompt import DIMENSIONS, STEPS
from hexgate.wire.reply import whole_text

__all__ = ["Malformed", "Scores", "read_reply"]

_MOST_CHARACTERS = 65_536
_MOST_OBJECTS = 64
_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_MARKER = re.compile(r"</?think", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?<![a-z])(?:{'|'.join(DIMENSIONS)})(?![a-z])|事实性|有用性|结构|简洁性", re.IGNORECASE
)
"""A dimension, by the names that the rubric has for it."""


class Malformed(ValueError):
    """A reply that holds no scores; `args[0]` says why."""


@dataclass(frozen=True)
class Scores:
    """One judgement: four scores from 0 to 2.5 in half points."""

    factuality: float
    """Whether what is stated is true."""
    helpfulness: float
    """Whether the task is done."""
    structure: float
    """Whether it can be followed."""
    conciseness: float
    """Whether all of it serves the question."""

    def __post_init__(self) -> None:
        """Refuse what is not on the grid."""
        for one in fields(self):
            if getattr(self, one.name) not in STEPS:
                raise ValueError(f"{one.name} is not a half point from 0 to 2.5")

    @property
    def total(self) -> float:
        """The sum of all four, 0 to 10."""
        return self.factuality + self.helpfulness + self.structure + self.conciseness

    @property
    def total_without_conciseness(self) -> float:
        """The sum of the other three, 0 to 7.5: conciseness goes with length, and so with energy."""
        return self.factuality + self.helpfulness + self.structure

    def to_json(self) -> dict[str, float]:
        """The scores by dimension."""
        return {name: getattr(self, name) for name in DIMENSIONS}

    @staticmethod
    def of(found: Mapping[str, Any]) -> Scores:
        """From scores by dimension, as `to_json` gives them.

        Raises:
            ValueError: if they are not those.
        """
        if set(found) != set(DIMENSIONS):
            raise ValueError("not the scores of the four dimensions")
        return Scores(**{name: float(found[name]) for name in DIMENSIONS})


def read_reply(text: str) -> tuple[Scores, dict[str, str]]:
    """The scores of a reply, and the reason for each by dimension.

    The object may stand in a fence or between sentences; a leading block of thoughts is left out. What stands around it
    names no dimension and holds no second object that could be the judgement: a judge may quote grades that the answer
    gives itself, and spoil its own. A total or any other plain value beside the four is ignored, because totals are
    computed here.

    Raises:
        Malformed: if there is no such object, or anything that may be another; if a dimension is missing, has no
            rationale or one behind its score; if a score is not a number, out of range or between two half points.
    """
    body = _THOUGHT.sub("", text, count=1).strip()
    if not body:
        raise Malformed("empty")
    if len(body) > _MOST_CHARACTERS:
        raise Malformed(f"longer than {_MOST_CHARACTERS} characters")
    found, around = _objects(body)
    if _MARKER.search(around):
        # They may hold drafts.
        raise Malformed("thoughts without an end" if body.startswith("<think") else "thoughts amid the reply")
    graded = [each for each in found if any(name in each for name in DIMENSIONS)]
    if not graded:
        raise Malformed("no dimension in the JSON object" if found else "no JSON object")
    if len(graded) > 1:
        raise Malformed("two JSON objects with grades")
    if any(_NAMED.search(json.dumps(each)) for each in found if each is not graded[0]):
        raise Malformed("a dimension inside of another JSON object")
    named = _NAMED.search(around)
    if named:
        raise Malformed(f"{named[0].lower()} is named outside of the JSON object")
    return _scores(graded[0])


def _scores(graded: Mapping[str, Any]) -> tuple[Scores, dict[str, str]]:
    numbers: dict[str, float] = {}
    reasons: dict[str, str] = {}
    if any(isinstance(value, (dict, list)) for name, value in graded.items() if name not in DIMENSIONS):
        raise Malformed("an object beside the grades")
    for name in DIMENSIONS:
        one = graded.get(name)
        if one is None:
            raise Malformed(f"{name} is missing")
        if not isinstance(one, dict):
            raise Malformed(f"{name} is no object with rationale and score")
        if any(isinstance(value, (dict, list)) for value in one.values()):
            raise Malformed(f"an object inside of {name}")
        keys = list(one)
        if "score" not in one:
            raise Malformed(f"{name} has no score")
        reason = one.get("rationale")
        if not isinstance(reason, str) or not reason.strip():
            raise Malformed(f"{name} has no rationale")
        if keys.index("rationale") > keys.index("score"):
            raise Malformed(f"{name} has its score before its rationale")
        numbers[name], reasons[name] = _score(name, one["score"]), whole_text([reason.strip()])
    return Scores(**numbers), reasons


def _score(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed(f"the score of {name} is not a number")
    if not 0 <= value <= STEPS[-1]:
        raise Malformed(f"the score of {name} is out of range")
    if value not in STEPS:
        raise Malformed(f"the score of {name} is no half point")
    return STEPS[STEPS.index(value)]


def _objects(text: str) -> tuple[list[dict[str, Any]], str]:
    """The JSON objects in a text, without those inside of others, and the text around them.

    Raises:
        Malformed: if a brace opens no object, or there are too many.
    """
    decoder = json.JSONDecoder(
        parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_each_key_once
    )
    found: list[dict[str, Any]] = []
    around: list[str] = []
    end, at = 0, text.find("{")
    while at >= 0:
        if len(found) == _MOST_OBJECTS:
            raise Malformed(f"more than {_MOST_OBJECTS} JSON objects")
        around.append(text[end:at])
        try:
            value, end = decoder.raw_decode(text, at)
        except Malformed:
            raise
        except (ValueError, RecursionError):
            raise Malformed("a brace that begins no JSON object") from None
        found.append(value)
        at = text.find("{", end)
    return found, " ".join([*around, text[end:]])


def _no_number(token: str) -> Any:
    raise Malformed(f"{token} is no score")


def _finite(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise Malformed("a number beyond the range of a double")
    return value


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key stands twice in one object")
    return found
