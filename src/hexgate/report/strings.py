"""The reports' own sentences, by key, in both languages at once."""

from __future__ import annotations

from typing import Any

from hexgate.report.strings_en import EN
from hexgate.report.strings_zh import ZH
from hexgate.report.text import Both

__all__ = ["EN", "ZH", "text"]


def text(key: str, **parts: Any) -> Both:
    """A sentence in both languages; a part that is itself a `Both` is put in in the language of the sentence.

    Raises:
        KeyError: if there is no such sentence, or a part of it is not given.
    """
    english = {name: part.en if isinstance(part, Both) else part for name, part in parts.items()}
    chinese = {name: part.zh if isinstance(part, Both) else part for name, part in parts.items()}
    return Both(EN[key].format(**english), ZH[key].format(**chinese))
