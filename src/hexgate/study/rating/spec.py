"""The block `rating` of a study's file: which answers are accepted, the floor, and what a model is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from hexgate.errors import InputError
from hexgate.metrics.rating_parts import Floor
from hexgate.scorers.quality import QUALITY
from hexgate.study.keys import Keys
from hexgate.study.quality.marks import JUDGE

__all__ = ["RatingSpec", "Rule", "read_rating"]

_ENERGY = {"gross": "gross", "net": "net"}
_MEASURES = (*QUALITY, JUDGE)
_MOST = 1e9


@dataclass(frozen=True)
class Rule:
    """When an answer is accepted."""

    measure: str | None
    """The measure of quality; None for the first one of the study that is not the judge."""
    least: float | None
    """Least value that accepts, in the measure's own unit; None for a judge, for the scheme's tau."""
    tasks: tuple[str, ...] = ()
    """The tasks that it is for; none for those that no other rule names."""


@dataclass(frozen=True)
class RatingSpec:
    """How a study's models are rated. It may change after the study began: no run is another by it."""

    floor: Floor
    """The least quality for the use that is meant."""
    suite: str | None = None
    """Name of the suite; None for the study's name."""
    accepted: tuple[Rule, ...] = ()
    """Which answers are accepted; none for what a judge accepts by the scheme."""
    reference: str | None = None
    """A model of the study, or a file that a reference was frozen to."""
    energy: str = "gross"
    """``gross``, or ``net`` of the idle power."""

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> RatingSpec:
        """The block that a study's head keeps.

        Raises:
            KeyError, TypeError: if it is no such block.
            InputError: if its floor is none.
        """
        rules = tuple(Rule(**{**one, "tasks": tuple(one["tasks"])}) for one in block["accepted"])
        return cls(**{**block, "floor": Floor(**block["floor"]), "accepted": rules})


def read_rating(keys: Keys, tasks: Sequence[str]) -> RatingSpec | None:
    """The block of a study's file; None where there is none.

    Args:
        keys: those of the whole file.
        tasks: names of the study's tasks.

    Raises:
        InputError: at the first mistake, with the path of its key.
    """
    value = keys.raw("rating")
    if value is None:
        return None
    block = keys.inner("rating", value)
    accepted = block.raw("accepted")
    if accepted is not None and (not isinstance(accepted, list) or not accepted):
        block.refuse(
            "accepted", "accepted is not a list with an entry", got=repr(accepted)[:80], expected="a list"
        )
    rules = [block.inner(f"accepted[{place}]", one) for place, one in enumerate(accepted or ())]
    spec = RatingSpec(
        floor=_floor(block),
        suite=block.text_or_none("suite"),
        accepted=tuple(_rule(one, tasks) for one in rules),
        reference=block.text_or_none("reference"),
        energy=_ENERGY[block.choice("energy", _ENERGY, "gross")],
    )
    block.end()
    return spec


def _rule(keys: Keys, tasks: Sequence[str]) -> Rule:
    measure = keys.text_or_none("measure")
    if measure is not None and measure not in _MEASURES:
        close = get_close_matches(measure, _MEASURES, n=1)
        keys.refuse(
            "measure",
            "measure is none of its words",
            got=repr(measure)[:80],
            expected="one of " + ", ".join(_MEASURES),
            hint=f"did you mean {close[0]}?" if close else None,
        )
    rule = Rule(measure, keys.number_or_none("least", least=-_MOST, most=_MOST), keys.texts("tasks"))
    keys.end()
    for name in rule.tasks:
        if name not in tasks:
            close = get_close_matches(name, tasks, n=1)
            keys.refuse(
                "tasks",
                "the study has no such task",
                got=repr(name)[:80],
                expected="one of " + ", ".join(tasks),
                hint=f"did you mean {close[0]}?" if close else None,
            )
    if rule.least is None and measure != JUDGE:
        keys.refuse(
            "least",
            "nothing says from which value on an answer is accepted",
            got="nothing",
            expected="a number in the unit of the measure",
            hint="write the least value; a judge alone has one by the scheme",
        )
    return rule


def _floor(block: Keys) -> Floor:
    keys = block.below("floor")
    least = (keys.number_or_none("acceptance", most=1.0), keys.number_or_none("quality", most=1.0))
    margin = keys.number("margin", Floor.margin, most=1.0)
    completion = keys.number("completion", Floor.completion, most=1.0)
    truncation = keys.number("truncation", Floor.truncation, most=1.0)
    keys.end()
    try:
        return Floor(*least, margin=margin, completion=completion, truncation=truncation)
    except InputError as error:
        raise InputError(
            error.what,
            where=block.where("floor"),
            hint="declare the least quality for your use, such as floor: {acceptance: 0.7}",
        ) from None
