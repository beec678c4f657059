"""What a measure of quality is: a reply and what belongs to it in, a value or a reason out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Protocol, get_type_hints

from hexgate.errors import InputError

__all__ = ["QUALITY", "Item", "Quality", "QualityScorer", "check_choice", "open_quality"]

QUALITY: dict[str, str] = {
    "exact_match": "hexgate.scorers.text_quality:open_exact_match",
    "contains": "hexgate.scorers.text_quality:open_contains",
    "token_f1": "hexgate.scorers.text_quality:open_token_f1",
    "distinct": "hexgate.scorers.text_quality:open_distinct",
    "repetition": "hexgate.scorers.text_quality:open_repetition",
    "self_bleu": "hexgate.scorers.text_quality:open_self_bleu",
    "bartscore": "hexgate.scorers.bart_quality:open_scorer",
    "bertscore": "hexgate.scorers.bertscore:open_scorer",
    "rouge": "hexgate.scorers.rouge:open_scorer",
    "code_tests": "hexgate.scorers.code_tests:open_scorer",
}
"""Measures of quality by name: where each is opened. What they need is imported only then."""


@dataclass(frozen=True)
class Item:
    """One reply of a model, and what it is measured against."""

    id: str
    """Names it among its like."""
    prompt: str
    """What was asked."""
    reply: str
    """What was answered."""
    references: tuple[str, ...] = ()
    """Answers that are right; none where there are none."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else belongs to it: model, level, repeat; and the tests of a program."""


@dataclass(frozen=True)
class Quality:
    """What a measure says of one reply: a value, or the reason why there is none."""

    value: float | None
    """In the unit of the measure; None where it could not be measured, which is never 0."""
    reason: str | None
    """Why there is no value; None where there is one."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What the value is made of, as JSON values by name."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError("a reply has either a value or a reason why not")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError("a value is a finite number")


class QualityScorer(Protocol):
    """Measures replies. An instance holds no state: the same items give the same values, in any order."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value is better."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides a value, as JSON: definition, options, digests, versions. Only equal ones compare."""

    def score(self, items: Sequence[Item]) -> list[Quality]:
        """Measure items, one result each, in their order."""


def open_quality(name: str, options: Mapping[str, Any] | None = None) -> QualityScorer:
    """The measure of a name of `QUALITY`, with its options as a study's spec gives them.

    Raises:
        InputError: for any other name, with the nearest one; for an option that is unknown, missing or of a wrong type;
            and for what the measure itself refuses.
        MissingExtra: if the packages that it needs are not installed.
    """
    if name not in QUALITY:
        near = get_close_matches(name, QUALITY, n=1)
        raise InputError(
            f"there is no measure of quality named {name!r}",
            expected=f"one of {', '.join(QUALITY)}",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    module, _, attribute = QUALITY[name].partition(":")
    factory: Callable[..., QualityScorer] = getattr(import_module(module), attribute)
    given = dict(options or {})
    _check_options(name, factory, given)
    return factory(**given)


def check_choice(value: str, choices: Collection[str], where: str) -> None:
    """Go on only with a value that is among the choices.

    Raises:
        InputError: for any other.
    """
    if value not in choices:
        raise InputError(
            "this cannot be chosen", where=where, got=repr(value), expected=f"one of {', '.join(choices)}"
        )


def _check_options(name: str, factory: Callable[..., QualityScorer], given: dict[str, Any]) -> None:
    known = inspect.signature(factory).parameters
    kinds = get_type_hints(factory)
    if unknown := sorted(given.keys() - known.keys()):
        raise InputError(
            f"{name} has no option {unknown[0]!r}", expected=f"one of {', '.join(known) or 'none at all'}"
        )
    for option, parameter in known.items():
        where = f"{name}.{option}"
        if option not in given:
            if parameter.default is inspect.Parameter.empty:
                raise InputError(f"{name} needs the option {option!r}", where=where, got="nothing")
            continue
        value, kind = given[option], kinds[option]
        # A bool is an int to Python, and `n: true` is a mistake.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            said = getattr(kind, "__name__", str(kind))
            raise InputError("an option of a wrong type", where=where, got=repr(value), expected=said)
