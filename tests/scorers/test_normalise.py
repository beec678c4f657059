from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.scorers import normalise
from hexgate.scorers.normalise import fold, han_runs, spellings, visible, word_views


@pytest.mark.parametrize(
    ("tricked", "plain"),
    [
        ("ＨＥＬＬＯ", "hello"),
        ("héllò", "hello"),
        ("he\u0336l\u0336l\u0336o", "hello"),
        ("he\u200bl\u200dl\ufeffo\u00ad", "hello"),
        ("he\U000e0041llo\ufe0f", "hello"),
        ("hеllо", "hello"),
        ("ΗΕLLΟ", "hello"),
        ("𝕳𝖊𝖑𝖑𝖔", "hello"),
        ("🅷🅴🅻🅻🅾", "hello"),
        ("ⓗⓔⓛⓛⓞ", "hello"),
        ("ʜᴇʟʟᴏ", "hello"),
        ("Straße", "strasse"),
        ("學書", "学书"),
        ("這個東西", "这个东西"),
    ],
)
def test_folding(tricked, plain):
    assert fold(tricked) == plain


def test_plain_text_is_only_lowered():
    assert fold("Hello, World 42!") == "hello, world 42!"
    assert visible("Hello, World 42!") == "Hello, World 42!"


def test_the_tables_name_each_character_once_and_none_of_their_own_results():
    sources = Counter("".join(normalise._LOOK_ALIKES.values()))
    assert max(sources.values()) == 1
    assert not any(source.isascii() for source in sources)
    pairs = normalise._PAIRS.split()
    assert all(len(pair) == 2 and pair[0] != pair[1] for pair in pairs)
    assert len({pair[0] for pair in pairs}) == len(pairs)
    assert not {pair[0] for pair in pairs} & {pair[1] for pair in pairs}


def words(text):
    """Every reading of every place of every view."""
    return {reading for view in word_views(fold(text)) for place in view for reading in place}


@pytest.mark.parametrize(
    "text",
    ["w o r d", "w.o.r.d", "w. o. r. d.", "w-o-r-d", "w*o*r*d", "wo-rd", "(word)", "word!!!", "w0rd", "a w o r d",
     "w  o  r  d", "please w o r d", "W_O_R_D", "“word”", "word…", "i w o r d", "wo’rd"],
)  # fmt: skip
def test_what_is_pulled_apart_is_read_together(text):
    assert "word" in words(text)


def test_words_spelt_out_with_wider_gaps_between_are_kept_apart():
    assert {"good", "day"} <= words("g o o d   d a y")


def test_one_digit_may_stand_for_two_letters():
    assert {"silly", "sliiy"} <= words("s1lly") | words("sl11y")
    assert "lie" in words("1ie")
    assert "lie" in words("l1e")


@pytest.mark.parametrize(
    ("text", "never"),
    [("class", "ass"), ("c l a s s", "ass"), ("the rapist", "therapist"), ("pen is", "penis"), ("455", "ass"),
     ("a b", "ab")],
)  # fmt: skip
def test_word_borders_hold(text, never):
    assert never not in words(text)


def test_views_are_one_where_nothing_is_pulled_apart():
    assert len(word_views("a plain sentence of some words.")) == 1
    assert len(word_views("a some-what other one")) == 2


@pytest.mark.parametrize(
    ("word", "wanted"), [("worrrd", "word"), ("worrd", "word"), ("hellllo", "hello"), ("plain", "plain")]
)
def test_repeated_letters_are_squeezed(word, wanted):
    assert wanted in spellings(word)
    assert word in spellings(word)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("你好", ["你好"]),
        ("你 好", ["你好"]),
        ("你*好", ["你好"]),
        ("你\n好", ["你好"]),
        ("你，好", ["你好"]),
        ("今天。天气", ["今天", "天气"]),
        ("今天, 天气", ["今天", "天气"]),
        ("我b你", ["我b你"]),
        ("我 hello 你们", ["我", "你们"]),
        ("no Chinese here", []),
        ("", []),
    ],
)
def test_runs_of_chinese_characters(text, runs):
    assert han_runs(fold(text)) == runs


@given(st.text())
def test_any_text_can_be_normalised(text):
    folded = fold(text)
    assert not any(unicodedata.category(character) in {"Mn", "Me", "Cf"} for character in folded)
    for view in word_views(folded):
        assert all(place for place in view)
    assert all(han_runs(folded))


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz ", max_size=60))
def test_plain_words_are_read_as_they_are(text):
    assert [place[0] for place in word_views(fold(text))[0]] == text.split()
