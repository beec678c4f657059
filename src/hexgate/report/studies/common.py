"""Means of models on the questions that all have answered: one that fails at what is hard gains nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hexgate.report.numbers import number
from hexgate.report.studies.figures import Group, Row, StudyFigures, figure
from hexgate.report.studies.parts import Note, Section
from hexgate.report.studies.words import word
from hexgate.report.text import Both, clean, same

__all__ = ["Common", "common_of", "names_of", "noted"]

_LEAST_SHARE = 0.5
"""Fewer common questions than this share of what the fullest model has say too little of the study."""
_MOST_NAMES = 6


@dataclass(frozen=True)
class Common:
    """What models have in common."""

    study: StudyFigures
    """The figures with models and runs cut to the common questions; whole where these are all, or too few. Counts of
    runs stay those of the study."""
    shared: int
    """Questions, each at a load, that every model has answered; models without any answer are left out of it."""
    most: int
    """Those of the model that has answered the most."""
    lacking: tuple[str, ...]
    """The models that lack an answer which another one has; empty where all have the same."""

    @property
    def note(self) -> Both | None:
        """Which questions the means of `study` are of; None where there is nothing to say."""
        if not self.lacking:
            return None
        if _enough(self.shared, self.most):
            key = "on_common_yet" if self.study.left else "on_common"
        else:
            key = "few_common_yet" if self.study.left else "few_common"
        return word(
            key,
            shared=number(self.shared),
            most=number(self.most),
            models=names_of(self.lacking),
            left=number(self.study.left),
        )

    @property
    def own_note(self) -> Both | None:
        """What to know where each mean is of its own questions; None where there is nothing to say."""
        if not self.lacking:
            return None
        key = "own_questions_yet" if self.study.left else "own_questions"
        return word(key, models=names_of(self.lacking), left=number(self.study.left))


def common_of(study: StudyFigures) -> Common:
    """The models of a study on what all of them have answered."""
    answered: dict[str, set[tuple[str, str, str]]] = {}
    for row in study.rows:
        if row.ok:
            answered.setdefault(row.model, set()).add(_unit(row))
    every = set().union(*answered.values())
    shared = set.intersection(*answered.values()) if answered else set()
    most = max(map(len, answered.values()), default=0)
    lacking = tuple(
        group.model for group in study.models if group.over and answered.get(group.model, set()) != every
    )
    if not lacking or not _enough(len(shared), most):
        return Common(study, len(shared), most, lacking)
    rows = tuple(row for row in study.rows if _unit(row) in shared)
    models = tuple(_cut(group, [row for row in rows if row.model == group.model]) for group in study.models)
    return Common(replace(study, rows=rows, models=models), len(shared), most, lacking)


def noted(section: Section, note: Both | None) -> Section:
    """A section with a note at its head, where there is one."""
    return section if note is None else replace(section, blocks=[Note([note]), *section.blocks])


def names_of(models: Iterable[str]) -> Both:
    """The first few names of models, and how many more there are."""
    found = list(models)
    more = f", … (+{len(found) - _MOST_NAMES})" if len(found) > _MOST_NAMES else ""
    return same(", ".join(clean(name, 60) for name in found[:_MOST_NAMES]) + more, 500)


def _unit(row: Row) -> tuple[str, str, str]:
    return row.task, row.load, row.item


def _enough(shared: int, most: int) -> bool:
    return shared > 0 and shared >= _LEAST_SHARE * most


def _cut(group: Group, rows: list[Row]) -> Group:
    """The group with the figures of some of its runs; those that had an interval have one."""
    figures = {key: figure(rows, key, sure=found.over is not None) for key, found in group.figures.items()}
    return replace(group, figures=figures)
