"""Text for a reader: both languages at once, and foreign text made harmless and short."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import escape

__all__ = ["Amount", "Both", "Lang", "both_of", "clean", "same"]

Lang = Literal["en", "zh"]

# Control characters, lone surrogates (not encodable) and marks that turn the direction of what follows.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def clean(text: Any, most: int = 600) -> str:
    """Text from outside as it may be shown: nothing invisible that does something, and not endless.

    Args:
        text: anything; what is not text is shown as Python's `str` has it.
        most: longer text is cut there, and says how much is left out.
    """
    shown = text if isinstance(text, str) else str(text)
    shown = _HARMFUL.sub("\ufffd", shown[: most + 1].replace("\r\n", "\n").replace("\r", "\n"))
    if len(shown) <= most:
        return shown
    more = len(text) - most if isinstance(text, str) else 0
    return f"{shown[:most].rstrip()}… (+{max(more, 1)})"


@dataclass(frozen=True)
class Both:
    """One text in both languages. In a template it becomes two elements, of which the page shows one."""

    en: str
    """English."""
    zh: str
    """Chinese."""

    def __getitem__(self, lang: Lang) -> str:
        return self.zh if lang == "zh" else self.en

    def __html__(self) -> str:
        if self.en == self.zh:
            return str(escape(self.en))
        return f'<span lang="en">{escape(self.en)}</span><span lang="zh-CN">{escape(self.zh)}</span>'

    def map(self, change: Callable[[str], str]) -> Both:
        """The same text, changed alike in both languages."""
        return Both(change(self.en), change(self.zh))

    def join(self, texts: list[Both]) -> Both:
        """Texts joined by this one."""
        return Both(self.en.join(text.en for text in texts), self.zh.join(text.zh for text in texts))


@dataclass(frozen=True)
class Amount(Both):
    """A number with its unit: in a template, two pieces that do not break, the unit smaller."""

    number: str
    """The number."""
    unit: Both
    """The unit; empty where there is none."""

    def __html__(self) -> str:
        space = "\u202f" if self.unit.en else ""
        figure = f'<span class="nb">{escape(self.number)}{space}</span>'
        return f'{figure}<wbr><span class="nb unit">{self.unit.__html__()}</span>' if space else figure


def same(text: Any, most: int = 600) -> Both:
    """Foreign text that reads the same in both languages."""
    shown = clean(text, most)
    return Both(shown, shown)


def both_of(words: Mapping[str, tuple[str, str]], key: str, /, **parts: Any) -> Both:
    """A sentence in both languages; a part that is itself a `Both` is put in in the language of the sentence.

    Args:
        words: English and Chinese by key; ``{name}`` is a gap, and takes a format as `str.format` does.
        key: which sentence.
        parts: what stands in each gap.

    Raises:
        KeyError: if there is no such sentence, or a part of it is not given.
    """
    english, chinese = words[key]
    in_english = {name: part.en if isinstance(part, Both) else part for name, part in parts.items()}
    in_chinese = {name: part.zh if isinstance(part, Both) else part for name, part in parts.items()}
    return Both(english.format(**in_english), chinese.format(**in_chinese))
