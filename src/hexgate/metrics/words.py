"""The words of a text in English, in Chinese or in both: what diversity and ROUGE count."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["HAN", "of_usual_width", "words"]

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters with all their extensions, as the inside of a regular expression's class."""

_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")


def of_usual_width(text: str) -> str:
    """A text in Unicode NFC, characters of full or half width as the usual ones; not NFKC, for which 10² is 102."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", "".join(map(_usual, text)))


def _usual(character: str) -> str:
    wide = unicodedata.decomposition(character).startswith(("<wide>", "<narrow>"))
    return unicodedata.normalize("NFKC", character) if wide else character


def words(text: str) -> list[str]:
    """The words of a text, in lower case, whatever their width.

    A Chinese character is a word of its own; any other unbroken run of letters and digits is one; everything else parts
    words. On ASCII text this is the rule of the library rouge-score, which knows no other letters.
    """
    return _WORD.findall(of_usual_width(text).lower())
