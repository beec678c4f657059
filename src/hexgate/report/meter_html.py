"""The page of a metered command: one file that opens offline, in both languages. Pure."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hexgate.report.load_charts import Line, time_chart
from hexgate.report.load_words import word as load_word
from hexgate.report.meter_rows import Row, joules, rows, scope_word, shown
from hexgate.report.meter_sentences import told
from hexgate.report.meter_words import word
from hexgate.report.text import Both, Lang, clean, same

__all__ = ["render_meter_html"]

Json = Mapping[str, Any]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_DASH = "–"
_MOST_CHARTS = 16
_MOST_LACKS = 40


def render_meter_html(document: Json, power: Json, *, lang: Lang) -> str:
    """The page of one command.

    Args:
        document: ``hexgate/meter/1.x``.
        power: power over time: ``command``, its begin and end in seconds, and ``lines``, by the id of a domain
            ``step_s`` and ``watts``, the mean power of each bin from 0 s on.
        lang: the language that the page opens in; the other one is a button away.
    """
    js = (_TEMPLATES / "report.js").read_text("utf-8")
    css = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("report.css", "load.css"))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    begin_s, end_s = power["command"]
    return environment.get_template("meter.html.j2").render(
        t=word,
        lang=lang,
        css=Markup(css),  # noqa: S704 our own files
        js=Markup(js),  # noqa: S704 our own file
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()}",
        command=same(shlex.join(document["command"]), 200),
        headline=_headline(document),
        rows=_styled(rows(document)),
        charts=list(_charts(power, lang)),
        charts_note=word("charts_note", begin=_short(begin_s), end=_short(end_s)),
        domains=[_domain(block) for block in document["domains"]],
        lacks=list(_lacks(document)),
        run_id=clean(document["run_id"], 80),
        made_at=clean(document["created_at"], 40).replace("T", " ").replace("Z", " UTC"),
        machine=same(document["environment"]["host_class"], 120),
    )


def _headline(document: Json) -> Both:
    total = document["total"]
    if total is None or total["energy_j"] is None:
        return word("no_energy")
    return joules(total)


def _styled(found: list[Row]) -> list[tuple[Both, Both, str]]:
    return [(row.label, row.value, "soft" if row.is_part else "") for row in found]


def _charts(power: Json, lang: Lang) -> Iterator[tuple[Both, Markup]]:
    for name, line in list(power["lines"].items())[:_MOST_CHARTS]:
        title = word("chart_power", what=same(name, 60))
        drawn = time_chart(
            title, load_word("axis_w"), [Line(same(name, 40), line["watts"], line["step_s"])], lang
        )
        if drawn:
            yield title, drawn


def _domain(block: Json) -> tuple[str, Both, list[str], list[Both]]:
    cells = [
        _DASH if block[name] is None else shown(float(f"{block[name]:.3g}"))
        for name in ("edge_j", "sampling_j", "sensor_j")
    ]
    energy = _DASH if block["energy_j"] is None else shown(block["energy_j"], block["uncertainty_j"])
    readings = _DASH if block["readings"] is None else str(block["readings"])
    return (
        clean(block["id"], 80),
        scope_word(block["scope"]),
        [energy, *cells, readings],
        [told(reason) for reason in block["degraded"]],
    )


def _lacks(document: Json) -> Iterator[tuple[str, Both, Both | None]]:
    for lack in document["recorded"]["sampler"]["unavailable"][:_MOST_LACKS]:
        remedy = None if lack["remedy"] is None else word("remedy", text=told(lack["remedy"]))
        yield clean(f"{lack['meter']}: {lack['what']}", 120), told(lack["reason"]), remedy


def _short(value: float) -> str:
    return shown(float(f"{value:.4g}"))
