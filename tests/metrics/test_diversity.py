"""Diversity by hand, and self-BLEU against a plain one that compares every text with all the others."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.metrics.diversity import distinct, repetition, self_bleu, self_bleu_each
from hexgate.metrics.words import words
from support import needs

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join), min_size=2, max_size=6
)


def plain_bleu(references: list[list[str]], tokens: list[str], orders: int) -> float:
    """BLEU of one text, word for word after the formula."""

    def counts(of: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(zip(*(of[first:] for first in range(n)), strict=False))

    product = 1.0
    for n in range(1, orders + 1):
        own = counts(tokens, n)
        matched = sum(
            min(count, max(counts(other, n)[gram] for other in references)) for gram, count in own.items()
        )
        if n == 1 and matched == 0:
            return 0.0
        product *= (matched or 0.1) / max(1, sum(own.values()))
    closest = min(
        (len(other) for other in references), key=lambda length: (abs(length - len(tokens)), length)
    )
    brevity = 1.0 if len(tokens) > closest else math.exp(1 - closest / len(tokens))
    return brevity * product ** (1 / orders)


@pytest.mark.parametrize(
    ("texts", "n", "expected"),
    [
        (["the cat the cat"], 1, 2 / 4),
        (["the cat the cat"], 2, 2 / 3),
        (["the cat", "the dog"], 1, 3 / 4),
        # No n-gram reaches from one text into the next.
        (["the cat", "the cat"], 2, 1 / 2),
        (["天天向上"], 1, 3 / 4),
        (["天天向上", "one two"], 2, 1.0),
        (["GPT模型 gpt模型"], 2, 3 / 5),
    ],
)
def test_distinct_by_hand(texts: list[str], n: int, expected: float) -> None:
    assert distinct(texts, n) == pytest.approx(expected)


def test_repetition_by_hand() -> None:
    assert repetition("a b c d") == 0.0
    assert repetition("a a a a a a", 1) == pytest.approx(5 / 6)
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)


def test_too_few_words_have_no_figure() -> None:
    assert distinct([], 1) is None
    assert distinct(["", "。"], 1) is None
    assert distinct(["one"], 2) is None
    assert repetition("a b c") is None
    assert self_bleu_each(["a b", "", "!"]) == [None, None, None]
    assert self_bleu(["a"]) is None


def test_self_bleu_by_hand() -> None:
    assert self_bleu(["a b c d", "a b c d"]) == pytest.approx(1.0)
    assert self_bleu(["a b c d", "e f g h"]) == 0.0
    # Of "a b c x": 3 of 4 words, 2 of 3 pairs, 1 of 2 triples, and none of the one four.
    expected = (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert self_bleu_each(["a b c x", "a b c y"]) == pytest.approx([expected, expected])
    # A text without words is nobody's reference.
    assert self_bleu_each(["a b c x", "", "a b c y"]) == [
        pytest.approx(expected),
        None,
        pytest.approx(expected),
    ]


@given(TEXTS, st.integers(1, 4))
def test_self_bleu_equals_the_plain_one(texts: list[str], orders: int) -> None:
    tokens = [words(text) for text in texts]
    said = [one for one in tokens if one]
    found = self_bleu_each(texts, orders=orders)
    for place, own in enumerate(tokens):
        if not own or len(said) < 2:
            assert found[place] is None
            continue
        others = [other for index, other in enumerate(tokens) if other and index != place]
        assert found[place] == pytest.approx(plain_bleu(others, own, orders), rel=1e-12)


@pytest.mark.heavy
@pytest.mark.filterwarnings("default")
@given(TEXTS)
def test_self_bleu_equals_that_of_nltk(texts: list[str]) -> None:
    needs.module("nltk", group="heavy")
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    tokens = [words(text) for text in texts]
    found = self_bleu_each(texts)
    for place, own in enumerate(tokens):
        others = [other for index, other in enumerate(tokens) if other and index != place]
        if own and others:
            wanted = sentence_bleu(others, own, smoothing_function=SmoothingFunction().method1)
            assert found[place] == pytest.approx(wanted, rel=1e-9)


@given(TEXTS, st.integers(1, 4))
def test_within_their_ranges(texts: list[str], n: int) -> None:
    varied = distinct(texts, n)
    assert varied is None or 0.0 < varied <= 1.0
    for text in texts:
        said_before = repetition(text, n)
        assert said_before is None or 0.0 <= said_before < 1.0
    for value in self_bleu_each(texts):
        assert value is None or 0.0 <= value <= 1.0 + 1e-12


def test_what_is_no_question() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        distinct(["a"], 0)
    with pytest.raises(ValueError, match="at least one order"):
        self_bleu(["a", "b"], orders=0)
    with pytest.raises(TypeError, match="a list of texts"):
        distinct("a text", 1)
