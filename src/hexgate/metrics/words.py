"""The words of a text in English, in Chinese or in both: what diversity and ROUGE count."""

from __future__ import annotations

import re

__all__ = ["HAN", "words"]

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters with all their extensions, as the inside of a regular expression's class."""

_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")


def words(text: str) -> list[str]:
    """The words of a text, in lower case.

    A Chinese character is a word of its own; any other unbroken run of letters and digits is one; everything else parts
    words. On ASCII text this is the rule of the library rouge-score, which knows no other letters.
    """
    return _WORD.findall(text.lower())
