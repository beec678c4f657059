"""A rating of what a model costs for what it gives: a quality floor first, then the escalation index, classes A to G.

For n requests with energies e and failures f (1 where an answer is not accepted or nobody scored it; graded, 1 less its
quality):

    E = sum e / n,  p = 1 - sum f / n
    E_esc = E + (1 - p) E_fb          energy to serve a request when every failure goes to the reference as well
    EEI   = E_esc / E_fb              E_fb: energy per accepted answer of a frozen reference on the same device class
    EPA   = E / p                     energy per accepted answer; undefined at p = 0

EEI needs no assumption about repeated tries and has no pole at p = 0, and a model that is cheap and useless does not
win it: with p = 0 it costs more than the reference. At 1 a model is as good as sending everything to the reference.

Sources: EPA is the cost-of-pass of Erol et al. (2025), arXiv 2504.13359, in joules; the class limits are those of the
European label for refrigerators, Commission Delegated Regulation (EU) 2019/2016, annex II, in hundredths. The index and
its classes are this project's own and stand for no official label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hexgate.errors import InputError
from hexgate.metrics.rating_parts import (
    SCHEME,
    Basis,
    Estimate,
    Floor,
    Form,
    Rating,
    Reason,
    Reference,
    Scheme,
    Served,
)
from hexgate.metrics.rating_rules import refusals
from hexgate.stats.bootstrap import cluster_bootstrap, mean_bootstrap
from hexgate.stats.clustered import Observation, clustered_proportion
from hexgate.stats.interval import Interval

__all__ = ["LETTERS", "accepted_by", "freeze", "letter_of", "rate", "same_basis"]

LETTERS = "ABCDEFG"
"""The classes, the best first."""
_SLACK = 1e-9
"""A limit is kept by what exceeds it by rounding alone."""
_NO_COUNTS = Reason(
    "tokens_unknown", "not every request has a count of output tokens", "并非每次请求都有输出词元数"
)
_NO_TOKENS = Reason("no_tokens", "no output tokens", "没有输出词元")
_NONE_ACCEPTED = Reason("none_accepted", "no answer was accepted", "没有回答被接受")
_NONE_SCORED = Reason("none_scored", "no answer was scored", "没有回答得到评分")
_NO_ENERGY = Reason("energy_above_zero", "the energies do not add up to more than zero", "能耗总和不大于零")


def rate(
    served: Sequence[Served],
    basis: Basis,
    reference: Reference,
    floor: Floor,
    *,
    scheme: Scheme = SCHEME,
) -> Rating:
    """Rate one model by its requests, or say why it is not rated.

    The letter is that of the upper end of the index's two-sided interval, a cluster bootstrap over questions. No end
    lies closer to the index than the exact binomial bound of 0 in n allows for failures that no question showed.

    Args:
        served: all requests of the suite, those that failed included.
        basis: what they were measured on.
        reference: the frozen reference, on the same basis; its form is the rating's.
        floor: the least quality for this use.
        scheme: class limits and parameters.

    Raises:
        InputError: if there are no requests, a number is impossible, or the reference stands on another basis.
    """
    same_basis(basis, reference.basis)
    if basis.scheme != scheme.version:
        raise InputError("the basis names another scheme", got=basis.scheme, expected=scheme.version)
    if not served:
        raise InputError("a rating needs requests", got="none")
    figures = _Figures.of(served, reference.form, scheme)
    own = reference.form
    reasons = refusals(served, own, floor, scheme, figures.acceptance, figures.quality)
    unrated = Rating(
        letter=None,
        letters=None,
        index=None,
        refusals=tuple(reasons),
        scheme=scheme.version,
        basis=basis,
        reference=reference,
        floor=floor,
        form=own,
        requests=len(served),
        questions=len({one.question for one in served}),
        unscored=sum(_unscored(one, own) for one in served),
        joules_per_request=figures.per_request,
        joules_per_output_token=figures.per_token,
        joules_per_accepted=figures.per_accepted,
        accepted_per_joule=figures.accepted_per_joule,
        acceptance=figures.acceptance,
        quality=figures.quality,
    )
    if reasons:
        return unrated
    index = _index(served, reference, scheme)
    low, high = _ends(index)
    letters = (letter_of(low, scheme), letter_of(high, scheme))
    return replace(unrated, letter=letters[1], letters=letters, index=index)


def letter_of(index: float, scheme: Scheme = SCHEME) -> str:
    """The class of an index, A to G."""
    return LETTERS[sum(index > step * (1 + _SLACK) for step in scheme.steps)]


def accepted_by(total: float | None, scheme: Scheme = SCHEME) -> bool | None:
    """Whether a judge's total of 0 to 10 accepts an answer; None where there is no total."""
    return None if total is None else total >= scheme.tau


def freeze(
    name: str, served: Sequence[Served], basis: Basis, form: Form = Form.ACCEPTED, scheme: Scheme = SCHEME
) -> Reference:
    """Make a model the reference: its energy per accepted answer, E / p, or E / mean q in the graded form.

    Raises:
        InputError: if an energy or a score of it is missing or estimated, or nothing was accepted.
    """
    figures = _Figures.of(served, form, scheme)
    unscored = sum(_unscored(one, form) for one in served)
    value = figures.per_accepted.value
    if value is None or unscored or not value > 0:
        reason = figures.per_accepted.reason
        why = f"{unscored} requests have no score" if reason is None else reason.en
        raise InputError(
            f"{name} cannot be the reference", got=why, expected="every request measured and scored"
        )
    return Reference(name=name, basis=basis, form=form, joules_per_accepted=value)


def same_basis(one: Basis, other: Basis) -> None:
    """Go on only if two ratings may be compared.

    Raises:
        InputError: if they differ in scheme, suite, device, scope, kind of energy, cache or load.
    """
    for name, first in one.to_json().items():
        second = other.to_json()[name]
        if first != second:
            raise InputError(
                f"figures of a different {name} are not compared",
                got=f"{first} and {second}",
                hint="rate each against a reference that was measured the same way",
            )


@dataclass(frozen=True)
class _Figures:
    per_request: Estimate
    per_token: Estimate
    per_accepted: Estimate
    accepted_per_joule: Estimate
    acceptance: Estimate
    quality: Estimate

    @staticmethod
    def of(served: Sequence[Served], form: Form, scheme: Scheme) -> _Figures:
        kept = [1.0 - _failure(one, form) for one in served]
        unknown = _NONE_SCORED if all(_unscored(one, form) for one in served) else None
        ones = [1.0] * len(served)
        tokens = [one.output_tokens for one in served]
        no_tokens = _NO_COUNTS if None in tokens else None
        return _Figures(
            per_request=_ratio(served, None, ones, scheme, "joules per request"),
            per_token=_ratio(
                served,
                None,
                [float(each or 0) for each in tokens],
                scheme,
                "joules per output token",
                no_tokens,
                _NO_TOKENS,
            ),
            per_accepted=_ratio(served, None, kept, scheme, "joules per accepted answer", unknown),
            accepted_per_joule=_ratio(served, kept, None, scheme, "accepted answers per joule", unknown),
            acceptance=_acceptance(served, scheme, own=form is Form.ACCEPTED),
            quality=_quality(served, scheme, own=form is Form.GRADED),
        )


def _unscored(one: Served, form: Form) -> bool:
    """Whether there is an answer that nobody scored."""
    return one.completed and (one.quality if form is Form.GRADED else one.accepted) is None


def _failure(one: Served, form: Form) -> float:
    """1 where an answer failed or nobody scored it, 0 where it did not, between in the graded form."""
    if not one.completed:
        return 1.0
    return 1.0 - (one.quality or 0.0) if form is Form.GRADED else float(not one.accepted)


def _index(served: Sequence[Served], reference: Reference, scheme: Scheme) -> Estimate:
    failures = [_failure(one, reference.form) for one in served]
    each = [
        (one.energy_j or 0.0) / reference.joules_per_accepted + failure
        for one, failure in zip(served, failures, strict=True)
    ]
    value = math.fsum(each) / len(each)
    found = _bootstrap(each, [1.0] * len(each), served, scheme, "the escalation index")
    failed = math.fsum(failures) / len(failures)
    return Estimate(value, _with_unseen(found, value, failed, scheme), None)


def _with_unseen(found: Interval, value: float, failed: float, scheme: Scheme) -> Interval:
    """The interval, no closer than what may stay unseen in n questions: more failures above, fewer below.

    Both the bootstrap and this rule move with every single request in the right direction, and so does their wider one:
    a model that is better in each of its requests never has the higher upper end.
    """

    def above(end: float | None, share: float) -> float:
        unseen = -math.expm1(math.log(share) / found.n)
        return max(value if end is None else end, value + unseen * (1.0 - failed))

    def below(end: float | None, share: float) -> float:
        unseen = -math.expm1(math.log(share) / found.n)
        return min(value if end is None else end, value - unseen * failed)

    miss = 1.0 - scheme.level
    return replace(
        found,
        low=below(found.low, miss / 2),
        high=above(found.high, miss / 2),
        lower_bound=below(found.lower_bound, miss),
        upper_bound=above(found.upper_bound, miss),
        method=f"{found.method}; not closer than the exact binomial bound of 0 in n for unseen failures",
    )


def _ends(index: Estimate) -> tuple[float, float]:
    interval = index.interval
    if interval is None or interval.low is None or interval.high is None:
        raise AssertionError("an index has an interval with both ends")
    return interval.low, interval.high


def _ratio(
    served: Sequence[Served],
    above: Sequence[float] | None,
    below: Sequence[float] | None,
    scheme: Scheme,
    what: str,
    unknown: Reason | None = None,
    nothing: Reason = _NONE_ACCEPTED,
) -> Estimate:
    """A ratio of sums over requests; the side that is None is their energies."""
    energies = [one.energy_j for one in served]
    if unknown is None and None in energies:
        missing, n = energies.count(None), len(energies)
        unknown = Reason(
            "energy",
            f"the energy of {missing} of {n} requests was not measured",
            f"{n} 次请求中有 {missing} 次未测到能耗",
        )
    if unknown is None and any(one.estimated for one in served):
        unknown = Reason("estimated", "the energy is estimated", "能耗为估算")
    joules = [each or 0.0 for each in energies]
    top, bottom = joules if above is None else above, joules if below is None else below
    if unknown is None and not sum(bottom) > 0:
        unknown = nothing if above is None else _NO_ENERGY
    if unknown is None and min(bottom) < 0:
        unknown = Reason("energy_below_zero", "an energy is below zero", "有一次能耗低于零")
    if unknown is not None:
        return Estimate(None, None, unknown)
    interval = _bootstrap(top, bottom, served, scheme, what)
    return Estimate(math.fsum(top) / math.fsum(bottom), interval, None)


def _bootstrap(
    top: Sequence[float], bottom: Sequence[float], served: Sequence[Served], scheme: Scheme, what: str
) -> Interval:
    return cluster_bootstrap(
        top,
        bottom,
        [one.question for one in served],
        resamples=scheme.resamples,
        seed=scheme.seed,
        level=scheme.level,
        what=what,
    )


def _acceptance(served: Sequence[Served], scheme: Scheme, *, own: bool) -> Estimate:
    """The acceptance rate of what was checked; where it is the rating's own measure, what was not checked failed."""
    found = [
        Observation(one.question, None, bool(one.accepted) and one.completed)
        for one in served
        if own or one.accepted is not None or not one.completed
    ]
    if not any(one.accepted is not None for one in served) or not found:
        return Estimate(None, None, Reason("none_checked", "no answer was checked", "没有回答经过检验"))
    interval = clustered_proportion(found, level=scheme.level, items="questions")
    return Estimate(sum(each.success for each in found) / len(found), interval, None)


def _quality(served: Sequence[Served], scheme: Scheme, *, own: bool) -> Estimate:
    """Mean quality of what was scored; where it is the rating's own measure, what was not scored has 0."""
    by_question: dict[str, list[float]] = {}
    for one in served:
        value = one.quality if one.completed else 0.0
        value = 0.0 if own and value is None else value
        if value is not None:
            by_question.setdefault(one.question, []).append(value)
    if not any(one.quality is not None for one in served):
        return Estimate(None, None, _NONE_SCORED)
    means = np.array([math.fsum(values) / len(values) for values in by_question.values()])
    interval = mean_bootstrap(
        means,
        resamples=scheme.resamples,
        seed=scheme.seed,
        level=scheme.level,
        what="mean quality over questions",
        span=(0.0, 1.0),
    )
    return Estimate(float(means.mean()), interval, None)
