"""What a rating is made of, and what it says."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from hexgate.errors import InputError
from hexgate.stats.interval import Interval

__all__ = [
    "SCHEME",
    "Basis",
    "Estimate",
    "Floor",
    "Form",
    "Rating",
    "Reason",
    "Reference",
    "Scheme",
    "Served",
]


class Form(str, Enum):
    """What a failure is."""

    ACCEPTED = "accepted"
    """An answer that a check or a judge does not accept."""
    GRADED = "graded"
    """The part that an answer's quality lacks to 1."""


@dataclass(frozen=True)
class Scheme:
    """Class limits and parameters under one version. A version never changes; another one is not compared with it."""

    version: str = "hexgate-rating/1"
    """Its name."""
    steps: tuple[float, ...] = (0.41, 0.51, 0.64, 0.80, 1.00, 1.25)
    """Greatest index of the classes A to F; above the last is G."""
    tau: float = 7.0
    """Least total of a judge, of 10, that accepts an answer."""
    level: float = 0.95
    """Confidence of every interval."""
    resamples: int = 10_000
    """Resamples of every bootstrap."""
    seed: int = 0
    """Seed of their PCG64."""
    least_questions: int = 10
    """Fewer questions are not rated."""
    least_scored: float = 0.99
    """Least share of the completed answers that have a score, in the rating's own form and in each measure that has a
    floor. In the index the rest counts as failed."""


SCHEME = Scheme()
"""The scheme of this version of hexgate."""


@dataclass(frozen=True)
class Basis:
    """What figures were measured on. Two ratings are compared only where all of it is the same."""

    suite: str
    """Digest of the suite of questions."""
    device: str
    """Class of device, such as ``Jetson AGX Orin 64 GB, 30 W``."""
    scope: str
    """What the meter sees: ``board``, ``module``, ``node``, ``wall``, ..."""
    energy: str = "gross"
    """``gross``, or ``net`` of the idle power."""
    cache: str = "cold"
    """``cold`` prompts, or ``warm`` ones that the server had seen."""
    load: str = "sequential"
    """``sequential``, or ``concurrency N``."""
    scheme: str = SCHEME.version
    """Version of the scheme."""

    def to_json(self) -> dict[str, str]:
        """The basis by field."""
        return asdict(self)


@dataclass(frozen=True)
class Served:
    """One request of the suite.

    Raises:
        InputError: if a number is impossible.
    """

    question: str
    """Id of the question. Requests of one question are one cluster."""
    energy_j: float | None
    """Energy of the request; None where it was not measured."""
    accepted: bool | None = None
    """Whether the answer was accepted; None where nobody checked."""
    quality: float | None = None
    """Quality of the answer, 0 to 1; None where nobody scored it."""
    completed: bool = True
    """Whether there was an answer at all. One that is missing is a failure, not a missing score."""
    truncated: bool | None = False
    """Whether the answer was cut at its greatest length; None where that is not known."""
    output_tokens: int | None = None
    """Tokens of the answer; None where that is not known."""
    estimated: bool = False
    """Whether the energy comes from declared watts instead of a meter."""

    def __post_init__(self) -> None:
        if self.energy_j is not None and not math.isfinite(self.energy_j):
            raise InputError(
                "an energy is not finite", where=f"question {self.question}", got=str(self.energy_j)
            )
        if self.quality is not None and not 0.0 <= self.quality <= 1.0:
            raise InputError(
                "a quality is not from 0 to 1", where=f"question {self.question}", got=str(self.quality)
            )
        if self.output_tokens is not None and self.output_tokens < 0:
            raise InputError(
                "a count of tokens is below 0", where=f"question {self.question}", got=str(self.output_tokens)
            )


@dataclass(frozen=True)
class Reference:
    """The frozen reference model that failures escalate to.

    Raises:
        InputError: if its energy is not above zero.
    """

    name: str
    """Which model, with its version."""
    basis: Basis
    """What it was measured on."""
    joules_per_accepted: float
    """E_fb: its energy per accepted answer; in the graded form per unit of quality."""
    form: Form = Form.ACCEPTED
    """What a failure is, here and in ratings against it."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.joules_per_accepted) and self.joules_per_accepted > 0):
            raise InputError(
                "the reference's energy is not above zero", where=self.name, got=str(self.joules_per_accepted)
            )


@dataclass(frozen=True)
class Floor:
    """The least quality for a use. Below it a model is not rated, however little it needs.

    Raises:
        InputError: if neither acceptance nor quality has a floor, or a value is not from 0 to 1.
    """

    acceptance: float | None = None
    """Least acceptance rate; None for none."""
    quality: float | None = None
    """Least mean quality; None for none."""
    margin: float = 0.05
    """How far the one-sided lower bound of either may lie below its floor; the value itself may not."""
    completion: float = 0.99
    """Least share of requests with an answer."""
    truncation: float = 0.02
    """Greatest share of answers that were cut at their greatest length."""

    def __post_init__(self) -> None:
        if self.acceptance is None and self.quality is None:
            raise InputError("a floor needs a least acceptance rate, a least quality or both")
        for name, value in asdict(self).items():
            if value is not None and not 0.0 <= value <= 1.0:
                raise InputError(f"the floor's {name} is not from 0 to 1", got=str(value))


@dataclass(frozen=True)
class Reason:
    """Why a model is not rated, or a figure does not exist."""

    rule: str
    """Id of the rule."""
    en: str
    """In English, with what was found and what is needed."""
    zh: str
    """In Chinese."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval, or the reason why there is none."""

    value: float | None
    """The figure."""
    interval: Interval | None
    """Its interval over questions."""
    reason: Reason | None
    """Why there is no figure."""

    def to_json(self) -> dict[str, Any]:
        """The estimate as a JSON object."""
        interval = None if self.interval is None else self.interval.to_json()
        reason = None if self.reason is None else asdict(self.reason)
        return {"value": self.value, "interval": interval, "reason": reason}


@dataclass(frozen=True)
class Rating:
    """What a model costs for what it gives."""

    letter: str | None
    """Its class, of the upper end of the index's interval; None where it is not rated."""
    letters: tuple[str, str] | None
    """The classes of both ends of the interval."""
    index: Estimate | None
    """The escalation index EEI; None where it is not rated."""
    refusals: tuple[Reason, ...]
    """Why it is not rated; empty where it is."""
    scheme: str
    """Version of the scheme."""
    basis: Basis
    """What it was measured on."""
    reference: Reference | None
    """What it is compared with; None where that is not rated itself, so that there is no index."""
    floor: Floor
    """The least quality."""
    form: Form
    """What a failure is."""
    requests: int
    """All requests."""
    questions: int
    """Different questions among them."""
    unscored: int
    """Answers without a score, which the index leaves out (rule `scores`)."""
    joules_per_request: Estimate
    """E."""
    joules_per_output_token: Estimate
    """All energy over all output tokens."""
    joules_per_accepted: Estimate
    """EPA: E / p, or E / mean q in the graded form."""
    accepted_per_joule: Estimate
    """Accuracy per joule, its reciprocal. It rewards cheap and bad models; shown, not graded."""
    acceptance: Estimate
    """Acceptance rate; the interval is one of questions."""
    quality: Estimate
    """Mean quality over questions."""

    def to_json(self) -> dict[str, Any]:
        """The rating as a JSON object."""
        estimates = {
            name: getattr(self, name).to_json()
            for name in (
                "joules_per_request",
                "joules_per_output_token",
                "joules_per_accepted",
                "accepted_per_joule",
                "acceptance",
                "quality",
            )
        }
        return {
            "scheme": self.scheme,
            "letter": self.letter,
            "letters": None if self.letters is None else list(self.letters),
            "index": None if self.index is None else self.index.to_json(),
            "refusals": [asdict(refusal) for refusal in self.refusals],
            "form": self.form.value,
            "basis": self.basis.to_json(),
            "reference": None
            if self.reference is None
            else {
                "name": self.reference.name,
                "joules_per_accepted": self.reference.joules_per_accepted,
            },
            "floor": asdict(self.floor),
            "requests": self.requests,
            "questions": self.questions,
            "unscored": self.unscored,
            **estimates,
        }
