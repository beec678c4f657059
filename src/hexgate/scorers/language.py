"""Whether a text is in a language that the lexicon covers: English, Chinese, or both mixed."""

from __future__ import annotations

import re

from hexgate.scorers.base import Unscored
from hexgate.scorers.normalise import HAN, visible

__all__ = ["not_covered"]

_LATIN = re.compile("[A-Za-z]")
_HAN = re.compile(f"[{HAN}]")
_NEIGHBOURS = re.compile("[\u3040-\u30ff\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")
_WORD = re.compile("[a-z]+")
_ENOUGH_WORDS = 12
_NEIGHBOURS_SHARE = 0.1

# Words without which hardly any English sentence of a dozen words gets by, and which its neighbours do not have.
_COMMON = (
    "the and you that it this for with are have not can my your what how will they there if but from at by "
    "would should his her their which when who our about than more i me out up some could been has had its "
    "because while into over these those very just only also may must "
    "good first every each need like day without well take make through between people thing two new way"
)
_ENGLISH = frozenset(_COMMON.split())


def not_covered(text: str) -> Unscored | None:
    """Why the lexicon cannot speak for this text, or None where it can.

    Latin letters in a dozen words or more without one common English word are another language. Kana or Hangul
    among Chinese characters make the text Japanese or Korean.
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
    if latin > han:
        words = _WORD.findall(seen.lower())
        if len(words) >= _ENOUGH_WORDS and _ENGLISH.isdisjoint(words):
            return Unscored.LANGUAGE
    return None
