"""What a judge said of a set of answers: scores, what is missing and why, the judge's own noise, and its bill."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import variance
from typing import Any

from hexgate.scorers.judge_prompt import DIMENSIONS
from hexgate.scorers.judge_reply import Scores

__all__ = ["TOTALS", "Bill", "JudgeReport", "Judged", "Noise", "noise_of"]

TOTALS = ("total", "total_without_conciseness")
"""The sums that are computed here, never by the judge."""


@dataclass(frozen=True)
class Judged:
    """One answer, as the judge saw it."""

    id: str
    """Id of the item."""
    scores: Scores | None
    """The first judgement; None where there is none, which is never 0."""
    missing: str | None
    """Why there are no scores; None where there are some."""
    rationales: Mapping[str, str]
    """The judge's reason for each score, by dimension."""
    repeats: tuple[Scores, ...]
    """All judgements of the same answer, the first one included, where it was drawn for repeats; else empty."""
    language: str
    """Language of the rubric, ``en`` or ``zh``."""
    reply_characters: int
    """Length of the answer, so that a liking for long answers can be looked for."""
    settled: bool = True
    """Whether it stays as it is; False where a later run asks for it (again)."""

    def __post_init__(self) -> None:
        """Refuse a judgement that is neither there nor missing."""
        if (self.scores is None) == (self.missing is None):
            raise ValueError("an answer has either scores or a reason why not")

    def to_json(self) -> dict[str, Any]:
        """The judgement as a row, with both sums."""
        scores = self.scores
        return {
            "id": self.id,
            **dict.fromkeys(DIMENSIONS),
            **({} if scores is None else scores.to_json()),
            "total": None if scores is None else scores.total,
            "total_without_conciseness": None if scores is None else scores.total_without_conciseness,
            "missing": self.missing,
            "rationales": dict(self.rationales),
            "repeats": [each.to_json() for each in self.repeats],
            "language": self.language,
            "reply_characters": self.reply_characters,
        }


@dataclass(frozen=True)
class Noise:
    """How far judgements of one answer by the same judge lie apart."""

    sd: float | None
    """Standard deviation within an answer, pooled over answers; None where no answer has two judgements."""
    answers: int
    """How many answers have two judgements or more."""


@dataclass(frozen=True)
class Bill:
    """The calls, their tokens and their cost, those of earlier processes on the same ledger included."""

    calls: int
    """Calls that came to an end."""
    malformed: int
    """Of these, replies without scores."""
    failed: int
    """Of these, calls without a reply."""
    lost: int
    """Calls that were under way when a process died; not among `calls`."""
    forms: Mapping[str, int]
    """Replies by how their form was asked for: ``json_schema`` or ``plain``."""
    prompt_tokens: int
    """Tokens of prompts, as far as the server counted them."""
    output_tokens: int
    """Tokens of replies, likewise."""
    uncounted: int
    """Replies for which the server stated no counts."""
    cost: float | None
    """What is known to be spent; None without prices."""
    cost_at_most: float | None
    """The same, and the most that lost, broken off and uncounted calls may have cost; None without prices."""
    currency: str | None
    """What prices and budget are in; None without prices."""


@dataclass(frozen=True)
class JudgeReport:
    """All judgements of one run."""

    judge: Mapping[str, Any]
    """Who judged: endpoint without credentials, model and settings."""
    rubric: Mapping[str, str]
    """The rubric's version, and the digest of its texts by language."""
    seed: int
    """Seed of the order in which answers were judged, and of the draw of those judged repeatedly."""
    judged: tuple[Judged, ...]
    """One for each item, in the items' order."""
    noise: Mapping[str, Noise]
    """The judge's noise, by dimension and for both sums."""
    bill: Bill
    """What it took."""
    stopped: str | None
    """Why the run ended before all items had their turn; None where it did not."""

    def values(self, name: str) -> list[float]:
        """Scores of a dimension or a sum, of all answers that have them, in the items' order.

        Raises:
            ValueError: for any other name.
        """
        if name not in DIMENSIONS and name not in TOTALS:
            raise ValueError(f"{name} is neither a dimension nor a sum")
        return [float(getattr(each.scores, name)) for each in self.judged if each.scores is not None]

    def mean(self, name: str) -> float | None:
        """The mean of a dimension or a sum over the answers that have scores; None where none has.

        Raises:
            ValueError: for any other name.
        """
        found = self.values(name)
        return math.fsum(found) / len(found) if found else None

    def missing(self) -> dict[str, int]:
        """How many answers have no scores, by reason."""
        return dict(Counter(each.missing for each in self.judged if each.missing is not None))

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "judge": dict(self.judge),
            "rubric": dict(self.rubric),
            "seed": self.seed,
            "scored": sum(each.scores is not None for each in self.judged),
            "missing": self.missing(),
            "means": {name: self.mean(name) for name in (*DIMENSIONS, *TOTALS)},
            "noise": {name: asdict(noise) for name, noise in self.noise.items()},
            "bill": asdict(self.bill),
            "stopped": self.stopped,
            "judged": [each.to_json() for each in self.judged],
        }


def noise_of(judged: Sequence[Judged]) -> dict[str, Noise]:
    """The noise of a judge, by dimension and for both sums: the root of the mean variance within an answer."""
    several = [each.repeats for each in judged if len(each.repeats) > 1]
    found = {}
    for name in (*DIMENSIONS, *TOTALS):
        spreads = [variance([float(getattr(one, name)) for one in repeats]) for repeats in several]
        found[name] = Noise(math.sqrt(math.fsum(spreads) / len(spreads)) if spreads else None, len(spreads))
    return found
