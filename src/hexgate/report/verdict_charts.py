"""The two drawings of verdicts: a value against its limit, and the hexagon of all six indicators."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from hexgate.report.numbers import amount, number, span
from hexgate.report.strings import text
from hexgate.report.svg import Drawing, scale
from hexgate.report.text import Both, Lang
from hexgate.report.view import Scale

__all__ = ["hexagon", "interval_bar"]


def interval_bar(drawn: Scale, verdict: str, unit: str) -> Markup:
    """A value with its interval and judged bound against its limit; the side that passes is shaded.

    Args:
        drawn: what is compared.
        verdict: the verdict, as the page colours it.
        unit: the measure's unit.
    """
    width, height, middle = 190.0, 26.0, 13.0
    known = [end for end in (drawn.low, drawn.value, drawn.high, drawn.limit, drawn.bound) if end is not None]
    least, most = min(known), max(known)
    room = (most - least) * 0.12 or abs(most) * 0.1 or 1.0
    x = scale(least - room, most + room, 4, width - 4)
    ends = span(drawn.low, drawn.high, against=(drawn.limit,))
    sign = "≥" if drawn.passes_above else "≤"
    value = amount(drawn.value, unit, against=(drawn.limit,)).en
    title = (
        f"{value}{f' [{ends}]' if ends else ''}; {sign} {number(float(drawn.limit), against=(drawn.limit,))}"
    )
    drawing = Drawing(width, height, title)
    limit = x(drawn.limit)
    good = (limit, width) if drawn.passes_above else (0.0, limit)
    drawing.rect(good[0], 4, good[1] - good[0], 18, "c-good")
    drawing.line(0, middle, width, middle, "c-grid")
    style = f"c-range v-{verdict}"
    if drawn.low is not None or drawn.high is not None:
        left = 0.0 if drawn.low is None else x(drawn.low)
        right = width if drawn.high is None else x(drawn.high)
        drawing.line(left, middle, right, middle, style)
        for end, at in ((drawn.low, left), (drawn.high, right)):
            if end is not None:
                drawing.line(at, middle - 5, at, middle + 5, f"{style} c-cap")
    if drawn.bound is not None:
        drawing.line(x(drawn.bound), middle - 8, x(drawn.bound), middle + 8, "c-bound")
    drawing.line(limit, 1, limit, height - 1, "c-limit")
    drawing.circle(x(drawn.value), middle, 4.2, f"c-dot v-{verdict}")
    return drawing.finish("interval")


def hexagon(verdicts: Sequence[str], names: Sequence[Both], words: Sequence[Both], lang: Lang) -> Markup:
    """Six fields around a centre, each in the colour of an indicator's verdict, numbered as the sections are.

    Args:
        verdicts: of each indicator, as the page colours it.
        names: of each indicator.
        words: what is said of each indicator.
        lang: the language of its words.
    """
    size, radius = 220.0, 100.0
    centre = size / 2
    corners = [
        (centre + radius * math.sin(math.pi * turn / 3), centre - radius * math.cos(math.pi * turn / 3))
        for turn in range(7)
    ]
    hints = [
        f"{name[lang]}{text('colon')[lang]}{word[lang]}" for name, word in zip(names, words, strict=True)
    ]
    drawing = Drawing(size, size, text("hexagon")[lang], ("；" if lang == "zh" else "; ").join(hints))
    for index, (verdict, hint) in enumerate(zip(verdicts, hints, strict=True)):
        points = [(centre, centre), corners[index], corners[index + 1], (centre, centre)]
        middle = (sum(x for x, _ in points[:3]) / 3, sum(y for _, y in points[:3]) / 3)
        drawing.path(points, f"c-sector v-{verdict}", hint=hint)
        drawing.text(middle[0], middle[1] + 7, str(index + 1), f"c-sector-no v-{verdict}", "middle")
    return drawing.finish("hexagon")
