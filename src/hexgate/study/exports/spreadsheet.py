"""What spreadsheet programs take, and what they make of it: formulas, characters, lengths, names of sheets."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["cell_text", "guarded", "is_formula", "sheet_names"]

_FORMULA = tuple("=+-@＝＋－＠")
"""With what a formula begins; the full-width signs count in East Asian locales."""
_CONTROL = ("\t", "\r", "\n")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST_CELL = 32_767
_LONGEST_NAME = 31
_CUT = " … (cut)"
_FORBIDDEN = re.compile(r"[\\/*?:\[\]\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_RESERVED = "history"


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take a text for a formula, and carry it out.

    Source: OWASP, CSV Injection (signs at the start of a cell, also behind white space).
    """
    return text.startswith(_CONTROL) or text.lstrip().startswith(_FORMULA)


def guarded(text: str) -> str:
    """A text for a cell of CSV: with an apostrophe in front where it would be taken for a formula."""
    return f"'{text}" if is_formula(text) else text


def cell_text(text: str) -> str:
    """A text for a cell of a workbook: characters that XML does not have become U+FFFD; at most 32,767 units of UTF-16.

    One that is cut ends in words that say so.
    """
    kept = _NO_XML.sub("\ufffd", text)
    if _units(kept) <= _LONGEST_CELL:
        return kept
    return _cut(kept, _LONGEST_CELL - len(_CUT)) + _CUT


def sheet_names(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names of sheets, one for each: no forbidden sign, at most 31 units of UTF-16, no two alike without case.

    Args:
        names: what the sheets would be called.
        taken: names of other sheets of the same workbook.
    """
    used = {name.casefold() for name in taken} | {_RESERVED}
    found: list[str] = []
    for name in names:
        wanted = _FORBIDDEN.sub("-", name).strip(" '") or "-"
        made, number = _cut(wanted, _LONGEST_NAME), 1
        while made.casefold() in used:
            number += 1
            made = _cut(wanted, _LONGEST_NAME - len(f"~{number}")) + f"~{number}"
        used.add(made.casefold())
        found.append(made)
    return found


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, most: int) -> str:
    """The first units of a text; a character of two units is kept or left out whole."""
    # An apostrophe at the end of a name is refused, wherever the cut falls.
    return text.encode("utf-16-le")[: most * 2].decode("utf-16-le", "ignore").rstrip("'")
