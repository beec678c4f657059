"""Reasons why a value is missing or doubtful, as they are counted: those that differ in numbers alone are one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

__all__ = ["as_counted", "counted"]

_OF_A_RUN = re.compile(r"-?\b\d+(?:\.\d+)?(?:e[+-]?\d+)? (?=[sW]\b)")


def as_counted(reasons: Iterable[str]) -> Mapping[str, str]:
    """Each reason with the words under which it is counted: of those alike without seconds and watts "…" for these."""
    groups: dict[str, dict[str, None]] = {}
    for reason in reasons:
        groups.setdefault(_OF_A_RUN.sub("… ", reason), {})[reason] = None
    return {reason: words if len(own) > 1 else reason for words, own in groups.items() for reason in own}


def counted(reasons: Iterable[str]) -> Counter[str]:
    """How often each reason is there, by its words in `as_counted`."""
    found = list(reasons)
    words = as_counted(found)
    return Counter(words[reason] for reason in found)
