from __future__ import annotations

import hashlib
import unicodedata
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexgate.contract.canonical import parse_strict
from hexgate.scorers.base import Scored, Unscored, open_detector
from hexgate.scorers.lexicon import TERMS_FILE, read_terms

HERE = Path(__file__).parent
DETECTOR = open_detector("lexicon")


def lines(name):
    return (HERE / name).read_text(encoding="utf-8").splitlines()


def toxic(text):
    score = DETECTOR.score(text).score
    return score is not None and score >= DETECTOR.threshold


@pytest.mark.parametrize("text", lines("benign_en.txt") + lines("benign_zh.txt"))
def test_harmless_sentences_score_zero(text):
    assert DETECTOR.score(text) == Scored(0.0, None)


def test_there_are_hundreds_of_them():
    assert len(set(lines("benign_en.txt"))) > 200
    assert len(set(lines("benign_zh.txt"))) > 170


FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
CYRILLIC = str.maketrans("aceiopsxy", "асеіорѕху")
LEET = str.maketrans("aeiost", "431057")

LATIN_TRICKS = {
    "plain": lambda word: word,
    "upper case": str.upper,
    "mixed case": lambda word: "".join(c.upper() if i % 2 else c for i, c in enumerate(word)),
    "spaces": " ".join,
    "wide spaces": "  ".join,
    "dots": ".".join,
    "dots and spaces": ". ".join,
    "hyphens": "-".join,
    "underscores": "_".join,
    "asterisks": "*".join,
    "one hyphen": lambda word: f"{word[:3]}-{word[3:]}",
    "full width": lambda word: word.translate(FULL_WIDTH),
    "zero width": "\u200b".join,
    "zero width joiner": "\u200d".join,
    "soft hyphen": "\u00ad".join,
    "bidi control": lambda word: f"\u202a{word[:2]}\u202c{word[2:]}",
    "accents": lambda word: unicodedata.normalize("NFC", "\u0301".join(word)),
    "strike through": "\u0336".join,
    "look-alikes": lambda word: word.translate(CYRILLIC),
    "digits": lambda word: word.translate(LEET),
    "repeated letters": lambda word: word[:2] + word[2] * 5 + word[3:],
    "doubled letters": lambda word: word[:2] + word[2] * 2 + word[3:],
    "script letters": lambda word: "".join(chr(0x1D4EA + ord(c) - ord("a")) for c in word),
    "circled letters": lambda word: "".join(chr(0x24D0 + ord(c) - ord("a")) for c in word),
    "squared letters": lambda word: "".join(chr(0x1F170 + ord(c) - ord("a")) for c in word),
    "markdown": lambda word: f"**{word}**",
    "quotes": lambda word: f"“{word}”,",
}


@pytest.mark.parametrize("frame", ["{}", "You are such a {}!", "{}, said nobody.", "这句话里有 {} 这个词"])
@pytest.mark.parametrize("word", ["idiot", "stupid"])
@pytest.mark.parametrize("trick", LATIN_TRICKS)
def test_an_english_term_is_found_in_every_disguise(trick, word, frame):
    found = DETECTOR.score(frame.format(LATIN_TRICKS[trick](word)))
    assert found == Scored(0.5, None, ("insult",))


HAN_TRICKS = {
    "plain": lambda term: term,
    "space": " ".join,
    "full stop": ".".join,
    "asterisk": "*".join,
    "middle dot": "·".join,
    "zero width": "\u200b".join,
    "strike through": "\u0336".join,
    "new line": lambda term: term[:1] + "-\u3000" + term[1:],
}


@pytest.mark.parametrize("frame", ["{}", "你真是个{}啊", "You are a {}, 我觉得。"])
@pytest.mark.parametrize("term", ["白痴", "白癡", "笨蛋"])
@pytest.mark.parametrize("trick", HAN_TRICKS)
def test_a_chinese_term_is_found_in_every_disguise(trick, term, frame):
    found = DETECTOR.score(frame.format(HAN_TRICKS[trick](term)))
    assert found == Scored(0.5, None, ("insult",))


@given(data=st.data(), word=st.sampled_from(["idiot", "stupid", "moron"]))
def test_disguises_of_single_characters_combine(data, word):
    tricks = [
        str,
        str.upper,
        lambda c: c.translate(FULL_WIDTH),
        lambda c: c.translate(CYRILLIC),
        lambda c: c + "\u0308",
        lambda c: c + "\u200b",
        lambda c: c.translate(LEET),
    ]
    tricked = "".join(data.draw(st.sampled_from(tricks))(character) for character in word)
    # All digits is a number, and a number is no word.
    assert toxic(f"hello {tricked} hello") or not any(
        c.isalpha() for c in unicodedata.normalize("NFKD", tricked)
    )


@pytest.mark.parametrize(
    "text",
    ["go kill yourself", "Go k-i-l-l yourself", "KILL... YOURSELF", "k1ll y0urself", "k i l l yourself"],
)
def test_phrases_are_found_across_words(text):
    found = DETECTOR.score(text)
    assert found.categories == ("threat",)
    assert found.score == 1.0


def test_the_worst_term_decides_and_all_categories_are_named():
    found = DETECTOR.score("You idiot, go kill yourself")
    assert (found.score, found.categories) == (1.0, ("insult", "threat"))


@pytest.mark.parametrize(
    "text", ["idioten", "unstupidly", "stupidious", "白色痴迷", "白。色。痴", "笨重的蛋糕"]
)
def test_parts_of_other_words_are_not_found(text):
    assert not toxic(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Unscored.EMPTY),
        (" \n\u200b", Unscored.EMPTY),
        ("12345", Unscored.NO_LETTERS),
        ("Привет", Unscored.LANGUAGE),
    ],
)
def test_what_cannot_be_scored_has_no_score(text, reason):
    assert DETECTOR.score(text) == Scored(None, reason)


@pytest.mark.parametrize(
    "text", ["Ты просто idiot, и все это знают", "Tu es un idiot, mon ami, et tout le monde le sait bien"]
)
def test_a_term_in_a_foreign_text_counts_all_the_same(text):
    assert toxic(text)


@given(st.text(max_size=200))
def test_any_text_is_scored_or_has_a_reason_and_repeats(text):
    first = DETECTOR.score(text)
    assert first == DETECTOR.score(text)
    assert first.score is None or first.score in {0.0, 0.5, 0.75, 1.0}
    assert bool(first.categories) == bool(first.score)


def test_the_card_says_that_it_may_not_certify():
    assert DETECTOR.name == "lexicon"
    assert DETECTOR.languages == ("en", "zh")
    assert not DETECTOR.validated
    assert not DETECTOR.certifies
    assert "sensitivity and specificity" in DETECTOR.why_not
    assert DETECTOR.sensitivity is None
    assert DETECTOR.specificity is None


def test_the_digest_covers_terms_and_rules():
    again = open_detector("lexicon")
    assert DETECTOR.digest == again.digest
    assert len(DETECTOR.digest) == 64
    here = files("hexgate.scorers")
    expected = hashlib.sha256()
    for name in (TERMS_FILE, "lexicon.py", "normalise.py", "language.py", "english_words.py"):
        expected.update(name.encode() + b"\x00" + here.joinpath(name).read_bytes().replace(b"\r\n", b"\n"))
    assert DETECTOR.digest == expected.hexdigest()


def test_the_terms_are_many_in_both_languages_and_unreadable():
    document = parse_strict(files("hexgate.scorers").joinpath(TERMS_FILE).read_bytes())
    for language in ("en", "zh"):
        terms = read_terms(document["languages"][language])
        assert len(terms) >= 150
        assert {term.category for term in terms.values()} == {
            "insult",
            "threat",
            "identity",
            "profanity",
            "sexual",
        }
        assert all(len(hashed) == 16 and int(hashed, 16) >= 0 for hashed in terms)
