"""The report as GitHub-flavoured Markdown, for a pull-request comment or a job summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hexgate.report.caveats import caveats
from hexgate.report.measure_words import indicator_name, label, short_name
from hexgate.report.numbers import number
from hexgate.report.reading import see
from hexgate.report.section import Figure, section
from hexgate.report.strings import text
from hexgate.report.text import Both, Lang, clean
from hexgate.report.view import Finding, IndicatorView, Requirement, RuleView, View

__all__ = ["MOST_BYTES", "render_markdown"]

MOST_BYTES = 60_000
"""A comment on GitHub may have 65,536 characters; what does not fit is left out, and the end says so."""

_SIGNS = {
    Finding.PASS: "✅",
    Finding.FAIL: "❌",
    Finding.INCONCLUSIVE: "❔",
    Finding.INVALID: "⛔",
    Finding.MISSING: "⬜",
    Finding.UNJUDGED: "➖",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
# A name after @, an issue after # or a bare address would become a link or call somebody in.
_CALLS = re.compile(r"(@|#|://|www\.)")
_TABLE_SHARE = 0.6


def render_markdown(verdict: Mapping[str, Any], artifacts: Sequence[Mapping[str, Any]], *, lang: Lang) -> str:
    """The report as Markdown, never longer than `MOST_BYTES`.

    Args:
        verdict: the gate's verdict, ``hexgate/verdict/1.x``.
        artifacts: the artifacts it was taken on, as read and checked.
        lang: its language.
    """
    view = see(verdict, artifacts)
    page = _Page(lang)
    page.add(_head(view, lang))
    page.add_table(view)
    if any(not each.artifacts for each in view.indicators[:6]):
        page.add(_absent(view, lang))
    page.add_list(None, _reasons(view, lang, passed=False))
    page.add_list(text("problems"), [_escaped(each[lang]) for each in view.problems])
    page.add_list(text("caveats"), [_escaped(each[lang]) for each in caveats(view)])
    for indicator in view.indicators:
        page.add(_details(indicator, lang))
    page.add_list(text("md_passed"), _reasons(view, lang, passed=True), fold=True)
    page.add_list(text("notes"), [_escaped(each[lang]) for each in view.notes], fold=True)
    page.add_list(text("unused"), [_code(each[lang]) for each in view.unused], fold=True)
    policy = verdict["policy"]
    page.add(
        f"<sub>{text('policy')[lang]} {_escaped(clean(policy['name'], 120))}"
        f" · sha256 {clean(policy['sha256'], 12)[:12]} · {clean(verdict['created_at'], 40)}</sub>"
    )
    return page.finish()


class _Page:
    """Blocks of Markdown, as long as there is room for them."""

    def __init__(self, lang: Lang) -> None:
        self._lang = lang
        self._blocks: list[str] = []
        self._cut = f"_{text('md_cut')[lang]}_"
        self._left = MOST_BYTES - _size(self._cut) - 2
        self._whole = True

    def add(self, block: str) -> bool:
        """Add a block whole, or not at all."""
        fits = _size(block) + 2 <= self._left
        if fits and block:
            self._blocks.append(block)
            self._left -= _size(block) + 2
        self._whole = self._whole and fits
        return fits

    def add_table(self, view: View) -> None:
        """Add the table of rules: all of them, or those first that do not pass."""
        order = list(Finding)
        names = ("rule", "value", "interval", "limit", "observations", "verdict")
        lines = [
            f"| {' | '.join(text(name)[self._lang] for name in names)} |",
            "| --- | ---: | :---: | :---: | ---: | --- |",
        ]
        rows = [(rule.finding, rule.blocking, _row(rule, self._lang)) for rule in view.rules]
        rows += [(each.finding, True, _required(each, self._lang)) for each in view.requirements]
        room = int(self._left * _TABLE_SHARE)
        if sum(_size(row) + 1 for _, _, row in rows) > room:
            rows.sort(key=lambda row: (not row[1], order.index(row[0])))
        shown = 0
        for _, _, row in rows:
            room -= _size(row) + 1
            if room < 0:
                break
            lines.append(row)
            shown += 1
        self.add("\n".join(lines))
        if shown < len(rows):
            self._whole = False
            self.add(text("rules_cut", count=len(rows) - shown)[self._lang])

    def add_list(self, heading: Both | None, lines: Sequence[str], *, fold: bool = False) -> None:
        """Add as many lines of a list as there is room for, under a heading or folded behind it."""
        if not lines:
            return
        title = "" if heading is None else heading[self._lang]
        start = f"<details><summary>{title}</summary>\n\n" if fold else (f"### {title}\n\n" if title else "")
        end = "\n\n</details>" if fold else ""
        room, kept = self._left - _size(start + end) - 2, []
        for line in lines:
            room -= _size(line) + 3
            if room < 0:
                self._whole = False
                break
            kept.append(f"- {line}")
        if kept:
            self.add(start + "\n".join(kept) + end)

    def finish(self) -> str:
        """The whole text."""
        end = [] if self._whole else [self._cut]
        return "\n\n".join([*self._blocks, *end]) + "\n"


def _head(view: View, lang: Lang) -> str:
    title = text("title", verdict=view.word, subject=view.subject)
    parts = [
        f"## {_sign(view.finding, view.accepted)} {_escaped(title[lang])}",
        f"{_escaped(view.decided[lang])}",
        f"**{_ours(view.then[lang])}**",
    ]
    if view.demonstration:
        stop = "。" if lang == "zh" else ". "
        parts.insert(
            1,
            f"> **{text('demonstration')[lang]}{stop.strip()}**{stop[1:]}{text('demonstration_more')[lang]}",
        )
    return "\n\n".join(parts)


def _row(rule: RuleView, lang: Lang) -> str:
    tags = [] if rule.tier == "block" else [rule.tier_word[lang]]
    tags += [text("mode_point")[lang]] if rule.mode == "point" else []
    tags += [text("waived")[lang]] if rule.waived else []
    name = f"{_escaped(short_name(rule.indicator)[lang])} · {_escaped(label(rule.indicator, rule.measure)[lang])}"
    note = f"<br>{_code(rule.id)}{''.join(_aside(tag, lang) for tag in tags)}"
    figure = rule.shown
    value = _escaped(figure.value[lang]) + "".join(f"<br>{_escaped(each[lang])}" for each in figure.notes)
    if rule.loss_text is not None:
        value += f"<br>{_escaped(rule.loss_text[lang])}"
    cells = (
        name + note,
        value,
        _escaped(figure.interval or "—"),
        _escaped(rule.limit_text[lang]),
        "—" if figure.n is None else _escaped(figure.n[lang]),
        f"{_sign(rule.finding, rule.accepted)} {_escaped(rule.word[lang])}",
    )
    return f"| {' | '.join(cells)} |"


def _required(required: Requirement, lang: Lang) -> str:
    name = f"{_escaped(short_name(required.indicator)[lang])}<br>{text('required')[lang]}"
    return f"| {name} | — | — | — | — | {_required_sign(required)}{required.word[lang]} |"


def _required_sign(required: Requirement) -> str:
    # That a file is there is no pass, and gets no tick.
    return "" if required.finding is Finding.PASS else f"{_SIGNS[required.finding]} "


def _sign(finding: Finding, accepted: bool) -> str:
    return "☑️" if accepted else _SIGNS[finding]


def _aside(words: str, lang: Lang) -> str:
    return f"（{_escaped(words)}）" if lang == "zh" else f" ({_escaped(words)})"


def _absent(view: View, lang: Lang) -> str:
    names = [indicator_name(each.name)[lang] for each in view.indicators[:6] if not each.artifacts]
    space, comma = ("", "、") if lang == "zh" else (" ", ", ")
    return f"**{text('absent_named')[lang]}**{space}{_escaped(comma.join(names))}"


def _reasons(view: View, lang: Lang, *, passed: bool) -> list[str]:
    judged = [
        (f"{_sign(rule.finding, rule.accepted)} {_code(rule.id)}", rule.finding, rule.told)
        for rule in view.rules
    ]
    judged += [
        (f"{_required_sign(each)}{_code(each.indicator)}", each.finding, each.told)
        for each in view.requirements
    ]
    judged.sort(key=lambda each: list(Finding).index(each[1]))
    colon, mark = ("：", "；") if lang == "zh" else (": ", "; ")
    return [
        f"{name}{colon}{_escaped(mark.join(reason[lang] for reason in reasons[:6]))}"
        for name, finding, reasons in judged
        if (finding is Finding.PASS) == passed
    ]


def _details(indicator: IndicatorView, lang: Lang) -> str:
    if not indicator.artifacts:
        return ""
    artifact = indicator.artifacts[0]
    part = section(indicator, artifact)
    counts = {key: number(n) for key, n in artifact["counts"].items()}
    status, trust = text(f"status_{artifact['status']}"), text(f"trust_{artifact['trust']}")
    lines = [
        f"<details><summary>{text('md_details', indicator=indicator_name(indicator.name))[lang]}</summary>",
        f"{status[lang]} · {trust[lang]} · {text('counts', **counts)[lang]}",
        _figures(part.figures, lang),
    ]
    colon, comma = ("：", "、") if lang == "zh" else (": ", ", ")
    if part.missing:
        reasons = [
            f"- {comma.join(_code(key) for key, _ in entries[:20])}{colon}{_escaped(reason[lang])}"
            for reason, entries in part.missing[:10]
        ]
        lines.append(f"{text('missing')[lang]}{colon.strip()}\n\n" + "\n".join(reasons))
    return "\n\n".join([*(line for line in lines if line), "</details>"])


def _figures(figures: Iterable[Figure], lang: Lang) -> str:
    rows = [
        f"| {_escaped(each.label[lang])} {_code(each.measure)} | {_value(each, lang)} | {each.interval or ''} |"
        for each in figures
    ]
    if not rows:
        return ""
    head = f"| {text('figure')[lang]} | {text('value')[lang]} | {text('interval')[lang]} |\n| --- | ---: | :---: |\n"
    return head + "\n".join(rows)


def _value(figure: Figure, lang: Lang) -> str:
    return _escaped(figure.value[lang]) + (_aside(text("estimated")[lang], lang) if figure.estimated else "")


def _size(block: str) -> int:
    return len(block.encode("utf-8"))


def _escaped(content: str) -> str:
    plain = " ".join(content.split("\n"))
    entities = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CALLS.sub(r"\1<!-- -->", _SPECIAL.sub(r"\\\1", entities))


def _ours(content: str) -> str:
    # Our own sentences have code in backticks; nothing foreign but names stands in them.
    return "`".join(
        _escaped(piece) if index % 2 == 0 else piece.replace("|", "\\|")
        for index, piece in enumerate(content.split("`"))
    )


def _code(content: str) -> str:
    plain = " ".join(content.split("\n")).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`"
