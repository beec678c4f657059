"""Means by model and level: against NumPy and SciPy, and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hexgate.study.exports.comparison import by_model_and_level, change, level_values, mean_of, ratio_of
from hexgate.study.exports.figures import ENERGY, LATENCY, SCORE
from hexgate.study.exports.places import Place, places
from hexgate.study.reading import read_study
from support.made_studies import LEVELS, NET_W, latency_s, made_study, scores_of

MANY = {number: "writing" if number % 2 else "math" for number in range(81, 101)}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, ...]:
    def change_(record: dict[str, Any]) -> dict[str, Any]:
        if (record["item"], record["load"], record["run"]) == ("84", "L2", 1):
            return {**record, "energy": {**record["energy"], "gross_j": None}}
        return record

    return places(
        read_study(
            made_study(tmp_path_factory.mktemp("made"), models=["m"], questions=MANY, runs=2, change=change_)
        )
    )


def own(found: tuple[Place, ...], level: str) -> list[Place]:
    return by_model_and_level(found)["m", level]


def test_a_mean_is_over_the_runs_that_have_a_value(found: tuple[Place, ...]) -> None:
    values = [
        NET_W * latency_s("L2", number, run) for number in MANY for run in (1, 2) if (number, run) != (84, 1)
    ]
    one = mean_of(ENERGY, own(found, "L2"))
    assert (one.n, one.missing, one.questions) == (39, 1, 20)
    assert one.value == pytest.approx(np.mean(values))
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.value < one.high
    assert one.reason is not None
    assert one.reason.startswith("1 run: ")


def test_the_repeats_of_a_question_are_no_new_evidence(found: tuple[Place, ...]) -> None:
    """With repeats that nearly agree the interval is as wide as that of the questions' means."""
    one = mean_of(LATENCY, own(found, "L0"))
    by_question = [1000 * (latency_s("L0", number, 1) + latency_s("L0", number, 2)) / 2 for number in MANY]
    low, high = stats.t.interval(0.95, 19, np.mean(by_question), stats.sem(by_question))
    assert one.low == pytest.approx(low, rel=0.05)
    assert one.high == pytest.approx(high, rel=0.05)


def test_a_ratio_is_that_of_the_sums(found: tuple[Place, ...]) -> None:
    one = ratio_of(SCORE, ENERGY, own(found, "L1"))
    points = sum(2 * sum(scores_of("L1", number).values()) for number in MANY)
    joules = sum(NET_W * latency_s("L1", number, run) for number in MANY for run in (1, 2))
    assert one.value == pytest.approx(points / joules)


def test_a_change_is_paired_by_question(found: tuple[Place, ...]) -> None:
    one = change(SCORE, own(found, "L0"), own(found, "L1"))
    assert one.value == 0.5
    assert (one.low, one.high) == (None, None)
    assert one.reason == "all values are alike, which bounds nothing"


def test_the_interval_of_a_change_is_that_of_scipy(tmp_path: Path) -> None:
    def judge(record: dict[str, Any]) -> tuple[float, None, dict[str, Any]]:
        number, level = int(record["item"]), LEVELS.index(record["load"])
        return 5.0 + level + (number * (level + 1)) % 5, None, {}

    made = places(read_study(made_study(tmp_path, models=["m"], questions=MANY, judge=judge)))
    one = change(SCORE, own(made, "L0"), own(made, "L3"))
    before, after = (
        [5.0 + LEVELS.index(level) + (number * (LEVELS.index(level) + 1)) % 5 for number in MANY]
        for level in ("L0", "L3")
    )
    right = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (one.low, one.high) == (pytest.approx(right.low), pytest.approx(right.high))


def test_the_best_level_is_the_one_that_gives_most_for_its_cost(found: tuple[Place, ...]) -> None:
    values = {one.level: one for one in level_values(found)}
    assert list(values) == list(LEVELS)
    ratios = {level: one.per_joule.value or 0.0 for level, one in values.items()}
    best = max(ratios, key=lambda level: ratios[level])
    assert values[best].best_per_joule == "best"
    assert {one.best_per_joule for one in values.values()} <= {"best", "not told apart", None}
    assert values["L0"].score_change is None
    assert values["L3"].energy_change_j is not None
    assert values["L3"].energy_change_j.value == pytest.approx(NET_W * 0.75)
    per_second = values["L1"].per_second.value
    assert per_second == pytest.approx((values["L1"].per_joule.value or 0.0) * NET_W)


@pytest.mark.parametrize(("noise", "mark"), [(0.25, None), (2.0, "not told apart")])
def test_levels_are_told_apart_question_by_question(tmp_path: Path, noise: float, mark: str | None) -> None:
    """Questions differ more than levels do: held side by side, two intervals would overlap in either case."""
    draw = np.random.default_rng(3)
    drawn = {(str(number), level): draw.normal(0.0, noise) for number in MANY for level in LEVELS}

    def judge(record: dict[str, Any]) -> tuple[float, None, dict[str, Any]]:
        level = LEVELS.index(record["load"])
        given = 2.0 + (int(record["item"]) % 7) + 1.5 * level + drawn[record["item"], record["load"]]
        return max(0.0, given), None, {}

    made = places(read_study(made_study(tmp_path, models=["m"], questions=MANY, judge=judge)))
    values = {one.level: one for one in level_values([one for one in made if one.level in {"L0", "L1"}])}
    low, high = values["L1"].per_joule.low, values["L0"].per_joule.high
    assert low is not None
    assert high is not None
    assert low < high
    assert values["L1"].best_per_joule == "best"
    assert values["L0"].best_per_joule == mark
    resampled = [_difference(made, draw) for _ in range(400)]
    assert (np.quantile(resampled, 0.025) > 0) == (mark is None)


def test_no_level_is_best_by_the_questions_that_it_lacks(tmp_path: Path) -> None:
    """Over all runs L1 has the higher ratio; question by question it has the lower one."""

    def judge(record: dict[str, Any]) -> tuple[float | None, str | None, dict[str, Any]]:
        number, level = int(record["item"]), record["load"]
        if number > 90:
            return (1.0, None, {}) if level == "L0" else (None, "the reply could not be read", {})
        return (9.0 if level == "L0" else 8.5) + number % 3 / 10, None, {}

    made = places(read_study(made_study(tmp_path, models=["m"], questions=MANY, judge=judge)))
    values = {one.level: one for one in level_values([one for one in made if one.level in {"L0", "L1"}])}
    assert (values["L1"].per_second.value or 0.0) > (values["L0"].per_second.value or 0.0)
    assert (values["L0"].best_per_second, values["L1"].best_per_second) == ("best", None)


@pytest.mark.parametrize("levels", [{"L0"}, {"L0", "L1"}])
def test_a_level_that_stands_alone_is_not_the_best(tmp_path: Path, levels: set[str]) -> None:
    def change_(record: dict[str, Any]) -> dict[str, Any] | None:
        return record if record["load"] == "L0" else None

    made = places(read_study(made_study(tmp_path, models=["m"], change=change_)))
    values = level_values([one for one in made if one.level in levels])
    assert {one.best_per_joule for one in values} == {"not compared"}
    assert {one.best_per_second for one in values} == {"not compared"}


def _difference(made: tuple[Place, ...], draw: np.random.Generator) -> float:
    """The difference of the two ratios with the questions drawn again."""
    groups = by_model_and_level(made)
    chosen = draw.integers(0, len(MANY), len(MANY))
    ratios = []
    for level in ("L0", "L1"):
        own = [groups["m", level][place] for place in chosen]
        points = sum(SCORE.of(place.record) or 0.0 for place in own)
        ratios.append(points / sum(ENERGY.of(place.record) or 0.0 for place in own))
    return ratios[1] - ratios[0]


def test_what_was_not_measured_has_no_mean(tmp_path: Path) -> None:
    out = made_study(tmp_path, models=["m"], judge=None, change=_unmeasured)
    for one in level_values(places(read_study(out))):
        for estimate in (one.score, one.energy_j, one.per_joule):
            assert (estimate.n, estimate.missing, estimate.value, estimate.low) == (0, 3, None, None)
            assert estimate.reason
        assert one.best_per_joule is None
        assert one.latency_ms.value is not None


def _with_energies(found: tuple[Place, ...], net_j: Sequence[float]) -> list[Place]:
    """The places with these net energies."""
    changed = []
    for place, net in zip(found, net_j, strict=True):
        record = place.record
        assert record is not None
        energy = {**record["energy"], "net_j": float(net)}
        changed.append(Place(**{**vars(place), "record": {**record, "energy": energy}}))
    return changed


def test_noise_below_zero_joules_stays_in_the_sum(found: tuple[Place, ...]) -> None:
    """Without the runs whose noise was low, what is left would cost three times what runs cost."""
    own_ = tuple(place for place in found if place.level == "L0")
    net_j = np.random.default_rng(0).normal(1.0, 3.0, len(own_))
    assert net_j.sum() > 0 > net_j.min()
    changed = _with_energies(own_, net_j)
    one = ratio_of(SCORE, ENERGY, changed)
    points = sum(SCORE.of(place.record) or 0.0 for place in changed)
    assert (one.n, one.missing) == (40, 0)
    assert one.value == pytest.approx(points / net_j.sum())


def test_runs_that_cost_nothing_have_no_ratio(found: tuple[Place, ...]) -> None:
    own_ = tuple(place for place in found if place.level == "L0")
    none = ratio_of(SCORE, ENERGY, _with_energies(own_, np.full(len(own_), -0.5).tolist()))
    assert (none.value, none.reason) == (None, "the runs cost nothing, so that there is no ratio")
    near = ratio_of(SCORE, ENERGY, _with_energies(own_, [-1.0, 1.01] * (len(own_) // 2)))
    assert near.value is not None
    near = ratio_of(SCORE, ENERGY, _with_energies(own_, [-1.0, -1.0, 1.05, 1.05] * (len(own_) // 4)))
    assert (near.low, near.reason) == (None, "what the runs cost is not told apart from zero")


@pytest.mark.parametrize(
    ("noise_j", "marks"), [(3.0, {"not compared"}), (0.5, {"best", "not told apart", None})]
)
def test_no_level_is_best_by_a_cost_that_is_not_told_from_zero(
    found: tuple[Place, ...], noise_j: float, marks: set[str | None]
) -> None:
    noise = np.random.default_rng(1).normal(0.7, noise_j, len(own(found, "L0")))
    assert noise.sum() > 0 > noise.min()
    low = _with_energies(tuple(own(found, "L0")), noise.tolist())
    values = level_values([*low, *own(found, "L1")])
    assert {one.best_per_joule for one in values} <= marks
    assert {one.best_per_second for one in values} <= {"best", "not told apart", None}


def test_reasons_that_differ_only_in_a_run_s_own_time_are_one(tmp_path: Path) -> None:
    def change_(record: dict[str, Any]) -> dict[str, Any]:
        why = f"no reading lies inside the window of 0.{record['item']} s"
        return {
            **record,
            "energy": {**record["energy"], "basis": "not_measured", "gross_j": None},
            "missing": {**record["missing"], "energy.gross_j": why},
        }

    made = places(read_study(made_study(tmp_path, models=["m"], change=change_)))
    one = mean_of(ENERGY, own(made, "L0"))
    assert one.reason == "3 runs: no reading lies inside the window of … s"
    alone = mean_of(ENERGY, own(made, "L0")[:1])
    assert alone.reason == f"1 run: no reading lies inside the window of 0.{own(made, 'L0')[0].question} s"


def _unmeasured(record: dict[str, Any]) -> dict[str, Any]:
    energy = {**record["energy"], "basis": "not_measured", "gross_j": None}
    return {
        **record,
        "energy": energy,
        "missing": {**record["missing"], "energy.gross_j": "there is no meter"},
    }
