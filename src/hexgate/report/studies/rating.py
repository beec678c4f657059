"""The section of a study's page on the rating of its models, each with its letter and label, or why it has none."""

from __future__ import annotations

import re

from markupsafe import Markup

from hexgate.errors import EvidenceError, InputError
from hexgate.metrics.rating_parts import Estimate
from hexgate.report.numbers import span
from hexgate.report.studies.label import label_of
from hexgate.report.studies.parts import (
    DASH,
    Cell,
    Charts,
    Column,
    Note,
    Section,
    Table,
    name_cell,
    value_cell,
)
from hexgate.report.studies.reasons import reason_words
from hexgate.report.studies.words import word
from hexgate.report.text import Both, Lang, clean, same
from hexgate.study.rating.rated import Rated, rate_study
from hexgate.study.reading import Reading

__all__ = ["rating_section"]

_MOST_LABELS = 12
_FILL = re.compile(r' fill="(#[0-9a-f]+)"')
_LANGS: tuple[Lang, ...] = ("en", "zh")


def rating_section(reading: Reading) -> Section:
    """The section; where the study has no block ``rating``, or it cannot be used, it says that."""
    title, lead = word("rating"), word("rating_lead")
    if reading.spec.rating is None:
        return Section("rating", title, lead, [Note([word("no_rating")])])
    try:
        rated = rate_study(reading)
    except InputError as error:
        return Section(
            "rating", title, lead, [Note([word("no_rating_yet", reason=reason_words(error.what))])]
        )
    except EvidenceError as error:
        reason, where = reason_words(error.what), same(error.where or DASH, 160)
        return Section("rating", title, lead, [Note([word("cannot_rate", reason=reason, where=where)])])
    columns = [Column(word(key), numeric=False) for key in ("col_model", "col_letter")]
    columns += [
        Column(word(key)) for key in ("col_index", "col_request_j", "col_accepted_j", "col_acceptance")
    ]
    columns += [Column(word("col_front"), numeric=False), Column(word("col_refusals"), numeric=False)]
    labels = [(same(one.model, 80), _label(one), Both("", "")) for one in rated if one.letter is not None]
    blocks: list[Table | Charts] = [Table(columns, [_row(one) for one in rated])]
    if labels:
        blocks.append(Charts(labels[:_MOST_LABELS], word("labels")))
    return Section("rating", title, lead, blocks)


def _row(one: Rated) -> list[Cell]:
    rating = one.rating
    estimates = (
        (None,) * 4
        if rating is None
        else (rating.index, rating.joules_per_request, rating.joules_per_accepted, rating.acceptance)
    )
    front = DASH if one.on_front is None else word("yes" if one.on_front else "no")
    refusals = Both("; ", "；").join(
        [Both(clean(each.en, 300), clean(each.zh, 300)) for each in one.refusals[:6]]
    )
    letters = "" if rating is None or rating.letters is None else " – ".join(dict.fromkeys(rating.letters))
    return [
        name_cell(one.model),
        Cell(one.letter or DASH, letters if len(letters) > 1 else ""),
        *map(_estimate, estimates),
        Cell(front),
        Cell(refusals, style="small"),
    ]


def _estimate(found: Estimate | None) -> Cell:
    if found is None or found.value is None:
        return value_cell(None)
    interval = found.interval
    return value_cell(found.value, "" if interval is None else span(interval.low, interval.high) or "")


def _label(one: Rated) -> Markup:
    """The label in both languages, of which the page shows one."""
    # The page's own colours of text would win over attributes, and a label keeps its own; its texts are escaped, so
    # that no attribute comes from outside.
    drawn = "".join(_FILL.sub(r' style="fill:\1"', label_of(one, lang)) for lang in _LANGS)
    return Markup(drawn)  # noqa: S704 every text in it is escaped
