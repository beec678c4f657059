"""The HTML report of a load: one file that opens offline, in both languages, of bounded size at any length."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hexgate.report.load_drawn import OUTCOMES, PERCENTILES, Chart, load_charts
from hexgate.report.load_sentences import told
from hexgate.report.load_summary import failed_line
from hexgate.report.load_words import WORDS, word
from hexgate.report.numbers import amount, is_number, number, percent
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["MOST_BYTES", "render_load_html"]

Json = Mapping[str, Any]

MOST_BYTES = 1_000_000
"""A page is not larger than this."""
_MOST_CHART_BYTES = 700_000

GLYPHS = {"complete": "●", "partial": "◐", "invalid": "!", "failed": "∅"}
_STYLES = {"complete": "unjudged", "partial": "inconclusive", "invalid": "invalid", "failed": "missing"}
"""None of them in the colours of a verdict: a load that ran well has not passed anything."""
_TEMPLATES = Path(__file__).resolve().parent / "templates"
_MARKS = re.compile(r"\*\*([^*]+)\*\*|`([^`]+)`")
_DASH = "–"
_MOST_TEXT = 600
_MOST_NAMES = 30
_MOST_REASONS = 20
_MOST_SHOWN = 12
_HOW = [key for key in WORDS if key.startswith("how_")]


@dataclass(frozen=True)
class _Cell:
    """A value with what stands under it."""

    value: str
    """The value, rounded for the eye."""
    below: str = ""
    """Its bounds."""


def render_load_html(
    statistics: Json, replies: Sequence[Json], files: Mapping[str, str], *, lang: Lang
) -> str:
    """The report of a load as one HTML page.

    Args:
        statistics: of the load, ``hexgate/load_statistics/1.x``.
        replies: a few replies, each with ``index``, ``text`` and ``error``.
        files: the files that lie beside the report: their names, by what they are: ``requests.csv`` and so on.
        lang: the language that the page opens in; the other one is a button away.
    """
    js = (_TEMPLATES / "report.js").read_text("utf-8")
    css = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("report.css", "load.css"))
    status = statistics["status"]["overall"]
    charts, cut = _fitting(load_charts(statistics, lang))
    return (
        _environment()
        .get_template("load.html.j2")
        .render(
            lang=lang,
            s=statistics,
            status=status,
            style=_STYLES[status],
            glyph=GLYPHS[status],
            subject=same(statistics["subject"]["name"] or statistics["subject"]["uri"], 120),
            css=Markup(css),  # noqa: S704 our own files
            js=Markup(js),  # noqa: S704 our own file
            script_hash=f"sha256-{base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()}",
            asked=_asked(statistics),
            served=_served(statistics),
            failed=failed_line(statistics),
            facts=_facts(statistics),
            tiles=_tiles(statistics),
            percentiles=list(PERCENTILES.values()),
            times=_times(statistics["times"]),
            level=percent(statistics["confidence"]),
            rates=_rates(statistics["rates"]),
            totals=_totals(statistics),
            reasons=[told(reason, 500) for reason in statistics["reasons"][:_MOST_SHOWN]],
            remarks=[told(remark) for remark in statistics["remarks"][:_MOST_REASONS]],
            arrivals=_arrivals(statistics["arrivals"]),
            process=_process(statistics["asked"]["arrival"]),
            missing=_missing(statistics["missing"]),
            charts=charts,
            cut=cut,
            failures=statistics["failures"]["reasons"],
            more=statistics["failures"]["others"],
            slowest=statistics["slowest"],
            replies=[(each["index"], clean(each["text"], _MOST_TEXT)) for each in replies if each["text"]],
            how=_HOW,
            files=[(clean(name, 80), word(f"file_{kind.partition('.')[0]}")) for kind, name in files.items()],
            folder=shlex.quote(clean(statistics["folder"], 300)),
        )
    )


def _fitting(charts: Sequence[Chart]) -> tuple[list[Chart], int]:
    """The charts that a page has room for, from the first, and how many it has not."""
    room = _MOST_CHART_BYTES
    for place, (_, drawn) in enumerate(charts):
        room -= len(drawn.encode("utf-8"))
        if room < 0:
            return list(charts[:place]), len(charts) - place
    return list(charts), 0


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        t=word,
        told=told,
        clean=clean,
        number=_short,
        millis=_millis,
        marked=_marked,
        outcomes=OUTCOMES,
        dash=_DASH,
    )
    return environment


def _marked(words: Both) -> Markup:
    """Words with what is bold in them, or code."""

    def one(content: str) -> str:
        return _MARKS.sub(
            lambda found: f"<b>{found[1]}</b>" if found[1] else f"<code>{found[2]}</code>",
            str(escape(content)),
        )

    if words.en == words.zh:
        return Markup(one(words.en))  # noqa: S704 escaped above
    both = f'<span lang="en">{one(words.en)}</span><span lang="zh-CN">{one(words.zh)}</span>'
    return Markup(both)  # noqa: S704 escaped above


def _short(value: Any) -> str:
    """A number in four digits, an integer in all of its; a dash where there is none."""
    if not is_number(value):
        return _DASH
    return number(value)


def _millis(value: Any) -> str:
    """Milliseconds, to the microsecond at most: the clocks are not better."""
    return _short(round(value, 3)) if is_number(value) else _DASH


def _asked(statistics: Json) -> Both:
    asked, achieved = statistics["asked"], statistics["achieved"]
    if asked["kind"] == "closed_loop":
        return word("asked_closed", slots=_short(asked["concurrency"]))
    pace = achieved["achieved_rps"]
    return word(
        "asked_open",
        rate=_short(asked["rate_rps"]),
        arrival=_process(asked["arrival"]),
        achieved=word("not_known")
        if pace is None
        else word("achieved_rps", rate=number(pace, against=(asked["rate_rps"],))),
    )


def _process(arrival: str | None) -> Both:
    """What a process of arrivals is called."""
    return word(f"arrival_{arrival}") if f"arrival_{arrival}" in WORDS else same(arrival)


def _served(statistics: Json) -> Both | None:
    achieved = statistics["achieved"]
    if achieved["rps"] is None or achieved["window_s"] is None:
        return None
    return word("served", rps=_short(achieved["rps"]), window=_short(achieved["window_s"]))


def _facts(statistics: Json) -> list[tuple[Both, Both]]:
    subject, asked, achieved = statistics["subject"], statistics["asked"], statistics["achieved"]
    facts: list[tuple[str, Any]] = [
        ("target", subject["uri"]),
        ("model", subject["served_model"]),
        ("requests", _short(statistics["outcomes"]["total"])),
        ("warmup", _short(statistics["outcomes"]["warmup"])),
        ("prompts", told(asked["prompts"], 160) if asked["prompts"] else None),
        (
            "concurrency_cap",
            _short(asked["concurrency"]) if asked["kind"] == "open_loop" and asked["concurrency"] else None,
        ),
        ("in_flight_max", None if achieved["in_flight_max"] is None else _short(achieved["in_flight_max"])),
        ("workers", None if achieved["workers"] is None else _short(achieved["workers"])),
        ("seed", None if asked["seed"] is None else str(asked["seed"])),
        ("began", achieved["began"]),
        ("host", statistics["host_class"]),
    ]
    return [
        (word(name), value if isinstance(value, Both) else same(value, 160))
        for name, value in facts
        if value not in (None, "")
    ]


def _tiles(statistics: Json) -> list[tuple[Both, Both, Both | None, bool]]:
    """The few large numbers: the value, what it is, what it counts from, and whether it tells of a failure."""
    times, rates = statistics["times"], statistics["rates"]
    anchor = "due" if times["e2e_due_ms"] else "sent"
    tiles: list[tuple[Both, Both, Both | None, bool]] = []

    def tile(name: str, value: float | None, unit: str = "", below: Both | None = None) -> None:
        if value is not None:
            tiles.append((amount(value, unit), word(name), below, False))

    tile("tile_rps", statistics["achieved"]["rps"])
    for name in ("ttft", "e2e"):
        own = times[f"{name}_{anchor}_ms"]
        tile(f"tile_{name}", None if own is None else own["percentiles"]["p99"], "ms", word(f"from_{anchor}"))
    tile("tile_tokens", (rates["output_tokens_per_s"] or {}).get("mean"))
    if statistics["goodput"] is not None:
        tile("tile_goodput", statistics["goodput"]["per_s"], "", same(statistics["goodput"]["slo"], 80))
    if statistics["error_ratio"] is not None:
        ratio = statistics["error_ratio"]
        tiles.append((percent(ratio), word("tile_errors"), None, ratio > 0))
    return tiles


def _times(times: Json) -> list[tuple[Both, list[_Cell]]]:
    rows = []
    for name, own in times.items():
        # Without reasoning the answer begins with the first token: a second row would say nothing.
        if own is None or (name.startswith("ttfa_") and own == times[name.replace("ttfa", "ttft")]):
            continue
        cells = [_Cell(_short(own["count"])), *(_Cell(_millis(own[key])) for key in ("mean", "std", "min"))]
        for key in PERCENTILES:
            bounds = own["bounds"].get(key)
            below = "" if bounds is None else f"{_millis(bounds['low'])} … {_millis(bounds['high'])}"
            cells.append(_Cell(_millis(own["percentiles"][key]), below))
        rows.append((word(name), [*cells, _Cell(_millis(own["max"]))]))
    return rows


def _rates(rates: Json) -> list[tuple[Both, list[str]]]:
    return [
        (word(name), [_short(own[key]) for key in ("mean", "std", "min", "max")])
        for name, own in rates.items()
        if own is not None
    ]


def _totals(statistics: Json) -> list[tuple[Both, Both]]:
    counts, tokens = statistics["outcomes"], statistics["tokens"]
    rows = [(word("total_timed"), same(_short(counts["total"])))]
    rows += [
        (word(f"outcome_{name}"), same(_short(counts[name])))
        for name in OUTCOMES
        if counts[name] or name == "ok"
    ]
    rows.append((word("total_warmup"), same(_short(counts["warmup"]))))
    for name in ("error_ratio", "timeout_ratio"):
        if statistics[name] is not None:
            rows.append((word(name), percent(statistics[name])))
    names = (
        "prompt_tokens",
        "cached_tokens",
        "output_tokens",
        "reasoning_tokens",
        "counted_tokens",
        "events",
        "bytes",
    )
    rows += [(word(name), same(_short(tokens[name]))) for name in names if tokens[name] is not None]
    if tokens["counted_by"] is not None:
        rows.append((word("counted_by"), word(f"source_{tokens['counted_by']}")))
    if (said := statistics["server_times"]) is not None:
        rows.append((word("loading"), same(_short(said["loading"]))))
        if said["told"]:
            server, client = (_millis(said[name]) for name in ("server_mean_ms", "client_mean_ms"))
            rows.append((word("server_times"), word("server_and_client", server=server, client=client)))
    if statistics["goodput"] is not None:
        rows.append((word("goodput_rps"), same(_short(statistics["goodput"]["per_s"]))))
        rows.append((word("goodput_ratio"), percent(statistics["goodput"]["ratio"])))
    return rows


def _arrivals(arrivals: Json | None) -> list[tuple[Both, list[Both]]]:
    """The arrival process at three places, a row for each property that says something, the verdict last."""
    if arrivals is None:
        return []
    places = [arrivals[name] for name in ("planned", "taken_up", "sent")]
    rows = [
        (word(f"arrivals_{name}"), [_property(place, name) for place in places])
        for name in ("n", "rate_rps", "gap_cv", "gap_lag1", "dispersion", "window_p99")
        if any(place[name] is not None for place in places)
    ]
    verdicts = {True: "arrivals_yes", False: "arrivals_no", None: "arrivals_unjudged"}
    return [*rows, (word("arrivals_verdict"), [word(verdicts[place["ok"]]) for place in places])]


def _property(place: Json, name: str) -> Both:
    """A property of a process, and, where it was judged, what it should be."""
    check = next((one for one in place["checks"] if one["name"] == name), None)
    if place[name] is None or check is None:
        return same(_short(place[name]))
    shown = (number(float(f"{check[part]:.3g}")) for part in ("value", "expected", "tolerance"))
    return word("arrivals_judged", **dict(zip(("value", "expected", "tolerance"), shown, strict=True)))


def _missing(missing: Json) -> list[tuple[Both, list[Both]]]:
    """Why something is not there: each reason with what it explains."""
    by_reason: dict[str, list[Both]] = {}
    for name, reason in missing.items():
        own = by_reason.setdefault(clean(reason, 300), [])
        if len(own) < _MOST_NAMES:
            own.append(word(name) if name in WORDS else same(name, 80))
    return [(told(reason), names) for reason, names in list(by_reason.items())[:_MOST_REASONS]]
