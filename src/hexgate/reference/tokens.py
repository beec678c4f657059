"""How text becomes tokens and tokens become text: words, numbers, marks and single Chinese characters."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["detokenize", "language_of", "space_between", "tokenize"]

_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(
    rf"[^\W\d_{_CHINESE}]+(?:['’-][^\W\d_{_CHINESE}]+)*"  # a word, with inner apostrophes and hyphens
    r"|\d+(?:[.,:]\d+)*"  # a number or a time of day
    r"|\S"  # one Chinese character, one mark
)
_CHINESE_CHARACTER = re.compile(f"[{_CHINESE}]")
_GLUED_ON_BOTH_SIDES = re.compile(f"[{_CHINESE}，。！？；：、“”（）《》]")
_GLUED_TO_THE_LEFT = frozenset(".,!?;:)%…")
_GLUED_TO_THE_RIGHT = frozenset("($#")


def tokenize(text: str) -> list[str]:
    """The tokens of a text: words, numbers, single marks, single Chinese characters."""
    return _TOKEN.findall(text)


def detokenize(tokens: Sequence[str]) -> str:
    """The text of tokens, with spaces where English has them and none between Chinese characters."""
    pieces = [
        space_between(before, token) + token for before, token in zip(("", *tokens[:-1]), tokens, strict=True)
    ]
    return "".join(pieces)


def language_of(text: str) -> str:
    """``zh`` if a text has at least as many Chinese characters as other words, else ``en``."""
    tokens = tokenize(text)
    chinese = sum(1 for token in tokens if _CHINESE_CHARACTER.match(token))
    words = sum(1 for token in tokens if token[0].isalpha()) - chinese
    return "zh" if chinese and chinese >= words else "en"


def space_between(before: str, token: str) -> str:
    """The space between two tokens, or nothing."""
    if not before or token in _GLUED_TO_THE_LEFT or before in _GLUED_TO_THE_RIGHT:
        return ""
    if _GLUED_ON_BOTH_SIDES.match(before) or _GLUED_ON_BOTH_SIDES.match(token):
        return ""
    return " "
