"""Ratings of studies: known answers, the axioms, and every reason why a model has no letter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hexgate.contract.artifact import file_bytes
from hexgate.contract.schema import schema_mistakes
from hexgate.errors import EvidenceError, InputError
from hexgate.metrics.rating import LETTERS, letter_of
from hexgate.report.studies.label import label_of
from hexgate.study.rating.documents import ratings_document, reference_document
from hexgate.study.rating.rated import Rated, freeze_model, rate_study
from hexgate.study.reading import Reading, read_study
from hexgate.study.spec import Spec
from hexgate.study.spec_file import read_spec
from support.rated_studies import RATING, Given, made_reading, made_study, rated_spec, usual

N = 40
UNSEEN = 1 - 0.025 ** (1 / N)
"""The share of failures that may stay unseen in so many questions, on one side of a 95 % interval."""

LOW = {**RATING, "floor": {"acceptance": 0.0}}


def of(rated: tuple[Rated, ...], model: str) -> Rated:
    return next(one for one in rated if one.model == model)


def rules(one: Rated) -> list[str]:
    return [reason.rule for reason in one.refusals]


def index(one: Rated) -> float:
    assert one.rating is not None
    assert one.rating.index is not None
    assert one.rating.index.value is not None
    return one.rating.index.value


def small(**changes: Any) -> Given:
    """The reference as usual, and a second model with these facts in each run."""
    return lambda model, _: {} if model == "big" else changes


def some(count: int, **changes: Any) -> Given:
    """As usual, but for so many runs of the second model."""
    return lambda model, number: usual(model, number) | (changes if model != "big" and number < count else {})


class TestKnownAnswers:
    def test_half_the_energy_at_equal_acceptance_has_the_class_of_the_formula(self, tmp_path: Path) -> None:
        rated = rate_study(made_reading(tmp_path))
        found = of(rated, "small")
        assert index(found) == pytest.approx(0.5)
        assert found.letter == letter_of(0.5 + UNSEEN) == "C"
        assert found.rating is not None
        assert found.rating.reference.joules_per_accepted == pytest.approx(40.0)
        assert found.rating.joules_per_accepted.value == pytest.approx(20.0)
        assert found.rating.accepted_per_joule.value == pytest.approx(0.05)
        assert found.rating.joules_per_output_token.value == pytest.approx(2.0)
        assert found.rating.acceptance.value == 1.0
        assert found.rating.questions == N

    def test_the_reference_against_itself_is_as_good_as_itself(self, tmp_path: Path) -> None:
        found = of(rate_study(made_reading(tmp_path)), "big")
        assert index(found) == pytest.approx(1.0)
        assert found.letter == letter_of(1.0 + UNSEEN) == "F"

    def test_failures_cost_what_the_reference_takes(self, tmp_path: Path) -> None:
        given = some(8, exact=0.0)
        found = of(rate_study(made_reading(tmp_path, given)), "small")
        assert index(found) == pytest.approx(20 / 40 + 8 / N)

    def test_a_run_that_failed_is_a_failure_with_its_energy(self, tmp_path: Path) -> None:
        rating = {**RATING, "floor": {"acceptance": 0.5, "completion": 0.5}}
        given = some(4, failure="timeout", text="", finish=None)
        found = of(rate_study(made_reading(tmp_path, given, rating=rating)), "small")
        assert index(found) == pytest.approx(20 / 40 + 4 / N)

    def test_net_energy_is_another_figure(self, tmp_path: Path) -> None:
        rated = rate_study(made_reading(tmp_path, rating={**RATING, "energy": "net"}))
        found = of(rated, "small")
        assert found.rating is not None
        assert found.rating.basis.energy == "net"
        assert found.rating.joules_per_request.value == pytest.approx(15.0)
        assert index(found) == pytest.approx(0.5)

    def test_runs_of_one_question_are_one_cluster(self, tmp_path: Path) -> None:
        found = of(rate_study(made_reading(tmp_path, questions=12, runs=3)), "small")
        assert found.rating is not None
        assert (found.rating.requests, found.rating.questions) == (36, 12)

    def test_the_judge_accepts_from_tau_on_and_is_the_quality(self, tmp_path: Path) -> None:
        def given(model: str, number: int) -> Mapping[str, Any]:
            return {**usual(model, number), "judge": 6.5 if model == "small" and number < 10 else 9.0}

        rating = {"reference": "big", "floor": {"acceptance": 0.5, "quality": 0.5}}
        found = of(rate_study(made_reading(tmp_path, given, judged=True, rating=rating)), "small")
        assert found.rating is not None
        assert found.rating.acceptance.value == pytest.approx(30 / N)
        assert found.rating.quality.value == pytest.approx((10 * 0.65 + 30 * 0.9) / N)
        assert found.about["judge"]["en"] == "judge-model, at least 7 of 10"
        assert found.about["judge_version"] == "hexgate-judge/1"

    def test_the_basis_says_what_was_measured_on(self, tmp_path: Path) -> None:
        found = of(rate_study(made_reading(tmp_path)), "small")
        assert found.rating is not None
        basis = found.rating.basis
        assert basis.device == "Board X, 30 W"
        assert (basis.scope, basis.energy, basis.cache, basis.load) == (
            "board",
            "gross",
            "cold",
            "sequential",
        )
        assert basis.suite.startswith("small sha256:")

    def test_models_that_ran_at_once_have_another_load(self, tmp_path: Path) -> None:
        def given(model: str, number: int) -> Mapping[str, Any]:
            return {**usual(model, number), "sent_s": 10 * number}

        found = of(rate_study(made_reading(tmp_path, given)), "small")
        assert found.rating is not None
        assert found.rating.basis.load == "parallel"

    def test_the_front_has_the_cheap_and_the_good_and_not_what_they_beat(self, tmp_path: Path) -> None:
        def given(model: str, number: int) -> Mapping[str, Any]:
            joules, accepted = {"big": (40.0, 1.0), "cheap": (5.0, 0.7), "waste": (60.0, 0.7)}[model]
            return {"energy_j": joules, "exact": float(number < accepted * N)}

        rated = rate_study(made_reading(tmp_path, given, models=("big", "cheap", "waste")))
        assert {one.model: one.on_front for one in rated} == {"big": True, "cheap": True, "waste": False}


class TestAxioms:
    """What must hold of any study, through the same path as the command."""

    @pytest.mark.parametrize("joules", [0.5, 10.0, 30.0, 55.0])
    def test_less_energy_never_worsens(self, tmp_path: Path, joules: float) -> None:
        more = of(rate_study(made_reading(tmp_path / "a", small(energy_j=joules))), "small")
        less = of(rate_study(made_reading(tmp_path / "b", small(energy_j=joules * 0.8))), "small")
        assert index(less) < index(more)
        assert str(less.letter) <= str(more.letter)

    @pytest.mark.parametrize("failures", [2, 10, 19])
    def test_more_quality_never_worsens(self, tmp_path: Path, failures: int) -> None:
        worse = of(rate_study(made_reading(tmp_path / "a", some(failures, exact=0.0), rating=LOW)), "small")
        better = of(
            rate_study(made_reading(tmp_path / "b", some(failures - 1, exact=0.0), rating=LOW)), "small"
        )
        assert index(better) < index(worse)
        assert str(better.letter) <= str(worse.letter)

    def test_another_model_changes_nothing(self, tmp_path: Path) -> None:
        two = of(rate_study(made_reading(tmp_path / "a")), "small")
        three = rate_study(made_reading(tmp_path / "b", models=("big", "small", "third")))
        assert of(three, "small").rating == two.rating

    def test_the_unit_of_energy_changes_nothing(self, tmp_path: Path) -> None:
        def scaled(model: str, number: int) -> Mapping[str, Any]:
            return {"energy_j": (40.0 if model == "big" else 20.0) / 3600}

        in_joules = of(rate_study(made_reading(tmp_path / "a")), "small")
        in_watt_hours = of(rate_study(made_reading(tmp_path / "b", scaled)), "small")
        assert index(in_watt_hours) == pytest.approx(index(in_joules))
        assert in_watt_hours.letter == in_joules.letter

    def test_the_cheap_and_useless_does_not_win(self, tmp_path: Path) -> None:
        found = of(rate_study(made_reading(tmp_path, small(energy_j=0.1, exact=0.0), rating=LOW)), "small")
        assert index(found) > 1.0
        assert LETTERS.index(str(found.letter)) >= LETTERS.index("F")


UNRATED: dict[str, tuple[Given, dict[str, Any], list[str]]] = {
    "energy missing in 2 % of the runs": (some(2, energy_j=None), {"questions": 100}, ["energy"]),
    "net energy missing once": (some(1, net_j=None), {"rating": {**RATING, "energy": "net"}}, ["energy"]),
    "cold and warm prompts": (some(1, cached=90), {}, ["cache"]),
    "the cache is not known": (some(1, cached=None), {}, ["cache_unknown"]),
    "below the floor": (some(30, exact=0.0), {}, ["acceptance"]),
    "another device than the reference": (small(device="Board Y"), {}, ["basis"]),
    "two devices": (some(5, device="Board Y"), {}, ["device"]),
    "meters that see other parts": (some(5, scopes=("package",)), {}, ["scope"]),
    "meters that see other parts than the reference's": (small(scopes=("board", "package")), {}, ["basis"]),
    "runs that are left": (some(5, made=False), {}, ["runs_left"]),
    "no run": (some(N, made=False), {}, ["runs"]),
    "runs to which nobody answered": (some(1, failure="connection", text=""), {}, ["runs_left"]),
    "runs that failed": (some(4, failure="timeout", text=""), {}, ["completion"]),
    "empty answers": (some(4, text=" \n", exact=None), {}, ["completion"]),
    "answers that were cut": (some(4, finish="length"), {}, ["truncation"]),
    "it is not known why replies ended": (some(1, finish=None), {}, ["truncation_unknown"]),
    "answers that nobody scored": (some(4, exact=None), {}, ["scores"]),
    "too few questions": (usual, {"questions": 9}, ["questions", "reference"]),
}


@pytest.mark.parametrize(("given", "spec", "expected"), UNRATED.values(), ids=UNRATED)
def test_what_has_no_letter_says_why(
    tmp_path: Path, given: Given, spec: dict[str, Any], expected: list[str]
) -> None:
    found = of(rate_study(made_reading(tmp_path, given, **spec)), "small")
    assert rules(found) == expected
    assert found.letter is None
    for reason in found.refusals:
        assert reason.en
        assert reason.zh
        assert reason.en != reason.zh


def test_a_reference_that_is_not_rated_rates_nobody_and_says_why(tmp_path: Path) -> None:
    def given(model: str, number: int) -> Mapping[str, Any]:
        return {"energy_j": None} if model == "big" and number == 0 else usual(model, number)

    rated = rate_study(made_reading(tmp_path, given))
    assert rules(of(rated, "big")) == ["energy"]
    assert rules(of(rated, "small")) == ["reference"]
    assert of(rated, "small").refusals[0].en == "the reference big is not rated itself"
    assert of(rated, "big").letter is of(rated, "small").letter is None


def test_figures_stay_where_the_reference_is_not_rated(tmp_path: Path) -> None:
    def given(model: str, number: int) -> Mapping[str, Any]:
        return {"cached": 0, "finish": None} if model == "big" else usual(model, number)

    reading = made_reading(tmp_path, given)
    rated = rate_study(reading)
    for name, joules in (("big", 40.0), ("small", 20.0)):
        one = of(rated, name)
        assert one.rating is not None
        assert (one.letter, one.rating.index, one.rating.reference, one.on_front) == (None, None, None, None)
        assert one.rating.joules_per_request.value == one.rating.joules_per_accepted.value == joules
        assert one.rating.acceptance.value == 1.0
        assert one.rating.refusals == one.refusals
        assert "<svg" in label_of(one)
    labels = {model: {"en": "a.svg"} for model in ("big", "small")}
    document = json.loads(file_bytes(ratings_document(reading, rated, labels)))
    assert schema_mistakes("study_ratings", document) == []
    assert document["models"][1]["rating"]["reference"] is None


def test_figures_stay_on_another_basis_than_the_reference(tmp_path: Path) -> None:
    found = of(rate_study(made_reading(tmp_path, small(device="Board Y", energy_j=7.0))), "small")
    assert rules(found) == ["basis"]
    assert found.rating is not None
    assert (found.rating.letter, found.rating.letters, found.rating.index) == (None, None, None)
    assert found.rating.joules_per_request.value == pytest.approx(7.0)
    assert found.rating.reference is not None
    assert found.rating.reference.joules_per_accepted == pytest.approx(40.0)
    assert found.on_front is None


def test_figures_stay_where_runs_are_left(tmp_path: Path) -> None:
    found = of(rate_study(made_reading(tmp_path, some(5, made=False))), "small")
    assert found.rating is not None
    assert (found.rating.letter, found.rating.index, found.rating.requests) == (None, None, 35)
    assert found.on_front is None


def test_tasks_without_a_rule_are_not_in_the_suite(tmp_path: Path) -> None:
    tasks = [{"name": "talk", "items": "items.jsonl"}, {"name": "code", "items": "items.jsonl"}]
    rating = {**RATING, "accepted": [{"measure": "exact_match", "least": 1, "tasks": ["talk"]}]}
    reading = made_reading(tmp_path, tasks=tasks, rating=rating, questions=12)
    found = of(rate_study(reading), "small")
    assert found.rating is not None
    assert found.rating.requests == 12
    labels = {model: {"en": "a.svg"} for model in ("big", "small")}
    assert ratings_document(reading, rate_study(reading), labels)["suite"]["left_out"] == ["code"]


def test_an_answer_must_pass_all_that_its_task_asks(tmp_path: Path) -> None:
    def given(model: str, number: int) -> Mapping[str, Any]:
        return {**usual(model, number), "judge": 2.0 if model == "small" and number < 4 else 9.0}

    rating = {**RATING, "accepted": [{"measure": "exact_match", "least": 1}, {"measure": "judge"}]}
    found = of(rate_study(made_reading(tmp_path, given, judged=True, rating=rating)), "small")
    assert found.rating is not None
    assert found.rating.acceptance.value == pytest.approx(36 / N)


class TestReference:
    def frozen(self, folder: Path, given: Given = usual, **spec: Any) -> Path:
        reading = made_reading(folder, given, **spec)
        path = folder / "reference.json"
        path.write_bytes(file_bytes(reference_document(reading, freeze_model(reading, "big"))))
        return path

    def test_a_frozen_model_rates_another_study_as_it_rated_its_own(self, tmp_path: Path) -> None:
        path = self.frozen(tmp_path / "first")
        rating = {**RATING, "reference": str(path)}
        rated = rate_study(made_reading(tmp_path / "second", models=("small",), rating=rating))
        own = of(rate_study(read_study(tmp_path / "first" / "out")), "small")
        assert rated[0].rating == own.rating
        assert own.rating is not None
        assert own.rating.reference.name == "big (Q4_K_M, sha256:ab12)"

    @pytest.mark.parametrize(
        ("given", "spec", "what"),
        [
            (small(device="Board Y"), {}, "device"),
            (usual, {"rating": {**RATING, "suite": "other"}}, "suite"),
            (usual, {"questions": 41}, "suite"),
            (usual, {"rating": {**RATING, "accepted": [{"measure": "exact_match", "least": 0.5}]}}, "suite"),
            (small(cached=90), {}, "cache"),
        ],
    )
    def test_another_basis_is_refused(
        self, tmp_path: Path, given: Given, spec: dict[str, Any], what: str
    ) -> None:
        rating = {**spec.get("rating", RATING), "reference": str(self.frozen(tmp_path / "first"))}
        reading = made_reading(tmp_path / "second", given, models=("small",), **{**spec, "rating": rating})
        found = rate_study(reading)[0]
        assert rules(found) == ["basis"]
        assert f"its {what} is" in found.refusals[0].en

    def test_a_model_that_is_not_rated_is_not_frozen(self, tmp_path: Path) -> None:
        reading = made_reading(tmp_path, some(1, energy_j=None))
        with pytest.raises(InputError, match="not rated itself"):
            freeze_model(reading, "small")
        with pytest.raises(InputError, match="no such model"):
            freeze_model(reading, "nobody")

    @pytest.mark.parametrize(
        "change",
        [
            lambda found: {**found, "joules_per_accepted": 0},
            lambda found: {**found, "basis": {}},
            lambda found: {**found, "schema": "hexgate/study_reference/2.0"},
            lambda found: [found],
        ],
    )
    def test_a_file_that_is_no_reference_is_refused(
        self, tmp_path: Path, change: Callable[[Any], Any]
    ) -> None:
        path = self.frozen(tmp_path / "first")
        path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")
        rating = {**RATING, "reference": str(path)}
        with pytest.raises(InputError, match="not a reference that was frozen"):
            rate_study(made_reading(tmp_path / "second", models=("small",), rating=rating))

    def test_a_reference_that_is_nowhere_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="neither a model of the study nor a file"):
            rate_study(made_reading(tmp_path, rating={**RATING, "reference": "nobody"}))


@pytest.mark.parametrize(
    ("rating", "what"),
    [
        (None, "does not say how its models are rated"),
        ({"floor": {"acceptance": 0.5}, "accepted": RATING["accepted"]}, "names no reference"),
        ({"floor": {"acceptance": 0.5}, "reference": "big"}, "has no judge"),
    ],
)
def test_a_block_that_does_not_say_enough_is_refused(
    tmp_path: Path, rating: dict[str, Any] | None, what: str
) -> None:
    with pytest.raises(InputError, match=what):
        rate_study(made_reading(tmp_path, rating=rating))


def test_a_measure_that_is_better_when_lower_cannot_accept(tmp_path: Path) -> None:
    reading = made_reading(tmp_path)
    measure = reading.marks.measures["exact_match"]
    object.__setattr__(measure, "higher_is_better", False)
    with pytest.raises(InputError, match="a lower value"):
        rate_study(reading)


@pytest.mark.parametrize(
    ("rating", "where"),
    [
        ({"reference": "big"}, "rating.floor"),
        ({"floor": {}}, "rating.floor"),
        ({"floor": {"acceptance": 1.5}}, "rating.floor.acceptance"),
        ({"floor": {"acceptance": 0.5}, "energy": "netto"}, "rating.energy"),
        ({"floor": {"acceptance": 0.5}, "accepted": []}, "rating.accepted"),
        ({"floor": {"acceptance": 0.5}, "accepted": [{}]}, "rating.accepted[0].least"),
        ({"floor": {"acceptance": 0.5}, "accepted": [{"measure": "rouge"}]}, "rating.accepted[0].least"),
        ({"floor": {"acceptance": 0.5}, "accepted": [{"measure": "exact"}]}, "rating.accepted[0].measure"),
        (
            {"floor": {"acceptance": 0.5}, "accepted": [{"measure": "judge", "tasks": ["tlak"]}]},
            "rating.accepted[0].tasks",
        ),
        ({"floor": {"acceptance": 0.5}, "refrence": "big"}, "rating.refrence"),
        ([], "rating"),
    ],
)
def test_a_mistake_in_the_block_is_told_with_its_path(tmp_path: Path, rating: Any, where: str) -> None:
    with pytest.raises(InputError) as found:
        read_spec(rated_spec(tmp_path, rating=rating))
    assert str(found.value.where).endswith(f": {where}")


def test_the_block_may_change_after_the_start_and_a_head_without_it_is_read(tmp_path: Path) -> None:
    with_block = read_spec(rated_spec(tmp_path / "a"))
    without = read_spec(rated_spec(tmp_path / "b", rating=None))
    assert with_block.sha256() == without.sha256()
    kept = json.loads(json.dumps(with_block.to_json()))
    assert Spec.from_json(kept).rating == with_block.rating
    del kept["rating"]
    assert Spec.from_json(kept).rating is None


@pytest.mark.parametrize("total", [-0.5, 10.5])
def test_a_total_that_no_judge_can_give_is_no_evidence(tmp_path: Path, total: float) -> None:
    reading = made_reading(tmp_path, lambda _, __: {"judge": total}, judged=True)
    with pytest.raises(EvidenceError, match="not from 0 to 10"):
        rate_study(reading)


def test_the_first_measure_is_meant_where_a_rule_names_none(tmp_path: Path) -> None:
    rating = {**RATING, "accepted": [{"least": 1}]}
    found = of(rate_study(made_reading(tmp_path, rating=rating)), "small")
    assert found.about["judge"] == {"en": "exact_match at least 1", "zh": "exact_match 不低于 1"}


def test_the_documents_keep_their_schemas(tmp_path: Path) -> None:
    reading: Reading = read_study(made_study(tmp_path, some(3, energy_j=None)))
    rated = rate_study(reading)
    labels = {one.model: {"en": "a.svg", "zh": "b.svg"} for one in rated}
    document = json.loads(file_bytes(ratings_document(reading, rated, labels)))
    assert schema_mistakes("study_ratings", document) == []
    assert [one["letter"] for one in document["models"]] == ["F", None]
    frozen = json.loads(file_bytes(reference_document(reading, freeze_model(reading, "big"))))
    assert schema_mistakes("study_reference", frozen) == []
    for broken in ({**document, "models": [{}]}, {**document, "more": 1}):
        assert schema_mistakes("study_ratings", broken)
