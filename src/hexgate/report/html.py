"""The HTML report: one file that opens offline, in both languages, light and dark."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hexgate.report.caveats import caveats
from hexgate.report.measure_words import INDICATORS, label, short_name, title
from hexgate.report.numbers import THIN, number, number_of, percent
from hexgate.report.reading import see
from hexgate.report.section import section
from hexgate.report.strings import EN, text
from hexgate.report.text import Both, Lang, clean, same
from hexgate.report.verdict_charts import hexagon, interval_bar
from hexgate.report.view import Finding, RuleView, View, interval_name

__all__ = ["MOST_BYTES", "render_html"]

MOST_BYTES = 400_000
"""A page is not larger than this: it gives up bars, reasons and rules where they pass, and says so."""

GLYPHS = {
    "accepted": "✓*",
    "pass": "✓",
    "fail": "✕",
    "inconclusive": "?",
    "invalid": "!",
    "missing": "∅",
    "unjudged": "–",
}
_MOST_ARTIFACTS = 3
_TEMPLATES = Path(__file__).resolve().parent / "templates"
_CODE = re.compile("`([^`]{1,200})`")


@dataclass(frozen=True)
class _Detail:
    """How much a page shows."""

    rules: int | None
    """At most so many rules; all, where None."""
    bars: bool
    """Whether the interval of every rule is drawn, or only of those that do not pass."""
    reasons: bool
    """Whether the reasons of every rule are given, or only of those that do not pass."""
    entries: int = 40
    """At most so many entries of a list of sentences."""
    sections: bool = True
    """Whether every artifact's section is shown in full."""


_DETAILS = (
    _Detail(None, bars=True, reasons=True),
    _Detail(None, bars=False, reasons=True),
    _Detail(None, bars=False, reasons=False),
    _Detail(120, bars=False, reasons=False, entries=12),
    _Detail(40, bars=False, reasons=False, entries=6),
    _Detail(40, bars=False, reasons=False, entries=3, sections=False),
    _Detail(10, bars=False, reasons=False, entries=2, sections=False),
)


def render_html(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], *, lang: Lang) -> str:
    """The report as one HTML page.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
        lang: the language that the page opens in; the other one is a button away.
    """
    view = see(verdict, artifacts)
    page = ""
    for detail in _DETAILS:
        page = _page(view, verdict, detail, lang)
        if len(page.encode("utf-8")) <= MOST_BYTES:
            break
    return page


def _page(view: View, verdict: Mapping[str, Any], detail: _Detail, lang: Lang) -> str:
    js = (_TEMPLATES / "report.js").read_text("utf-8")
    shown = _most_telling(view.rules, detail.rules)
    sections = _MOST_ARTIFACTS if detail.sections else 0
    six = view.indicators[: len(INDICATORS)]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            lang=lang,
            view=view,
            title=text("title", verdict=view.word, subject=view.subject),
            css=Markup((_TEMPLATES / "report.css").read_text("utf-8")),  # noqa: S704 our own file
            js=Markup(js),  # noqa: S704 our own file
            script_hash=f"sha256-{base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()}",
            facts=_facts(verdict, view),
            interval_column=interval_name(rule.interval for rule in view.rules),
            shown_rules=shown,
            hidden_rules=len(view.rules) - len(shown),
            bars=lambda rule: detail.bars or rule.finding is not Finding.PASS,
            told=lambda rule: detail.reasons or rule.finding is not Finding.PASS,
            all_told=detail.reasons,
            most=detail.entries,
            parts={
                each.name: [section(each, artifact) for artifact in each.artifacts[:sections]]
                for each in view.indicators
            },
            hexagon=lambda language: hexagon(
                [each.style for each in six],
                [short_name(each.name) for each in six],
                [each.standing for each in six],
                language,
            ),
            level=_level(verdict),
            caveats=caveats(view),
            folders=[shlex.quote(clean(folder, 300)) for folder in (verdict.get("folders") or ())[:8]]
            or ["DIR"],
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        t=text,
        glyphs=GLYPHS,
        six=INDICATORS,
        short_name=short_name,
        heading=title,
        label=label,
        number=number,
        clean=clean,
        interval_name=interval_name,
        interval_bar=interval_bar,
        marked=_marked,
        sentence=_sentence,
        counts=lambda artifact: text("counts", **{key: number(n) for key, n in artifact["counts"].items()}),
        moment=_moment,
        stated=_stated,
        range=_range,
    )
    return environment


def _marked(words: Both) -> Markup:
    def code(content: str) -> str:
        return _CODE.sub(r"<code>\1</code>", str(escape(content)))

    if words.en == words.zh:
        return Markup(code(words.en))  # noqa: S704 escaped above
    both = f'<span lang="en">{code(words.en)}</span><span lang="zh-CN">{code(words.zh)}</span>'
    return Markup(both)  # noqa: S704 escaped above


def _sentence(words: Both) -> Both:
    return Both(f"{words.en[:1].upper()}{words.en[1:]}.", f"{words.zh}。")


def _moment(stamp: Any) -> str:
    return clean(stamp, 40).replace("T", " ").replace("Z", " UTC")


def _stated(artifact: Mapping[str, Any]) -> list[tuple[str, Both]]:
    names = ("attack_type", "gradient_source", "measurement", "meter", "scope")
    said = [(name, clean(artifact[name], 120)) for name in names if artifact.get(name)]
    return [(name, text(f"said_{each}") if f"said_{each}" in EN else same(each)) for name, each in said]


def _range(ends: str | None) -> str:
    # An interval may break after its dash, and nowhere else: its other spaces do not break.
    return "" if ends is None else ends.replace(f"{THIN}–{THIN}", f"{THIN}– ")


def _level(verdict: Mapping[str, Any]) -> Both:
    confidence = number_of(verdict["policy"].get("confidence"))
    return percent(0.95 if confidence is None else confidence)


def _most_telling(rules: Sequence[RuleView], most: int | None) -> Sequence[RuleView]:
    if most is None or len(rules) <= most:
        return rules
    order = list(Finding)
    return sorted(rules, key=lambda rule: (not rule.blocking, order.index(rule.finding)))[:most]


def _facts(verdict: Mapping[str, Any], view: View) -> list[tuple[str, Both, str]]:
    policy = verdict["policy"]
    confidence = number_of(policy.get("confidence"))
    digest = clean(policy.get("sha256") or "", 80)
    facts = [("policy", same(policy["name"], 120), digest)]
    if confidence is not None:
        facts.append(("confidence", text("one_sided", level=percent(confidence)), ""))
    first = next((each.artifacts[0] for each in view.indicators if each.artifacts), None)
    if first is not None:
        facts.append(("host", same(first["environment"]["host_class"], 120), ""))
        weights = first["subject"]["sha256"]
        if weights:
            facts.append(("weights", same(f"{clean(weights, 12)[:12]}…"), clean(weights, 80)))
    return [*facts, ("judged_at", same(_moment(verdict["created_at"])), "")]
