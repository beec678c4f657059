"""Two studies of the same questions: the loss is found by question, and only where every run says what it drew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from hexgate.gate.evidence import Exhibit
from hexgate.gate.pairing_study import paired_study_loss
from hexgate.gate.policy import Comparator, Rule
from hexgate.stats.bootstrap import sums_bootstrap
from hexgate.stats.interval import Family, Interval

SENSOR = 0.05
OLD = [4.0 + place for place in range(10)]
NEW = [joules * (1.1 + place % 3 / 10) for place, joules in enumerate(OLD)]


def rows(joules: Sequence[float | None], tokens: int | None = 2) -> list[dict[str, Any]]:
    return [
        {
            "task": "talk",
            "item": str(place),
            "status": "ok",
            "energy": {"gross_j": one},
            "output_tokens": tokens,
        }
        for place, one in enumerate(joules)
    ]


def exhibit(joules: Sequence[float], per: int = 1) -> Exhibit:
    value = math.fsum(joules) / len(joules) / per
    measures = {"energy_per_request_j": value, "energy_per_token_j": value}
    return Exhibit("memory.json", {**measures, "study": {"sensor_ratio": SENSOR}})


def rule(comparator: Comparator = Comparator.MAX_LOSS_RATIO, measure: str = "energy_per_request_j") -> Rule:
    return Rule("id", "power_efficiency", measure, comparator, 0.1)


def loss(
    new: Sequence[dict[str, Any]], old: Sequence[dict[str, Any]], which: Rule, per: int = 1
) -> Interval | str:
    candidate, baseline = exhibit(NEW, per), exhibit(OLD, per)
    return paired_study_loss(which, candidate, baseline, (old, new), 0.95)


def by_hand(*, in_proportion: bool, per: int = 1) -> tuple[float, float]:
    """The value of the loss, and its one-sided upper bound, with resamples drawn here."""
    stream = np.random.Generator(np.random.PCG64(0))
    drawn = stream.integers(0, 10, size=(2000, 10))
    before, after = np.array(OLD)[drawn].mean(axis=1) / per, np.array(NEW)[drawn].mean(axis=1) / per
    was, now = np.mean(OLD) / per, np.mean(NEW) / per
    each = (after - before) / before if in_proportion else after - before
    point = (now - was) / was if in_proportion else now - was
    # The expanded percentile of 10 clusters: Student's t of 9 degrees, stretched by sqrt(10/9).
    share = NormalDist().cdf(-1.8331129326536335 * math.sqrt(10 / 9))
    bound = float(np.sort(each)[-math.floor(share * 2000 + 1e-9)])
    error = SENSOR * math.hypot(now, was) / (was if in_proportion else 1.0)
    return float(point), float(point + math.hypot(bound - point, NormalDist().inv_cdf(0.95) * error))


@pytest.mark.parametrize("comparator", [Comparator.MAX_LOSS, Comparator.MAX_LOSS_RATIO])
def test_bounds_are_those_of_questions_drawn_in_pairs(comparator: Comparator) -> None:
    found = loss(rows(NEW), rows(OLD), rule(comparator))
    assert isinstance(found, Interval)
    point, upper = by_hand(in_proportion=comparator is Comparator.MAX_LOSS_RATIO)
    assert found.upper_bound == pytest.approx(upper, rel=1e-9)
    assert found.lower_bound is not None
    assert found.lower_bound < point < upper
    assert (found.family, found.n) == (Family.CLUSTER_BOOTSTRAP, 10)


def test_energy_per_token_is_divided_by_the_tokens() -> None:
    found = loss(rows(NEW), rows(OLD), rule(Comparator.MAX_LOSS, "energy_per_token_j"), per=2)
    assert isinstance(found, Interval)
    assert found.upper_bound == pytest.approx(by_hand(in_proportion=False, per=2)[1], rel=1e-9)


def test_pairing_takes_away_what_the_questions_differ_by() -> None:
    found = loss(rows(NEW), rows(OLD), rule())
    assert isinstance(found, Interval)
    assert found.upper_bound is not None
    assert found.upper_bound < 0.5


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (rows([*NEW[:-1], None]), "not every run of both has an energy"),
        ([*rows(NEW)[:-1], {**rows(NEW)[-1], "status": "failed"}], "not every run of both has an energy"),
        ([*rows(NEW)[:-1], {**rows(NEW)[-1], "status": "left"}], "not every run of both has an energy"),
        (rows(NEW[:-1]), "the two did not answer the same questions"),
        (rows([2.0 * one for one in NEW]), "the rows do not give the published values"),
        (rows([0.0, *NEW[1:]]), "not every question of both has an energy above zero"),
        ([], "not every question of both has an energy above zero"),
    ],
)
def test_what_cannot_be_paired_says_why(new: list[dict[str, Any]], why: str) -> None:
    assert loss(new, rows(OLD), rule()) == why


def test_a_meter_that_states_no_error_gives_no_bounds() -> None:
    silent = exhibit(OLD)
    silent.data["study"]["sensor_ratio"] = None
    found = paired_study_loss(rule(), exhibit(NEW), silent, (rows(OLD), rows(NEW)), 0.95)
    assert found == "a meter's own error is not stated"


def test_answers_without_tokens_are_not_paired_by_token() -> None:
    which = rule(measure="energy_per_token_j")
    assert loss(rows(NEW, None), rows(OLD), which) == "not every answer of both has output_tokens"


def test_questions_that_all_differ_alike_bound_nothing() -> None:
    twice = rows([2.0 * one for one in OLD])
    found = paired_study_loss(
        rule(), exhibit([2.0 * one for one in OLD]), exhibit(OLD), (rows(OLD), twice), 0.95
    )
    assert found == "the differences between the questions give no bound"


def test_sums_need_clusters_and_numbers() -> None:
    for sums in (np.empty((0, 4)), np.array([[1.0, math.nan]]), np.array([1.0])):
        with pytest.raises(ValueError, match="table of finite numbers"):
            sums_bootstrap(sums, lambda each: each[:, 0], point=1.0, what="nothing")
