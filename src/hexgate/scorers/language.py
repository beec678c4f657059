"""Whether a text is in a language that the lexicon covers: English, Chinese, or both mixed."""

from __future__ import annotations

import re
import unicodedata

from hexgate.scorers.base import Unscored
from hexgate.scorers.english_words import ENGLISH, SHARED
from hexgate.scorers.normalise import HAN, visible

__all__ = ["not_covered"]

_LATIN = re.compile("[A-Za-z]")
_HAN = re.compile(f"[{HAN}]")
_NEIGHBOURS = re.compile("[\u3040-\u30ff\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
# With accents: they are what tells another language's word from the English one of the same letters.
_WORD = re.compile(rf"[^\W\d_{HAN}]+(?:['\u2019][^\W\d_{HAN}]+)*")
_ADDRESS = re.compile(r"https?://\S+")
_NEIGHBOURS_SHARE = 0.1
_ENGLISH_SHARE = 0.2
_WINDOW_WORDS = 20


def not_covered(text: str) -> Unscored | None:
    """Why the lexicon cannot speak for this text, or None where it can.

    Latin letters are English where at least a fifth of the words are common English ones, in the text and in every
    stretch of 20 words of it; words that English shares with other languages count neither way. Kana or Hangul among
    Chinese characters make the text Japanese or Korean.
    """
    seen = visible(text)
    if not seen.strip():
        return Unscored.EMPTY
    latin, han = len(_LATIN.findall(seen)), len(_HAN.findall(seen))
    letters = latin + han if seen.isascii() else sum(map(str.isalpha, seen))
    if letters == 0:
        return Unscored.NO_LETTERS
    if 2 * (latin + han) <= letters:
        return Unscored.LANGUAGE
    if han and len(_NEIGHBOURS.findall(seen)) > _NEIGHBOURS_SHARE * letters:
        return Unscored.LANGUAGE
    if latin > han and not _is_english(text):
        return Unscored.LANGUAGE
    return None


def _is_english(text: str) -> bool:
    words = _WORD.findall(_ADDRESS.sub(" ", _composed(text)))
    known = [kind for kind in map(_known, words) if kind is not None]
    # Nothing but words like "no" and "ok", or an address, is said in every language, and harmless in each.
    if not known:
        return len(words) < 2 or not SHARED.isdisjoint(words)
    ends = range(min(_WINDOW_WORDS, len(known)), len(known) + 1)
    windows = (known[max(0, end - _WINDOW_WORDS) : end] for end in ends)
    return all(sum(window) >= _ENGLISH_SHARE * len(window) for window in windows)


def _composed(text: str) -> str:
    if text.isascii():
        return text.lower()
    shown = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", shown).casefold()


def _known(word: str) -> bool | None:
    """Whether a word is English; None where that says nothing."""
    head, apostrophe, tail = word.replace("\u2019", "'").partition("'")
    if apostrophe and (tail == "t" or head in ENGLISH or head in SHARED):
        return True
    return None if head in SHARED or len(head) == 1 else head in ENGLISH
