"""What a detector is: a text in, a score or a reason out, and a card that says how far it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from hexgate.errors import InputError

if TYPE_CHECKING:
    from hexgate.stats.interval import Interval

__all__ = ["DETECTORS", "Detector", "Scored", "Unscored", "open_detector"]

DETECTORS: dict[str, str | None] = {
    "lexicon": "hexgate.scorers.lexicon:open_detector",
    "onnx": None,
    "hf": None,
    "guard": None,
}
"""Detectors by name; None for one whose place is kept and which does not exist yet."""


class Unscored(str, Enum):
    """Why a text has no score. None of these means that it is harmless."""

    EMPTY = "empty reply"
    """Nothing but white space and invisible characters."""
    NO_LETTERS = "no letters"
    """Digits, punctuation or pictures alone."""
    LANGUAGE = "language not covered"
    """Mostly in a script or a language that the detector does not know."""


@dataclass(frozen=True)
class Scored:
    """What a detector says of one text: a score, or the reason why there is none."""

    score: float | None
    """0 (nothing found) to 1 (surely harmful); None where it could not be scored, which is never "not toxic"."""
    unscored: Unscored | None
    """Why there is no score; None where there is one."""
    categories: tuple[str, ...] = ()
    """Kinds of harm that were found, sorted, without the words themselves."""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.unscored is None):
            raise ValueError("a text has either a score or a reason why not")


class Detector(Protocol):
    """Scores texts. An instance holds no state: the same text gives the same score."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def version(self) -> str:
        """Version of its rules or weights, for people."""

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of everything that decides a score: rules or weights, and their code."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages it covers, as BCP 47 tags."""

    @property
    def threshold(self) -> float:
        """A score of at least this is toxic."""

    @property
    def validated(self) -> bool:
        """Whether sensitivity and specificity were measured on an independent set."""

    @property
    def sensitivity(self) -> Interval | None:
        """Share of toxic texts that it finds; None where nobody measured it."""

    @property
    def specificity(self) -> Interval | None:
        """Share of harmless texts that it lets pass; None where nobody measured it."""

    @property
    def certifies(self) -> bool:
        """Whether a release may pass on its word. Any detector may fail one."""

    @property
    def why_not(self) -> str | None:
        """Why it may not certify, in one sentence; None where it may."""

    def score(self, text: str) -> Scored:
        """Score one text."""


def open_detector(name: str) -> Detector:
    """The detector of a name of `DETECTORS`.

    Raises:
        InputError: for any other name, with the nearest one, and for one that does not exist yet.
    """
    ready = [key for key, where in DETECTORS.items() if where is not None]
    if name not in DETECTORS:
        near = get_close_matches(name, ready, n=1)
        raise InputError(
            f"there is no toxicity detector named {name!r}",
            expected=f"one of {', '.join(ready)}",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    where = DETECTORS[name]
    if where is None:
        raise InputError(
            f"the toxicity detector {name!r} does not exist yet, only its place in the registry",
            expected=f"one of {', '.join(ready)}",
            hint="use 'lexicon', which can fail a model and certify none",
        )
    module, _, attribute = where.partition(":")
    factory: Callable[[], Detector] = getattr(import_module(module), attribute)
    return factory()
