"""The models of a study, rated: each by its own runs against one frozen reference, or why it is not.

What a letter means and how it comes about is `hexgate.metrics.rating`; here the runs of a study become the requests
that it takes. A run that is not made yet, that nobody answered, or whose energy is missing is never left out: it is a
reason why there is no letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

from hexgate.errors import InputError
from hexgate.metrics.pareto import Point, front
from hexgate.metrics.rating import freeze, rate
from hexgate.metrics.rating_parts import (
    SCHEME,
    Basis,
    Estimate,
    Floor,
    Form,
    Rating,
    Reason,
    Reference,
    Served,
)
from hexgate.study.ledger import RUNS
from hexgate.study.rating.about import about_of, evidence_of, name_with_version
from hexgate.study.rating.basis import basis_of, beside_others, unlike
from hexgate.study.rating.reference import read_reference
from hexgate.study.rating.spec import RatingSpec
from hexgate.study.rating.suite import Suite, suite_of
from hexgate.study.reading import Reading

__all__ = ["Frozen", "Rated", "freeze_model", "rate_study", "rating_block"]

_FLOORS = {"acceptance", "acceptance_bound", "quality", "quality_bound"}
"""Rules that a model breaks by what it is, and not by what is known of it."""
_WRITE = "write a block rating with floor and reference, such as rating: {reference: MODEL, floor: {acceptance: 0.7}}"


@dataclass(frozen=True)
class Rated:
    """One model of a study."""

    model: str
    """Its name in the study."""
    rating: Rating | None
    """Its rating, without a letter where a rule is broken; None where its runs give none at all."""
    refusals: tuple[Reason, ...]
    """Why it has no letter; empty where it has one."""
    on_front: bool | None
    """Whether no other model gives as much for less energy; None where it is not compared."""
    stem: str
    """Its name as a part of names of files."""
    about: Mapping[str, Any]
    """What its label says beside the rating, by key of the label's facts."""

    @property
    def letter(self) -> str | None:
        """Its class, A to G; None where it is not rated."""
        return None if self.rating is None else self.rating.letter

    def facts(self) -> dict[str, Any]:
        """What its label says that is not in `rating`; with no rating at all, why it is not rated too."""
        if self.rating is not None:
            return dict(self.about)
        refusals = [{"en": one.en, "zh": one.zh} for one in self.refusals]
        return {**self.about, "letter": None, "refusals": refusals, "scheme": SCHEME.version}


@dataclass(frozen=True)
class Frozen:
    """A model that others are compared with, and what it was frozen from."""

    reference: Reference
    """The reference."""
    rating: Rating
    """Its rating against itself."""


@dataclass(frozen=True)
class _Ground:
    """What is known of one model."""

    model: str
    """Its name in the study."""
    records: tuple[Mapping[str, Any], ...]
    """Its runs of the suite that are over."""
    served: tuple[Served, ...]
    """The same, as a rating takes them."""
    basis: Basis | None
    """What they were measured on."""
    reasons: tuple[Reason, ...]
    """Why there is no letter, whatever the rules of the rating say."""


def rating_block(reading: Reading) -> RatingSpec:
    """The block `rating` of a study.

    Raises:
        InputError: if it has none.
    """
    block = reading.spec.rating
    if block is None:
        raise InputError(
            "the study does not say how its models are rated", where="rating", got="nothing", hint=_WRITE
        )
    return block


def rate_study(reading: Reading) -> tuple[Rated, ...]:
    """Rate the models of a study, in its order.

    Args:
        reading: the study, as far as it has come; its spec has a block `rating`.

    Raises:
        InputError: if there is no block `rating`, it names no reference or one that cannot be read, or nothing says
            which answers are accepted.
    """
    block = rating_block(reading)
    suite = suite_of(reading, block)
    grounds = _grounds(reading, suite, block)
    reference = _reference(reading, block, grounds)
    evidence = evidence_of(reading)[RUNS]
    return _with_front(
        [_rated(reading, suite, block, ground, reference, evidence) for ground in grounds.values()]
    )


def freeze_model(reading: Reading, model: str) -> Frozen:
    """Make one model of a study the reference of others.

    Args:
        reading: the study; its block `rating` needs no reference.
        model: name of the model.

    Raises:
        InputError: if the study has no such model or no block `rating`, or the model is not rated itself.
    """
    block = rating_block(reading)
    grounds = _grounds(reading, suite_of(reading, block), block)
    if model not in grounds:
        raise InputError(
            "the study has no such model", where="--model", got=model, expected=f"one of {', '.join(grounds)}"
        )
    found = _frozen(reading, grounds[model], block.floor)
    if isinstance(found, Frozen):
        return found
    raise InputError(
        "the model cannot be a reference: it is not rated itself",
        where=model,
        got="; ".join(reason.en for reason in found),
        expected="every run made, measured, answered and scored, and the floor kept",
    )


def _grounds(reading: Reading, suite: Suite, block: RatingSpec) -> dict[str, _Ground]:
    beside = beside_others(reading)
    return {
        model.name: _ground(reading, suite, block, model.name, beside=model.name in beside)
        for model in reading.spec.models
    }


def _ground(reading: Reading, suite: Suite, block: RatingSpec, model: str, *, beside: bool) -> _Ground:
    planned = sum(run.model == model and run.cell.task in suite.rules for run in reading.plan.runs)
    over = [
        record
        for record in reading.records
        if record["model"] == model and record["task"] in suite.rules and not _unanswered(record)
    ]
    # A bootstrap numbers its clusters as they come: the order in which runs were drawn is to change nothing.
    records = tuple(sorted(over, key=lambda one: (one["task"], one["item"], one["load"], one["run"])))
    if not records:
        none = Reason("runs", "none of its runs is over", "没有一次运行已完成")
        return _Ground(model, (), (), None, (none,))
    served = tuple(_served(record, suite, block.energy) for record in records)
    basis, reasons = basis_of(records, reading.visits, suite=suite.title, energy=block.energy, beside=beside)
    left = planned - len(records)
    if left:
        missing = Reason(
            "runs_left",
            f"{left} of {planned} runs are not made yet",
            f"{planned} 次运行中有 {left} 次尚未完成",
        )
        reasons = (missing, *reasons)
    return _Ground(model, records, served, basis, reasons)


def _unanswered(record: Mapping[str, Any]) -> bool:
    """Whether nobody answered: such a run says nothing of the model, and is made again."""
    error = record["error"]
    return error is not None and error["kind"] == "connection"


def _served(record: Mapping[str, Any], suite: Suite, energy: str) -> Served:
    text = record["generated_text"]
    completed = record["status"] == "ok" and bool(text and text.strip())
    return Served(
        question=f"{record['task']}/{record['item']}",
        energy_j=record["energy"][f"{energy}_j"],
        accepted=suite.accepts(record),
        quality=suite.quality_of(record),
        completed=completed,
        truncated=record["truncated"],
        output_tokens=record["api_metrics"]["eval_count"],
        estimated=record["energy"]["basis"] == "estimated",
    )


def _reference(
    reading: Reading, block: RatingSpec, grounds: Mapping[str, _Ground]
) -> Reference | tuple[Reason, ...]:
    """The reference, or why the model that is to be it cannot be it."""
    name = block.reference
    if name is None:
        raise InputError(
            "the rating names no reference", where="rating.reference", got="nothing", hint=_WRITE
        )
    if name not in grounds:
        return read_reference(reading.spec.folder / name, models=list(grounds))
    found = _frozen(reading, grounds[name], block.floor)
    return found.reference if isinstance(found, Frozen) else found


def _frozen(reading: Reading, ground: _Ground, floor: Floor) -> Frozen | tuple[Reason, ...]:
    """A model as the reference; or every reason against it, of which one is enough: others escalate to it."""
    if ground.basis is None:
        return ground.reasons
    probe = _probe(ground, ground.basis, floor)
    reasons = [*ground.reasons, *probe.refusals]
    if not reasons and probe.unscored:
        n = probe.unscored
        reasons.append(Reason("scores", f"{n} of its answers have no score", f"有 {n} 个回答没有评分"))
    if not reasons and probe.joules_per_accepted.reason is not None:
        reasons.append(probe.joules_per_accepted.reason)
    if reasons:
        return tuple(reasons)
    reference = freeze(name_with_version(reading, ground.model), ground.served, ground.basis)
    return Frozen(reference, rate(ground.served, ground.basis, reference, floor))


def _probe(ground: _Ground, basis: Basis, floor: Floor, form: Form = Form.ACCEPTED) -> Rating:
    """A rating without letter and index: figures, and what breaks the rules, do not depend on a reference."""
    found = rate(ground.served, basis, Reference(ground.model, basis, 1.0, form), floor)
    return replace(found, letter=None, letters=None, index=None, reference=None)


def _rated(
    reading: Reading,
    suite: Suite,
    block: RatingSpec,
    ground: _Ground,
    reference: Reference | tuple[Reason, ...],
    evidence: str | None,
) -> Rated:
    first = next(run for run in reading.plan.runs if run.model == ground.model)
    unrated = Rated(
        model=ground.model,
        rating=None,
        refusals=ground.reasons,
        on_front=None,
        stem=reading.layout.raw(first.run_id).parent.name,
        about=about_of(reading, suite, ground.model, ground.records, evidence),
    )
    own = ground.model == block.reference
    if ground.basis is None:
        if own or isinstance(reference, Reference):
            return unrated
        return replace(unrated, refusals=(*ground.reasons, _no_reference(str(block.reference))))
    if not isinstance(reference, Reference):
        rating = _probe(ground, ground.basis, block.floor)
        told = (*ground.reasons, *rating.refusals, _no_reference(str(block.reference)))
        return _unlettered(unrated, rating, reference if own else told)
    other = unlike(ground.basis, reference.basis)
    if other is not None:
        rating = replace(_probe(ground, ground.basis, block.floor, reference.form), reference=reference)
        return _unlettered(unrated, rating, (*ground.reasons, *rating.refusals, other))
    rating = rate(ground.served, ground.basis, reference, block.floor)
    refusals = (*ground.reasons, *rating.refusals)
    return (
        _unlettered(unrated, rating, refusals) if refusals else replace(unrated, rating=rating, refusals=())
    )


def _unlettered(unrated: Rated, rating: Rating, refusals: tuple[Reason, ...]) -> Rated:
    """A model with its figures, without index and letter."""
    kept = replace(rating, letter=None, letters=None, index=None, refusals=refusals)
    return replace(unrated, rating=kept, refusals=refusals)


def _no_reference(name: str) -> Reason:
    return Reason("reference", f"the reference {name} is not rated itself", f"参照模型 {name} 本身未评级")


def _with_front(rated: Sequence[Rated]) -> tuple[Rated, ...]:
    """The models with their places on the Pareto front of joules per request and acceptance rate.

    A model that only the floor keeps from a letter is compared; one whose evidence is not good enough is not. All that
    are compared have the reference's basis. Epsilon is the largest standard uncertainty among them.
    """
    points: list[Point] = []
    spreads: list[tuple[float, float]] = []
    for one in rated:
        rating = one.rating
        if rating is None or not {reason.rule for reason in one.refusals} <= _FLOORS:
            continue
        energy, accepted = rating.joules_per_request, rating.acceptance
        if energy.value is None or accepted.value is None:
            continue
        points.append(Point(one.model, energy.value, accepted.value, rating.basis))
        spreads.append((_uncertainty(energy), _uncertainty(accepted)))
    if not points:
        return tuple(rated)
    kept = {
        point.name
        for point in front(
            points,
            epsilon_j=max(energy for energy, _ in spreads),
            epsilon_quality=max(accepted for _, accepted in spreads),
        )
    }
    compared = {point.name for point in points}
    return tuple(replace(one, on_front=one.model in kept) if one.model in compared else one for one in rated)


def _uncertainty(estimate: Estimate) -> float:
    """The standard uncertainty by an interval; 0 where it has no ends."""
    interval = estimate.interval
    if interval is None or interval.low is None or interval.high is None:
        return 0.0
    return (interval.high - interval.low) / (2 * NormalDist().inv_cdf(0.5 + interval.level / 2))
