"""Text that carries no information, of a wanted number of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hexgate.datasets.passages import word_count
from hexgate.datasets.tokenizer import Tokenizer

__all__ = ["Padding"]


@dataclass(frozen=True)
class Padding:
    """How much is put in front of which level to make level P."""

    tokens: int = 150
    """At least so many, in whole sentences."""
    on: str = "L3"
    """The level that is padded: ``L3``, so that P is the longest, or ``L0``."""
    tokenizer: Tokenizer | None = None
    """Counts the tokens; None to take each word, mark and Chinese character for one."""

    def text(self, sentences: Sequence[str], joint: str) -> str:
        """Sentences, in their order and over again, until there are enough tokens.

        Args:
            sentences: what they are taken from; at least one.
            joint: what stands between two of them.
        """
        count: Callable[[str], int] = word_count if self.tokenizer is None else self.tokenizer.count
        made = sentences[0]
        place = 1
        while count(made) < self.tokens:
            made += joint + sentences[place % len(sentences)]
            place += 1
        return made

    def to_json(self) -> dict[str, Any]:
        """How the padding was made."""
        counted = (
            "words, marks and Chinese characters" if self.tokenizer is None else self.tokenizer.to_json()
        )
        return {"tokens": self.tokens, "on": self.on, "counted_by": counted}
