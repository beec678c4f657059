"""Which languages a checkpoint knows, by its tokenizer, and whether a text is in one of them.

Byte-level tokenizers encode every text, so a model of English never fails on Chinese: its number means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from hexgate.errors import InputError
from hexgate.metrics.words import HAN

__all__ = ["ANY", "known_languages", "languages_named", "refusal"]

ANY = "any"
"""Stands for every language: whoever names it answers for the texts."""

_LATIN = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]")
_HAN = re.compile(f"[{HAN}]")
_SHARE = 0.2
_WHOLE = 0.9
# The commonest words of English and characters of Chinese: a tokenizer of that language has nearly all of them whole.
_COMMON = {
    "en": [
        *("the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "with", "as", "on", "be", "at"),
        *(
            "by",
            "this",
            "from",
            "are",
            "have",
            "not",
            "or",
            "an",
            "they",
            "which",
            "you",
            "we",
            "can",
            "had",
            "his",
        ),
    ],
    "zh": list("的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年"),
}


def languages_named(text: str, where: str) -> frozenset[str]:
    """Languages as an option names them: ``en``, ``zh``, ``en,zh`` or ``any``.

    Raises:
        InputError: for anything else.
    """
    named = frozenset(part.strip() for part in text.split(","))
    if not named <= {*_COMMON, ANY}:
        expected = f"{', '.join(_COMMON)}, both with a comma, or {ANY}"
        raise InputError("not the name of a language", where=where, got=repr(text), expected=expected)
    return named


def known_languages(tokenizer: Any) -> frozenset[str]:
    """English, Chinese or both, where the tokenizer has nine tenths of the commonest words or characters whole.

    The published English checkpoints have a few Chinese characters whole, and no more.

    Args:
        tokenizer: of transformers.
    """
    return frozenset(
        language
        for language, units in _COMMON.items()
        if sum(_is_whole(tokenizer, unit) for unit in units) >= _WHOLE * len(units)
    )


def _is_whole(tokenizer: Any, unit: str) -> bool:
    # Words are often known with the space before them alone.
    for form in (unit, f" {unit}"):
        ids = tokenizer(form, add_special_tokens=False)["input_ids"]
        if any(tokenizer.decode([one]).strip() == unit for one in ids):
            return True
    return False


def refusal(text: str, languages: Collection[str]) -> str | None:
    """Why a text cannot be scored by a model of these languages, or None where it can.

    By letters: a text with more than a fifth of Chinese characters needs Chinese, any other one English; more than a
    fifth of letters that are neither need `ANY`. Digits and signs alone need nothing. Languages that share the Latin
    script are not told apart.
    """
    if not text.strip():
        return "empty text"
    letters = sum(map(str.isalpha, text))
    if ANY in languages or letters == 0:
        return None
    han, latin = len(_HAN.findall(text)), len(_LATIN.findall(text))
    if letters - han - latin > _SHARE * letters:
        return "more than a fifth of the letters are of a script that the checkpoint is not known to know"
    if han > _SHARE * letters:
        return None if "zh" in languages else "a text with Chinese, which the checkpoint does not know"
    return None if "en" in languages else "a text in Latin letters, and the checkpoint does not know English"
