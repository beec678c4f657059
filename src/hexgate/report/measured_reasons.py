"""Why a measurement is not complete, or a value is not there: what the artifact says in English, in both languages."""

from __future__ import annotations

import re
from functools import cache

from hexgate.report.load_sentences import SENTENCES
from hexgate.report.meter_sentences import METER_SENTENCES
from hexgate.report.text import Both, clean
from hexgate.report.twins import Twins

__all__ = ["in_chinese", "told_reason"]

_ENDED = re.compile(r"(?<=\.); ")
"""Between two reasons of which the first is of whole sentences."""


@cache
def _twins() -> Twins:
    return Twins((*SENTENCES, *METER_SENTENCES))


def in_chinese(reasons: str) -> str:
    """Reasons of an artifact, joined by semicolons, each in Chinese that is one of ours; the others as they are."""
    twins = _twins()
    return "；".join(twins.chinese(part) or twins.reasons(part) for part in _ENDED.split(reasons))


def told_reason(reason: str, most: int) -> Both:
    """A reason in both languages, harmless and at most so many characters long."""
    return Both(clean(reason, most), clean(in_chinese(reason), most))
