from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.targets.label_reply import parse_label

SENTIMENT = ("positive", "negative", "neutral")
GRADE = ("good", "very good", "bad")
DIGITS = tuple("0123456789")
OPTIONS = ("A", "B", "C", "D")
ZH = ("正面", "负面", "中性")
PASS = ("通过", "不通过")
ONE = ("好", "坏")
MIXED = ("体育", "财经", "tech")

CASES: list[tuple[str, tuple[str, ...], str | None]] = [
    ("positive", SENTIMENT, "positive"),
    ("Positive", SENTIMENT, "positive"),
    ("  POSITIVE.\n", SENTIMENT, "positive"),
    ("**negative**", SENTIMENT, "negative"),
    ('"neutral"', SENTIMENT, "neutral"),
    ("Ｐｏｓｉｔｉｖｅ", SENTIMENT, "positive"),
    ("Label: positive", SENTIMENT, "positive"),
    ("The sentiment is positive, clearly positive.", SENTIMENT, "positive"),
    ("It is positive, not negative.", SENTIMENT, None),
    ("positive or negative", SENTIMENT, None),
    ("not positive", SENTIMENT, None),
    ("This isn't positive.", SENTIMENT, None),
    ("This isn’t really positive.", SENTIMENT, None),
    ("It is not a positive text", SENTIMENT, None),
    ("positively", SENTIMENT, None),
    ("non-positive", SENTIMENT, None),
    ("positive-ish", SENTIMENT, None),
    ("I cannot help with that.", SENTIMENT, None),
    ("", SENTIMENT, None),
    ("   ", SENTIMENT, None),
    ('{"label": "positive"}', SENTIMENT, "positive"),
    ('{"label": "Negative", "reason": "positive words are missing"}', SENTIMENT, "negative"),
    ('```json\n{"label": "neutral"}\n```', SENTIMENT, "neutral"),
    ('{"label": "great", "note": "positive"}', SENTIMENT, None),
    ('{"label": null}', SENTIMENT, None),
    ('{"label": ["positive"]}', SENTIMENT, None),
    ('{"answer": "positive"}', SENTIMENT, "positive"),
    ('{"label": "positive"', SENTIMENT, "positive"),
    ("<think>maybe negative</think>\npositive", SENTIMENT, "positive"),
    ("<think>positive, I am sure", SENTIMENT, None),
    ("答案是positive。", SENTIMENT, "positive"),
    ("very good", GRADE, "very good"),
    ("That is very good indeed", GRADE, "very good"),
    ("good", GRADE, "good"),
    ("very good, not bad", GRADE, None),
    ("7", DIGITS, "7"),
    ("７", DIGITS, "7"),
    ("The digit is 7.", DIGITS, "7"),
    ('{"label": 7}', DIGITS, "7"),
    ("17", DIGITS, None),
    ("7.5", DIGITS, None),
    ("7%", DIGITS, None),
    ("-7", DIGITS, None),
    ("-1", ("-1", "1"), "-1"),
    ("It is -1", ("-1", "1"), "-1"),
    ("1,000", DIGITS, None),
    ("It has 2 strokes, so 7", DIGITS, None),
    ("1, I think", DIGITS, "1"),
    ("B", OPTIONS, "B"),
    ("b)", OPTIONS, "B"),
    ("(B)", OPTIONS, "B"),
    ("B. Paris", OPTIONS, "B"),
    ("The answer is B", OPTIONS, "B"),
    ("The answer is B.", OPTIONS, "B"),
    ("A cat sat there", OPTIONS, None),
    ("It is a cat.", OPTIONS, None),
    ("Between A, and B.", OPTIONS, None),
    ("正面", ZH, "正面"),
    ("正面。", ZH, "正面"),
    ("「负面」", ZH, "负面"),
    ("这段文本的情感是正面的。", ZH, "正面"),
    ("标签：中性", ZH, "中性"),
    ("不是正面", ZH, None),
    ("并非“正面”", ZH, None),
    ("正面和负面都有", ZH, None),
    ("无法判断", ZH, None),
    ('{"label": "负面"}', ZH, "负面"),
    ("不通过", PASS, "不通过"),
    ("结论：不通过。", PASS, "不通过"),
    ("结论：通过。", PASS, "通过"),
    ("不通过", ("通过", "失败"), None),
    ("好", ONE, "好"),
    ("好。", ONE, "好"),
    ("标签：好", ONE, "好"),
    ("你好，我不知道", ONE, None),
    ("属于tech类", MIXED, "tech"),
    ("体育新闻", MIXED, "体育"),
    ("Yes", ("Yes", "yes"), "Yes"),
    ("YES", ("Yes", "yes"), None),
    ("c++", ("c++", "c"), "c++"),
    ("It is written in C++.", ("c++", "java"), "c++"),
]


@pytest.mark.parametrize(("reply", "labels", "expected"), CASES)
def test_table(reply: str, labels: tuple[str, ...], expected: str | None) -> None:
    assert parse_label(reply, labels) == expected


@given(st.text(max_size=200))
def test_any_reply_names_a_label_or_none(reply: str) -> None:
    for labels in (SENTIMENT, ZH, DIGITS, OPTIONS, ONE):
        assert parse_label(reply, labels) in {*labels, None}


@given(st.sampled_from(SENTIMENT), st.sampled_from(SENTIMENT), st.text(alphabet=" .,\n", max_size=5))
def test_two_different_labels_are_never_one(first: str, second: str, between: str) -> None:
    found = parse_label(f"{first} {between} {second}", SENTIMENT)
    assert found == (first if first == second else None)
