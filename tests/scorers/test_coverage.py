"""Which texts a checkpoint may be asked about. What a tokenizer knows is tested with real ones: test_bartscore."""

from __future__ import annotations

import pytest

from hexgate.errors import InputError
from hexgate.scorers.coverage import languages_named, refusal

BOTH = {"en", "zh"}


@pytest.mark.parametrize(
    ("text", "languages", "refused"),
    [
        ("This is fun.", {"en"}, None),
        ("这很有趣。", {"zh"}, None),
        ("这很有趣。", {"en"}, "Chinese"),
        ("This is fun.", {"zh"}, "English"),
        ("Über façade, naïve", {"en"}, None),
        # Two Chinese characters of ten letters are a fifth, three of eleven are more.
        ("abcdefgh 有趣", {"en"}, None),
        ("abcdefgh 很有趣", {"en"}, "Chinese"),
        ("abcdefgh 有趣", {"zh"}, "English"),
        ("Это весело", BOTH, "of a script"),
        ("これはおもしろい", BOTH, "of a script"),
        ("Это весело", {"any"}, None),
        # Digits and signs are read by every checkpoint.
        ("42 + 1 = 43", {"zh"}, None),
        ("42 + 1 = 43", frozenset(), None),
        ("", {"any"}, "empty text"),
        (" \n", {"en"}, "empty text"),
    ],
)
def test_by_the_letters(text: str, languages: set[str], refused: str | None) -> None:
    reason = refusal(text, languages)
    if refused is None:
        assert reason is None
    else:
        assert reason is not None
        assert refused in reason


@pytest.mark.parametrize(("text", "expected"), [("en", {"en"}), ("en, zh", BOTH), ("any", {"any"})])
def test_languages_as_an_option_names_them(text: str, expected: set[str]) -> None:
    assert languages_named(text, "here") == expected


@pytest.mark.parametrize("text", ["", "english", "en,fr", "en;zh"])
def test_other_languages_are_not_known(text: str) -> None:
    with pytest.raises(InputError, match="not the name of a language"):
        languages_named(text, "here")
