"""The checks of a study: each thing that can be wrong is made wrong, and found, at its place and nowhere else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import EvidenceError, InputError
from hexgate.study.checks.checked import Check, Status, Violation
from hexgate.study.checks.checks import CHECKS, Checks, check_study
from hexgate.study.exports.places import places
from hexgate.study.ledger import RUNS
from hexgate.study.quality.marks import QUALITY_FILE, MarkLedger, Measure
from hexgate.study.reading import read_study
from support.made_studies import failing, judged, made_study


def checks_of(out: Path, **options: Any) -> Checks:
    return check_study(read_study(out), **options)


def check(checks: Checks, name: str) -> Check:
    return next(one for one in checks.checks if one.name == name)


def wrong(checks: Checks) -> dict[str, list[tuple[str | None, str | None, int | str | None]]]:
    """Where each check that is violated is."""
    return {
        one.name: [(each.model, each.level, each.question) for each in one.violations]
        for one in checks.checks
        if one.violations
    }


def at(item: str, load: str, do: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Any:
    """A change of one run of the model amber."""

    def change(record: dict[str, Any]) -> dict[str, Any] | None:
        return (
            do(record)
            if (record["model"], record["item"], record["load"]) == ("amber", item, load)
            else record
        )

    return change


PLACE = ("amber", "L2", 82)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A folder of its own that holds, to make something wrong in."""
    return Path(shutil.copytree(whole, tmp_path / "out"))


def test_a_whole_study_holds(whole: Path) -> None:
    checks = checks_of(whole)
    assert wrong(checks) == {}
    assert checks.passed
    assert [one.name for one in checks.checks] == list(CHECKS)
    assert {one.status for one in checks.checks} == {Status.OK}
    assert (checks.planned, checks.over, checks.failed) == (30, 30, 0)
    assert check(checks, "rising").looked_at == 2 * 3 * 3
    json.dumps(checks.to_json(), allow_nan=False)


def test_counts_are_listed_by_model_level_and_category(whole: Path) -> None:
    listed = check(checks_of(whole), "counts").listed
    assert len(listed) == 2 * 5 * 2
    row = {
        "model": "amber",
        "level": "L0",
        "category": "writing",
        "questions": 2,
        "planned": 2,
        "over": 2,
        "ok": 2,
    }
    assert row in listed


def test_a_padded_prompt_is_listed_and_not_judged(whole: Path) -> None:
    listed = {(row["model"], row["level"]): row for row in check(checks_of(whole), "rising").listed}
    padded = listed["amber", "P"]
    assert padded["judged"] is False
    assert (padded["compared_with"], padded["longer"], padded["not_longer"]) == ("L3", 0, 3)
    assert padded["mean_prompt_tokens"] == 91.0
    assert "judged" not in listed["amber", "L3"]


def test_levels_that_rise_can_be_named(whole: Path) -> None:
    named = check(checks_of(whole, rising=("L0", "L1", "L2", "L3", "P")), "rising")
    assert len(named.violations) == 6
    first = named.violations[0]
    assert (first.level, first.got, first.expected) == (
        "P",
        "90 prompt tokens, and 200 at L3",
        "more prompt tokens than at L3",
    )


def _tokens(record: dict[str, Any], tokens: int | None) -> dict[str, Any]:
    return {**record, "api_metrics": {**record["api_metrics"], "prompt_eval_count": tokens}}


def _energy(record: dict[str, Any], gross: float | None) -> dict[str, Any]:
    return {**record, "energy": {**record["energy"], "gross_j": gross}}


@pytest.mark.parametrize(
    ("do", "found"),
    [
        (lambda _: None, {"counts": "no run"}),
        (failing, {"failed": "failed: timeout: +no reply in time"}),
        (lambda record: {**record, "truncated": True}, {"truncated": "cut at 16 tokens"}),
        (
            lambda record: {**record, "truncated": None},
            {"truncated": "nobody knows whether it was cut (the record gives no reason)"},
        ),
        (lambda record: _tokens(record, 61), {"rising": "61 prompt tokens, and 61 at L1"}),
        (
            lambda record: _tokens(record, None),
            {"rising": "no count of prompt tokens (the record gives no reason)"},
        ),
        (lambda record: _energy(record, None), {"energy": "no energy (the record gives no reason)"}),
        (lambda record: _energy(record, -1.0), {"energy": "the gross energy is -1.0 J"}),
        (lambda record: {**record, "generated_text": " \n"}, {"texts": "an empty text"}),
    ],
)
def test_what_a_record_lacks_is_found_at_its_place(
    tmp_path: Path, do: Callable[[dict[str, Any]], dict[str, Any] | None], found: dict[str, str]
) -> None:
    checks = checks_of(made_study(tmp_path, change=at("82", "L2", do)))
    assert wrong(checks) == {name: [PLACE] for name in found}
    assert {name: check(checks, name).violations[0].got for name in found} == found
    assert not checks.passed


@pytest.mark.parametrize(
    ("mark", "got"),
    [
        ((None, "the reply could not be read", {}), "no score (the reply could not be read)"),
        ((7.0, None, {"factuality": 3.0}), "the score of factuality is 3.0"),
        ((7.0, None, {"factuality": 1.75}), "the score of factuality is 1.75"),
        ((7.0, None, {"factuality": -0.5}), "the score of factuality is -0.5"),
        ((7.0, None, {"factuality": None}), "no score of factuality"),
        ((9.5, None, {}), "the total is 9.5"),
    ],
)
def test_a_score_out_of_range_or_missing_is_found(
    tmp_path: Path, mark: tuple[float | None, str | None, dict[str, Any]], got: str
) -> None:
    def judge(record: dict[str, Any]) -> tuple[float | None, str | None, dict[str, Any]]:
        value, reason, parts = judged(record)
        if (record["model"], record["item"], record["load"]) != ("amber", "82", "L2"):
            return value, reason, parts
        return mark[0], mark[1], {**parts, **mark[2]}

    checks = checks_of(made_study(tmp_path, judge=judge))
    assert wrong(checks) == {"scores": [PLACE]}
    assert check(checks, "scores").violations[0].got == got


def test_a_study_that_nobody_judged_has_no_scores_to_check(tmp_path: Path) -> None:
    checks = checks_of(made_study(tmp_path, judge=None))
    assert check(checks, "scores").status is Status.NOT_APPLICABLE
    assert checks.passed


def test_a_judge_that_has_not_judged_yet_is_no_pass(tmp_path: Path) -> None:
    judge = {"target": "http://127.0.0.1:9/v1", "model": "judge"}
    out = made_study(tmp_path / "named", judge=None)
    spec = json.loads((tmp_path / "named" / "spec" / "study.yaml").read_text("utf-8"))
    path = tmp_path / "named" / "spec" / "judged.yaml"
    path.write_text(json.dumps({**spec, "judge": judge}), "utf-8")
    checks = check_study(read_study(out, path))
    assert check(checks, "scores").status is Status.NOT_MADE
    assert not checks.passed
    assert check_study(read_study(out, path), without=("scores",)).passed


def test_a_measure_that_has_not_marked_every_run_is_no_pass(tmp_path: Path) -> None:
    out = made_study(tmp_path, models=["m"], quality=[{"measure": "distinct"}], judge=None)
    unmade = check(checks_of(out), "scores")
    assert (unmade.status, unmade.reason) == (
        Status.NOT_MADE,
        "the measure distinct has not scored the study yet",
    )
    with MarkLedger(out) as ledger:
        ledger.begin(Measure("distinct", {}, higher_is_better=True))
        _, *others = read_study(out).records
        for record in others:
            ledger.mark(record, "distinct", None, "fewer than 2 words", {})
    found = check(checks_of(out), "scores")
    assert (found.looked_at, [one.got for one in found.violations]) == (15, ["no mark of distinct"])


@pytest.mark.parametrize(("watts", "wrong_runs"), [(-0.24, 0), (-0.26, 15)])
def test_a_net_energy_below_zero_is_one_only_beyond_its_uncertainty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watts: float, wrong_runs: int
) -> None:
    monkeypatch.setattr("support.made_studies.NET_W", watts)
    monkeypatch.setattr("support.made_studies.latency_s", lambda *_: 1.0)
    found = check(checks_of(made_study(tmp_path, models=["m"])), "energy")
    assert len(found.violations) == wrong_runs


def test_another_model_under_the_same_name_is_found(tmp_path: Path) -> None:
    out = made_study(
        tmp_path, runs=2, digest=lambda model, block: f"sha256:{block if model == 'amber' else 1}"
    )
    checks = checks_of(out)
    assert set(wrong(checks)) == {"configurations"}
    assert {one.model for one in check(checks, "configurations").violations} == {"amber"}
    assert len(check(checks, "configurations").violations) == 15


def test_a_measure_whose_tasks_have_no_run_yet_is_not_missed(tmp_path: Path) -> None:
    quality = [{"measure": "distinct"}, {"measure": "token_f1", "tasks": ["数学"]}]
    out = made_study(
        tmp_path, models=["m"], quality=quality, judge=None,
        change=lambda record: record if record["task"] == "writing" else None,
    )  # fmt: skip
    with MarkLedger(out) as ledger:
        ledger.begin(Measure("distinct", {}, higher_is_better=True))
        for record in read_study(out).records:
            ledger.mark(record, "distinct", 0.5, None, {})
    assert check(checks_of(out), "scores").status is Status.OK


def test_a_model_whose_digest_nobody_states_is_neither_held_nor_violated(tmp_path: Path) -> None:
    checks = checks_of(made_study(tmp_path, runs=2, digest=lambda *_: None))
    found = check(checks, "configurations")
    assert (found.status, found.violations) == (Status.NOT_STATED, ())
    assert found.reason is not None
    assert "a digest of amber, " in found.reason
    assert (checks.passed, checks.to_json()["not_stated"]) == (True, ["configurations"])


def test_a_digest_that_is_stated_of_some_runs_alone_is_not_stated(tmp_path: Path) -> None:
    out = made_study(tmp_path, runs=2, digest=lambda _, block: "sha256:1" if block == 1 else None)
    assert check(checks_of(out), "configurations").status is Status.NOT_STATED


def test_a_run_that_is_kept_twice_is_found(copy: Path) -> None:
    lines = (copy / RUNS).read_bytes().splitlines(keepends=True)
    (copy / RUNS).write_bytes(b"".join([*lines, lines[0]]))
    found = check(checks_of(copy), "duplicates")
    assert [one.got for one in found.violations] == ["attempts 1, 1"]


def test_a_run_beside_the_plan_is_found(copy: Path) -> None:
    with (copy / RUNS).open("ab") as file:
        file.write(b'{"run_id":"0000000000000000","attempt":1}\n')
    found = check(checks_of(copy), "duplicates")
    assert [one.got for one in found.violations] == ["the run 0000000000000000, which is not in the plan"]


def first_of(out: Path) -> tuple[Path, Path, tuple[str, str, int | str]]:
    """Raw record and text of the first run, and where it is."""
    reading = read_study(out)
    place = places(reading)[0]
    return (
        reading.layout.raw(place.run_id),
        reading.layout.text(place.run_id),
        (place.model, place.level, place.question),
    )


@pytest.mark.parametrize(
    ("harm", "got"),
    [
        (lambda path: path.unlink(), "no raw record (No such file or directory)"),
        (lambda path: path.write_text("{", "utf-8"), "a raw record that is not JSON"),
        (lambda path: path.write_text("[]", "utf-8"), "a raw record that is no object"),
        (lambda path: _edit(path, latency_seconds=9.0), "another raw record in latency_seconds"),
        (
            lambda path: _edit(path, quality={"judge": {}}),
            "another quality in the raw record than the marks give",
        ),
    ],
)
def test_a_raw_record_that_is_not_the_ledger_s_is_found(
    copy: Path, harm: Callable[[Path], Any], got: str
) -> None:
    raw, _, where = first_of(copy)
    harm(raw)
    checks = checks_of(copy)
    assert wrong(checks) == {"records": [where]}
    assert check(checks, "records").violations[0].got == got


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_quality_that_is_not_written_into_the_record_yet_is_no_fault(copy: Path) -> None:
    raw, _, _ = first_of(copy)
    _edit(raw, quality={})
    assert checks_of(copy).passed


def test_a_text_that_is_missing_or_another_is_found(copy: Path) -> None:
    _, text, where = first_of(copy)
    text.write_text("other", "utf-8")
    assert wrong(checks_of(copy)) == {"texts": [where]}
    text.unlink()
    assert check(checks_of(copy), "texts").violations[0].got.startswith("no file of its text (")


def test_files_of_no_run_are_found(copy: Path) -> None:
    raw, text, _ = first_of(copy)
    raw.with_name("stray.json").write_text("{}", "utf-8")
    text.with_name("stray.txt").write_text("x", "utf-8")
    found = {name: check(checks_of(copy), name).violations for name in ("records", "texts")}
    assert [[one.model for one in each] for each in found.values()] == [[None], [None]]
    assert found["records"][0].got.endswith("/stray.json, of no run")


@pytest.mark.parametrize(
    ("harm", "got"),
    [
        (lambda text: text.replace(",1.0,", ",1.5,", 1), "another value in results.csv: "),
        (lambda text: text + text.splitlines()[1] + "\n", "2 rows in results.csv"),
        (
            lambda text: "\n".join([text.splitlines()[0], *text.splitlines()[2:]]) + "\n",
            "0 rows in results.csv",
        ),
        (lambda text: text.splitlines()[0] + "\n", "0 rows in results.csv"),
    ],
)
def test_a_table_that_is_not_the_ledger_s_is_found(copy: Path, harm: Callable[[str], str], got: str) -> None:
    path = read_study(copy).layout.results
    path.write_text(harm(path.read_text("utf-8")), "utf-8")
    checks = checks_of(copy)
    assert set(wrong(checks)) == {"table"}
    assert check(checks, "table").violations[0].got.startswith(got)


def test_a_score_in_the_table_that_nobody_gave_is_found(tmp_path: Path) -> None:
    out = made_study(tmp_path, judge=None)
    path = read_study(out).layout.results
    head, first, *others = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([f"{head},quality_judge", f"{first},9.5", *others]) + "\n", "utf-8")
    found = check(checks_of(out), "table")
    assert [one.got for one in found.violations] == ["another value in results.csv: quality_judge"]
    path.write_text("\n".join([head, f"{first},9.5", *others]) + "\n", "utf-8")
    found = check(checks_of(out), "table")
    assert [one.got for one in found.violations] == ["another value in results.csv: cells without a header"]


def test_no_table_is_told_once(copy: Path) -> None:
    read_study(copy).layout.results.unlink()
    found = check(checks_of(copy), "table")
    assert [(one.model, one.got) for one in found.violations] == [
        (None, "no results.csv (No such file or directory)")
    ]


def test_a_study_before_its_first_run_is_no_pass(tmp_path: Path) -> None:
    checks = checks_of(made_study(tmp_path, models=["m"], judge=None, change=lambda _: None))
    assert not checks.passed
    assert check(checks, "counts").looked_at == 15
    assert check(checks, "failed").status is Status.NOT_MADE
    assert check(checks, "rising").status is Status.NOT_MADE


def test_a_study_of_other_levels_need_not_rise(tmp_path: Path) -> None:
    loads = [{"name": "short", "prompt": "L1"}, {"name": "long", "prompt": "L0"}]
    out = made_study(tmp_path, models=["m"], loads=loads, judge=None, change=_none)
    assert check(checks_of(out), "rising").status is Status.NOT_APPLICABLE


def _none(record: dict[str, Any]) -> None:
    """No run is needed where levels alone are looked at."""


def test_what_is_left_out_is_said(whole: Path) -> None:
    found = check(checks_of(whole, without=("energy", "scores")), "energy")
    assert (found.status, found.reason) == (Status.LEFT_OUT, "left out by --without")


@pytest.mark.parametrize("options", [{"without": ("speed",)}, {"rising": ("L0", "L9")}])
def test_a_name_that_there_is_none_of_is_refused(whole: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no such"):
        checks_of(whole, **options)


@pytest.mark.parametrize("rising", [(), ("L0",), ("L0", "L0")])
def test_one_level_cannot_rise(whole: Path, rising: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="at least two different levels"):
        checks_of(whole, rising=rising)


def test_a_violation_names_its_place() -> None:
    one = Violation("m", "L0", "math", 81, 1, "a", "b")
    assert one.to_json() == {
        "model": "m",
        "level": "L0",
        "category": "math",
        "question_id": 81,
        "run": 1,
        "got": "a",
        "expected": "b",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"value": "8"},
        {"value": True},
        {"value": None, "reason": None},
        {"parts": None},
        {"event": "measure", "identity": "x", "higher_is_better": True},
    ],
)
def test_a_mark_that_is_none_is_refused_with_its_file(copy: Path, change: dict[str, Any]) -> None:
    path = copy / QUALITY_FILE
    head, mark, *others = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([head, json.dumps(json.loads(mark) | change), *others]) + "\n", "utf-8")
    with pytest.raises(EvidenceError, match="a line of the marks is none of ours"):
        read_study(copy)
