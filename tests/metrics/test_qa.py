"""Answers scored by hand: each expected figure is counted out from the tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.metrics.qa import TokenVariant, exact_match, token_f1

SQUAD, BAG, LCS = TokenVariant.SQUAD, TokenVariant.CHARACTER_BAG, TokenVariant.LCS
LITERAL = TokenVariant.LITERAL


@pytest.mark.parametrize(
    ("variant", "prediction", "reference", "expected"),
    [
        # Six characters in common of 6 and 8; the longest run is 第三医院, four.
        (SQUAD, "北京第三医院", "北京大学第三医院", 0.0),
        (BAG, "北京第三医院", "北京大学第三医院", 12 / 14),
        (LCS, "北京第三医院", "北京大学第三医院", 8 / 14),
        # Articles and punctuation go: "cat sat" against "black cat sat down".
        (SQUAD, "The cat sat.", "A black cat sat down!", 4 / 6),
        (SQUAD, "U.S.", "us", 1.0),
        (SQUAD, "theory an", "theory", 1.0),
        # A bag counts a token as often as both have it.
        (SQUAD, "ho ho ho", "ho ho", 4 / 5),
        # A number or a Latin word inside of Chinese text is one token: 2008 年 8 月 against 2008 年.
        (BAG, "2008年8月", "2008年", 4 / 6),
        (LCS, "2008年8月", "2008年", 4 / 6),
        (BAG, "GPT模型", "gpt 模型。", 1.0),
        # The bag does not mind order, the run does: 上海 or 和北京.
        (BAG, "上海和北京", "北京和上海", 1.0),
        (LCS, "上海和北京", "北京和上海", 4 / 10),
        # Full-width punctuation is dropped; outside of the basic plane a character is one token too.
        (BAG, "《红楼梦》", "红楼梦", 1.0),
        (BAG, "𠮷野家", "吉野家", 4 / 6),
        # What an input method makes wide is the same letter, digit or sign.
        (BAG, "ＧＰＴ－４在２００８年", "gpt4在 2008年", 1.0),
        (LCS, "１９４９年１０月", "1949年10月", 1.0),
        (BAG, "cafe\u0301", "caf\u00e9", 1.0),
        # Nothing against nothing matches, nothing against something does not.
        (SQUAD, "the", "", 1.0),
        (BAG, "。", "北京", 0.0),
        (LCS, "", "", 1.0),
    ],
)
def test_by_hand(variant, prediction, reference, expected):
    assert token_f1(prediction, [reference], variant=variant) == pytest.approx(expected)
    assert token_f1(reference, [prediction], variant=variant) == pytest.approx(expected)


def test_the_best_reference_counts():
    assert token_f1("red fox", ["blue whale", "red fox cub"], variant=SQUAD) == pytest.approx(4 / 5)
    assert exact_match("red fox", ["blue whale", "The red fox."])
    assert not exact_match("red fox", ["blue whale", "red fox cub"])


def test_exact_match_by_variant():
    assert exact_match("北京。", ["北京"], variant=BAG)
    assert not exact_match("北京。", ["北京"])


@pytest.mark.parametrize(
    ("one", "other"),
    [("-5", "5"), ("3.14", "314"), ("1/2", "12"), ("x^2", "x2"), ("C++", "C"), ("10%", "10"), ("", "..."),
     ("10²", "102"), ("N", "n"), ("a b", "ab")],
)  # fmt: skip
def test_what_differs_in_a_sign_is_literally_different(one, other):
    assert not exact_match(one, [other], variant=LITERAL)
    assert not exact_match(other, [one], variant=LITERAL)
    assert token_f1(one, [other], variant=LITERAL) == 0.0


def test_what_differs_in_spaces_width_or_composition_is_literally_the_same():
    for one, other in ((" -5\n", "-5"), ("x  =\t1", "x = 1"), ("－３．５", "-3.5"), ("e\u0301", "\u00e9")):
        assert exact_match(one, [other], variant=LITERAL)


@pytest.mark.parametrize("references", [[], (), "a text instead of a list"])
def test_needs_references(references):
    with pytest.raises(ValueError, match="at least one reference"):
        exact_match("a", references)
    with pytest.raises(ValueError, match="at least one reference"):
        token_f1("a", references, variant=SQUAD)


TEXT = st.text(alphabet="ab the北京大学。,. ", max_size=12)


@settings(deadline=None)
@given(
    prediction=TEXT, references=st.lists(TEXT, min_size=1, max_size=3), variant=st.sampled_from(TokenVariant)
)
def test_an_exact_match_is_a_full_score_and_no_run_beats_its_bag(prediction, references, variant):
    f1 = token_f1(prediction, references, variant=variant)
    assert 0.0 <= f1 <= 1.0
    assert f1 == 1.0 or not exact_match(prediction, references, variant=variant)
    bag = token_f1(prediction, references, variant=BAG)
    assert token_f1(prediction, references, variant=LCS) <= bag
