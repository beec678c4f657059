"""Does an answer say what a reference says? Exact match, containment and token F1, in four named variants.

The variants differ greatly for Chinese, which has no spaces between words: for the prediction
北京第三医院 and the reference 北京大学第三医院, SQUAD gives 0, LCS 4/7 and CHARACTER_BAG 6/7. A figure
without its variant says nothing.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from enum import Enum

from hexgate.metrics.words import HAN, of_usual_width

__all__ = ["TokenVariant", "contains", "exact_match", "token_f1"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ASCII_PUNCTUATION = frozenset(string.punctuation)
_PIECES = re.compile(rf"[{HAN}]|[^\s{HAN}]+")


class TokenVariant(str, Enum):
    """What a token is, and how tokens are compared."""

    SQUAD = "squad"
    """Words between spaces, as a bag; lower case, without ASCII punctuation and English articles."""
    CHARACTER_BAG = "character_bag"
    """Chinese characters and other words, as a bag; lower case, without any punctuation (as MLQA does it).

    Full and half width are one, as in LITERAL: an input method decides which of 2008 and ２００８ is written."""
    LITERAL = "literal"
    """Words between spaces, as a bag, as they stand: case, signs and points count. For numbers, formulas and code.

    Unicode NFC, and characters of full or half width as the usual ones; not NFKC, for which 10² is 102."""
    LCS = "lcs"
    """The same tokens; what counts is their longest common unbroken run (as CMRC 2018 does it)."""


def exact_match(
    prediction: str, references: Sequence[str], *, variant: TokenVariant = TokenVariant.SQUAD
) -> bool:
    """Whether the prediction equals a reference once both are normalised as the variant does it.

    Raises:
        ValueError: if there are no references.
    """
    tokens = _tokens(prediction, variant)
    return any(tokens == _tokens(reference, variant) for reference in _some(references))


def contains(prediction: str, references: Sequence[str], *, variant: TokenVariant) -> bool:
    """Whether a reference stands in the prediction as an unbroken run of tokens, once both are normalised.

    A reference without tokens stands in nothing.

    Raises:
        ValueError: if there are no references.
    """
    tokens = _tokens(prediction, variant)
    return any(_stands_in(_tokens(reference, variant), tokens) for reference in _some(references))


def token_f1(prediction: str, references: Sequence[str], *, variant: TokenVariant) -> float:
    """F1 of the prediction's tokens against the reference that it matches best, 0 to 1.

    Two texts without any token match fully; one such text matches nothing else.

    Raises:
        ValueError: if there are no references.
    """
    tokens = _tokens(prediction, variant)
    return max(_f1(tokens, _tokens(reference, variant), variant) for reference in _some(references))


def _some(references: Sequence[str]) -> Sequence[str]:
    if isinstance(references, str) or not references:
        raise ValueError("an answer is compared with a list of at least one reference")
    return references


def _tokens(text: str, variant: TokenVariant) -> list[str]:
    if variant is TokenVariant.SQUAD:
        plain = "".join(c for c in text.lower() if c not in _ASCII_PUNCTUATION)
        return _ARTICLES.sub(" ", plain).split()
    usual = of_usual_width(text)
    if variant is TokenVariant.LITERAL:
        return usual.split()
    plain = "".join(
        c for c in usual.lower() if c not in _ASCII_PUNCTUATION and unicodedata.category(c)[0] != "P"
    )
    return _PIECES.findall(plain)


def _f1(a: list[str], b: list[str], variant: TokenVariant) -> float:
    if not a or not b:
        return float(a == b)
    common = _longest_run(a, b) if variant is TokenVariant.LCS else (Counter(a) & Counter(b)).total()
    return 2.0 * common / (len(a) + len(b))


def _longest_run(a: list[str], b: list[str]) -> int:
    """Length of the longest run of tokens that stands unbroken in both."""
    longest, above = 0, [0] * (len(b) + 1)
    for token in a:
        row = [0] * (len(b) + 1)
        for place, other in enumerate(b):
            if token == other:
                row[place + 1] = above[place] + 1
        longest, above = max(longest, *row), row
    return longest


def _stands_in(wanted: list[str], tokens: list[str]) -> bool:
    length = len(wanted)
    starts = range(len(tokens) - length + 1)
    return length > 0 and any(tokens[start : start + length] == wanted for start in starts)
