from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hexgate.report.text import Both, clean, same


@given(st.text(), st.integers(1, 50))
def test_cleaned_text_is_short_encodable_and_does_nothing(content: str, most: int) -> None:
    shown = clean(content, most)
    shown.encode("utf-8")
    assert len(shown) <= most + 16
    assert not any(ord(each) < 32 and each not in "\t\n" for each in shown)
    assert not set(shown) & set("\u202e\u2066\u200f\x7f\x9b\ufeff")


@given(st.text(st.characters(exclude_categories=["C"], exclude_characters="\u2028\u2029"), max_size=40))
def test_harmless_text_is_left_alone(content: str) -> None:
    assert clean(content, 60) == content


def test_what_is_cut_says_so() -> None:
    assert clean("a" * 100, 10) == "aaaaaaaaaa… (+90)"
    assert clean("\ud800x") == "\ufffdx"
    assert clean(None) == "None"


def test_two_languages_become_two_elements_and_are_escaped() -> None:
    assert Both("<a>", "乙").__html__() == '<span lang="en">&lt;a&gt;</span><span lang="zh-CN">乙</span>'
    assert same("<a>").__html__() == "&lt;a&gt;"
