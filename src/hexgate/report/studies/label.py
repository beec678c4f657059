"""The label of a study's model."""

from __future__ import annotations

from hexgate.report.label import label_svg
from hexgate.report.label_facts import label_facts
from hexgate.report.text import Lang
from hexgate.study.rating.rated import Rated

__all__ = ["label_of"]


def label_of(rated: Rated, lang: Lang = "en") -> str:
    """The label as a whole SVG document; of a model without a letter, one that says why.

    Args:
        rated: a model, as `hexgate.study.rating.rated.rate_study` gives it.
        lang: ``en`` or ``zh``.
    """
    facts = rated.facts()
    return label_svg(facts if rated.rating is None else label_facts(rated.rating.to_json(), facts), lang)
