"""How varied texts are: distinct-n, repetition, and self-BLEU, by the words of `hexgate.metrics.words`."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hexgate.metrics.words import words

__all__ = ["distinct", "repetition", "self_bleu", "self_bleu_each"]

_NOTHING_MATCHED = 0.1

Gram = tuple[str, ...]


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Distinct-n: different n-grams over all n-grams, of all texts together (Li et al. 2016, arXiv:1510.03055).

    For one text's own figure give that text alone. It falls as texts get longer, so compare equal amounts of text.

    Returns:
        Above 0, to 1; None where no text has n words.

    Raises:
        ValueError: for n below 1.
    """
    grams: Counter[Gram] = Counter()
    for text in _several(texts):
        grams.update(_grams(words(text), n))
    total = grams.total()
    return len(grams) / total if total else None


def repetition(text: str, n: int = 4) -> float | None:
    """The share of a text's n-grams that it has said before: 1 - distinct-n (seq-rep-n of arXiv:1908.04319).

    Returns:
        0 to below 1; None where the text has fewer than n words.

    Raises:
        ValueError: for n below 1.
    """
    varied = distinct([text], n)
    return None if varied is None else 1.0 - varied


def self_bleu(texts: Sequence[str], *, orders: int = 4) -> float | None:
    """The mean of `self_bleu_each` over the texts that have one (Zhu et al. 2018, arXiv:1802.01886).

    Returns:
        0 (nothing in common) to 1 (all the same); None where fewer than two texts have words.
    """
    values = [value for value in self_bleu_each(texts, orders=orders) if value is not None]
    return math.fsum(values) / len(values) if values else None


def self_bleu_each(texts: Sequence[str], *, orders: int = 4) -> list[float | None]:
    """Each text's BLEU with all the others as its references.

    Sentence BLEU of Papineni et al. 2002 with uniform weights over 1 to `orders` words, the closest reference length,
    and method 1 of Chen and Cherry 2014: an order without a match counts 0.1 matches, and an order that the text is too
    short for has one n-gram. A text that shares no word with the others has 0. As `sentence_bleu` of NLTK computes it,
    in time that grows with the words and not with the square of the texts.

    Returns:
        One value a text, 0 to 1; None for a text without words, and for all where fewer than two have words.

    Raises:
        ValueError: for orders below 1.
    """
    if orders < 1:
        raise ValueError(f"BLEU needs at least one order, not {orders}")
    counted = [_counted(words(text), orders) for text in _several(texts)]
    said = [place for place, one in enumerate(counted) if one.length]
    values: list[float | None] = [None] * len(texts)
    if len(said) < 2:
        return values
    most = _most(counted, orders)
    lengths = sorted(counted[place].length for place in said)
    for place in said:
        values[place] = _bleu(place, counted[place], most, _closest(lengths, counted[place].length))
    return values


@dataclass(frozen=True)
class _Counted:
    """A text as BLEU sees it."""

    length: int
    """Words."""
    by_order: tuple[Counter[Gram], ...]
    """How often it has each n-gram, for n from 1 on."""


@dataclass(frozen=True)
class _Most:
    """Who has an n-gram most often."""

    count: int
    """How often that text has it."""
    place: int
    """Which text that is."""
    next_count: int
    """How often any other text has it, at most."""


def _several(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise TypeError("diversity is measured over a list of texts, not over one")
    return texts


def _grams(tokens: list[str], n: int) -> list[Gram]:
    if n < 1:
        raise ValueError(f"an n-gram has at least one word, not {n}")
    return [tuple(tokens[first : first + n]) for first in range(len(tokens) - n + 1)]


def _counted(tokens: list[str], orders: int) -> _Counted:
    return _Counted(len(tokens), tuple(Counter(_grams(tokens, n)) for n in range(1, orders + 1)))


def _most(counted: list[_Counted], orders: int) -> list[dict[Gram, _Most]]:
    tables: list[dict[Gram, _Most]] = [{} for _ in range(orders)]
    for place, one in enumerate(counted):
        for table, grams in zip(tables, one.by_order, strict=True):
            for gram, count in grams.items():
                known = table.get(gram)
                if known is None:
                    table[gram] = _Most(count, place, 0)
                elif count > known.count:
                    table[gram] = _Most(count, place, known.count)
                elif count > known.next_count:
                    table[gram] = _Most(known.count, known.place, count)
    return tables


def _closest(lengths: list[int], own: int) -> int:
    """The length of another text that is closest to this one's, the shorter of two equally close; all sorted."""
    place = bisect_left(lengths, own)
    around = lengths[max(0, place - 1) : place] + lengths[place + 1 : place + 2]
    return min(around, key=lambda length: (abs(length - own), length))


def _bleu(place: int, text: _Counted, most: list[dict[Gram, _Most]], reference_length: int) -> float:
    logs = []
    for order, (table, grams) in enumerate(zip(most, text.by_order, strict=True)):
        matched = 0
        for gram, count in grams.items():
            known = table[gram]
            matched += min(count, known.next_count if known.place == place else known.count)
        if order == 0 and matched == 0:
            return 0.0
        logs.append(math.log((matched or _NOTHING_MATCHED) / max(1, grams.total())))
    precision = math.exp(math.fsum(logs) / len(logs))
    if text.length > reference_length:
        return precision
    return precision * math.exp(1.0 - reference_length / text.length)
