"""The embedded detector: a bilingual list of hashed terms, looked up after the tricks that hide them are undone.

It knows words, not meaning: quoting, denying or discussing a term scores like using it, and harm in polite words
scores nothing. Nobody has measured its sensitivity and specificity on an independent set. So it may fail a model,
and certifies none.

The terms stand in `lexicon_terms.json` as salted, truncated SHA-256 digests, so that the source holds no readable
slurs. `python -m hexgate.scorers.lexicon_build LIST` adds terms from a plain list of your own, which you keep to
yourself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from hexgate.contract.canonical import parse_strict
from hexgate.scorers.base import Scored
from hexgate.scorers.language import not_covered
from hexgate.scorers.normalise import fold, han_runs, spellings, word_views
from hexgate.stats.interval import Interval

__all__ = ["TERMS_FILE", "Lexicon", "Term", "open_detector", "read_terms", "term_hash"]

TERMS_FILE = "lexicon_terms.json"
MAX_WORDS = 4
MAX_HAN = 6
MAX_ALLOWED = 8

_SALT = b"hexgate lexicon 1\x00"
_SCORES = {1: 0.5, 2: 0.75, 3: 1.0}
_DECIDES = (TERMS_FILE, "lexicon.py", "normalise.py", "language.py", "english_words.py")


class Term(NamedTuple):
    """What is known of a hashed term."""

    category: str
    """``insult``, ``threat``, ``identity``, ``profanity`` or ``sexual``."""
    strength: int
    """1 mild, 2 strong, 3 severe."""


@lru_cache(maxsize=1 << 17)
def term_hash(term: str) -> str:
    """The first 8 bytes, in hex, of the salted SHA-256 of a normalised term."""
    return hashlib.sha256(_SALT + term.encode()).hexdigest()[:16]


def read_terms(document: Mapping[str, Any]) -> dict[str, Term]:
    """The terms of one language, hash to term, from its part of the terms file."""
    found = {}
    for key, hashes in document["terms"].items():
        category, _, strength = key.partition(":")
        found.update(dict.fromkeys(hashes, Term(category, int(strength))))
    return found


@dataclass(frozen=True)
class Lexicon:
    """The detector. See `hexgate.scorers.base.Detector`."""

    version: str
    """Version of the terms and rules."""
    digest: str
    """SHA-256 over the terms file and the modules that look terms up."""
    english: Mapping[str, Term]
    """English terms, of 1 to 4 words."""
    english_heads: frozenset[str]
    """Hashes of the first words of English terms of more than one word."""
    chinese: Mapping[str, Term]
    """Chinese terms, of 2 to 6 characters."""
    chinese_heads: frozenset[str]
    """Hashes of the first two characters of Chinese terms."""
    chinese_allowed: frozenset[str]
    """Hashes of harmless compounds that hold a Chinese term."""
    name: str = "lexicon"
    """Name in the registry."""
    languages: tuple[str, ...] = ("en", "zh")
    """What it covers."""
    threshold: float = 0.5
    """Any term at all is toxic: mild ones score 0.5, strong ones 0.75, severe ones 1."""
    validated: bool = False
    """Nobody measured it on an independent set."""
    sensitivity: Interval | None = None
    """Not measured."""
    specificity: Interval | None = None
    """Not measured."""
    certifies: bool = False
    """It may fail a release, and never pass one."""
    why_not: str | None = (
        "the detector is a lexicon that knows words and no meaning, and nobody has measured its sensitivity and "
        "specificity on an independent set"
    )
    """Why it may not certify."""

    def score(self, text: str) -> Scored:
        """The score of the worst term found, or 0; no score where there is no text in English or Chinese.

        A term that is found counts, whatever the language around it.
        """
        folded = fold(text)
        found = {*self._english_terms(folded), *self._chinese_terms(folded)}
        if found:
            categories = tuple(sorted({term.category for term in found}))
            return Scored(_SCORES[max(term.strength for term in found)], None, categories)
        reason = not_covered(text)
        return Scored(0.0, None) if reason is None else Scored(None, reason)

    def _english_terms(self, folded: str) -> Iterator[Term]:
        for view in word_views(folded):
            for place, readings in enumerate(view):
                for reading in readings:
                    for word in spellings(reading):
                        yield from self._phrases(view, place, word, 1)

    def _phrases(self, view: list[tuple[str, ...]], place: int, phrase: str, words: int) -> Iterator[Term]:
        hashed = term_hash(phrase)
        if hashed in self.english:
            yield self.english[hashed]
        going_on = words < MAX_WORDS and place + 1 < len(view)
        if going_on and (words > 1 or hashed in self.english_heads):
            for reading in view[place + 1]:
                for word in spellings(reading):
                    yield from self._phrases(view, place + 1, f"{phrase} {word}", words + 1)

    def _chinese_terms(self, folded: str) -> Iterator[Term]:
        for run in han_runs(folded):
            for start in range(len(run) - 1):
                if term_hash(run[start : start + 2]) not in self.chinese_heads:
                    continue
                for end in range(start + 2, min(start + MAX_HAN, len(run)) + 1):
                    term = self.chinese.get(term_hash(run[start:end]))
                    if term is not None and not self._allowed(run, start, end):
                        yield term

    def _allowed(self, run: str, start: int, end: int) -> bool:
        return any(
            term_hash(run[first:last]) in self.chinese_allowed
            for first in range(max(0, end - MAX_ALLOWED), start + 1)
            for last in range(end, min(len(run), first + MAX_ALLOWED) + 1)
        )


def open_detector() -> Lexicon:
    """The lexicon as it ships with hexgate.

    Raises:
        FileNotFoundError: if this installation lacks its terms.
    """
    here = files("hexgate.scorers")
    document = parse_strict(here.joinpath(TERMS_FILE).read_bytes())
    english, chinese = document["languages"]["en"], document["languages"]["zh"]
    digest = hashlib.sha256()
    for name in _DECIDES:
        # A checkout on Windows may end its lines otherwise; the rules are the same.
        digest.update(name.encode() + b"\x00" + here.joinpath(name).read_bytes().replace(b"\r\n", b"\n"))
    return Lexicon(
        version=document["version"],
        digest=digest.hexdigest(),
        english=read_terms(english),
        english_heads=frozenset(english["heads"]),
        chinese=read_terms(chinese),
        chinese_heads=frozenset(chinese["heads"]),
        chinese_allowed=frozenset(chinese["allowed"]),
    )
