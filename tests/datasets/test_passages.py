from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.datasets.passages import Passages, own_sentences, word_count


def test_words_are_counted_as_tokenizers_cut() -> None:
    assert word_count("Stop, now 12345 times!") == 7
    assert word_count("你好，世界") == 5
    assert word_count("ab中c  \n\t") == 3
    assert word_count("") == 0


def test_our_own_sentences_are_english_and_ours() -> None:
    sentences, digest = own_sentences()
    assert len(sentences) == 636
    assert all(sentence.isascii() and not sentence.startswith(("#", "[")) for sentence in sentences)
    assert re.fullmatch("[0-9a-f]{64}", digest)


def test_no_two_begin_alike() -> None:
    passages = Passages(own_sentences()[0], seed=7)
    first = [passages.text(index, 1).lower() for index in range(1200)]
    assert len(set(first)) == 1200
    two = [passages.text(index, 2).lower() for index in range(10_000)]
    assert len(set(two)) == 10_000
    assert passages.most > 1_000_000


def test_the_same_seed_makes_the_same_and_another_seed_another() -> None:
    texts = own_sentences()[0]
    one, again, other = (Passages(texts, seed=seed).text(3, 50) for seed in (1, 1, 2))
    assert one == again != other


_WRITING = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(_WRITING, min_size=1, max_size=5), words=st.integers(0, 80), index=st.integers(0, 9))
def test_a_passage_has_the_wanted_words_and_a_longer_one_begins_with_it(
    texts: list[str], words: int, index: int
) -> None:
    passages = Passages(texts, seed=0)
    text = passages.text(index, words)
    assert word_count(text) == words
    assert passages.text(index, words + 9).startswith(text)


def test_a_long_text_is_used_in_parts_and_nothing_of_it_is_lost() -> None:
    long = " ".join(f"w{number}" for number in range(100_000, 100_300))
    passages = Passages([long, "short."], seed=0, joint="\n")
    parts = set(passages.text(0, 30_000).split("\n")[1:-1])
    assert len(parts) == 16
    # A number of six digits is two words, and the letter before it one more.
    assert max(map(word_count, parts)) == 60
    assert set(" ".join(parts).split()) >= {"short.", *long.split()} - {"w"}
