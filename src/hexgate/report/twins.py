"""Chinese twins of sentences that are kept in English: an artifact is data, and data has one language."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Twins"]

_PART = re.compile(r"\{(\w+)(\*?)\}")
_NEXT = re.compile(r"(?<=\.) (?=[A-Z])")
_MOST = 4000
"""Longer text is none of our sentences."""


class Twins:
    """Sentences with gaps, each in English and in Chinese.

    ``{name}`` is a gap for one word, such as a number; ``{name*}`` one for any text. The Chinese sentence has a gap
    ``{name}`` wherever that part goes, or leaves it out. A part that is itself one of these sentences, or several
    joined by semicolons, is put in in Chinese.

    Args:
        pairs: English and Chinese. Of several that fit, the first is taken.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._exact: dict[str, str] = {}
        self._gapped: list[tuple[re.Pattern[str], str]] = []
        for english, chinese in pairs:
            if _PART.search(english):
                self._gapped.append((_pattern(english), chinese))
            else:
                self._exact.setdefault(english, chinese)

    def chinese(self, sentence: str, *, partly: bool = True) -> str | None:
        """The sentence in Chinese; None where it is none of these.

        Args:
            sentence: in English.
            partly: whether of several sentences in a row those that are known are enough.
        """
        if sentence in self._exact:
            return self._exact[sentence]
        if len(sentence) > _MOST:
            return None
        several = _NEXT.split(sentence)
        known = [self.chinese(one) for one in several] if len(several) > 1 else []
        # First: a gap for any text would else reach from one sentence into another.
        if known and all(known):
            return "".join(one for one in known if one)
        for pattern, chinese in self._gapped:
            if (found := pattern.fullmatch(sentence)) is not None:
                parts = {name: self._part(part) for name, part in found.groupdict().items()}
                return chinese.format(**parts)
        if not partly or not any(known):
            return None
        return "".join(found or f"{one} " for found, one in zip(known, several, strict=True))

    def reasons(self, text: str) -> str:
        """Reasons that are joined by semicolons, each in Chinese that is one of these sentences; else as it is.

        A reason may have a semicolon itself: the shortest that is known is taken each time.
        """
        pieces, found, at = text.split("; "), list[str](), 0
        while at < len(pieces):
            for end in range(at + 1, len(pieces) + 1):
                twin = self.chinese("; ".join(pieces[at:end]), partly=False)
                if twin is not None:
                    found.append(twin)
                    at = end
                    break
            else:
                found.append(pieces[at])
                at += 1
        return "；".join(found) if found != pieces else text

    def _part(self, part: str) -> str:
        return self.chinese(part) or self.reasons(part)


def _pattern(english: str) -> re.Pattern[str]:
    pattern, end = "", 0
    for found in _PART.finditer(english):
        pattern += re.escape(english[end : found.start()])
        pattern += rf"(?P<{found[1]}>{'.+?' if found[2] else '[^ ]+?'})"
        end = found.end()
    return re.compile(pattern + re.escape(english[end:]), re.DOTALL)
