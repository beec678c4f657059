"""The page of a study: one HTML file that opens offline, in both languages, and is useful without JavaScript. Pure."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hexgate.report.studies.by_level import levels_section
from hexgate.report.studies.by_size import sizes_section
from hexgate.report.studies.common import common_of, noted
from hexgate.report.studies.figures import study_figures
from hexgate.report.studies.head import head_of, measuring_section, missing_section
from hexgate.report.studies.judge import judge_section
from hexgate.report.studies.models import (
    cells_section,
    configurations_of,
    distributions_section,
    models_section,
    profiles_section,
)
from hexgate.report.studies.rating import rating_section
from hexgate.report.studies.sections import energy_section, tasks_section
from hexgate.report.studies.words import word
from hexgate.report.text import Lang, clean
from hexgate.study.reading import Reading

__all__ = ["MOST_BYTES", "REFRESH_S", "study_page"]

MOST_BYTES = 2_000_000
"""A page of up to some dozen models is not larger than this, however many runs it is of."""
REFRESH_S = 10
"""A page of a study that runs loads itself anew after so many seconds."""

_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def study_page(reading: Reading, lang: Lang, *, live: bool = False) -> str:
    """The page of a study, as far as the study has come.

    Args:
        reading: the study, as `read_study` gives it.
        lang: the language that the page opens in; the other one is a button away.
        live: whether the study runs and the page is to load itself anew, which needs no script.
    """
    study = study_figures(reading)
    common = common_of(study)
    levels = levels_section(study, lang)
    configurations = configurations_of(reading)
    suite = reading.plan.sha256()
    found = (
        noted(energy_section(study, common.study, suite, lang), common.note),
        rating_section(reading),
        None if levels is None else noted(levels, common.own_note),
        noted(tasks_section(study, lang), common.own_note),
        noted(sizes_section(common.study, configurations, lang), common.note),
        noted(profiles_section(common.study, lang), common.note),
        distributions_section(study, lang),
        judge_section(reading, lang),
        models_section(reading, configurations),
        measuring_section(reading),
        missing_section(reading),
        cells_section(study),
    )
    js = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("report.js", "study.js"))
    css = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("report.css", "load.css", "study.css"))
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(
        "study.html.j2"
    ).render(
        t=word,
        lang=lang,
        css=Markup(css),  # noqa: S704 our own files
        js=Markup(js),  # noqa: S704 our own files
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(js.encode()).digest()).decode()}",
        head=head_of(reading, study, live=live),
        sections=[section for section in found if section is not None],
        refresh_s=REFRESH_S if live else None,
        how=("how_mean", "how_interval", "how_front", "how_files"),
        spec_digest=clean(reading.head.get("spec_sha256", ""), 80)[:16],
    )
