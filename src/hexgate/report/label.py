"""A printable label of a rating, as one SVG that needs no font and no file from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import escape

from hexgate.metrics.rating_parts import SCHEME
from hexgate.report.label_facts import FACTS, LETTERS, checked, said, words
from hexgate.report.numbers import number
from hexgate.report.svg import text_width
from hexgate.report.text import Lang, clean

__all__ = ["label_svg"]

_WIDTH = 480.0
_EDGE = 24.0
_COLUMN = 176.0
"""Where the values of the facts begin."""
_FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"
_INK, _FAINT, _RULE = "#16202a", "#55606b", "#c9d0d6"
_COLOURS = ("#0b6e4f", "#2f8f4e", "#7fa52d", "#d3ad1f", "#dd8427", "#c9522c", "#9b2335")
_DARK_TEXT = frozenset("CDE")
"""Classes whose colour is light: white letters would not be read on them."""
_RULER = (0.25, 2.0)
"""The ends of the ruler; what lies beyond is drawn at its end with an arrow."""


class _Page:
    """Shapes from top to bottom."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = 0.0

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, *, round_: float = 0.0
    ) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{fill}"'
            + (f' rx="{round_:.1f}"' if round_ else "")
            + "/>"
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, stroke: str = _RULE, width: float = 1.0
    ) -> None:
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"'
            f' stroke-width="{width:.1f}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], fill: str) -> None:
        steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self.parts.append(f'<path d="M{steps}Z" fill="{fill}"/>')

    def text(
        self,
        x: float,
        y: float,
        content: str,
        size: float = 12.0,
        *,
        fill: str = _INK,
        bold: bool = False,
        anchor: str = "start",
    ) -> None:
        weight = ' font-weight="700"' if bold else ""
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"'
        self.parts.append(f"<text {place}{weight}>{escape(content)}</text>")


def label_svg(facts: Mapping[str, Any], lang: Lang = "en") -> str:
    """The label as a whole SVG document, to be printed or to stand in a page.

    Args:
        facts: what to print, by the keys of `hexgate.report.label_facts.FACTS`, and ``model``, ``letter`` (None where
            it is not rated, with ``refusals``), ``letters``, ``index``, ``index_interval`` and ``level``. A fact that
            is missing is printed as not stated, with its reason of ``reasons``. `label_facts` makes them of a rating.
        lang: ``en`` or ``zh``.

    Raises:
        InputError: if it names no model, has a letter without its index, or neither a letter nor a reason.
    """
    checked(facts)
    page = _Page()
    _head(page, facts, lang)
    if facts.get("letter") is None:
        _not_rated(page, facts, lang)
    else:
        _rated(page, facts, lang)
    for group, lines in FACTS.items():
        page.y += 16
        page.line(_EDGE, page.y, _WIDTH - _EDGE, page.y)
        page.y += 19
        page.text(_EDGE, page.y, words(group, lang), 12.5, bold=True)
        for fact in lines:
            _fact(page, fact.name(lang), said(fact, facts, lang))
    page.y += 26
    page.text(_EDGE, page.y, words("own", lang), 10.5, fill=_FAINT)
    height = page.y + 20
    title = f"{clean(facts['model'], 120)}: {facts.get('letter') or words('not_rated', lang)}"
    language = "zh-CN" if lang == "zh" else "en"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" lang="{language}" viewBox="0 0 {_WIDTH:g} {height:.0f}"'
        f' width="{_WIDTH:g}" height="{height:.0f}" role="img" font-family="{_FONT}"><title>{escape(title)}</title>'
    )
    frame = f'<rect x="0.5" y="0.5" width="{_WIDTH - 1:g}" height="{height - 1:.0f}" fill="#fff" stroke="{_INK}"/>'
    return f"{head}{frame}{''.join(page.parts)}</svg>\n"


def _head(page: _Page, facts: Mapping[str, Any], lang: Lang) -> None:
    page.y = 34
    page.text(_EDGE, page.y, words("title", lang), 13, fill=_FAINT, bold=True)
    page.text(_WIDTH - _EDGE, page.y, clean(facts.get("scheme") or "", 60), 11, fill=_FAINT, anchor="end")
    for line in _wrapped(clean(facts["model"], 120), _WIDTH - 2 * _EDGE, 20.0):
        page.y += 26
        page.text(_EDGE, page.y, line, 20, bold=True)


def _rated(page: _Page, facts: Mapping[str, Any], lang: Lang) -> None:
    letter, top = str(facts["letter"]), page.y + 16
    colour = _COLOURS[LETTERS.index(letter)]
    page.rect(_EDGE, top, 112, 112, colour, round_=10)
    page.text(_EDGE + 56, top + 87, letter, 88, fill=_on(letter), bold=True, anchor="middle")
    low, high = (float(end) for end in facts["index_interval"])
    left = _EDGE + 132
    shown = [number(end, spread=(high - low) / 2) for end in (low, high)]
    level = f"{number(100 * float(facts.get('level') or 0.95))} %"
    page.text(left, top + 14, words("index", lang), 12, fill=_FAINT)
    page.text(left, top + 50, number(float(facts["index"]), spread=(high - low) / 2), 34, bold=True)
    page.text(left, top + 72, words("interval", lang, level=level, low=shown[0], high=shown[1]), 12)
    letters = facts.get("letters")
    if letters and letters[0] != letters[1]:
        page.text(left, top + 92, words("range", lang, low=str(letters[0]), high=str(letters[1])), 12)
    page.text(left, top + 110, words("equal", lang), 11, fill=_FAINT)
    page.y = top + 112
    _ruler(page, low, high, float(facts["index"]))


def _ruler(page: _Page, low: float, high: float, index: float) -> None:
    """The classes on a logarithmic ruler, and the interval below it."""
    top, height = page.y + 30, 26.0
    ends = (_RULER[0], *SCHEME.steps, _RULER[1])
    for letter, start, end in zip(LETTERS, ends, ends[1:], strict=False):
        x, width = _place(start), _place(end) - _place(start)
        page.rect(x, top, width - 1, height, _COLOURS[LETTERS.index(letter)])
        page.text(x + width / 2, top + 18, letter, 14, fill=_on(letter), bold=True, anchor="middle")
    for step in SCHEME.steps:
        page.text(_place(step) - 0.5, top - 5, f"{step:.2f}", 9.5, fill=_FAINT, anchor="middle")
    at = top + height + 11
    left, right = _place(low), _place(high)
    page.line(left, at, right, at, _INK, 3)
    for end, value in ((left, low), (right, high)):
        if _RULER[0] <= value <= _RULER[1]:
            page.line(end, at - 5, end, at + 5, _INK, 2)
        else:
            tip = 7.0 if value > _RULER[1] else -7.0
            page.path([(end, at - 5), (end + tip, at), (end, at + 5)], _INK)
    x = _place(index)
    page.path([(x, at - 7), (x + 6, at), (x, at + 7), (x - 6, at)], _INK)
    page.y = at + 10


def _not_rated(page: _Page, facts: Mapping[str, Any], lang: Lang) -> None:
    reasons = [each.get(lang) if isinstance(each, Mapping) else each for each in facts["refusals"]]
    lines = [
        line
        for reason in reasons
        for line in _wrapped(f"• {clean(reason, 200)}", _WIDTH - 2 * _EDGE - 32, 12.5)
    ]
    top, height = page.y + 16, 62 + 18.0 * len(lines)
    page.rect(_EDGE, top, _WIDTH - 2 * _EDGE, height, _INK, round_=10)
    page.rect(_EDGE + 3, top + 3, _WIDTH - 2 * _EDGE - 6, height - 6, "#fff", round_=8)
    page.text(_EDGE + 16, top + 38, words("not_rated", lang), 28, bold=True)
    for number_, line in enumerate(lines):
        page.text(_EDGE + 16, top + 62 + 18 * number_, line, 12.5)
    page.y = top + height


def _fact(page: _Page, name: str, value: str) -> None:
    names = _wrapped(name, _COLUMN - _EDGE - 10, 11.5)
    values = _wrapped(value, _WIDTH - _EDGE - _COLUMN, 11.5)
    page.y += 3
    for row, line in enumerate(names, start=1):
        page.text(_EDGE, page.y + 15 * row, line, 11.5, fill=_FAINT)
    for row, line in enumerate(values, start=1):
        page.text(_COLUMN, page.y + 15 * row, line, 11.5)
    page.y += 15 * max(len(names), len(values))


def _place(index: float) -> float:
    """The place of an index on the ruler, clipped to its ends."""
    low, high = _RULER
    share = math.log(min(max(index, low), high) / low) / math.log(high / low)
    return _EDGE + 8 + share * (_WIDTH - 2 * _EDGE - 16)


def _on(letter: str) -> str:
    return _INK if letter in _DARK_TEXT else "#fff"


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Lines no wider than the width: broken at spaces, between Chinese characters, and anywhere in what is too long."""
    # Fonts of some systems are wider than what labels of charts reckon with.
    scale = size / 11.0
    lines, line = [], ""
    for piece in _pieces(text):
        if line and text_width((line + piece).rstrip()) * scale > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
        while text_width(line) * scale > width and len(line) > 1:
            cut = next(
                n for n in range(len(line) - 1, 0, -1) if n == 1 or text_width(line[:n]) * scale <= width
            )
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str) -> list[str]:
    """What may stand at the end of a line: words with the space behind them, and single Chinese characters."""
    found, word = [], ""
    for character in " ".join(text.split()):
        if ord(character) > 0x2E7F:
            found += [word, character] if word else [character]
            word = ""
        elif character == " ":
            found.append(word + character)
            word = ""
        else:
            word += character
    return [*found, word] if word else found
