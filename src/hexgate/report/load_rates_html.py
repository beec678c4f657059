"""The page of a search or a sweep: latency over rate, what was kept at each, and the figures. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hexgate.report.load_charts import log_ticks
from hexgate.report.load_sentences import told
from hexgate.report.load_words import word
from hexgate.report.numbers import is_number, number
from hexgate.report.svg import Drawing, Frame, Mark, log_scale, nice_ticks, scale
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["render_rates_html"]

Json = Mapping[str, Any]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_DASH = "–"
_KEPT = {"met": "k2", "missed": "k4", "undecided": "k1", "invalid": "k3", "measured": "k0"}
"""What a load said of the SLO, and its colour; "measured" where nothing was to be kept."""
_CHARTS = (("chart_ttft", "ttft_p99_ms", "ttft_ms"), ("chart_e2e", "p99_ms", "e2e_ms"))
"""Title, figure, and the measure of an SLO that limits it."""
_COLUMNS = (
    ("rates_served", "rps"),
    ("rates_tokens", "output_tokens_per_s"),
    ("rates_ttft_p50", "ttft_p50_ms"),
    ("rates_ttft_p99", "ttft_p99_ms"),
    ("rates_tpot_p50", "tpot_p50_ms"),
    ("rates_e2e_p50", "p50_ms"),
    ("rates_e2e_p99", "p99_ms"),
    ("rates_errors", "error_ratio"),
)
_MOST_WHY = 600
_WIDE = 20.0
"""Rates that lie further apart than this many times stand on a logarithmic axis."""


def render_rates_html(document: Json, *, lang: Lang) -> str:
    """The page of a search or a sweep.

    Args:
        document: ``hexgate/load_search/1.x`` or ``hexgate/load_sweep/1.x``.
        lang: the language that the page opens in; the other one is a button away.
    """
    is_search = "rate_rps" in document
    steps = sorted(
        document["probes" if is_search else "points"], key=lambda step: (step["rate_rps"], step["seconds"])
    )
    columns = [
        (name, figure) for name, figure in _COLUMNS if any(is_number(one["figures"][figure]) for one in steps)
    ]
    js = (_TEMPLATES / "report.js").read_text("utf-8")
    css = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("report.css", "load.css"))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("rates.html.j2").render(
        t=word,
        lang=lang,
        css=Markup(css),  # noqa: S704 our own files
        js=Markup(js),  # noqa: S704 our own file
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()}",
        subject=same(document["target"], 120),
        kind=word("rates_search" if is_search else "rates_sweep"),
        headline=_found(document) if is_search else _served(document),
        slo=", ".join(_term(term) for term in document["slo"] or ()),
        ended=word(f"rates_ended_{document['ended']}"),
        charts=[
            (word(title), chart)
            for title, figure, measure in _CHARTS
            if (chart := _chart(word(title), steps, figure, _limits(document, measure), lang))
        ],
        heads=[word(name) for name, _ in columns],
        rows=[
            (
                _short(step["rate_rps"]),
                _short(step["seconds"]),
                [_short(step["figures"][figure]) for _, figure in columns],
                _KEPT[_said(step)],
                word(f"rates_{_said(step)}"),
                [told(reason, _MOST_WHY) for reason in _whys(step)],
                clean(step["folder"], 120),
            )
            for step in steps
        ],
        confidence=number(100 * document["confidence"]),
        run_id=clean(document["run_id"], 80),
    )


def _said(step: Json) -> str:
    """What a load says of the SLO: nothing where its client did not keep up."""
    if step["client_reasons"] or step["status"] == "invalid":
        return "invalid"
    kept = {one["kept"] for one in step["judged"]}
    if not kept:
        return "measured"
    if "missed" in kept:
        return "missed"
    return "met" if kept == {"met"} else "undecided"


def _whys(step: Json) -> list[str]:
    reasons = [str(reason) for reason in step["client_reasons"]]
    return reasons or [f"{one['term']}: {one['why']}" for one in step["judged"]]


def _found(document: Json) -> Both:
    if document["rate_rps"] is None:
        return word("rates_none")
    return word("rates_found", rate=_short(document["rate_rps"]))


def _served(document: Json) -> Both:
    if document["served_rps"] is not None:
        return word("rates_served_most", rate=_short(document["served_rps"]))
    return word("rates_points", count=len(document["points"]))


def _term(term: Json) -> str:
    statistic = f".{term['statistic']}" if term["statistic"] else ""
    return f"{term['measure']}{statistic}{term['comparator']}{term['limit']:g}"


def _limits(document: Json, measure: str) -> list[Mark]:
    """The limits on the 99th percentile of a measure."""
    return [
        Mark(term["limit"], _short(term["limit"]), "c-limit")
        for term in document["slo"] or ()
        if term["measure"] == measure and term["statistic"] == "p99"
    ]


def _chart(title: Both, steps: Sequence[Json], figure: str, limits: Sequence[Mark], lang: Lang) -> Markup:
    """A figure over the rate, a dot for each load in the colour of what it said; empty where none has it."""
    points = [
        (float(step["rate_rps"]), float(step["figures"][figure]), _KEPT[_said(step)])
        for step in steps
        if is_number(step["figures"][figure]) and step["figures"][figure] > 0
    ]
    if not points:
        return Markup()
    values = [value for _, value, _ in points] + [mark.value for mark in limits]
    low, high = min(values) / 1.2, max(values) * 1.2
    frame = Frame(54.0, 26.0, 520.0 - (48 if limits else 24), 200.0)
    least, most = min(rate for rate, _, _ in points), max(rate for rate, _, _ in points) * 1.05
    wide = most > _WIDE * least
    x = (
        log_scale(least / 1.2, most, frame.left, frame.right)
        if wide
        else scale(0.0, most, frame.left, frame.right)
    )
    y = log_scale(low, high, frame.bottom, frame.top)
    said = "; ".join(f"{_short(rate)}/s: {_short(value)} ms" for rate, value, _ in points)
    drawing = Drawing(520.0, frame.bottom + 36, title[lang], said)
    frame.y_axis(drawing, log_ticks(low, high), y, word("axis_ms"))
    # Of several loads at one rate the line takes the longest, which comes last, and none of a client that was slow.
    sound = {rate: value for rate, value, style in points if style != _KEPT["invalid"]}
    if len(sound) > 1:
        drawing.path([(x(rate), y(value)) for rate, value in sound.items()], "c-line k0")
    frame.marks_across(drawing, limits, y)
    for rate, value, style in points:
        drawing.rect(
            x(rate) - 4, y(value) - 4, 8, 8, f"c-key {style}", hint=f"{_short(rate)}/s: {_short(value)} ms"
        )
    ticks = log_ticks(least, most) if wide else nice_ticks(0.0, most, 5)
    frame.x_axis(drawing, ticks, x, word("rates_axis_log" if wide else "rates_axis"))
    return drawing.finish("chart wide")


def _short(value: Any) -> str:
    return number(float(f"{value:.3g}")) if is_number(value) else _DASH
