"""What the report of a study counts: means, intervals, what may be compared, and which load is worth its cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hexgate.report.studies.common import common_of
from hexgate.report.studies.fields import Field, fields
from hexgate.report.studies.figures import (
    FAILED,
    MIXED,
    MOST_CELLS,
    Measured,
    Row,
    StudyFigures,
    figure,
    quality_key,
    study_figures,
)
from hexgate.report.studies.judge import judged_groups, noise_of
from hexgate.report.studies.levels import choices
from hexgate.stats.bootstrap import cluster_bootstrap
from hexgate.study.reading import Reading
from support.readings import MODELS, Model, synthetic

JUDGE = Measured("judge", True, frozenset({"t"}), 10.0)


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    made = synthetic(tmp_path_factory.mktemp("study"), questions=6, runs=2, failing=0.05)
    return made.reading()


@pytest.fixture(scope="module")
def study(reading: Reading) -> StudyFigures:
    return study_figures(reading)


def row(
    model: str,
    item: str,
    load: str = "L",
    *,
    device: str = "d",
    scope: str = "board",
    warm: bool = False,
    **values: float,
) -> Row:
    own = {quality_key("judge") if key == "judge" else key: value for key, value in values.items()}
    return Row(model, "t", load, item, True, own, {}, device, scope, warm)


def of_rows(rows: list[Row], study: StudyFigures, **changes: Any) -> StudyFigures:
    models = tuple(replace(study.models[0], model=name) for name in dict.fromkeys(one.model for one in rows))
    return replace(study, rows=tuple(rows), models=models, **changes)


def test_means_are_of_answered_runs_and_every_lack_has_its_reason(
    reading: Reading, study: StudyFigures
) -> None:
    for group in study.models:
        own = [one for one in reading.records if one["model"] == group.model]
        energies = [one["energy"]["gross_j"] for one in own if one["status"] == "ok"]
        found = group.figures["energy_j"]
        assert found.mean == pytest.approx(math.fsum(energies) / len(energies))
        assert found.n == len(energies)
        assert group.planned == group.over == len(own)
        assert group.failed == len(own) - len(energies) > 0
        assert dict(found.missing) == {FAILED: group.failed}
        judged = group.figures[quality_key("judge")]
        assert judged.n + sum(dict(judged.missing).values()) == len(own)


def test_an_interval_is_the_cluster_bootstrap_over_questions(study: StudyFigures) -> None:
    rows = [one for one in study.rows if one.model == MODELS[0].name and "energy_j" in one.values]
    rows.sort(key=lambda one: one.question)
    values = [one.values["energy_j"] for one in rows]
    expected = cluster_bootstrap(
        values, [1.0] * len(values), [one.question for one in rows], what="the mean of energy_j"
    )
    found = study.models[0].figures["energy_j"]
    assert found.interval is not None
    assert found.ends == pytest.approx((expected.low, expected.high))
    assert found.interval.n == expected.n == 12
    assert found.over == "questions"


def test_one_question_has_an_interval_over_its_repeats_alone() -> None:
    alone = figure([row("m", "a", energy_j=value) for value in (1.0, 2.0, 4.0)], "energy_j")
    assert (alone.over, alone.n) == ("repeats", 3)
    single = figure([row("m", "a", energy_j=1.0)], "energy_j")
    assert (single.mean, single.interval, single.over) == (1.0, None, None)
    nothing = figure([], "energy_j")
    assert (nothing.mean, nothing.n) == (None, 0)


def test_a_group_of_each_kind_in_the_order_of_the_study(study: StudyFigures) -> None:
    assert [group.model for group in study.models] == [model.name for model in MODELS]
    assert len(study.by_load) == 20
    assert len(study.by_task) == 8
    assert len(study.cells) == 40
    assert study.cells_left_out == 0
    assert {group.planned for group in study.cells} == {12}


def test_a_table_of_very_many_cells_ends(tmp_path: Path) -> None:
    names = [f"t{place}" for place in range(30)]
    models = [replace(MODELS[0], name=f"m{place}") for place in range(8)]
    made = synthetic(tmp_path, models=models, tasks=names, levels=("a", "b"), questions=1, done=0.0)
    study = study_figures(made.reading())
    assert len(study.cells) == MOST_CELLS
    assert study.cells_left_out == 480 - MOST_CELLS


class TestFields:
    """What may stand on one chart."""

    def test_dots_are_of_the_questions_that_all_have(self, study: StudyFigures) -> None:
        rows = [row(name, item, energy_j=1.0, judge=5.0) for name in "ab" for item in "xyz"]
        rows.append(row("a", "w", energy_j=100.0, judge=0.0))
        (field,) = fields(of_rows(rows, study), JUDGE, "suite", by_load=False)
        assert (field.shared, field.most) == (3, 4)
        assert [dot.energy.mean for dot in field.dots] == [1.0, 1.0]
        assert all(dot.on_front for dot in field.dots)

    def test_a_model_with_few_questions_is_left_out_and_said(self, study: StudyFigures) -> None:
        rows = [row("a", str(item), energy_j=1.0, judge=5.0) for item in range(10)]
        rows.append(row("b", "3", energy_j=1.0, judge=5.0))
        (field,) = fields(of_rows(rows, study), JUDGE, "suite", by_load=False)
        assert [dot.model for dot in field.dots] == ["a"]
        assert field.left_out[0].en == "b is not on it: it has 1 of 10 questions."

    def test_another_device_or_scope_is_another_chart(self, study: StudyFigures) -> None:
        rows = [
            row("a", "x", energy_j=1.0, judge=5.0),
            row("b", "x", energy_j=1.0, judge=5.0, scope="board+package"),
            row("c", "x", energy_j=1.0, judge=5.0, device="e"),
        ]
        found = fields(of_rows(rows, study), JUDGE, "suite", by_load=False)
        assert [(one.basis.device, one.basis.scope) for one in found] == [
            ("d", "board"),
            ("d", "board+package"),
            ("e", "board"),
        ]

    def test_a_model_of_two_scopes_is_on_no_chart(self, study: StudyFigures) -> None:
        rows = [row("a", "x", energy_j=1.0, judge=5.0), row("a", "y", energy_j=1.0, judge=5.0, scope="host")]
        rows += [row("b", item, energy_j=2.0, judge=5.0) for item in "xy"]
        found = fields(of_rows(rows, study), JUDGE, "suite", by_load=False)
        assert [[dot.model for dot in one.dots] for one in found] == [["b"], []]
        assert all("several devices or meters" in one.left_out[0].en for one in found)

    def test_cold_and_warm_prompts_are_on_charts_of_their_own(self, study: StudyFigures) -> None:
        rows = [row("a", item, energy_j=9.0, judge=5.0) for item in "xy"]
        rows += [row("b", item, energy_j=1.0, judge=5.0, warm=True) for item in "xy"]
        rows += [row("c", item, energy_j=2.0, judge=5.0, warm=item == "y") for item in "xy"]
        cold, warm = fields(of_rows(rows, study), JUDGE, "suite", by_load=False)
        assert [(one.basis.cache, [dot.model for dot in one.dots]) for one in (cold, warm)] == [
            ("cold", ["a"]),
            ("warm", ["b"]),
        ]
        assert [one.left_out[0].en.partition(":")[0] for one in (cold, warm)] == ["c is not on it"] * 2
        assert "some of its prompts came from the server's cache" in cold.remarks[1].en
        assert warm.remarks[0].en == "Every prompt came in part from the server's cache."
        (alone,) = fields(of_rows(rows[:2], study), JUDGE, "suite", by_load=False)
        assert alone.remarks == ()

    def test_no_question_in_common_is_no_chart(self, study: StudyFigures) -> None:
        rows = [row("a", "x", energy_j=1.0, judge=5.0), row("b", "y", energy_j=1.0, judge=5.0)]
        (field,) = fields(of_rows(rows, study), JUDGE, "suite", by_load=False)
        assert (field.dots, field.shared) == ((), 0)

    @pytest.mark.parametrize(("higher", "front"), [(True, ["a", "c"]), (False, ["a"])])
    def test_the_front(self, study: StudyFigures, higher: bool, front: list[str]) -> None:
        figures = {"a": (1.0, 5.0), "b": (2.0, 5.0), "c": (3.0, 6.0), "d": (4.0, 5.5)}
        rows = [row(name, "x", energy_j=joules, judge=quality) for name, (joules, quality) in figures.items()]
        (field,) = fields(
            of_rows(rows, study), replace(JUDGE, higher_is_better=higher), "suite", by_load=False
        )
        assert [dot.model for dot in field.dots if dot.on_front] == front

    def test_by_load_a_question_is_the_same_at_each(self, reading: Reading, study: StudyFigures) -> None:
        (field,) = fields(study, study.measures[0], reading.plan.sha256(), by_load=True)
        assert len(field.dots) == 20
        assert field.shared <= field.most == 12


class TestLevels:
    """The load that is worth its cost."""

    def levels(
        self, study: StudyFigures, values: Mapping[str, tuple[float, float]], questions: int = 12
    ) -> Any:
        rows = [
            row("m", str(item), load, energy_j=joules, judge=quality + 0.01 * (item % 2))
            for load, (joules, quality) in values.items()
            for item in range(questions)
        ]
        (found,) = choices(of_rows(rows, study), JUDGE)
        return found

    def test_the_three_picks(self, study: StudyFigures) -> None:
        found = self.levels(
            study, {"L0": (10.0, 4.0), "L1": (20.0, 7.0), "L2": (40.0, 7.0), "L3": (80.0, 8.0)}
        )
        assert (found.best, found.thrifty, found.enough) == ("L3", "L0", "L3")
        found = self.levels(study, {"L0": (10.0, 7.0), "L1": (20.0, 7.0)})
        assert (found.best, found.enough, found.why) == ("L0", "L0", None)

    def test_alike_means_paired_and_cheap_wins(self, study: StudyFigures) -> None:
        noise = [0.5, -0.5, 0.4, -0.4, 0.3, -0.3, 0.2, -0.2, 0.1, -0.1, 0.05, 0.0]
        rows = [row("m", str(item), "L0", energy_j=10.0, judge=6.0 + noise[item]) for item in range(12)]
        rows += [row("m", str(item), "L1", energy_j=30.0, judge=6.01 - noise[item]) for item in range(12)]
        (found,) = choices(of_rows(rows, study), JUDGE)
        assert found.enough == "L0"

    def test_few_questions_say_nothing(self, study: StudyFigures) -> None:
        found = self.levels(study, {"L0": (10.0, 7.0), "L1": (20.0, 7.0)}, questions=9)
        assert found.enough is None
        assert found.why.en == "9 questions in common, at least 10 are needed"

    def test_without_energy_the_cost_is_tokens(self, study: StudyFigures) -> None:
        rows = [
            row("m", str(item), load, prompt_tokens=tokens, output_tokens=100.0, judge=6.0)
            for load, tokens in (("L0", 10.0), ("L1", 500.0))
            for item in range(12)
        ]
        (found,) = choices(of_rows(rows, study), JUDGE)
        assert (found.thrifty, found.enough) == ("L0", "L0")


def test_the_judge_by_model_and_load(reading: Reading) -> None:
    groups = judged_groups(reading)
    assert len(groups) == 20
    for one in groups:
        assert one.runs == len(one.totals) + sum(one.missing.values()) == 24
        for place, total in enumerate(one.totals):
            parts = [
                one.parts[name][place] for name in ("factuality", "helpfulness", "structure", "conciseness")
            ]
            assert sum(parts) == total


def test_judge_noise_is_pooled_over_answers_that_were_judged_again(reading: Reading, tmp_path: Path) -> None:
    found = noise_of(reading)
    assert found is not None
    spread, answers = found
    again = [
        sum(one.values())
        for record in reading.records
        for one in record["quality"]["judge"]["parts"].get("repeats", [])
    ]
    assert answers == len(again) / 3 > 10
    squares = 0.0
    for first in range(0, len(again), 3):
        mean = sum(again[first : first + 3]) / 3
        squares += sum((value - mean) ** 2 for value in again[first : first + 3])
    assert spread == pytest.approx(math.sqrt(squares / (2 * answers)))
    assert noise_of(synthetic(tmp_path, questions=1, measures=()).reading()) is None


def test_a_study_without_energy_or_quality_has_no_number_for_it(tmp_path: Path) -> None:
    made = synthetic(tmp_path, models=[Model("m")], energy=False, measures=(), questions=2)
    study = study_figures(made.reading())
    assert not study.has_energy
    assert study.measures == ()
    found = study.models[0].figures["energy_j"]
    assert (found.mean, found.n) == (None, 0)
    assert found.missing[0][0].startswith("no power meter can be read")


def test_energies_of_several_meters_have_no_common_mean() -> None:
    rows = [
        row("a", "q1", energy_j=100.0, net_j=80.0, latency_s=1.0),
        row("a", "q2", scope="board+package", energy_j=200.0, net_j=160.0, latency_s=3.0),
    ]
    for key in ("energy_j", "net_j"):
        found = figure(rows, key)
        assert (found.mean, found.interval, found.n, found.missing) == (None, None, 0, ((MIXED, 2),))
    assert figure(rows, "latency_s").mean == 2.0
    assert figure(rows[:1], "energy_j").mean == 100.0


def test_another_power_mode_is_another_device(tmp_path: Path) -> None:
    made = synthetic(tmp_path, models=MODELS[:2], levels=("L0",), questions=2)
    visits = [json.loads(line) for line in (made.out / "visits.jsonl").read_text("utf-8").splitlines()]
    for visit in visits:
        if visit["event"] == "begin":
            visit["environment"]["power_mode"] = f"mode of {visit['model']}"
    (made.out / "visits.jsonl").write_text("".join(json.dumps(visit) + "\n" for visit in visits), "utf-8")
    found = study_figures(made.reading())
    assert len(found.bases) == 2
    assert not found.shown_energy
    assert [len(one.dots) for one in fields(found, found.measures[0], "s", by_load=False)] == [1, 1]


def test_a_load_that_drops_the_hard_questions_is_not_the_best(study: StudyFigures) -> None:
    easy, hard = [f"e{n}" for n in range(12)], [f"h{n}" for n in range(12)]
    rows = [row("a", item, "L0", judge=9.0, energy_j=10.0) for item in easy]
    rows += [row("a", item, "L0", judge=3.0, energy_j=90.0) for item in hard]
    # The other load is worse and dearer at each of the questions that it has.
    rows += [row("a", item, "P", judge=8.0, energy_j=20.0) for item in easy]
    (found,) = choices(of_rows(rows, study), JUDGE)
    assert (found.best, found.thrifty, found.enough, found.questions) == ("L0", "L0", "L0", 12)
    apart = [row("a", "q1", "L0", judge=9.0, energy_j=1.0), row("a", "q2", "P", judge=8.0, energy_j=1.0)]
    (none,) = choices(of_rows(apart, study), JUDGE)
    assert (none.best, none.thrifty, none.enough, none.questions) == (None, None, None, 0)
    assert none.why is not None


def test_there_is_no_front_of_a_few_questions_in_common(study: StudyFigures) -> None:
    items = [f"q{n}" for n in range(10)]

    def found(common: int) -> Field:
        own = {"a": items[: 5 + common], "b": items[5:]} if common < 5 else {"a": items, "b": items}
        rows = [row(name, item, judge=5.0, energy_j=1.0) for name in own for item in own[name]]
        (one,) = fields(of_rows(rows, study), JUDGE, "s", by_load=False)
        return one

    few = found(2)
    assert (few.shared, few.most) == (2, 7)
    assert [dot.on_front for dot in few.dots] == [False, False]
    assert [each.en for each in few.left_out] == ["These are too few to say what lies on the front."]
    assert [dot.on_front for dot in found(5).dots] == [True, True]


class TestCommon:
    """Means of models on the questions that all have answered."""

    def failing(self, study: StudyFigures, easy: int, hard: int) -> StudyFigures:
        """One model answers all; the other, worse at each, fails at what is hard."""
        rows = [row("good", f"e{n}", judge=9.0, energy_j=10.0) for n in range(easy)]
        rows += [row("good", f"h{n}", judge=3.0, energy_j=90.0) for n in range(hard)]
        rows += [row("bad", f"e{n}", judge=8.0, energy_j=20.0) for n in range(easy)]
        rows += [replace(row("bad", f"h{n}"), ok=False, missing={"energy_j": FAILED}) for n in range(hard)]
        found = of_rows(rows, study)
        keys = ("energy_j", quality_key("judge"))
        models = tuple(
            replace(
                group,
                failed=sum(not one.ok for one in rows if one.model == group.model),
                figures={key: figure([one for one in rows if one.model == group.model], key) for key in keys},
            )
            for group in found.models
        )
        return replace(found, models=models)

    def test_a_model_that_fails_at_what_is_hard_does_not_look_better(self, study: StudyFigures) -> None:
        whole = self.failing(study, 12, 8)
        assert [group.figures["energy_j"].mean for group in whole.models] == [42.0, 20.0]
        common = common_of(whole)
        assert [group.figures["energy_j"].mean for group in common.study.models] == [10.0, 20.0]
        assert [group.figures[quality_key("judge")].mean for group in common.study.models] == [9.0, 8.0]
        assert [group.failed for group in common.study.models] == [0, 8]
        assert (common.shared, common.most, common.lacking) == (12, 20, ("bad",))
        assert common.note is not None
        assert "12 of 20 questions" in common.note.en
        assert common.note.en.endswith("have no answer of bad.")

    def test_too_few_in_common_are_not_compared_and_that_is_said(self, study: StudyFigures) -> None:
        whole = self.failing(study, 2, 8)
        common = common_of(whole)
        assert common.study is whole
        assert common.note is not None
        assert "not to be compared" in common.note.en

    def test_where_all_have_answered_the_same_nothing_is_said(self, study: StudyFigures) -> None:
        whole = self.failing(study, 5, 0)
        common = common_of(whole)
        assert common.study is whole
        assert (common.note, common.own_note, common.lacking) == (None, None, ())
        begun = replace(whole, rows=(), models=tuple(replace(one, over=0) for one in whole.models))
        assert (common_of(begun).note, common_of(begun).shared) == (None, 0)

    def test_while_runs_are_left_no_study_is_called_one_of_too_few(self, study: StudyFigures) -> None:
        whole = self.failing(study, 2, 8)
        models = tuple(replace(one, planned=one.over + 3) for one in whole.models)
        running = replace(whole, models=models)
        assert running.left == 3 * len(models)
        common = common_of(running)
        (field,) = fields(running, JUDGE, "s", by_load=False)
        (few,) = choices(replace(running, rows=running.rows[:2] + _other_load(running.rows[:2])), JUDGE)
        said = [common.note, common.own_note, *field.left_out, few.why]
        assert all(one is not None for one in said)
        assert not any("too few" in one.en or "过少" in one.zh or "太少" in one.zh for one in said if one)
        assert all(
            any(word in one.en for word in ("Runs that are left: ", "so far"))
            for one in said
            if one is not None
        )


def _other_load(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return tuple(replace(one, load="other") for one in rows)
