"""BARTScore of replies: in which direction, and over several references how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from hexgate.scorers.bartscore import BartScorer, PairScore, aggregated
from hexgate.scorers.coverage import languages_named
from hexgate.scorers.quality import Item, Quality, check_choice

__all__ = ["BartQuality", "Direction", "open_scorer"]


class Direction(str, Enum):
    """What is read, and what is then judged by its probability (section 3.2 of the paper)."""

    FAITHFULNESS = "faithfulness"
    """Prompt to reply: does the reply follow from what it was given? Needs no reference."""
    PRECISION = "precision"
    """Reference to reply: is what the reply says in the reference? Leaving out costs nothing."""
    RECALL = "recall"
    """Reply to reference: is what the reference says in the reply? Adding costs nothing."""
    AVG_F = "avg_f"
    """The arithmetic mean of precision and recall, reference by reference."""


@dataclass(frozen=True)
class BartQuality:
    """A `QualityScorer` over `BartScorer`. All four directions stand in the parts; one is the value."""

    scorer: BartScorer
    """The checkpoint."""
    direction: Direction
    """Which direction is the value."""
    aggregate: str
    """``mean`` or ``max`` over the references."""
    name: str = "bartscore"
    """Name in the registry."""
    higher_is_better: bool = True
    """Whether a higher value is better."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides a value, as JSON."""
        return {**self.scorer.identity, "direction": self.direction.value, "references": self.aggregate}

    def score(self, items: Sequence[Item]) -> list[Quality]:
        """Measure items, one result each, in their order."""
        scores = iter(self.scorer.score([pair for item in items for pair in _pairs(item)]))
        return [self._quality(item, [next(scores) for _ in _pairs(item)]) for item in items]

    def _quality(self, item: Item, scores: list[PairScore]) -> Quality:
        read, said, heard = scores[0], scores[1::2], scores[2::2]
        found = {Direction.FAITHFULNESS: read}
        if item.references:
            means = [_mean(*both) for both in zip(said, heard, strict=True)]
            several = {Direction.PRECISION: said, Direction.RECALL: heard, Direction.AVG_F: means}
            found |= {direction: aggregated(each, self.aggregate) for direction, each in several.items()}
        absent = PairScore(None, "no references")
        chosen = found.get(self.direction, absent)
        parts: dict[str, Any] = {each.value: found.get(each, absent).value for each in Direction}
        reasons = {each.value: found.get(each, absent).reason for each in Direction}
        parts["reasons"] = {name: reason for name, reason in reasons.items() if reason is not None}
        parts["truncated"] = chosen.truncated
        return Quality(chosen.value, chosen.reason, parts)


def open_scorer(
    checkpoint: str,
    direction: str = Direction.AVG_F.value,
    references: str = "mean",
    languages: str | None = None,
    device: str = "cpu",
    batch_tokens: int = 4096,
) -> BartQuality:
    """BARTScore with a checkpoint's directory.

    Args:
        checkpoint: the directory.
        direction: a value of `Direction`.
        references: ``mean`` or ``max`` over several of them.
        languages: ``en``, ``zh``, ``en,zh`` or ``any``; by the tokenizer where None.
        device: as torch names it.
        batch_tokens: as `BartScorer.open` takes it.

    Raises:
        InputError: for an option that cannot be, or an unusable checkpoint.
        MissingExtra: without torch and transformers.
    """
    check_choice(direction, [each.value for each in Direction], "bartscore.direction")
    check_choice(references, ["mean", "max"], "bartscore.references")
    named = None if languages is None else languages_named(languages, "bartscore.languages")
    scorer = BartScorer.open(checkpoint, device=device, batch_tokens=batch_tokens, languages=named)
    return BartQuality(scorer, Direction(direction), references)


def _pairs(item: Item) -> list[tuple[str, str]]:
    """Prompt to reply, then for each reference the way there and back."""
    ways = [(item.prompt, item.reply)]
    for reference in item.references:
        ways += [(reference, item.reply), (item.reply, reference)]
    return ways


def _mean(one: PairScore, other: PairScore) -> PairScore:
    return aggregated([one, other], "mean")
