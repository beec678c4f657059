"""ROUGE by the library rouge-score, with words that are Chinese characters too.

The library's own words are runs of a-z and 0-9, so that every Chinese text has none and scores 0. Given the words of
`hexgate.metrics.words`, ASCII text scores as before and Chinese by its characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hexgate.errors import MissingExtra
from hexgate.metrics.words import words
from hexgate.scorers.quality import Item, Quality, check_choice

__all__ = ["RougeQuality", "open_scorer"]

_MEASURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class _Words:
    """What the library takes for a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


@dataclass(frozen=True)
class RougeQuality:
    """A `QualityScorer`: F of a ROUGE measure, 0 to 1, against the reference that fits best."""

    measure: str
    """Which measure is the value: ``rouge1``, ``rouge2``, ``rougeL`` or, lines apart, ``rougeLsum``."""
    scorer: Any
    """The library's scorer."""
    name: str = "rouge"
    """Name in the registry."""
    higher_is_better: bool = True
    """Whether a higher value is better."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides a value, as JSON."""
        return {
            "definition": "rouge/1",
            "measure": self.measure,
            "words": "latin words and chinese characters, no stemmer",
            "references": "best",
            "versions": {"rouge-score": version("rouge-score")},
        }

    def score(self, items: Sequence[Item]) -> list[Quality]:
        """Measure items, one result each, in their order."""
        return [self._quality(item) for item in items]

    def _quality(self, item: Item) -> Quality:
        if not item.references:
            return Quality(None, "no references")
        if not all(map(words, item.references)):
            return Quality(None, "a reference without words")
        found = self.scorer.score_multi(list(item.references), item.reply)
        parts = {f"{name}_f": float(found[name].fmeasure) for name in _MEASURES}
        chosen = found[self.measure]
        parts |= {"precision": float(chosen.precision), "recall": float(chosen.recall)}
        return Quality(float(chosen.fmeasure), None, parts)


def open_scorer(measure: str = "rougeL") -> RougeQuality:
    """ROUGE (Lin 2004), without stemming.

    Args:
        measure: which of the measures is the value; the others stand in the parts.

    Raises:
        InputError: for another measure.
        MissingExtra: without rouge-score.
    """
    check_choice(measure, _MEASURES, "rouge.measure")
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise MissingExtra("quality", "ROUGE") from None
    return RougeQuality(measure, RougeScorer(list(_MEASURES), tokenizer=_Words()))
